"""Who is connected with a sink: how many may come, how often, and how all of them go."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import Final, Generic, TypeVar

from .connection import ConsumerConnection
from .messages import CloseCode

__all__ = ["Reception"]

TICK_SECONDS: Final = 1.0
UNSUBSCRIBED_ALLOWANCE: Final = 32
"""Connections beyond `max_subscribers` that may be about to say hello."""
SUBSCRIBES_PER_TICK: Final = 8
"""What is allowed for good; at once, `max_subscribers` are. Each costs a look at every call."""

Guest = TypeVar("Guest", bound=ConsumerConnection)


class Reception(Generic[Guest]):
    """All connections of a sink, from their beginning to their end.

    Args:
        max_subscribers: Consumers at the same time.
    """

    def __init__(self, max_subscribers: int) -> None:
        self.counters: Counter[str] = Counter()
        self._most = max_subscribers
        self._guests: set[Guest] = set()
        self._subscribes_left = max_subscribers
        self._tick_timer: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._is_stopping = False

    @property
    def guests(self) -> list[Guest]:
        """Everybody who is connected."""
        return list(self._guests)

    @property
    def streaming(self) -> list[Guest]:
        """Those who have said what they want."""
        return [guest for guest in self._guests if guest.is_streaming]

    def start(self) -> None:
        """Begin to look after those who come."""
        loop = asyncio.get_running_loop()
        self._tick_timer = loop.call_later(TICK_SECONDS, self._tick)

    def welcome(self, guest: Guest) -> bool:
        """Let a connection in; False if there are too many."""
        self._guests.add(guest)
        self._empty.clear()
        self.counters["connected"] += 1
        streaming = len(self.streaming)
        waiting = len(self._guests) - streaming
        allowed = streaming < self._most and waiting <= UNSUBSCRIBED_ALLOWANCE
        return allowed and not self._is_stopping

    def may_subscribe(self, guest: Guest) -> bool:
        """Whether one that has said what it wants may have it; if not, it is cut."""
        if len(self.streaming) > self._most:
            text = f"{self._most} consumers are connected"
            guest.cut(CloseCode.TOO_MANY_SUBSCRIBERS, text)
            return False
        if self._subscribes_left <= 0:
            text = "too many consumers have come in a short time"
            guest.cut(CloseCode.TOO_MANY_SUBSCRIBERS, text)
            return False
        self._subscribes_left -= 1
        self.counters["subscribed"] += 1
        return True

    def gone(self, guest: Guest) -> None:
        """Forget a connection."""
        self._guests.discard(guest)
        if not self._guests:
            self._empty.set()

    async def stop(self, deadline_seconds: float | None) -> None:
        """Let consumers have what is there, tell them, and close; then cut who is left.

        Without a deadline, nobody is left: they go when their last call has ended.
        """
        self._is_stopping = True
        for guest in self.guests:
            guest.finish()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_seconds):
                await self._until_empty()
        for guest in self.guests:
            guest.abort()
        with contextlib.suppress(TimeoutError):
            # An abort takes a turn or two of the loop to arrive.
            async with asyncio.timeout(1.0):
                await self._until_empty()
        if self._tick_timer is not None:
            self._tick_timer.cancel()
            self._tick_timer = None

    async def _until_empty(self) -> None:
        while self._guests:
            self._empty.clear()
            await self._empty.wait()

    def _tick(self) -> None:
        self.start()
        self._subscribes_left = min(self._most, self._subscribes_left + SUBSCRIBES_PER_TICK)
        now = asyncio.get_running_loop().time()
        for guest in self.guests:
            guest.tick(now)
