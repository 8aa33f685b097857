"""Figures of a load: histograms that add up, thresholds, and a generator that knows its limits."""

from __future__ import annotations

import os
import pickle
import random
from pathlib import Path

import pytest
from hdrh.log import HistogramLogReader

from earhook.errors import ConfigurationError
from earhook.load.histograms import Latency, write_log
from earhook.load.http_answer import AnswerReader
from earhook.load.outcome import Outcome
from earhook.load.plan import LoadPlan, Target
from earhook.load.shape import Shape
from earhook.load.tally import FAILURE_KINDS, Tally
from earhook.load.threshold import Threshold
from earhook.load.usage import ProcessTree
from earhook.load.verify import Findings


def outcome() -> Outcome:
    plan = LoadPlan(target=Target(url="ws://localhost/"), shape=Shape(calls=1))
    return Outcome(plan)


def latency(*milliseconds: float) -> Latency:
    own = Latency()
    for value in milliseconds:
        own.record(value / 1000)
    return own


def test_percentiles_are_those_of_the_values_to_three_digits() -> None:
    chance = random.Random(1)
    values = sorted(chance.lognormvariate(1, 1.5) for _ in range(5000))
    own = latency(*values)
    for statistic, place in (("p50", 2500), ("p90", 4500), ("p99", 4950), ("max", 5000)):
        assert own.milliseconds(statistic) == pytest.approx(values[place - 1], rel=2e-3)
    assert own.milliseconds("mean") == pytest.approx(sum(values) / 5000)


def test_two_halves_are_the_whole_also_from_another_process() -> None:
    values = [random.Random(2).uniform(0.05, 900) for _ in range(500)]
    whole, half = latency(*values), pickle.loads(pickle.dumps(latency(*values[:200])))
    half.add(pickle.loads(pickle.dumps(latency(*values[200:]))))
    assert half.as_json()["count"] == 500
    for statistic in ("p50", "p99.9", "max"):
        assert half.milliseconds(statistic) == whole.milliseconds(statistic)


def test_an_empty_histogram_says_nothing_and_survives_the_way() -> None:
    own = pickle.loads(pickle.dumps(Latency()))
    assert own.count == 0
    assert own.milliseconds("p99") is None


def test_the_log_is_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "load.hlog"
    latencies = {"opened": latency(1, 2, 3, 400), "pong": latency(7), "close": Latency()}
    write_log(path, latencies, (1_700_000_000.0, 60.0))
    reader = HistogramLogReader(str(path), Latency()._histogram)
    read = [reader.get_next_interval_histogram() for _ in range(2)]
    assert [one.get_total_count() for one in read] == [4, 1]
    assert read[0].get_max_value() == pytest.approx(400_000, rel=2e-3)
    reader.close()
    assert "Tag=opened," in path.read_text()


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("opened.p99>200ms", True), ("opened.p50>200ms", False), ("opened.max<=0.5s", True),
        ("opened.p50 > 500us", True), ("opened.count<4", False), ("failed>0", True),
        ("failed>1%", True), ("failed>=50%", False), ("due==10", True), ("pong.p99>1s", True),
        ("lost>0", True), ("objections>0", False),
    ],
)  # fmt: skip
def test_conditions(text: str, holds: bool) -> None:
    own = outcome()
    own.tally.latencies["opened"] = latency(1, 2, 3, 399.9)
    own.tally.counts.due = 10
    own.tally.fail("connect: HTTP 503")
    # Neither pongs nor samples were measured: whoever asks for them has not been told "fine".
    assert Threshold.parse(text).holds(own) is holds


@pytest.mark.parametrize(
    "text",
    ["opened.p99", "opened>3", "opened.p99>200", "nothing>0", "failed>3ms", "failed.p99>1ms", ""],
)
def test_conditions_that_say_nothing(text: str) -> None:
    if text == "opened>3":
        assert Threshold.parse(text).statistic is None, "the counter, not the latency"
        return
    with pytest.raises(ConfigurationError):
        Threshold.parse(text)


def test_samples_can_be_asked_for_once_they_are_proved() -> None:
    own = outcome()
    own.findings = Findings()
    assert not Threshold.parse("lost>0").holds(own)
    own.findings.samples.lost = 3
    assert Threshold.parse("lost>0").holds(own)


def test_a_generator_that_is_late_itself_says_so() -> None:
    own = outcome()
    own.tally.latencies["lateness"] = latency(*[1.0] * 980, *[80.0] * 20)
    own.tally.busiest = 0.98
    assert "--processes" in own.bottleneck
    own.tally.busiest = 0.3
    assert "others use this machine" in own.bottleneck
    own.tally.latencies["lateness"] = latency(*[1.0] * 999, 80.0)
    assert not own.bottleneck


def test_kinds_of_failure_are_bounded() -> None:
    tally = Tally()
    for number in range(10 * FAILURE_KINDS):
        tally.fail(f"error: {number}")
    assert len(tally.failures) == FAILURE_KINDS + 1
    assert sum(tally.failures.values()) == tally.counts.failed == 10 * FAILURE_KINDS


def test_a_process_tree_is_measured() -> None:
    tree = ProcessTree(os.getpid())
    while tree.cpu_seconds < 0.02:
        sum(range(10_000))
        tree.look()
    assert tree.as_json(1.0, 100)["peak_mib"] > 5
    with pytest.raises(ConfigurationError):
        ProcessTree(2**22 + 1)


def test_answers_are_read_however_they_are_cut() -> None:
    wire = (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 7\r\n\r\n{"a":1}'
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"
    )
    for size in range(1, len(wire)):
        reader = AnswerReader()
        pieces = [wire[place : place + size] for place in range(0, len(wire), size)]
        answers = [answer for piece in pieces for answer in reader.feed(piece)]
        assert [(one.status, one.fields()) for one in answers] == [(200, {"a": 1}), (429, {})]


@pytest.mark.parametrize("wire", [b"SIP/2.0 200\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 2**21])
def test_what_is_no_answer_is_refused(wire: bytes) -> None:
    with pytest.raises(ValueError, match=r"HTTP|Content-Length|end"):
        AnswerReader().feed(wire)
