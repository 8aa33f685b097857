"""How long audio was on its way, and whether that is too long to take more calls. Pure.

A sender stamps a request with the wall-clock time at which its audio was captured. The
difference to our clock is delay plus the difference of both clocks: that of the sender's machine
and ours have to be set (NTP), or the limit has to be.
"""

from __future__ import annotations

import datetime
import math
import re
from collections import OrderedDict
from typing import Final

from earhook.ops.histogram import Histogram

from .credentials import Party

__all__ = ["DelayGauge", "PartyDelays", "read_delay"]

DELAY_BOUNDS_SECONDS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 60.0),
)
AHEAD_SECONDS: Final = 5.0
BEHIND_SECONDS: Final = 86_400.0
"""Stamps outside of these say nothing about delay, only about clocks."""

RELEASE_SHARE: Final = 0.8
SMOOTHING_SECONDS: Final = 2.0
LARGEST_STEP: Final = 0.1
OUTLIER_LIMITS: Final = 4.0
FORGET_SECONDS: Final = 30.0
REMEMBERED_PARTIES: Final = 1000


def read_delay(stamp: str, wall_seconds: float) -> float | None:
    """How long ago a stamp was, in seconds; None if it cannot be.

    A stamp of up to 5 s in the future is a clock that is a little ahead, and counts as no delay.

    Args:
        stamp: Milliseconds since the Unix epoch, or a date and time with its offset (ISO 8601).
        wall_seconds: Now.
    """
    stamped_seconds = _seconds_of(stamp)
    if stamped_seconds is None:
        return None
    delay = wall_seconds - stamped_seconds
    return max(0.0, delay) if -AHEAD_SECONDS <= delay <= BEHIND_SECONDS else None


class DelayGauge:
    """The delay of all calls together, smoothed, and whether it is above the limit.

    It is over the limit from the moment the smoothed delay exceeds it until that has fallen to
    80 % of it, or until nobody has told a delay for 30 s. Smoothing looks back about 2 s, one
    request counts for a tenth at most, and none for more than four times the limit: a single
    sender with a wrong clock does not close the door for the others unless it is most of what
    comes.

    Attributes:
        histogram: Every delay, as it was told.
        ignored: Stamps that could not be.
        smoothed_seconds: None until a delay has been told, or after the silence.
    """

    def __init__(self, limit_seconds: float | None) -> None:
        """Make a gauge; without a limit it only counts."""
        self.limit_seconds = limit_seconds
        self.histogram = Histogram(DELAY_BOUNDS_SECONDS)
        self.ignored = 0
        self.smoothed_seconds: float | None = None
        self._told_at = 0.0
        self._over = False

    def observe(self, delay_seconds: float | None, now: float) -> None:
        """Count what one request told.

        Args:
            delay_seconds: From `read_delay`; None is counted as ignored.
            now: Of the monotonic clock.
        """
        if delay_seconds is None:
            self.ignored += 1
            return
        self.histogram.observe(delay_seconds)
        limit = self.limit_seconds
        counted = delay_seconds if limit is None else min(delay_seconds, OUTLIER_LIMITS * limit)
        smoothed = self._current(now) or 0.0
        passed = min(max(0.0, now - self._told_at), FORGET_SECONDS)
        step = min(LARGEST_STEP, 1.0 - math.exp(-passed / SMOOTHING_SECONDS))
        self.smoothed_seconds = smoothed + step * (counted - smoothed)
        self._told_at = now
        self._decide()

    def is_over(self, now: float) -> bool:
        """Whether new calls should wait."""
        if self._current(now) is None:
            self._over = False
        return self._over

    def replace_limit(self, limit_seconds: float | None) -> None:
        """Put another limit in service; None: no limit."""
        self.limit_seconds = limit_seconds
        self._decide()

    def _current(self, now: float) -> float | None:
        if now - self._told_at > FORGET_SECONDS:
            self.smoothed_seconds = None
        return self.smoothed_seconds

    def _decide(self) -> None:
        limit, smoothed = self.limit_seconds, self.smoothed_seconds
        if limit is None or smoothed is None:
            self._over = False
        elif smoothed > limit:
            self._over = True
        elif smoothed <= RELEASE_SHARE * limit:
            self._over = False


class PartyDelays:
    """The delay of each party by itself, and whether it should begin no more calls.

    Stamps are what senders claim. What one of them claims falsely, by mistake or not, must not
    close the door for the others; where audio comes late for all, it does so for each of them.
    """

    def __init__(self, limit_seconds: float | None) -> None:
        """Make gauges; without a limit nobody is over it."""
        self._limit_seconds = limit_seconds
        self._gauges: OrderedDict[Party, DelayGauge] = OrderedDict()

    def observe(self, party: Party, delay_seconds: float | None, now: float) -> None:
        """Count what one request of a party told; as `DelayGauge.observe`."""
        gauge = self._gauges.get(party)
        if gauge is None:
            gauge = self._gauges[party] = DelayGauge(self._limit_seconds)
            if len(self._gauges) > REMEMBERED_PARTIES:
                self._gauges.popitem(last=False)
        self._gauges.move_to_end(party)
        gauge.observe(delay_seconds, now)

    def is_over(self, party: Party, now: float) -> bool:
        """Whether new calls of a party should wait."""
        gauge = self._gauges.get(party)
        return gauge is not None and gauge.is_over(now)

    def smoothed_seconds(self, party: Party) -> float | None:
        """The smoothed delay of a party; None where it has told none."""
        gauge = self._gauges.get(party)
        return None if gauge is None else gauge.smoothed_seconds

    def replace_limit(self, limit_seconds: float | None) -> None:
        """Put another limit in service; None: no limit."""
        self._limit_seconds = limit_seconds
        for gauge in self._gauges.values():
            gauge.replace_limit(limit_seconds)


def _seconds_of(stamp: str) -> float | None:
    if _EPOCH_MILLISECONDS.fullmatch(stamp) is not None:
        return int(stamp) / 1000
    if _DATE_AND_TIME.fullmatch(stamp) is None:
        return None
    # More than six decimals are more than a datetime holds, and more than a delay needs.
    shortened = _SURPLUS_DECIMALS.sub(r"\1", stamp.upper().replace(",", "."))
    try:
        return datetime.datetime.fromisoformat(shortened).timestamp()
    except (ValueError, OverflowError):
        return None


_EPOCH_MILLISECONDS: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_DATE_AND_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,12})?"
    r"(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})",
    re.ASCII,
)
_SURPLUS_DECIMALS: Final = re.compile(r"(\.[0-9]{6})[0-9]+")
