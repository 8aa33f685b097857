"""What happens in calls, as lines of JSON, for as long as somebody reads."""

from __future__ import annotations

import asyncio
from typing import Final

import orjson
from aiohttp import web

from earhook.clock import Clock
from earhook.sinks.board.stream import Choice

from .sockets import STUCK_SECONDS, Seats
from .source import Source

__all__ = ["serve_events"]

LOOK_SECONDS: Final = 0.2
ALIVE_SECONDS: Final = 15.0
MAX_CHOSEN: Final = 64
MAX_WORD: Final = 64


async def serve_events(
    request: web.Request, seats: Seats, source: Source, clock: Clock
) -> web.StreamResponse:
    """Answer `/api/v1/events`."""
    choice = Choice(_chosen(request, "session"), _chosen(request, "type"))
    history = request.query.get("history", "0") == "1"
    leaving = asyncio.Event()
    stream = object()
    seats.take(stream, lambda _why: leaving.set())
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    try:
        # From the moment on in which it hears of us.
        told = await source.tell(None, choice, history=history)
        await response.prepare(request)
        alive_at = clock.monotonic_seconds()
        while not leaving.is_set():
            text = b"".join(line + b"\n" for line in told.lines)
            if told.missed:
                text = _own_line("missed", clock, {"count": told.missed}) + text
            now = clock.monotonic_seconds()
            if not text and now - alive_at >= ALIVE_SECONDS:
                text = _own_line("alive", clock, {})
            if text:
                alive_at = now
                async with asyncio.timeout(STUCK_SECONDS):
                    await response.write(text)
            await _rest(leaving, request)
            told = await source.tell(told.cursor, choice, history=False)
    except (ConnectionError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()
    finally:
        seats.leave(stream)
    return response


async def _rest(leaving: asyncio.Event, request: web.Request) -> None:
    if request.transport is None or request.transport.is_closing():
        raise ConnectionResetError("nobody reads any more")
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await leaving.wait()
    except TimeoutError:
        pass


def _own_line(kind: str, clock: Clock, details: dict[str, int]) -> bytes:
    line = {"type": kind, "time": round(clock.wall_seconds(), 3), "details": details}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _is_word(word: str) -> bool:
    return len(word) <= MAX_WORD and word.isascii() and word.isprintable()


def _chosen(request: web.Request, name: str) -> frozenset[str]:
    words = request.query.getall(name, [])
    if len(words) > MAX_CHOSEN or not all(map(_is_word, words)):
        raise web.HTTPBadRequest(text=f"{name}: up to {MAX_CHOSEN} short words\n")
    return frozenset(word.lower() for word in words)
