"""Signs of life of an analysis process, and who judges them.

A process writes three numbers into a piece of memory that its parent reads: no thread, line or
lock stands between them, so a process whose loop is stopped by its engine is seen as it is.

Alive is who goes on: an engine took audio, or no audio waits and the loop turns. However slow an
engine is, each piece that it takes counts.
"""

from __future__ import annotations

import asyncio
import mmap
import os
from typing import Final, NamedTuple, Self

__all__ = ["Pulse", "Signs", "Watch"]

TURN_SECONDS: Final = 0.5
MEMORY_BYTES: Final = 24


class Signs(NamedTuple):
    """What a process has written.

    Attributes:
        turns: How often its loop has come round since its engine was made; 0: not yet.
        steps: How often an engine took something, or said that it could not.
        waiting: Channels whose engine has not done so yet.
    """

    turns: int
    steps: int
    waiting: int


class Pulse:
    """Three words of memory. Written by one process, on its loop; read by another."""

    def __init__(self, descriptor: int | None = None) -> None:
        """Attach to memory behind a descriptor, which may be closed afterwards; or have our own."""
        self._memory = mmap.mmap(-1 if descriptor is None else descriptor, MEMORY_BYTES)
        self._words = memoryview(self._memory).cast("Q")

    @classmethod
    def inherited(cls, descriptor: int) -> Self:
        """Attach to what a parent has given us; the descriptor is used up."""
        try:
            return cls(descriptor)
        finally:
            os.close(descriptor)

    def signs(self) -> Signs:
        """What is there."""
        return Signs(*self._words)

    def begin_step(self) -> None:
        """An engine is asked to take something."""
        self._words[2] += 1

    def end_step(self) -> None:
        """It has, or it failed; either is an answer."""
        self._words[2] -= 1
        self._words[1] += 1

    async def beat(self) -> None:
        """Count the loop's turns, until cancelled."""
        while True:
            self._words[0] += 1
            await asyncio.sleep(TURN_SECONDS)


class Watch:
    """Decides whether a process is stuck. Has no clock: time is what `is_stuck` is told.

    Args:
        stuck_seconds: Without a sign of life.
        start_seconds: The same, while its engine is being made: models may be large.
    """

    def __init__(self, stuck_seconds: float, start_seconds: float) -> None:
        self.look_seconds = min(1.0, stuck_seconds / 5)
        """How often to look; a longer absence of ours is nobody's silence."""
        self._stuck_seconds = stuck_seconds
        self._start_seconds = start_seconds
        self._silent_seconds = 0.0
        self._looked_at: float | None = None
        self._last = Signs(0, 0, 0)

    def is_stuck(self, signs: Signs, now: float) -> bool:
        """Whether it has given no sign of life for too long."""
        absent_seconds = 0.0 if self._looked_at is None else now - self._looked_at
        self._looked_at = now
        turned = not signs.waiting and signs.turns != self._last.turns
        if turned or signs.steps != self._last.steps:
            self._silent_seconds = 0.0
        else:
            # Where we were stopped ourselves, so may it have been.
            self._silent_seconds += min(absent_seconds, 2 * self.look_seconds)
        self._last = signs
        patience = self._stuck_seconds if signs.turns else self._start_seconds
        return self._silent_seconds >= patience
