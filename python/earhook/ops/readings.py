"""The figures of one scrape, and the registry that is read at it."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from earhook import __version__

from .metrics import DECLARED, MAX_SERIES, METRICS, Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client import Metric as Family

    from .histogram import Histogram

__all__ = ["Readings", "metrics_registry"]


class Readings:
    """The figures of one scrape."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[tuple[str, ...], float]] = {}
        self._histograms: dict[str, Histogram] = {}

    def put(self, name: str, value: float, **labels: str) -> None:
        """Write down one number; the same name and labels add up.

        Raises:
            KeyError: The table declares no such metric, or other labels.
        """
        metric = DECLARED[name]
        series = self._numbers.setdefault(name, {})
        values = tuple(labels.pop(label) for label in metric.labels)
        if labels or metric.kind == "histogram":
            raise KeyError(f"{name} is a {metric.kind} with the labels {metric.labels}")
        if values not in series and len(series) >= MAX_SERIES:
            values = (*values[:-1], "other")
        series[values] = series.get(values, 0.0) + value

    def put_each(
        self,
        name: str,
        values: Mapping[str, float],
        *,
        label: str,
        known: Iterable[str] = (),
        **labels: str,
    ) -> None:
        """Write down one number per value of `label`.

        Args:
            name: The metric.
            values: Numbers by value of `label`.
            label: The label that differs.
            known: Values that are exported from the start, as 0. A series that is born with its
                first event shows no increase, so an alert on it would miss that event.
            **labels: The other labels.
        """
        for value_of_label in known:
            self.put(name, 0.0, **{label: value_of_label}, **labels)
        for value_of_label, value in values.items():
            self.put(name, value, **{label: value_of_label}, **labels)

    def put_histogram(self, name: str, histogram: Histogram) -> None:
        """Write down a histogram, which must not change until the scrape is answered."""
        if DECLARED[name].kind != "histogram":
            raise KeyError(f"{name} is no histogram")
        self._histograms[name] = histogram

    def as_json(self) -> dict[str, Any]:
        """All of it as values for `orjson.dumps`, for another process to add up."""
        numbers = {
            name: [[list(values), number] for values, number in series.items()]
            for name, series in self._numbers.items()
        }
        histograms = {
            name: [histogram.bounds, histogram.counts, histogram.total]
            for name, histogram in self._histograms.items()
        }
        return {"numbers": numbers, "histograms": histograms}

    def families(self) -> Iterable[Family]:
        """Everything declared, in the order of the table; a metric nobody wrote has no series."""
        for metric in METRICS:
            yield self._family(metric)

    def _family(self, metric: Metric) -> Family:
        series = self._numbers.get(metric.name, {})
        if metric.kind == "histogram":
            family = HistogramMetricFamily(metric.name, metric.text)
            histogram = self._histograms.get(metric.name)
            if histogram is not None:
                family.add_metric([], histogram.cumulative(), histogram.total)
            return family
        kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        numbers = kind(metric.name, metric.text, labels=metric.labels)
        for values, number in series.items():
            numbers.add_metric(values, number)
        return numbers


def metrics_registry(read: Callable[[Readings], None]) -> CollectorRegistry:
    """A registry that calls `read` at every scrape, plus figures of the process itself."""
    registry = CollectorRegistry()
    registry.register(_GatewayCollector(read))
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def put_build(readings: Readings) -> None:
    """Write down what runs here."""
    python = platform.python_version()
    readings.put("earhook_build_info", 1.0, version=__version__, python=python)


class _GatewayCollector(Collector):
    def __init__(self, read: Callable[[Readings], None]) -> None:
        self._read = read

    def describe(self) -> Iterable[Family]:
        return Readings().families()

    def collect(self) -> Iterable[Family]:
        readings = Readings()
        put_build(readings)
        self._read(readings)
        return readings.families()
