"""One page that shows the live list: what has changed, five times a second."""

from __future__ import annotations

import struct
from typing import Final

import orjson
from aiohttp import web

from .sockets import Seats, Socket, opened_socket
from .source import Opened, Seen, Source, Wish
from .totals import Totals

__all__ = ["FEED_SECONDS", "serve_feed"]

FEED_SECONDS: Final = 0.2
HURRY_SECONDS: Final = 0.02
"""Between two parts of what is too much for one turn of the loop."""
TOTALS_SECONDS: Final = 1.0
MAX_WATCHED: Final = 512
MAX_MESSAGES_A_SECOND: Final = 20
_HEADER: Final = struct.Struct("<BBHI")
_METERS, _STATES, _ENVELOPE = (1, 8), (2, 32), (3, 24)


async def serve_feed(
    request: web.Request, seats: Seats, source: Source, totals: Totals
) -> web.StreamResponse:
    """Answer `/api/v1/feed`."""
    wishes = _Wishes()
    async with opened_socket(request, seats, wishes.take) as (response, socket):
        page = _Page(socket, source, totals, wishes)
        while socket.is_open:
            has_more = await page.turn()
            await socket.rest(HURRY_SECONDS if has_more else FEED_SECONDS)
    return response


class _Wishes:
    """What a page has said that it wants; see docs/reference/console-feed.md."""

    def __init__(self) -> None:
        self.watch: list[int] | None = []
        self.session: str | None = None
        self.is_paused = False
        self._second = 0.0
        self._messages = 0

    def take(self, message: object) -> None:
        """Take a message.

        Raises:
            ValueError: It is none that we know, or one too many.
        """
        self._messages += 1
        if self._messages > MAX_MESSAGES_A_SECOND or not isinstance(message, dict):
            raise ValueError("a message that is none of a page")
        watch = message.get("watch", self.watch if self.watch is not None else "all")
        if watch != "all" and not (
            isinstance(watch, list)
            and len(watch) <= MAX_WATCHED
            and all(type(number) is int and 0 < number < 1 << 32 for number in watch)
        ):
            raise ValueError("watch")
        session = message.get("open", self.session)
        is_paused = message.get("pause", self.is_paused)
        is_session = session is None or (isinstance(session, str) and len(session) <= 64)
        if not (is_session and isinstance(is_paused, bool)):
            raise ValueError("open or pause")
        self.watch = None if watch == "all" else watch
        self.session, self.is_paused = session, is_paused

    def tick(self, now: float) -> None:
        """Time has gone on."""
        if now - self._second >= 1.0:
            self._second, self._messages = now, 0


class _Page:
    """What one page has been told."""

    def __init__(self, socket: Socket, source: Source, totals: Totals, wishes: _Wishes) -> None:
        self._socket = socket
        self._source = source
        self._totals = totals
        self._wishes = wishes
        self._cursor: object = None
        self._opened: Opened | None = None
        self._meters: dict[bytes, bytes] = {}
        self._totals_at = float("-inf")

    async def turn(self) -> bool:
        """Tell what has changed; True: there is more at once."""
        wishes = self._wishes
        now = self._totals.now()
        wishes.tick(now)
        if wishes.is_paused:
            return False
        seen = await self._source.look(
            Wish(self._cursor, wishes.watch, wishes.session, self._opened)
        )
        self._cursor = seen.cursor
        if now - self._totals_at >= TOTALS_SECONDS:
            self._totals_at = now
            await self._socket.tell(await self._totals.read(seen))
        await self._tell_rows(seen)
        await self._send(_STATES, seen.states)
        await self._send(_METERS, self._changed_meters(seen.meters))
        if seen.opened is not None:
            await self._tell_opened(seen.opened)
        return seen.has_more

    async def _tell_rows(self, seen: Seen) -> None:
        if seen.reset:
            self._meters.clear()
        if seen.reset or seen.removed or seen.added:
            rows = {"added": seen.added, "removed": seen.removed}
            await self._socket.tell({"type": "calls", "reset": seen.reset, **rows})

    def _changed_meters(self, records: bytes) -> bytes:
        """Those that the page does not show already."""
        size, known = _METERS[1], self._meters
        changed = bytearray()
        if len(known) > 4096:
            known.clear()
        for start in range(0, len(records), size):
            number, meter = records[start : start + 4], records[start + 4 : start + size]
            if known.get(number) != meter:
                known[number] = meter
                changed += number + meter
        return bytes(changed)

    async def _tell_opened(self, opened: Opened) -> None:
        self._opened = opened._replace(events=(), envelope=b"")
        if opened.events or opened.missed:
            events = [orjson.Fragment(event) for event in opened.events]
            message = {"type": "events", "session": self._wishes.session, "number": opened.number}
            await self._socket.tell({**message, "missed": opened.missed, "events": events})
        await self._send(_ENVELOPE, opened.envelope)

    async def _send(self, kind: tuple[int, int], records: bytes) -> None:
        number, size = kind
        if records:
            header = _HEADER.pack(number, 0, size, len(records) // size)
            await self._socket.send(header + records)
