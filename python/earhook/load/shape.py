"""When calls are due: the open schedule. Pure; a seed gives the same calls again.

Nothing here waits for a server. A call is due when it is due, also while all calls before it are
still waiting for an answer; otherwise a server that stalls would be asked less, and its worst
answers would never be measured.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from earhook.errors import ConfigurationError, ConfigurationFault

from .hold import SHORTEST_SECONDS, Hold
from .mix import Mix, Script

__all__ = ["Arrival", "Shape"]


GENTLE_RATE: Final = 100.0
"""New calls per second of a ramp that nobody has asked for otherwise."""
LEAVING_SHARE: Final = 0.1
GOLDEN: Final = 0.6180339887498949
"""Multiples of it, modulo 1, are spread evenly however many they are."""


class Arrival(NamedTuple):
    """A call that is to be made.

    Attributes:
        number: From 0, in order of `due_seconds`.
        due_seconds: When it is dialled, from the beginning of the load.
        hold_seconds: How long after `due_seconds` it hangs up.
        script: What befalls it.
    """

    number: int
    due_seconds: float
    hold_seconds: float
    script: Script


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How many calls, how fast they come, how long they stay.

    With `calls`, so many are held at once: they begin evenly over the ramp, and with `hold` one
    that hangs up is followed by the next. Without, `rate` new ones begin in each second, and
    `hold` says how many that comes to.

    Attributes:
        calls: Held at once; None: as many as `rate` and `hold` make.
        rate: New calls per second; with `calls` it is the pace of the ramp.
        ramp_seconds: How long it takes until `calls` are held, and in the end until none is. None:
            `GENTLE_RATE` new ones per second.
        duration_seconds: How long it lasts after the ramp.
        hold: Lengths of calls; None: until the end.
    """

    calls: int | None = None
    rate: float | None = None
    ramp_seconds: float | None = None
    duration_seconds: float = 60.0
    hold: Hold | None = None
    mix: Mix = field(default_factory=Mix)
    seed: int = 0

    def check(self) -> None:
        """See that it says one thing.

        Raises:
            ConfigurationError: With all faults.
        """
        faults: list[ConfigurationFault] = []
        if self.calls is None and self.rate is None:
            faults.append(ConfigurationFault("--calls", "say how many calls, or give --rate"))
        if self.calls is None and self.rate is not None and self.hold is None:
            what = "without --calls, calls that never end would pile up"
            faults.append(ConfigurationFault("--rate", what, "give --hold too"))
        if self.calls is not None and self.rate is not None and self.ramp_seconds is not None:
            faults.append(ConfigurationFault("--ramp", "--calls and --rate say it already"))
        if faults:
            raise ConfigurationError(faults)

    @property
    def climb_seconds(self) -> float:
        """How long the ramp takes."""
        if self.calls is None:
            return 0.0
        if self.ramp_seconds is not None:
            return self.ramp_seconds
        return self.calls / (self.rate or GENTLE_RATE)

    @property
    def end_seconds(self) -> float:
        """When the last call hangs up, at the latest."""
        if self.calls is None:
            return self.duration_seconds * (1 + LEAVING_SHARE)
        return 2 * self.climb_seconds + self.duration_seconds

    def arrivals(self) -> Iterator[Arrival]:
        """All calls in the order in which they are due."""
        dues = self._steady() if self.calls is None else self._held(self.calls)
        for number, (due, end) in enumerate(dues):
            hold_seconds = end - due
            script = self.mix.draw(_chance(f"{self.seed}/{number}/script"), hold_seconds)
            yield Arrival(number, due, hold_seconds, script)

    def _steady(self) -> Iterator[tuple[float, float]]:
        """`rate` calls in each second: when each begins and ends."""
        rate = self.rate or 0.0
        leaving_seconds = self.duration_seconds * LEAVING_SHARE
        number = 0
        while (due := number / rate) < self.duration_seconds:
            # Those that are left at the end shall not all hang up in one moment.
            last = self.duration_seconds + leaving_seconds * (number * GOLDEN % 1.0)
            yield due, min(due + self._length(number), last)
            number += 1

    def _held(self, calls: int) -> Iterator[tuple[float, float]]:
        """`calls` at once: they leave as they came, each is followed by another until then."""
        climb = self.climb_seconds
        places = [(climb * place / calls, place) for place in range(calls)]
        number = 0
        while places:
            due, place = places[0]
            last = climb * place / calls + climb + self.duration_seconds
            end = min(due + self._length(number), last)
            yield due, end
            number += 1
            if end >= last - SHORTEST_SECONDS:
                heapq.heappop(places)
            else:
                heapq.heapreplace(places, (end, place))

    def _length(self, number: int) -> float:
        if self.hold is None:
            return math.inf
        return self.hold.draw(_chance(f"{self.seed}/{number}/hold"))


def _chance(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - calls that can be had again
