"""Listening to one live call: where it is permitted, and never without a line in the log."""

from __future__ import annotations

import struct
from typing import Final

from aiohttp import web

from earhook.clock import Clock
from earhook.ops.logging import get_logger

from .sockets import Seats, Socket, opened_socket
from .source import Source

__all__ = ["serve_listener"]

LISTEN_SECONDS: Final = 0.1
_POSITION: Final = struct.Struct("<Q")

logger = get_logger(__name__)


async def serve_listener(
    request: web.Request, seats: Seats, source: Source, clock: Clock
) -> web.StreamResponse:
    """Answer `/api/v1/listen/<session>`; whether it is permitted has been asked before."""
    session = request.match_info["session"]
    async with opened_socket(request, seats, _take_nothing) as (response, socket):
        begun = await source.listen(session)
        if begun is None:
            await socket.tell({"type": "end"})
            return response
        name, heard = begun
        line = logger.bind(session=heard["session"], address=request.remote or "")
        began = clock.monotonic_seconds()
        line.warning("listen.began")
        try:
            await socket.tell({"type": "format", **heard})
            await _pass_on(name, source, socket)
        finally:
            seconds = clock.monotonic_seconds() - began
            line.warning("listen.ended", seconds=round(seconds, 1))
            await source.hang_up(name)
    return response


async def _pass_on(name: str, source: Source, socket: Socket) -> None:
    while socket.is_open:
        heard = await source.hear(name)
        for position, samples, reason, audio in () if heard is None else heard.blocks:
            if samples:
                gap = {"position": position, "samples": samples, "reason": reason}
                await socket.tell({"type": "gap", **gap})
            else:
                await socket.send(_POSITION.pack(position) + audio)
        if heard is None or heard.has_ended:
            return await socket.tell({"type": "end"})
        await socket.rest(LISTEN_SECONDS)
    return None


def _take_nothing(_message: object) -> None:
    raise ValueError("a listener says nothing")
