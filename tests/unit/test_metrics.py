"""Figures: only what is declared, in the text format, and bounded in number."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from earhook.ops.histogram import Histogram
from earhook.ops.metrics import MAX_SERIES
from earhook.ops.readings import Readings, metrics_registry


def exported(readings_of: object) -> str:
    return generate_latest(metrics_registry(readings_of)).decode()  # type: ignore[arg-type]


def test_what_is_written_down_is_exported() -> None:
    def read(readings: Readings) -> None:
        readings.put("earhook_calls", 3)
        readings.put_each(
            "earhook_sink_dropped_samples_total", {"overrun": 5}, label="reason", sink="a"
        )
        latency = Histogram()
        latency.observe(0.003)
        readings.put_histogram("earhook_opened_latency_seconds", latency)

    text = exported(read)
    assert "\nearhook_calls 3.0\n" in text
    assert 'earhook_sink_dropped_samples_total{reason="overrun",sink="a"} 5.0' in text
    assert 'earhook_opened_latency_seconds_bucket{le="0.005"} 1.0' in text
    assert "earhook_opened_latency_seconds_sum 0.003" in text
    assert "earhook_build_info{" in text
    assert "process_open_fds" in text


def test_the_same_labels_add_up() -> None:
    def read(readings: Readings) -> None:
        readings.put("earhook_calls_refused_total", 2, door="media", reason="full")
        readings.put("earhook_calls_refused_total", 3, door="media", reason="full")

    assert 'earhook_calls_refused_total{door="media",reason="full"} 5.0' in exported(read)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("earhook_nothing", {}),
        ("earhook_calls", {"sink": "a"}),
        ("earhook_sink_healthy", {}),
        ("earhook_sink_healthy", {"sink": "a", "session": "b"}),
        ("earhook_opened_latency_seconds", {}),
    ],
)
def test_what_is_not_declared_cannot_be_written_down(name: str, labels: dict[str, str]) -> None:
    with pytest.raises(KeyError):
        Readings().put(name, 1.0, **labels)


def test_the_number_of_series_has_an_end_and_the_sum_is_kept() -> None:
    def read(readings: Readings) -> None:
        for number in range(1000):
            readings.put("earhook_calls_closed_total", 1, reason=f"made-up-{number}")

    text = exported(read)
    lines = [line for line in text.splitlines() if line.startswith("earhook_calls_closed_total{")]
    assert len(lines) == MAX_SERIES + 1
    assert sum(float(line.rsplit(" ", 1)[1]) for line in lines) == 1000


@given(st.lists(st.floats(min_value=0, max_value=100), min_size=1))
def test_a_histogram_counts_every_value_at_or_below_each_bound(values: list[float]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.observe(value)
    for bound, count in histogram.cumulative():
        limit = math.inf if bound == "+Inf" else float(bound)
        assert count == sum(value <= limit for value in values)
    assert histogram.count == len(values)
    assert histogram.maximum == max(values)
    assert histogram.quantile(1.0) == max(values)
    assert histogram.quantile(0.5) >= sorted(values)[(len(values) - 1) // 2] or (
        histogram.quantile(0.5) == histogram.maximum
    )


def test_known_values_of_a_label_are_there_before_they_happen() -> None:
    def read(readings: Readings) -> None:
        readings.put_each(
            "earhook_calls_refused_total", {"b": 2}, label="reason", known=("a", "b"), door="x"
        )

    text = exported(read)
    assert 'earhook_calls_refused_total{door="x",reason="a"} 0.0' in text
    assert 'earhook_calls_refused_total{door="x",reason="b"} 2.0' in text
