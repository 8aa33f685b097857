"""One connection to the admin port, and how it ends if its other end behaves badly."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from earhook.edge.caps import Place, Strangers
from earhook.ops.logging import get_limited_logger

__all__ = ["HEADERS", "AdminConnection"]

LOOK_SECONDS: Final = 30.0
"""Who takes nothing of what is sent between two looks is cut at the second."""
MOST_BYTES_A_SECOND: Final = 192 << 10
"""Twenty messages of a page, and some more."""

logger = get_limited_logger(__name__)


class AdminConnection(web.RequestHandler):
    """Takes a place, and gives it back when it ends.

    What is no HTTP, aiohttp would answer with its own words and a line of the request, and log
    the same: that line may hold the token.

    Args:
        server: Who answers.
        places: Where there may be room.
    """

    __slots__ = ("_end", "_heard_bytes", "_looking", "_place", "_places", "_second", "_was_stuck")

    def __init__(self, server: web.Server, places: Strangers) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # as the runner itself passes it
            keepalive_timeout=15.0,
        )
        self._places = places
        self._place: Place | None = None
        self._end: asyncio.Transport | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._was_stuck = False
        self._heard_bytes = 0
        self._second = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read, if there is room."""
        super().connection_made(transport)
        name = transport.get_extra_info("peername")
        place = self._places.enter(str(name[0]) if name else "")
        # aiohttp forgets its own when it has closed it, which is not when it is gone.
        self._end = transport  # type: ignore[assignment]  # it is one of a stream
        if isinstance(place, Place):
            self._place = place
            self._look_later()
        else:
            self._cut("admin.refused", place.value)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give the place back."""
        super().connection_lost(exc)
        self._end = None
        if self._looking is not None:
            self._looking.cancel()
        if self._place is not None:
            self._place.leave()

    def data_received(self, data: bytes) -> None:
        """Take in what is said, unless it is too much: frames without end cost us their reading."""
        now = self._loop.time()
        if now - self._second >= 1.0:
            self._second, self._heard_bytes = now, 0
        self._heard_bytes += len(data)
        if self._heard_bytes > MOST_BYTES_A_SECOND:
            self._cut("admin.cut", "flood")
        else:
            super().data_received(data)

    def resume_writing(self) -> None:
        """Most of what was sent has been taken."""
        super().resume_writing()
        self._was_stuck = False

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, with fixed words."""
        logger.warning("admin.malformed", status=status, error=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        text = "internal error\n" if status >= 500 else "malformed request\n"
        response = web.Response(status=status, text=text, headers=HEADERS)
        response.force_close()
        return response

    def _look_later(self) -> None:
        self._looking = self._loop.call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Whether anybody takes what is sent; a closed connection is kept for it as well."""
        is_stuck = self._paused or self._end is None or self._end.is_closing()
        if is_stuck and self._was_stuck:
            self._cut("admin.cut", "unread")
            return
        self._was_stuck = is_stuck
        self._look_later()

    def _cut(self, event: str, reason: str) -> None:
        if self._end is not None:
            logger.warning(event, reason=reason)
            self._end.abort()


HEADERS: Final = {
    "Server": "earhook",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
