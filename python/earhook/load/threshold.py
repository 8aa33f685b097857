"""`--fail-if`: what turns figures into a verdict."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from earhook.errors import ConfigurationError

from .outcome import Outcome
from .tally import LATENCIES

__all__ = ["Threshold"]

_GRAMMAR: Final = re.compile(
    r"\s*([a-z_]+)(?:\.(p\d+(?:\.\d+)?|max|mean|count))?\s*(>=|<=|>|<|==)\s*"
    r"(\d+(?:\.\d+)?)\s*(us|ms|s|%)?\s*",
    re.ASCII,
)
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
}
_MILLISECONDS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_OF_CALLS: Final = frozenset({"failed", "completed", "opened", "answered", "unproved"})


@dataclass(frozen=True, slots=True)
class Threshold:
    """One condition under which a load has failed, as `opened.p99>200ms` or `failed>0.1%`."""

    text: str
    name: str
    statistic: str | None
    comparison: str
    limit: float
    unit: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one.

        Raises:
            ConfigurationError: It says nothing that is measured.
        """
        found = _GRAMMAR.fullmatch(text)
        if found is None:
            raise _fault(text, "write name.p99>200ms, or name>0, or name>1%")
        name, statistic, comparison, limit, unit = found.groups()
        latencies = (*LATENCIES, "end_to_end")
        if statistic is not None and name not in latencies:
            raise _fault(text, f"latencies are {', '.join(latencies)}")
        if statistic is None and name not in _known_figures():
            raise _fault(text, f"figures are {', '.join(_known_figures())}")
        timed = statistic not in {None, "count"}
        if timed is not (unit in _MILLISECONDS):
            raise _fault(text, "a latency has a unit (us, ms, s), anything else has none or %")
        return cls(text.strip(), name, statistic, comparison, float(limit), unit)

    def holds(self, outcome: Outcome) -> bool:
        """Whether the load has failed by it. What was not measured at all fails too."""
        value = self._value(outcome)
        if value is None:
            return True
        limit = self.limit * _MILLISECONDS.get(self.unit or "", 1.0)
        return _COMPARE[self.comparison](value, limit)

    def _value(self, outcome: Outcome) -> float | None:
        if self.statistic is None:
            return self._figure(outcome)
        latency = outcome.latencies.get(self.name)
        if self.statistic == "count":
            return 0.0 if latency is None else float(latency.count)
        return None if latency is None else latency.milliseconds(self.statistic)

    def _figure(self, outcome: Outcome) -> float | None:
        figures = outcome.figures()
        value = figures.get(self.name)
        if value is None or self.unit != "%":
            return value
        whole = figures["due"] if self.name in _OF_CALLS else figures.get("sent", figures["due"])
        return 100 * value / whole if whole else None


def _known_figures() -> list[str]:
    from dataclasses import fields

    from .proof import Samples
    from .tally import Counts

    names = [own.name for kind in (Counts, Samples) for own in fields(kind)]
    return [*dict.fromkeys(names), "unbalanced", "unproved"]


def _fault(text: str, remedy: str) -> ConfigurationError:
    return ConfigurationError.of("--fail-if", f"{text!r} is unknown", remedy)
