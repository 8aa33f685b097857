"""What a soak has shown, judged. Pure: what was read goes in, words come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .flatness import Point, Slope, Verdict, fit
from .watch import Reading

__all__ = ["LIMITS", "REST_LIMITS", "Course", "Moment"]

LIMITS: Final = {"mib": 1.0, "descriptors": 10.0, "threads": 2.0}
"""Growth per hour beyond which a figure grows."""
REST_LIMITS: Final = {"descriptors": 4, "threads": 4}
"""What may be left of all calls once none is live: pools that were filled for the first time."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One look at the gateway.

    Attributes:
        seconds: Since the first call was due.
        calls: Live.
        opened: So far.
    """

    seconds: float
    calls: int
    opened: int
    reading: Reading

    def as_json(self) -> dict[str, Any]:
        """One row of the series."""
        own = self.reading
        return {
            "seconds": round(self.seconds, 1),
            "calls": self.calls,
            "opened": self.opened,
            "mib": round(own.mib, 2),
            "descriptors": own.descriptors,
            "threads": own.threads,
            "processes": own.processes,
            "cpu_seconds": round(own.cpu_seconds, 2),
        }


@dataclass(slots=True)
class Course:
    """All looks in order.

    Attributes:
        warm_seconds: What is before that is left out of slopes: pools, caches and heaps fill.
        end_seconds: What is after that too: calls leave, and no others come.
        resting: Before the first call and after the last one.
    """

    warm_seconds: float
    end_seconds: float
    moments: list[Moment] = field(default_factory=list)
    resting: list[Reading] = field(default_factory=list)

    def slope(self, figure: str) -> Slope:
        """Of a figure of `Reading`."""
        return fit(
            [
                Point(moment.seconds, moment.calls, getattr(moment.reading, figure))
                for moment in self.moments
                if self.warm_seconds <= moment.seconds <= self.end_seconds
            ]
        )

    def verdicts(self) -> dict[str, Verdict]:
        """Whether each figure is flat."""
        return {figure: self.slope(figure).judge(limit) for figure, limit in LIMITS.items()}

    def left_behind(self) -> dict[str, int]:
        """What is held at rest now and was not in the beginning."""
        if len(self.resting) < 2:
            return {}
        before, after = self.resting[0], self.resting[-1]
        return {name: getattr(after, name) - getattr(before, name) for name in REST_LIMITS}

    def faults(self) -> list[str]:
        """What grows, and what was left behind."""
        found = [
            f"{figure} grows by {self.slope(figure).words('')}: the limit is {own.limit_per_hour}"
            for figure, own in self.verdicts().items()
            if own.word == "grows"
        ]
        found += [
            f"{count} {name} more at rest than before the first call"
            for name, count in self.left_behind().items()
            if count > REST_LIMITS[name]
        ]
        return found

    def as_json(self) -> Mapping[str, Any]:
        """Slopes, verdicts, rest, and a row a minute."""
        verdicts = self.verdicts()
        return {
            "slopes_per_hour": {
                figure: self.slope(figure).as_json() | verdicts[figure]._asdict()
                for figure in LIMITS
            },
            "at_rest": [reading._asdict() for reading in self.resting],
            "series": [moment.as_json() for moment in self._thinned()],
        }

    def _thinned(self) -> list[Moment]:
        rows: list[Moment] = []
        for moment in self.moments:
            if not rows or moment.seconds >= rows[-1].seconds + 60:
                rows.append(moment)
        return rows
