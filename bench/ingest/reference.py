"""What the bare servers in Python share: the least that a server of AudioHook calls does.

They are started as `NAME [CERTIFICATE KEY]`, print `listening PORT`, and on SIGTERM
`received FRAMES`, then end.
"""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import orjson
import uvloop

LIFE_SECONDS = 600.0
"""They end by themselves after this long, whatever happens."""
BACKLOG = 4096

Listen: TypeAlias = Callable[[ssl.SSLContext | None], Awaitable[int]]
"""Listens on loopback and tells the port."""


class Tally:
    """Frames of all connections."""

    frames = 0


def opened(text: str | bytes) -> bytes:
    """The least that counts as an answer to `open`."""
    message = orjson.loads(text)
    answer: dict[str, Any] = {
        "version": "2",
        "id": message["id"],
        "type": "opened",
        "seq": 1,
        "clientseq": 1,
        "parameters": {"media": message["parameters"]["media"][:1]},
    }
    return orjson.dumps(answer)


def serve(listen: Listen) -> None:
    """Be such a server."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(listen, *sys.argv[1:]))


async def _serve(listen: Listen, certificate: str = "", key: str = "") -> None:
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("listening", await listen(context), flush=True)
    async with asyncio.timeout(LIFE_SECONDS):
        await stop.wait()
    print("received", Tally.frames, flush=True)
