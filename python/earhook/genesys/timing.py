"""Time and chance of the client, handed in so that tests move the one and fix the other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from earhook.clock import Clock, SystemClock

__all__ = ["Timing", "poll"]

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Timing:
    """What passes, how to let it pass, and what spreads it.

    Attributes:
        clock: Time.
        sleep: Lets seconds pass.
        fraction: A number in [0, 1), for jitter.
    """

    clock: Clock = field(default_factory=SystemClock)
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    fraction: Callable[[], float] = random.random


async def poll(
    timing: Timing,
    look: Callable[[], Awaitable[Value]],
    done: Callable[[Value], bool],
    *,
    within_seconds: float,
    every_seconds: float = 1.0,
) -> Value:
    """Look again and again until it is as wanted, or the time is over.

    Returns:
        What was seen last; whoever asks sees by `done` whether it is as wanted.
    """
    due = timing.clock.monotonic_seconds() + within_seconds
    while True:
        seen = await look()
        left = due - timing.clock.monotonic_seconds()
        if done(seen) or left <= 0:
            return seen
        await timing.sleep(min(every_seconds, left))
