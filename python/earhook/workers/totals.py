"""The figures of several processes as one. Pure.

A counter of all is what the living count, and what those counted that have gone. So it never
goes backwards, whichever of them ends, dies, or is not heard for a while. A gauge is what those
say that were heard; how several of them are one is declared beside each metric.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from earhook.ops.histogram import Histogram
from earhook.ops.metrics import DECLARED

if TYPE_CHECKING:
    from earhook.ops.readings import Readings

__all__ = ["Figures", "Totals"]

Labels = tuple[str, ...]


@dataclass(slots=True)
class Figures:
    """What one process has read of itself: `Readings.as_json`, taken apart.

    What is not declared here is left out: for a moment of a rolling restart, two versions run.
    """

    counters: dict[str, dict[Labels, float]] = field(default_factory=dict)
    gauges: dict[str, dict[Labels, float]] = field(default_factory=dict)
    histograms: dict[str, Histogram] = field(default_factory=dict)

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """Read what `as_json` of this class or of `Readings` has made."""
        figures = cls()
        for name, series in values["numbers"].items():
            metric = DECLARED.get(name)
            if metric is None or metric.kind == "histogram":
                continue
            numbers = {
                tuple(labels): number
                for labels, number in series
                if len(labels) == len(metric.labels)
            }
            kind = figures.counters if metric.kind == "counter" else figures.gauges
            kind[name] = numbers
        for name, (bounds, counts, total) in values["histograms"].items():
            if name in DECLARED and DECLARED[name].kind == "histogram":
                histogram = figures.histograms[name] = Histogram(bounds)
                histogram.add(counts, total)
        return figures

    def as_json(self) -> dict[str, Any]:
        """The counters and histograms, for another process to go on with."""
        numbers = {
            name: [[list(labels), number] for labels, number in series.items()]
            for name, series in self.counters.items()
        }
        histograms = {
            name: [histogram.bounds, histogram.counts, histogram.total]
            for name, histogram in self.histograms.items()
        }
        return {"numbers": numbers, "histograms": histograms}

    def add(self, other: Figures) -> None:
        """Count what another one has counted."""
        for name, series in other.counters.items():
            own = self.counters.setdefault(name, {})
            for labels, number in series.items():
                own[labels] = own.get(labels, 0.0) + number
        for name, histogram in other.histograms.items():
            known = self.histograms.get(name)
            if known is None or known.bounds != histogram.bounds:
                # Other bounds: of another version. The new ones begin anew.
                known = self.histograms[name] = Histogram(histogram.bounds)
            known.add(histogram.counts, histogram.total)

    def follow(self, before: Figures) -> None:
        """Take over what was counted before and is missing or less now: nothing is uncounted."""
        for name, series in before.counters.items():
            own = self.counters.setdefault(name, {})
            for labels, number in series.items():
                own[labels] = max(number, own.get(labels, 0.0))
        for name, histogram in before.histograms.items():
            if name not in self.histograms or self.histograms[name].count < histogram.count:
                self.histograms[name] = histogram


class Totals:
    """The figures of all processes together.

    Who is who is told by a key that is never used again: the generation of a worker.
    """

    def __init__(self) -> None:
        self._last: dict[str, Figures] = {}
        self._gone = Figures()
        # Which label sets have a series of their own was decided by who came first, and stays so.
        self._order: dict[str, dict[Labels, None]] = {}
        # Sums of fractions depend on their order, in the last digit: that must not go back either.
        self._most: dict[tuple[str, Labels], float] = {}

    def take(self, key: str, figures: Figures) -> None:
        """The newest figures of one of them."""
        before = self._last.get(key)
        if before is not None:
            figures.follow(before)
        self._last[key] = figures

    def keep_only(self, keys: Collection[str]) -> None:
        """All others have gone: what they counted stays, their gauges do not."""
        for key in [key for key in self._last if key not in keys]:
            self.let_go(key)

    def let_go(self, key: str) -> None:
        """One of them has gone."""
        figures = self._last.pop(key, None)
        if figures is not None:
            self._gone.add(figures)

    def as_json(self) -> dict[str, Any]:
        """What is to survive this process: counters of the gone and the living."""
        last = {key: figures.as_json() for key, figures in self._last.items()}
        return {"gone": self._gone.as_json(), "last": last}

    def restore(self, values: dict[str, Any]) -> None:
        """Go on where another process has stopped, by its `as_json`."""
        self._gone.add(Figures.of(values["gone"]))
        for key, figures in values["last"].items():
            self._last[key] = Figures.of(figures)

    def put(self, readings: Readings, heard: Collection[str], above: Collection[str] = ()) -> None:
        """Write down what all of them are.

        Args:
            readings: Where to.
            heard: Whose gauges count: those that have answered just now.
            above: Those of them who know better: where they have a gauge, nobody else's counts.
        """
        total = Figures()
        for figures in (self._gone, *self._last.values()):
            total.add(figures)
        gauges = self._gauges([key for key in heard if key not in above])
        for name, series in self._gauges(above).items():
            gauges.setdefault(name, {}).update(series)
        for name, counted in total.counters.items():
            for labels, number in counted.items():
                counted[labels] = self._at_least(name, labels, number)
        for name, series in (*total.counters.items(), *gauges.items()):
            for labels in self._in_order(name, series):
                values = dict(zip(DECLARED[name].labels, labels, strict=True))
                readings.put(name, series[labels], **values)
        for name, histogram in total.histograms.items():
            histogram.total = self._at_least(name, (), histogram.total)
            readings.put_histogram(name, histogram)

    def _at_least(self, name: str, labels: Labels, number: float) -> float:
        most = self._most[name, labels] = max(number, self._most.get((name, labels), number))
        return most

    def _in_order(self, name: str, series: Collection[Labels]) -> Iterator[Labels]:
        order = self._order.setdefault(name, {})
        for labels in series:
            if len(order) < _REMEMBERED:
                order.setdefault(labels)
        yield from (labels for labels in order if labels in series)
        yield from (labels for labels in series if labels not in order)

    def _gauges(self, keys: Collection[str]) -> dict[str, dict[Labels, float]]:
        together: dict[str, dict[Labels, list[float]]] = {}
        for figures in (self._last[key] for key in keys if key in self._last):
            for name, series in figures.gauges.items():
                for labels, number in series.items():
                    together.setdefault(name, {}).setdefault(labels, []).append(number)
        return {
            name: {labels: _rule(name)(found) for labels, found in series.items()}
            for name, series in together.items()
        }


def _rule(name: str) -> Callable[[list[float]], float]:
    return _RULES[DECLARED[name].together or "sum"]


_RULES: Final[dict[str, Callable[[list[float]], float]]] = {"sum": sum, "max": max, "min": min}
_REMEMBERED: Final = 1000
