"""Servers and proxies on loopback, each with its own illness."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def listening(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve connections on a port of loopback."""

    serving: set[asyncio.Task[None] | None] = set()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await serve(reader, writer)
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()
            serving.discard(asyncio.current_task())

    server = await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=context)
    # What a handshake that fails on purpose has to say is not for the test's report.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        ending = [task for task in serving if task is not None]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await server.wait_closed()


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def answering(answer: bytes | Callable[[bytes], bytes]) -> Serve:
    """Gives one answer to every request: bytes, or made of the request's head."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(answer if isinstance(answer, bytes) else answer(head))
        await writer.drain()
        await reader.read()

    return serve


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts, and never says a word."""
    del writer
    while await reader.read(65_536):
        pass


def through(
    port: int, rewrite: Callable[[bytes], bytes] = bytes, delay_seconds: float = 0.0
) -> Serve:
    """A proxy: changes the head of every request, or hands the first bytes on late."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            if delay_seconds:
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.Event().wait(), delay_seconds)
            else:
                upstream_writer.write(rewrite(await reader.readuntil(b"\r\n\r\n")))
            pumps = {
                asyncio.create_task(_pump(reader, upstream_writer)),
                asyncio.create_task(_pump(upstream_reader, writer)),
            }
            _, left = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in left:
                pump.cancel()
        finally:
            upstream_writer.transport.abort()

    return serve


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()


def accept(head: bytes, *more: str) -> bytes:
    """The answer to an upgrade, with more headers."""
    lines = head.decode("latin-1").split("\r\n")
    keys = [line.partition(": ")[2] for line in lines if line.lower().startswith("sec-websocket-k")]
    made = hashlib.sha1(keys[0].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    answer = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    answer += [f"Sec-WebSocket-Accept: {base64.b64encode(made).decode()}", *more, "", ""]
    return "\r\n".join(answer).encode()


def naive(
    lets_in: Callable[[str], bool] = lambda _: True, answers: tuple[str, ...] = ("opened", "closed")
) -> Serve:
    """An AudioHook server as samples are written: `lets_in` judges the head, in small letters."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lower = head.decode("latin-1").lower()
        if "upgrade: websocket" not in lower:
            writer.write(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n")
            return
        writer.write(accept(head) if lets_in(lower) else UNAUTHORIZED)
        count = 0
        while (text := await _message(reader)) is not None:
            asked = json.loads(text)
            reply = {"open": "opened", "close": "closed", "ping": "pong"}.get(asked["type"], "")
            if reply not in {*answers, "pong"}:
                continue
            count += 1
            chosen = asked["parameters"].get("media", [])[:1]
            body = json.dumps(
                {
                    "version": "2",
                    "id": asked["id"],
                    "type": reply,
                    "seq": count,
                    "clientseq": asked["seq"],
                    "parameters": {"media": chosen} if reply == "opened" else {},
                }
            ).encode()
            size = bytes([len(body)]) if len(body) < 126 else b"\x7e" + struct.pack("!H", len(body))
            writer.write(b"\x81" + size + body)

    return serve


async def _message(reader: asyncio.StreamReader) -> bytes | None:
    """The next text; audio is passed over; None at the closing frame."""
    while True:
        first, second = await reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            length = int.from_bytes(await reader.readexactly(2))
        mask = await reader.readexactly(4)
        masked = await reader.readexactly(length)
        if first & 0x0F == 8:
            return None
        if first & 0x0F == 1:
            return bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked))
