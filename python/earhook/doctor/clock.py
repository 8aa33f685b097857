"""How far the server's clock is from ours, as far as its answers tell.

Two things tell: the `Date` of an answer, to a second, if whoever wrote it is the server; and the
ages of signatures that are accepted. These have an unknown in them: servers allow for some
difference of clocks, commonly none to five seconds. So what is said is a range. Whether our own
clock is right is not known here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from .approach import Approach, Door
from .finding import Finding, Step, doubtful, fine, skipped, wrong

__all__ = ["Window", "at_any_time", "check_clock", "find_window", "judge_date"]

STRIDE_SECONDS = 8
"""Signatures live for ten seconds (AudioHook protocol §3.5): none of these steps misses that."""
MOST_LEEWAY_SECONDS = 5
LEAST_MARGIN_SECONDS = 2
MOST_DATE_OFFSET_SECONDS = 3.0


class Window(NamedTuple):
    """Shifts of our clock, in whole seconds, with which a signature is accepted: ends included.

    An end that is None was not found as far as was looked.
    """

    earliest: int | None
    latest: int | None

    @property
    def words(self) -> str:
        """The window, for people."""
        early = "any time" if self.earliest is None else f"{self.earliest:+d} s"
        late = "any time" if self.latest is None else f"{self.latest:+d} s"
        return f"{early} to {late}"


async def at_any_time(
    door: Door, approach: Approach, date_offset_seconds: float | None
) -> int | None:
    """Look for a shift of our clock with which we are let in; None if there is none nearby."""
    span = door.errand.limits.scan_seconds
    shifts = [] if date_offset_seconds is None else [round(date_offset_seconds)]
    for distance in range(STRIDE_SECONDS, span + 1, STRIDE_SECONDS):
        shifts += [distance, -distance]
    for shift in shifts:
        if (await door.knock(approach.shifted(shift))).admitted:
            return shift
    return None


async def find_window(door: Door, approach: Approach, inside: int = 0) -> Window:
    """Find both ends of the times that are accepted.

    Args:
        door: Where to ask.
        approach: Signed.
        inside: A shift that is accepted.
    """
    span = door.errand.limits.scan_seconds

    async def accepts(shift: int) -> bool:
        return (await door.knock(approach.shifted(shift))).admitted

    earliest = await _last_accepted(accepts, inside, inside - span)
    latest = await _last_accepted(accepts, inside, inside + span)
    return Window(earliest, latest)


async def check_clock(
    door: Door, approach: Approach, refused: Window | None, date_offset_seconds: float | None
) -> Finding:
    """Judge the clock by everything that is known.

    Args:
        door: Where to ask.
        approach: What is accepted now; or refused, with the window that is accepted instead.
        refused: That window.
        date_offset_seconds: By how much `Date` is ahead of us.
    """
    window = refused or await find_window(door, approach)
    figures = {
        "accepted_from_seconds": window.earliest,
        "accepted_to_seconds": window.latest,
        "date_offset_seconds": date_offset_seconds,
    }
    evidence = f"signatures made at {window.words} of this machine's clock are accepted"
    if window.latest is not None:
        least = window.latest - MOST_LEEWAY_SECONDS
        evidence += f": its clock is {least:+d} to {window.latest:+d} s from it, if it allows for "
        evidence += f"0 to {MOST_LEEWAY_SECONDS} s"
    if date_offset_seconds is not None:
        evidence += f"; {_date_words(date_offset_seconds)}"
    if refused is not None:
        return wrong(Step.CLOCK, evidence, _CURE, **figures)
    if window.earliest is None or window.latest is None:
        cure = "signatures should age: whoever reads one can use it as long as it is accepted"
        return doubtful(Step.CLOCK, evidence, cure, **figures)
    narrow = min(-window.earliest, window.latest) < LEAST_MARGIN_SECONDS
    if narrow or abs(date_offset_seconds or 0.0) > MOST_DATE_OFFSET_SECONDS:
        return doubtful(Step.CLOCK, evidence, _CURE, **figures)
    return fine(Step.CLOCK, evidence, **figures)


def judge_date(reason: str, date_offset_seconds: float | None) -> Finding:
    """Judge the clock where signatures tell nothing, for a reason that is said."""
    if date_offset_seconds is None:
        return skipped(Step.CLOCK, f"{reason}, and no answer had a Date")
    evidence = f"{_date_words(date_offset_seconds)}; nothing else is known: {reason}"
    figures = {"date_offset_seconds": date_offset_seconds}
    if abs(date_offset_seconds) > MOST_DATE_OFFSET_SECONDS:
        return doubtful(Step.CLOCK, evidence, _CURE, **figures)
    return fine(Step.CLOCK, evidence, **figures)


async def _last_accepted(
    accepts: Callable[[int], Awaitable[bool]], inside: int, outside: int
) -> int | None:
    """Halve the way between a shift that is accepted and one that should not be."""
    if await accepts(outside):
        return None
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        if await accepts(middle):
            inside = middle
        else:
            outside = middle
    return inside


def _date_words(offset_seconds: float) -> str:
    return f"Date is {offset_seconds:+.0f} s from it, to a second, if the server itself writes it"


_CURE = (
    "let both machines ask a time server (chronyc tracking, timedatectl): Genesys Cloud signs by "
    "the right time"
)
