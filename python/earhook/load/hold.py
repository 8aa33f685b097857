"""How long calls last: a distribution that the command line can name."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Final, Literal, Self

from earhook.errors import ConfigurationError

__all__ = ["Hold", "seconds_of"]

SHORTEST_SECONDS: Final = 0.2
"""No call is drawn shorter: it would be over before its audio began."""

_TIME: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", re.ASCII)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def seconds_of(text: str) -> float:
    """Read a length of time: `90`, `90s`, `1.5m`, `2h`, `200ms`.

    Raises:
        ValueError: It is none.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no length of time; write 90s, 1.5m, 2h or 200ms")
    return float(found[1]) * _UNITS[found[2]]


@dataclass(frozen=True, slots=True)
class Hold:
    """A distribution of call lengths.

    Attributes:
        kind: `fixed`; `uniform` between the two; `exponential` around a mean.
        low_seconds: The length, the shortest, or the mean.
        high_seconds: The longest of `uniform`; of no meaning else.
    """

    kind: Literal["fixed", "uniform", "exponential"]
    low_seconds: float
    high_seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `90s` (each call), `30s-5m` (evenly between), `exp:3m` (exponential, this mean).

        Raises:
            ConfigurationError: It is none of these.
        """
        try:
            if text.startswith("exp:"):
                return cls("exponential", _positive(text.removeprefix("exp:")))
            low, dash, high = text.partition("-")
            if not dash:
                return cls("fixed", _positive(low))
            between = cls("uniform", _positive(low), _positive(high))
            if between.low_seconds > between.high_seconds:
                raise ValueError("the shorter length comes first")
        except ValueError as error:
            remedy = "write 90s, 30s-5m or exp:3m"
            raise ConfigurationError.of("--hold", str(error), remedy) from None
        return between

    def draw(self, chance: random.Random) -> float:
        """The length of one call, in seconds."""
        if self.kind == "fixed":
            return self.low_seconds
        if self.kind == "uniform":
            return chance.uniform(self.low_seconds, self.high_seconds)
        return max(chance.expovariate(1 / self.low_seconds), SHORTEST_SECONDS)


def _positive(text: str) -> float:
    seconds = seconds_of(text)
    if seconds < SHORTEST_SECONDS:
        raise ValueError(f"{text} is shorter than {SHORTEST_SECONDS:g} s")
    return seconds
