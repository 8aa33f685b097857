"""Bare `websockets`: a listener that answers `open` and counts frames, and nothing else."""

from __future__ import annotations

import contextlib
import ssl

from reference import BACKLOG, Tally, opened, serve
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as listen_for_websockets
from websockets.exceptions import ConnectionClosed


async def take(connection: ServerConnection) -> None:
    """One connection."""
    with contextlib.suppress(ConnectionClosed):  # calls are reset in the end
        async for message in connection:
            if isinstance(message, bytes):
                Tally.frames += 1
            else:
                await connection.send(opened(message), text=True)


async def listen(context: ssl.SSLContext | None) -> int:
    """Let everybody in. Compression is off, as it is everywhere here."""
    server = await listen_for_websockets(
        take, "127.0.0.1", 0, ssl=context, backlog=BACKLOG, compression=None, ping_interval=None
    )
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port


serve(listen)
