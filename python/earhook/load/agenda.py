"""One timer for everything that is due: frames by a wheel, all else by a heap.

A call that sends audio stays in one slot of the wheel, a millisecond wide; the wheel turns once in
the time of a frame. So a frame costs one call of a method: no timer, no task, no heap.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Final, Protocol

from earhook.clock import SystemClock

__all__ = ["Agenda", "Voice"]

GRAIN_SECONDS: Final = 0.001
_CLOCK: Final = SystemClock()


class Voice(Protocol):
    """Whoever sends a frame when it is due."""

    def send_frame(self, due: float) -> None:
        """Send the frame that was due at `due`; must neither wait nor raise."""
        ...


class Agenda:
    """Runs what is due, in order, never before its time and never leaving one out.

    Args:
        frame_milliseconds: How long the wheel takes to turn.
        on_frames: Told how late a slot was sent, in seconds, and how many frames it held.
    """

    def __init__(self, frame_milliseconds: int, on_frames: Callable[[float, int], None]) -> None:
        self._slots: list[list[Voice]] = [[] for _ in range(frame_milliseconds)]
        self._places: dict[Voice, int] = {}
        self._on_frames = on_frames
        self._entries: list[tuple[float, int, Callable[[float], None]]] = []
        self._entered = 0
        self._began = 0.0
        self._turned = -1
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, now: float) -> None:
        """Start at `now`, on the running loop."""
        self._began = now
        self._timer = asyncio.get_running_loop().call_later(GRAIN_SECONDS, self._on_timer)

    def stop(self) -> None:
        """Run nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def at(self, due: float, action: Callable[[float], None]) -> None:
        """Call `action(due)` once `due` has come."""
        self._entered += 1
        heapq.heappush(self._entries, (due, self._entered, action))

    def join(self, voice: Voice, now: float) -> float:
        """Let a voice send a frame in each turn; when the first one is due."""
        tick = max(int((now - self._began) / GRAIN_SECONDS), self._turned) + 1
        self._places[voice] = place = tick % len(self._slots)
        self._slots[place].append(voice)
        return self._due(tick)

    def leave(self, voice: Voice) -> None:
        """No more frames. Harmless for one that has left."""
        place = self._places.pop(voice, None)
        if place is not None:
            self._slots[place].remove(voice)

    def run_due(self, now: float) -> None:
        """Run everything that is due by `now`."""
        last = int((now - self._began) / GRAIN_SECONDS)
        while self._turned < last:
            due = self._due(self._turned + 1)
            self._run_entries(due)
            self._turned += 1
            slot = self._slots[self._turned % len(self._slots)]
            if slot:
                self._on_frames(_CLOCK.monotonic_seconds() - due, len(slot))
                for voice in tuple(slot):
                    voice.send_frame(due)
        self._run_entries(now)

    def _run_entries(self, until: float) -> None:
        entries = self._entries
        while entries and entries[0][0] <= until:
            due, _, action = heapq.heappop(entries)
            action(due)

    def _due(self, tick: int) -> float:
        return self._began + tick * GRAIN_SECONDS

    def _on_timer(self) -> None:
        loop = asyncio.get_running_loop()
        # Armed first: what runs may stop us.
        self._timer = loop.call_later(GRAIN_SECONDS, self._on_timer)
        self.run_due(_CLOCK.monotonic_seconds())
