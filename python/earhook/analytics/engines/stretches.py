"""Stretches of a line that are recognised one by one, told in their order. Shared by engines."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, Protocol, TypeVar

from earhook.analytics.segment import Segment

__all__ = ["Stretch", "Stretches"]


class Stretch(Protocol):
    """A piece of a line that is sent to a service by itself."""

    @property
    def settled(self) -> int:
        """As of a recogniser."""
        ...

    def read(self) -> AsyncIterator[Segment]:
        """Its readings, until its last; raises `EngineFailed`."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


Kind = TypeVar("Kind", bound=Stretch)


class Stretches(Generic[Kind]):
    """The stretches of a line from the oldest that is not told yet."""

    def __init__(self) -> None:
        self._open: deque[Kind] = deque()
        self._news = asyncio.Event()
        self._is_over = False

    @property
    def oldest(self) -> Kind | None:
        """Whose readings are not all told."""
        return self._open[0] if self._open else None

    def add(self, stretch: Kind) -> None:
        """One more, behind the others."""
        self._open.append(stretch)
        self._news.set()

    def end(self) -> None:
        """None follows."""
        self._is_over = True
        self._news.set()

    async def segments(self) -> AsyncIterator[Segment]:
        """All readings in order; ends after `end`."""
        while True:
            while not self._open:
                if self._is_over:
                    return
                self._news.clear()
                await self._news.wait()
            async for segment in self._open[0].read():
                yield segment
            await self._open.popleft().close()

    async def close(self) -> None:
        """Let go of all of them."""
        self.end()
        while self._open:
            await self._open.popleft().close()
