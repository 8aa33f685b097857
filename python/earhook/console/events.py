"""What happens in calls, as lines of JSON, for as long as somebody reads."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import orjson
from aiohttp import web

from earhook.clock import Clock
from earhook.ops.logging import get_logger
from earhook.sinks.board.stream import Choice

from .sockets import STUCK_SECONDS, Leave, Seats, cut
from .source import Source, Told

__all__ = ["serve_events"]

LOOK_SECONDS: Final = 0.2
ALIVE_SECONDS: Final = 15.0
MAX_CHOSEN: Final = 64
MAX_WORD: Final = 64

logger = get_logger(__name__)


async def serve_events(
    request: web.Request, seats: Seats, source: Source, clock: Clock
) -> web.StreamResponse:
    """Answer `/api/v1/events`."""
    choice = Choice(_chosen(request, "session"), _chosen(request, "type"))
    history = request.query.get("history", "0") == "1"
    stream = _Stream(request, clock)
    seats.take(stream, stream.send_home)
    try:
        # From the moment on in which it hears of us.
        told = await source.tell(None, choice, history=history)
        await stream.begin()
        while stream.is_open:
            await stream.write(told)
            await stream.rest()
            told = await source.tell(told.cursor, choice, history=False)
    except Exception as error:
        if not stream.has_begun:
            raise  # it can still be answered otherwise
        if not isinstance(error, OSError):  # a reader that has gone, or is too slow
            logger.exception("console.failed", path=request.path)
        cut(request)
    finally:
        seats.leave(stream)
    return stream.response


class _Stream:
    """Lines on their way to one reader."""

    def __init__(self, request: web.Request, clock: Clock) -> None:
        self.response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        self.has_begun = False
        self._request = request
        self._clock = clock
        self._alive_at = clock.monotonic_seconds()
        self._leaving = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether somebody reads, and may go on."""
        transport = self._request.transport
        is_there = transport is not None and not transport.is_closing()
        return is_there and not self._leaving.is_set()

    def send_home(self, _why: Leave) -> None:
        """End it soon."""
        self._leaving.set()

    async def begin(self) -> None:
        """Send the head of the answer."""
        self.has_begun = True
        await self.response.prepare(self._request)

    async def write(self, told: Told) -> None:
        """Send lines, if there are any, or that we live, from time to time."""
        text = b"".join(line + b"\n" for line in told.lines)
        if told.missed:
            text = self._line("missed", {"count": told.missed}) + text
        now = self._clock.monotonic_seconds()
        if not text and now - self._alive_at >= ALIVE_SECONDS:
            text = self._line("alive", {})
        if text:
            self._alive_at = now
            async with asyncio.timeout(STUCK_SECONDS):
                await self.response.write(text)

    async def rest(self) -> None:
        """Wait a little."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._leaving.wait()

    def _line(self, kind: str, details: dict[str, int]) -> bytes:
        line = {"type": kind, "time": round(self._clock.wall_seconds(), 3), "details": details}
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _is_word(word: str) -> bool:
    return len(word) <= MAX_WORD and word.isascii() and word.isprintable()


def _chosen(request: web.Request, name: str) -> frozenset[str]:
    words = request.query.getall(name, [])
    if len(words) > MAX_CHOSEN or not all(map(_is_word, words)):
        raise web.HTTPBadRequest(text=f"{name}: up to {MAX_CHOSEN} short words\n")
    return frozenset(word.lower() for word in words)
