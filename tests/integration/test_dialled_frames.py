"""What is sent to a server that reads slowly arrives as it was sent."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any

from earhook.transport.dial import DialedSocket, dial

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_FRAMES = 250
_FRAME_BYTES = 32_000  # a second of stereo L16


class Caller:
    """A client that only has to be connected."""

    def on_connected(self, dialed: DialedSocket) -> None:
        """It stands."""

    def on_text(self, payload: bytes) -> None:
        """Nothing is said to it."""

    def on_audio(self, payload: bytes) -> None:
        """Nothing is sent to it."""

    def on_closed(self, *_: object) -> None:
        """It has ended."""

    def on_writable(self) -> None:
        """More may be sent."""


def test_frames_to_a_slow_reader_keep_their_lengths(run: Any) -> None:
    async def story() -> None:
        all_sent = asyncio.Event()
        heard: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await upgrade(reader, writer)
            await all_sent.wait()
            heard.set_result([await read_frame(reader) for _ in range(_FRAMES)])
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=4_096)
        port = server.sockets[0].getsockname()[1]
        dialed = await dial(f"ws://127.0.0.1:{port}/", [("Host", "localhost")], Caller(), None)
        sent = [bytes([number % 256]) * (_FRAME_BYTES - number) for number in range(_FRAMES)]
        for payload in sent:
            dialed.send_audio(payload)
        assert dialed.waiting_bytes > _FRAME_BYTES
        all_sent.set()
        assert await heard == sent
        dialed.abort()
        server.close()

    run(story())


async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    key = next(
        line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
    )
    digest = hashlib.sha1(key.split(b":")[1].strip() + _GUID).digest()
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n")
    writer.write(b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + base64.b64encode(digest))
    writer.write(b"\r\n\r\n")


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    _, length = await reader.readexactly(2)
    length &= 0x7F
    if length == 126:
        length = int.from_bytes(await reader.readexactly(2))
    elif length == 127:
        length = int.from_bytes(await reader.readexactly(8))
    mask = await reader.readexactly(4)
    masked = await reader.readexactly(length)
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))
