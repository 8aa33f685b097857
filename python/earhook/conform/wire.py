"""A WebSocket in raw bytes: what a check must see is never put right by a library on the way.

Nothing here is shared with the listener of the gateway, so that no fault of one side excuses the
same fault of the other. Nothing raises because a server misbehaves: a lost connection is an
answer of status 0, or no frame.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import ssl
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from .verdicts import NotReached

__all__ = ["Answer", "Frame", "Opcode", "RawSocket", "request_bytes", "websocket_headers"]

Headers = Sequence[tuple[str, str]]

HEAD_BYTES: Final = 65_536
BODY_BYTES: Final = 65_536
PIECE_SECONDS: Final = 0.025
FRAME_BYTES: Final = 1 << 20
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Opcode:
    """RFC 6455 §5.2."""

    CONTINUATION: Final = 0
    TEXT: Final = 1
    BINARY: Final = 2
    RESERVED: Final = 3
    CLOSE: Final = 8
    PING: Final = 9
    PONG: Final = 10


class Frame(NamedTuple):
    """One frame as it came; `flags` are the three reserved bits."""

    opcode: int
    payload: bytes
    fin: bool = True
    flags: int = 0
    masked: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back to an upgrade request; status 0: the connection ended without an answer.

    Attributes:
        headers: By lower-case name, several lines joined by `, `.
        seconds: From the request to the end of the head.
        accept_key: What `Sec-WebSocket-Accept` must be (RFC 6455 §4.2.2).
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    accept_key: str = ""

    def __str__(self) -> str:
        if not self.status:
            return "the connection ended without an answer"
        return f"HTTP {self.status}"


def websocket_headers(key: str) -> list[tuple[str, str]]:
    """The upgrade itself (RFC 6455 §4.1)."""
    return [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", key),
    ]


def request_bytes(target: str, headers: Headers) -> bytes:
    """A GET request as it goes out."""
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


class RawSocket:
    """One connection: first HTTP, then frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def dial(cls, url: str, ssl_context: ssl.SSLContext | None, seconds: float) -> RawSocket:
        """Connect, TLS included.

        Raises:
            NotReached: It did not come about in time.
        """
        parts = urlsplit(url)
        secure = parts.scheme == "wss"
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        context = (ssl_context or ssl.create_default_context()) if secure else None
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_connection(
                    host, port, ssl=context, server_hostname=host if secure else None
                )
        except TimeoutError:
            raise NotReached(f"no connection in {seconds:g} s") from None
        except OSError as error:
            raise NotReached(f"no connection: {error.strerror or error}") from None
        return cls(reader, writer)

    @staticmethod
    def fresh_key() -> str:
        """A `Sec-WebSocket-Key`."""
        return base64.b64encode(os.urandom(16)).decode("ascii")

    async def ask(self, pieces: Sequence[bytes], key: str, seconds: float) -> Answer:
        """Send a request in these pieces and read the answer, without its body if it is 101."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                for piece in pieces:
                    self._writer.write(piece)
                    await self._writer.drain()
                    if piece is not pieces[-1]:
                        # So that each piece travels in a segment of its own.
                        await asyncio.sleep(PIECE_SECONDS)
                head = await self._reader.readuntil(b"\r\n\r\n")
                status, headers = _read_head(head)
                took = time.monotonic() - began
                body = b"" if status == 101 else await self._read_body(headers)
        except (
            TimeoutError,
            OSError,
            EOFError,
            ValueError,
            asyncio.LimitOverrunError,
            RuntimeError,  # uvloop's word for writing to what the server has closed
        ):
            return Answer(0, seconds=time.monotonic() - began)
        digest = hashlib.sha1((key + _GUID).encode("ascii"), usedforsecurity=False).digest()
        return Answer(status, headers, body, took, base64.b64encode(digest).decode("ascii"))

    async def _read_body(self, headers: dict[str, str]) -> bytes:
        length = headers.get("content-length", "")
        if not length.isdecimal():
            return b""
        try:
            return await self._reader.readexactly(min(int(length), BODY_BYTES))
        except asyncio.IncompleteReadError as error:
            return error.partial

    def send(self, opcode: int, payload: bytes, **bits: int) -> None:
        """Send one frame; `fin=0`, `masked=0`, `flags=…` make an unusual one."""
        if self._writer.transport.is_closing():
            return
        first = (bits.get("fin", 1) << 7) | (bits.get("flags", 0) << 4) | opcode
        masked = bits.get("masked", 1)
        head = bytes([first]) + _length(len(payload), masked << 7)
        if masked:
            mask = os.urandom(4)
            head, payload = head + mask, _masked(payload, mask)
        self._writer.write(head + payload)

    async def frame(self) -> Frame | None:
        """The next frame; None at the end of the connection."""
        try:
            first, second = await self._reader.readexactly(2)
            size = second & 0x7F
            if size > 125:
                raw = await self._reader.readexactly(2 if size == 126 else 8)
                size = int.from_bytes(raw)
            if size > FRAME_BYTES:
                return None
            mask = await self._reader.readexactly(4) if second & 0x80 else b""
            payload = await self._reader.readexactly(size)
        except (OSError, EOFError):
            return None
        if mask:
            payload = _masked(payload, mask)
        return Frame(first & 0x0F, payload, bool(first & 0x80), first >> 4 & 7, bool(mask))

    def abort(self) -> None:
        """Drop the connection at once."""
        self._writer.transport.abort()


def _read_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1")[:-4].split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(first)
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        known = headers.get(name.strip().lower())
        joined = value.strip() if known is None else f"{known}, {value.strip()}"
        headers[name.strip().lower()] = joined
    return int(rest[:3]), headers


def _length(size: int, mask_bit: int) -> bytes:
    if size < 126:
        return bytes([mask_bit | size])
    if size < 1 << 16:
        return bytes([mask_bit | 126]) + struct.pack(">H", size)
    return bytes([mask_bit | 127]) + struct.pack(">Q", size)


def _masked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    stream = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(stream)).to_bytes(size)
