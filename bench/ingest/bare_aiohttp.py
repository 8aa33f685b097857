"""Bare aiohttp: a WebSocket route that answers `open` and counts frames, and nothing else."""

from __future__ import annotations

import ssl

from aiohttp import WSMsgType, web
from reference import BACKLOG, Tally, opened, serve


async def take(request: web.Request) -> web.WebSocketResponse:
    """One connection."""
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            Tally.frames += 1
        elif message.type is WSMsgType.TEXT:
            await socket.send_str(opened(message.data).decode())
    return socket


async def listen(context: ssl.SSLContext | None) -> int:
    """Let everybody in."""
    application = web.Application()
    application.router.add_get("/audiohook", take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context, backlog=BACKLOG)
    await site.start()
    port: int = runner.addresses[0][1]
    return port


serve(listen)
