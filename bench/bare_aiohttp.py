"""Bare aiohttp: a TLS server that reads bodies of POST, counts them, and nothing else.

    bare_aiohttp.py CERTIFICATE KEY

No limits, no guard, no credential, no decoding. Prints `listening PORT`; SIGTERM ends it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
from collections import Counter

import uvloop
from aiohttp import web

LIFE_SECONDS = 600.0
"""It ends by itself after this long, whatever happens."""
MOST_BYTES = 1 << 30

_TOTALS: Counter[str] = Counter()
"""Bytes by session."""


async def post(request: web.Request) -> web.Response:
    """Count a body as it comes."""
    session = request.headers["Audiohook-Session-Id"]
    async for piece in request.content.iter_any():
        _TOTALS[session] += len(piece)
    answer = {"total_samples": _TOTALS[session]}
    return web.Response(text=json.dumps(answer), content_type="application/json")


async def main(certificate: str, key: str) -> None:
    """Serve until SIGTERM."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    application = web.Application(client_max_size=MOST_BYTES)
    application.router.add_post("/stream/v1/audiohook", post)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context, backlog=4096)
    await site.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("listening", runner.addresses[0][1], flush=True)
    async with asyncio.timeout(LIFE_SECONDS):
        await stop.wait()
    await runner.cleanup()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main(*sys.argv[1:]))
