"""Bare picows: a TLS listener that answers `open` and counts frames, and nothing else.

    bare_picows.py CERTIFICATE KEY

Prints `listening PORT`, and on SIGTERM `received FRAMES`, then ends.
"""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys

import orjson
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

LIFE_SECONDS = 600.0
"""It ends by itself after this long, whatever happens."""


class Tally:
    """Frames of all connections."""

    frames = 0


class Counter(WSListener):
    """One connection."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Count audio; answer anything else as if it were `open`."""
        if frame.msg_type == WSMsgType.BINARY:
            Tally.frames += 1
        elif frame.msg_type == WSMsgType.TEXT:
            message = orjson.loads(frame.get_payload_as_bytes())
            transport.send(WSMsgType.TEXT, orjson.dumps(opened(message)))


def opened(message: dict[str, object]) -> dict[str, object]:
    """The least that counts as an answer."""
    media = message["parameters"]["media"][:1]  # type: ignore[index]
    return {
        "version": "2",
        "id": message["id"],
        "type": "opened",
        "seq": 1,
        "clientseq": 1,
        "parameters": {"media": media},
    }


def listener(_request: WSUpgradeRequest) -> Counter:
    """Let everybody in."""
    return Counter()


async def main(certificate: str, key: str) -> None:
    """Serve until SIGTERM."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await ws_create_server(
        listener, "127.0.0.1", 0, ssl=context, backlog=4096, use_aiofastnet=False
    )
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    async with asyncio.timeout(LIFE_SECONDS):
        await stop.wait()
    print("received", Tally.frames, flush=True)


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main(*sys.argv[1:]))
