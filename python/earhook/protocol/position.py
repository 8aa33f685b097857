"""Positions are whole samples; durations are text. Exact integers in between.

One sample at 8,000 Hz is 125,000 ns, so nine decimals hold every position exactly
(AudioHook protocol §4.3, §4.4).
"""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "NANOSECONDS_PER_SAMPLE",
    "SAMPLE_RATE",
    "format_nanoseconds",
    "format_samples",
    "parse_nanoseconds",
    "parse_samples",
    "samples_from_seconds",
]

SAMPLE_RATE: Final = 8000
NANOSECONDS_PER_SAMPLE: Final = 125_000
_NANOSECONDS_PER_SECOND: Final = 1_000_000_000

# Ten digits of seconds are three centuries; forty decimals are more than any printer of
# binary floats emits. Beyond that it is an attack on our arithmetic, not a duration.
_DURATION: Final = re.compile(r"PT(?:([0-9]{0,10})\.([0-9]{1,40})|([0-9]{1,10}))S")


def parse_nanoseconds(text: str) -> int | None:
    """Read `PT<seconds>S`, rounded half up to nanoseconds; None if it is no duration."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    whole, decimals, integral = match.groups()
    if integral is not None:
        return int(integral) * _NANOSECONDS_PER_SECOND
    nanoseconds = int(whole or "0") * _NANOSECONDS_PER_SECOND + int(f"{decimals:0<9}"[:9])
    return nanoseconds + (1 if decimals[9:10] >= "5" else 0)


def parse_samples(text: str) -> int | None:
    """Read a duration as a position, rounded half up to a sample; None if it is no duration.

    Peers print binary floats (`PT0.30000000000000004S`), hence the rounding.
    """
    nanoseconds = parse_nanoseconds(text)
    if nanoseconds is None:
        return None
    return (nanoseconds + NANOSECONDS_PER_SAMPLE // 2) // NANOSECONDS_PER_SAMPLE


def format_nanoseconds(nanoseconds: int) -> str:
    """Write a duration in fixed point with at most nine decimals, never an exponent."""
    seconds, rest = divmod(nanoseconds, _NANOSECONDS_PER_SECOND)
    decimals = f".{rest:09d}".rstrip("0") if rest else ""
    return f"PT{seconds}{decimals}S"


def format_samples(samples: int) -> str:
    """Write a position; `parse_samples` gives the same number back."""
    return format_nanoseconds(samples * NANOSECONDS_PER_SAMPLE)


def samples_from_seconds(seconds: float) -> int:
    """Convert an operator's setting to samples, rounded to the nearest."""
    return round(seconds * SAMPLE_RATE)
