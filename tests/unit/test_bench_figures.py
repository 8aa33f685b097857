"""What turns runs of a bench into figures, ratios, pictures and verdicts."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import calls
from bench.compare import ratio
from bench.ingest.figures import markdown, microseconds_per_frame, summarise
from bench.latency import figures as latency_figures
from bench.page import written
from bench.svg import bars, latencies, lines
from earhook.load.histograms import Latency, write_log

SECOND = 1_000_000_000


def run(server: str, cpu_ns: int = SECOND // 10, **more: Any) -> dict[str, Any]:
    """1,000 frames in a second, all of them there."""
    return {
        "round": 0,
        "server": server,
        "complete": True,
        "transport": "tls",
        "calls": 200,
        "frames_per_second": 5,
        "frame_bytes": 3200,
        "window_ns": SECOND,
        "due": 1000,
        "sent": 1000,
        "server_cpu_ns": cpu_ns,
        "own_cpu_ns": SECOND // 5,
        "rest_ns": 2 * SECOND,
        "rest_sent": 1000,
        "rest_cpu_ns": 2 * cpu_ns,
        "opening_cpu_ns": 200_000_000,
        "memory_before_kib": 1000,
        "server_memory_kib": 21_000,
        **more,
    }


def test_cpu_is_divided_by_frames() -> None:
    assert microseconds_per_frame(run("a")) == 100.0


def test_a_server_that_did_not_keep_up_is_charged_until_all_is_read() -> None:
    assert microseconds_per_frame(run("a", sent=900)) == 200.0
    assert microseconds_per_frame(run("a", cpu_ns=SECOND)) == 2000.0


def test_medians_ratios_and_what_a_call_costs() -> None:
    rounds = [run("earhook", cpu_ns=cpu, round=n) for n, cpu in enumerate((30, 90, 60))]
    (load,) = summarise([run("C floor", cpu_ns=40), *rounds])
    own = load["servers"]["earhook"]
    assert own["us_per_frame"] == pytest.approx(60 / 1_000_000)
    assert own["ratio"] == pytest.approx(1.5)
    assert own["kib_per_call"] == 100.0
    assert own["us_to_open"] == 1000.0


def test_whatever_keeps_a_figure_from_speaking_is_said() -> None:
    runs = [run("C floor"), run("earhook", sent=900, complete=False)]
    table = markdown(summarise(runs))
    assert "earhook: 90% of what was due was sent" in table
    assert "earhook: NOT ALL ARRIVED" in table
    assert "C floor: 90%" not in table


def test_a_ratio_holds_the_truth_and_says_how_sure_it_is() -> None:
    chance = random.Random(3)
    pairs = [(100 + chance.gauss(0, 5), 120 + chance.gauss(0, 6)) for _ in range(8)]
    found = ratio(pairs)
    assert found.low < 1.2 < found.high
    assert found.low > 1
    assert math.isnan(ratio(pairs[:1]).low)
    assert ratio([(2.0, 1.0), (4.0, 2.0)]) == pytest.approx((0.5, 0.5, 0.5))


def points_of(picture: str) -> list[list[tuple[float, float]]]:
    """Of every curve."""
    root = ElementTree.fromstring(picture)
    curves = root.iter("{http://www.w3.org/2000/svg}polyline")
    return [
        [tuple(map(float, point.split(","))) for point in curve.attrib["points"].split()]
        for curve in curves
    ]


def test_lines_start_at_zero_and_stay_straight() -> None:
    picture = lines("<title> & more", ("x", "y"), {"a": [(0, 0), (10, 20), (20, 40)]})
    ((first, second, third),) = points_of(picture)
    assert second == pytest.approx(((first[0] + third[0]) / 2, (first[1] + third[1]) / 2), abs=0.1)
    assert third[1] < first[1]


def test_each_nine_takes_the_same_room() -> None:
    picture = latencies("t", {"a": [(0.0, 1.0), (0.9, 10.0), (0.99, 100.0)]})
    ((first, second, third),) = points_of(picture)
    assert second[0] - first[0] == pytest.approx(third[0] - second[0], abs=0.2)
    assert first[1] - second[1] == pytest.approx(second[1] - third[1], abs=0.2)
    assert ">99<" in picture


def test_a_bar_is_as_high_as_its_figure() -> None:
    picture = bars("t", "y", {"one": {"a": 10.0, "b": 20.0}, "two": {"a": 5.0}})
    root = ElementTree.fromstring(picture)
    rects = root.iter("{http://www.w3.org/2000/svg}rect")
    heights = [float(own.attrib["height"]) for own in rects if len(own)]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.2)
    assert heights[2] == pytest.approx(heights[0] / 2, abs=0.2)


def stage(**more: Any) -> dict[str, Any]:
    """A load of which everything is right."""
    samples = {"sent": 800, "right": 800}
    load = {
        "counts": {"failed": 0, "objections": 0},
        "verified": {"proved": 2, "unbalanced": 0, "samples": samples},
        "server": {"cpu_us_per_frame": 30.0},
        "generator": {"bottleneck": ""},
        "latencies": {},
    }
    report = {
        "stage": "2 calls",
        "calls": 2,
        "load": load,
        "second_subscriber": {"samples": 800},
        "unbalanced": 0,
        "faults": 0,
        "gateway_exit_code": 0,
        "kib_per_call": 120.0,
        "recordings": {"files": 2, "right": 800, "wrong": 0},
    }
    return report | more


def test_calls_that_are_right_have_no_fault() -> None:
    assert list(calls.wrong(stage())) == []


@pytest.mark.parametrize(
    "change",
    [
        {"second_subscriber": {"samples": 799}},
        {"unbalanced": 1},
        {"faults": 1},
        {"gateway_exit_code": 1},
        {"recordings": {"files": 1, "right": 800, "wrong": 0}},
        {"recordings": {"files": 2, "right": 799, "wrong": 1}},
        {"load": stage()["load"] | {"counts": {"failed": 1, "objections": 0}}},
    ],
)
def test_a_sample_or_a_call_that_is_not_right_is_found(change: dict[str, Any]) -> None:
    assert len(list(calls.wrong(stage(**change)))) == 1


def heard(**more: Any) -> dict[str, Any]:
    """1,000 frames that count, half of them 2 ms old and one 40 ms; 200 before."""
    ages = {"count": 1000, "values_us": [[2000, 500], [3000, 499], [40_000, 1]]}
    late = {"count": 1000} | {f"{own}_us": 50 for own in latency_figures.STATISTICS}
    report = {"frames": 1200, "own_cpu_ns": SECOND // 100, "ages": ages}
    sums = {"sent_in_all": 1200, "lost_calls": 0, "dropped_in_all": 0, "lateness": late}
    return run("earhook") | sums | {"heard": report} | more


def test_frames_that_all_came_in_time_have_no_fault() -> None:
    assert list(latency_figures.wrong(heard())) == []


@pytest.mark.parametrize(
    "change",
    [
        {"heard": {}},
        {"sent_in_all": 1201},
        {"lateness": {"count": 1001}},
        {"lost_calls": 1},
        {"dropped_in_all": 1},
        {"sent": 980},
    ],
)
def test_a_frame_that_is_missing_or_late_is_found(change: dict[str, Any]) -> None:
    assert len(list(latency_figures.wrong(heard(**change)))) == 1


def test_ages_of_all_rounds_are_one_histogram_and_one_curve(tmp_path: Path) -> None:
    other = heard(round=1)
    other["heard"]["ages"]["values_us"] = [[2500, 1000]]
    rounds = [heard(), other]
    found = latency_figures.merged(rounds)
    own = found["earhook"].as_json()
    assert own["count"] == 2000
    assert own["milliseconds"]["p50"] == pytest.approx(2.5, rel=0.001)
    assert own["milliseconds"]["p90"] == pytest.approx(3.0, rel=0.001)
    assert own["milliseconds"]["max"] == pytest.approx(40.0, rel=0.001)
    report = {"machine": {"commit": "abc"}, "runs": rounds, "latencies": {"earhook": own}}
    (tmp_path / "latency.json").write_text(json.dumps(report))
    write_log(tmp_path / "latency.hlog", found, (0.0, 1.0))
    page, pictures = written(tmp_path)
    assert set(pictures) == {"latency-added"}
    assert "(figures/latency-added.svg)" in page
    assert "| earhook | 2,000 | 2.50 / 3.00 / 3.00 / 3.00 / 40.0" in page
    assert len(points_of(pictures["latency-added"])) == 1


def test_the_page_has_a_table_and_a_picture_of_what_was_measured(tmp_path: Path) -> None:
    machine = {"date": "2026-01-01", "commit": "abc"}
    loads = summarise([run("C floor"), run("earhook", cpu_ns=SECOND // 5)])
    (tmp_path / "scale.json").write_text(json.dumps({"machine": machine, "loads": loads}))
    report = {"machine": machine, "stages": [stage()]}
    (tmp_path / "calls.json").write_text(json.dumps(report))
    latency = Latency()
    for milliseconds in range(1, 500):
        latency.record(milliseconds / 1000)
    write_log(calls.log_path("2 calls", tmp_path), {"end_to_end": latency}, (0.0, 1.0))
    page, pictures = written(tmp_path)
    assert set(pictures) == {"scale-cpu", "scale-memory", "latency-end-to-end"}
    assert all(f"(figures/{name}.svg)" in page for name in pictures)
    assert "| 200 calls, 5/s of 3,200 B | 100.0 | 200.0 | 2.00 |" in page
    assert "commit abc" in page
    for picture in pictures.values():
        ElementTree.fromstring(picture)
