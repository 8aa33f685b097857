"""One process of `earhook analyze`: reads the stream, opens a hearing per call, closes it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Coroutine
from typing import Any, Final

from earhook.client import Block, Call, CallClosed, CallEvent, CallOpened, Gap, Stream
from earhook.errors import CommandRefused

from .call import CallHearing, Workshop
from .outlets import Outlets

__all__ = ["Listener"]

CLOSING_SECONDS: Final = 4.0
"""From a `closing` that waits for results until the last of them must have been sent."""


class Listener:
    """Keeps a hearing for every call of a stream, and never lets the stream wait.

    Args:
        stream: Entered, with gaps and events.
        workshop: What hearings share.
        outlets: Where results go; the workshop's outlet.
        done: Sessions that were heard to their end by a process before this one.
    """

    def __init__(
        self, stream: Stream, workshop: Workshop, outlets: Outlets, done: Collection[str] = ()
    ) -> None:
        self._stream = stream
        self._workshop = workshop
        self._outlets = outlets
        self._done = frozenset(done)
        self._hearings: dict[Call, CallHearing] = {}
        self._endings: dict[Call, asyncio.Task[None]] = {}

    @property
    def calls(self) -> int:
        """Calls that are being heard."""
        return len(self._hearings)

    async def run(self) -> None:
        """Listen until the stream ends.

        Raises:
            StreamRefused, StreamError, OSError: As the stream's iteration does.
        """
        async for item in self._stream:
            self._take(item)

    async def hear_out(self) -> None:
        """Listen no more; tell the last words of what was heard so far."""
        for call, hearing in self._hearings.items():
            if call not in self._endings:
                self._begin_ending(hearing, self._leave(hearing))
        if self._endings:
            await asyncio.wait(self._endings.values())

    def _take(self, item: Block | Gap | CallOpened | CallEvent | CallClosed) -> None:
        if isinstance(item, CallOpened):
            if item.call.session_id.lower() in self._done:
                return
            facts = {"channels": item.call.channels, "rate": item.call.rate}
            self._outlets.write("opened", item.call, item.position, facts)
            self._hearings[item.call] = CallHearing(item.call, item.position, self._workshop)
            return
        hearing = self._hearings.get(item.call)
        if hearing is None or (item.call in self._endings and not isinstance(item, CallClosed)):
            return
        if isinstance(item, Block | Gap):
            hearing.take(item)
        elif isinstance(item, CallEvent):
            hearing.note(item)
            if item.kind == "closing" and item.details.get("awaits_results") is True:
                self._begin_ending(hearing, self._say_last_words(hearing))
        else:
            self._on_closed(hearing, item)

    def _on_closed(self, hearing: CallHearing, closed: CallClosed) -> None:
        before = self._endings.get(closed.call)
        self._begin_ending(hearing, self._bury(hearing, closed, before))

    def _begin_ending(self, hearing: CallHearing, work: Coroutine[Any, Any, None]) -> None:
        self._endings[hearing.call] = asyncio.create_task(work)

    async def _say_last_words(self, hearing: CallHearing) -> None:
        """The peer waits for transcripts: hear what is there out, send it, say that it is all."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await hearing.finish()
                await self._outlets.settle(hearing.call)
        with contextlib.suppress(CommandRefused):
            await self._stream.finish(hearing.call)

    async def _bury(
        self, hearing: CallHearing, closed: CallClosed, before: asyncio.Task[None] | None
    ) -> None:
        call = closed.call
        try:
            if before is None:
                await hearing.finish()
            else:
                await asyncio.wait([before])
            await self._outlets.settle(call)
        finally:
            details = {
                "reason": closed.reason,
                "dropped_seconds": hearing.dropped_seconds,
                "left_out": hearing.left_out,
            }
            self._outlets.write("closed", call, closed.position, details)
            self._outlets.forget(call)
            self._hearings.pop(call, None)
            self._endings.pop(call, None)

    async def _leave(self, hearing: CallHearing) -> None:
        """We end before the call does."""
        await hearing.finish()
        await self._outlets.settle(hearing.call)
