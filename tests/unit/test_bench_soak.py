"""What judges a soak can find it guilty: growth, books that do not balance, recordings, proofs."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.soak.callers import Callers, faults
from bench.soak.flatness import Point, fit, student
from bench.soak.recordings import Collector
from bench.soak.verdict import Course, Moment
from bench.soak.watch import Reading, read_tree, unbalanced
from earhook.media.wav import WavFormat, build_header


def noisy(per_hour: float, hours: float, *, per_call: float = 0.13) -> list[Point]:
    chance = random.Random(f"{per_hour}/{hours}")
    points = []
    for look in range(int(hours * 720)):
        calls = 50 + chance.gauss(0, 5)
        value = 100 + per_hour * look / 720 + per_call * calls + chance.gauss(0, 0.5)
        points.append(Point(look * 5.0, calls, value))
    return points


@pytest.mark.parametrize(
    ("per_hour", "word"), [(0.0, "flat"), (0.4, "flat"), (1.0, "undecided"), (3.0, "grows")]
)
def test_growth_is_found_beneath_noise_and_more_calls(per_hour: float, word: str) -> None:
    slope = fit(noisy(per_hour, 1.0))
    assert slope.per_hour is not None
    assert abs(slope.per_hour - per_hour) < 3 * slope.margin < 1.5
    assert slope.judge(1.0).word == word


def test_calls_that_come_are_no_growth() -> None:
    points = [Point(look * 5.0, look / 10, 100 + 0.13 * look / 10) for look in range(720)]
    wavering = [own._replace(calls=own.calls + index % 7) for index, own in enumerate(points)]
    slope = fit([own._replace(value=100 + 0.13 * own.calls) for own in wavering])
    assert slope.per_hour == pytest.approx(0.0, abs=1e-6)
    assert slope.per_call == pytest.approx(0.13)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    chance, inside = random.Random(7), 0
    for _ in range(200):
        points = [Point(look * 5.0, 50, chance.gauss(0, 1) + look / 720) for look in range(720)]
        slope = fit(points)
        assert slope.per_hour is not None
        inside += abs(slope.per_hour - 1.0) <= slope.margin
    assert 180 <= inside <= 199


def test_too_short_a_run_says_nothing() -> None:
    slope = fit(noisy(50.0, 0.05))
    assert slope.per_hour is None
    assert slope.judge(1.0).word == "undecided"
    assert fit([]).judge(1.0).word == "undecided"


@pytest.mark.parametrize(("freedom", "quantile"), [(3, 3.182), (5, 2.571), (22, 2.074)])
def test_students_quantiles(freedom: int, quantile: float) -> None:
    assert student(0.975, freedom) == pytest.approx(quantile, rel=0.01)


COUNTERS = {
    "earhook_samples_received_total": 100.0,
    "earhook_samples_written_total": 90.0,
    'earhook_samples_dropped_total{reason="paused"}': 10.0,
    'earhook_sink_received_samples_total{sink="a"}': 90.0,
    'earhook_sink_forwarded_samples_total{sink="a"}': 80.0,
    'earhook_sink_buffered_samples{sink="a"}': 7.0,
    'earhook_sink_dropped_samples_total{reason="overrun",sink="a"}': 3.0,
}


def test_books_that_balance_are_not_objected_to() -> None:
    assert unbalanced(COUNTERS) == []


@pytest.mark.parametrize("name", COUNTERS)
def test_one_sample_that_is_missing_anywhere_is_found(name: str) -> None:
    assert len(unbalanced(COUNTERS | {name: COUNTERS[name] - 1})) >= 1


def moments(descriptors: int) -> Course:
    course = Course(0.0, 1e9)
    course.resting = [Reading(80.0, 20, 9, 1, 0.0), Reading(81.0, 20 + descriptors, 9, 1, 0.0)]
    course.moments = [
        Moment(look * 5.0, 50, look, Reading(90.0, 120, 9, 1, 0.0)) for look in range(720)
    ]
    return course


def test_what_is_left_behind_is_found_though_its_slope_is_flat() -> None:
    assert moments(descriptors=4).faults() == []
    (fault,) = moments(descriptors=5).faults()
    assert fault.startswith("5 descriptors more at rest")


def test_what_grows_is_found() -> None:
    course = moments(descriptors=0)
    course.moments = [
        replace(own, reading=own.reading._replace(threads=9 + place // 100))
        for place, own in enumerate(course.moments)
    ]
    (fault,) = course.faults()
    assert fault.startswith("threads grows by")


def test_this_process_holds_something() -> None:
    reading = read_tree(os.getpid())
    assert reading.mib > 10
    assert reading.descriptors > 2
    assert reading.threads >= 1


def test_a_process_that_is_gone_is_no_empty_one() -> None:
    with pytest.raises(ProcessLookupError):
        read_tree(2**22 + 1)


def recording(directory: Path, *, samples: int = 800) -> dict[str, Any]:
    """A finished one, and what its sidecar says."""
    audio = WavFormat("L16", 2)
    (directory / "a.wav").write_bytes(build_header(audio, 4 * samples) + bytes(4 * samples))
    return {
        "state": "complete",
        "format": {"codec": "L16", "channels": ["external", "internal"]},
        "books": {"received": 800, "forwarded": 800, "buffered": 0, "dropped": {}},
        "arrived": {"written": 800},
        "parts": [{"file": "a.wav", "samples": 800}],
    }


def collected(directory: Path, fields: dict[str, Any]) -> Collector:
    (directory / "a.json").write_text(json.dumps(fields))
    collector = Collector(directory)
    collector.collect()
    return collector


def test_a_whole_recording_is_taken_away_without_a_word(tmp_path: Path) -> None:
    collector = collected(tmp_path, recording(tmp_path))
    assert (collector.faults, collector.left(), collector.samples) == ([], [], 800)


def test_a_recording_that_is_not_whole_is_found(tmp_path: Path) -> None:
    assert collected(tmp_path, recording(tmp_path, samples=799)).faults
    for change in ({"state": "incomplete"}, {"arrived": {"written": 801}}):
        assert collected(tmp_path, recording(tmp_path) | change).faults
    books = {"received": 800, "forwarded": 799, "buffered": 0, "dropped": {}}
    assert collected(tmp_path, recording(tmp_path) | {"books": books}).faults


def test_a_recording_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    collector = collected(tmp_path, recording(tmp_path) | {"state": "recording"})
    assert (collector.collected, len(collector.left())) == (0, 2)


RESULT: dict[str, Any] = {
    "counts": {"failed": 0, "due": 9, "objections": 0},
    "failures": {},
    "objections": {},
    "verified": {"calls": 9, "proved": 9, "unbalanced": 0, "trouble": "", "samples": {}},
    "generator": {"troubles": []},
}


def test_callers_that_proved_everything_have_no_fault() -> None:
    callers = Callers("some", [])
    callers.result = RESULT
    assert list(faults(callers)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"counts": {"failed": 1, "due": 9, "objections": 0}},
        {"counts": {"failed": 0, "due": 9, "objections": 1}},
        {"verified": RESULT["verified"] | {"proved": 8}},
        {"verified": RESULT["verified"] | {"unbalanced": 1}},
        {"verified": RESULT["verified"] | {"trouble": "lost"}},
        {"generator": {"troubles": ["a generator died"]}},
    ],
)
def test_whatever_callers_lack_is_found(change: dict[str, Any]) -> None:
    callers = Callers("some", [])
    callers.result = RESULT | change
    assert len(list(faults(callers))) == 1
    callers.result = {}
    assert len(list(faults(callers))) == 1
