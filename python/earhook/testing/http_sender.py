"""The sending side of the ingest: a call in blocks or as a stream, over a real connection.

It is written for tests, demos and benches: every byte that it sends is its own, and nothing is
sent again or given up without being told.
"""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import orjson

from .payload_key import PayloadKey, Seal

__all__ = ["HttpConnection", "HttpSender", "HttpStream", "SenderReply"]


class SenderReply(NamedTuple):
    """An answer of the gateway.

    Attributes:
        status: 200, if all is well.
        headers: By lower-case name.
        body: As it came.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as an object; empty if it is none."""
        if self.headers.get("content-type") != "application/json":
            return {}
        fields = orjson.loads(self.body)
        return fields if isinstance(fields, dict) else {}


class HttpConnection:
    """One connection, kept alive; one request at a time."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host

    @classmethod
    async def open(cls, url: str, tls: ssl.SSLContext | None = None) -> Self:
        """Connect to where a URL points.

        Args:
            url: `http://` or `https://`.
            tls: What to trust; the machine's authorities if left out.
        """
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        context = (tls or ssl.create_default_context()) if secure else None
        port = parts.port or (443 if secure else 80)
        reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
        return cls(reader, writer, parts.netloc)

    async def ask(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> SenderReply:
        """Send a request whose length is told, and wait for the answer."""
        framing = {} if method in {"GET", "HEAD"} else {"Content-Length": str(len(body))}
        self._writer.write(self._head(method, target, {**headers, **framing}) + body)
        await self._writer.drain()
        return await self.answer(has_body=method != "HEAD")

    async def begin(self, target: str, headers: Mapping[str, str]) -> HttpStream:
        """Begin a POST whose body comes in chunks."""
        framing = {"Transfer-Encoding": "chunked"}
        self._writer.write(self._head("POST", target, {**headers, **framing}))
        await self._writer.drain()
        return HttpStream(self, self._writer)

    async def answer(self, *, has_body: bool = True) -> SenderReply:
        """Read the next final answer.

        Raises:
            asyncio.IncompleteReadError: The gateway has closed the connection.
        """
        while True:
            head = await self._reader.readuntil(b"\r\n\r\n")
            status_line, *lines = head.decode("latin-1").split("\r\n")[:-2]
            status = int(status_line.split(" ")[1])
            if status >= 200:
                break
        pairs = (line.split(":", 1) for line in lines)
        headers = {name.lower(): value.strip() for name, value in pairs}
        length = int(headers.get("content-length", "0")) if has_body else 0
        return SenderReply(status, headers, await self._reader.readexactly(length))

    def abort(self) -> None:
        """Break the connection off, in the middle of whatever it is."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close the connection; nothing is lost of what was sent."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            pass  # the gateway was quicker

    def _head(self, method: str, target: str, headers: Mapping[str, str]) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class HttpStream:
    """The body of one request, piece by piece."""

    def __init__(self, connection: HttpConnection, writer: asyncio.StreamWriter) -> None:
        self._connection = connection
        self._writer = writer

    async def send(self, piece: bytes) -> None:
        """Send a chunk; one without a byte would be the end and is left out."""
        if piece:
            self._writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await self._writer.drain()

    async def finish(self) -> SenderReply:
        """End the body and wait for the answer."""
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()
        return await self._connection.answer()


@dataclass(kw_only=True)
class HttpSender:
    """One call.

    Attributes:
        url: Of the gateway, path included.
        content_type: What the audio is.
        token: A bearer token; None: none is sent.
        session_id: Of the call.
        headers: Sent with each request, beside those that the sender makes.
        key: What bodies are encrypted with.
        tls: What to trust.
        sequence: Of the next block.
    """

    url: str
    content_type: str = "audio/PCMU;rate=8000;channels=1"
    token: str | None = field(default=None, repr=False)
    session_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    headers: Mapping[str, str] = field(default_factory=dict)
    key: PayloadKey | None = None
    tls: ssl.SSLContext | None = None
    sequence: int = 0
    _connection: HttpConnection | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    async def connect(self) -> None:
        """Open a connection, the old one is broken off if there is one."""
        if self._connection is not None:
            self._connection.abort()
        self._connection = await HttpConnection.open(self.url, self.tls)

    async def close(self) -> None:
        """Close the connection. The call goes on at the gateway, unless it was told its end."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    @property
    def connection(self) -> HttpConnection:
        """The open connection.

        Raises:
            RuntimeError: There is none.
        """
        if self._connection is None:
            raise RuntimeError("connect first")
        return self._connection

    async def check(self, method: str = "GET") -> SenderReply:
        """Look whether the gateway is there."""
        return await self.connection.ask(method, self._target, {})

    async def block(
        self, audio: bytes, *, sequence: int | None = None, end: bool = False, **more: str
    ) -> SenderReply:
        """Send one block.

        Args:
            audio: In the announced format.
            sequence: Instead of the next number, which then stays what it is.
            end: Whether it is the last.
            **more: Headers, with underscores for dashes.
        """
        if sequence is None:
            sequence, self.sequence = self.sequence, self.sequence + 1
        headers = self._headers(more) | {"Earhook-Sequence": str(sequence)}
        if end:
            headers["Earhook-End"] = "true"
        body = audio if self.key is None else self.key.seal(audio)
        return await self.connection.ask("POST", self._target, headers, body)

    async def end(self) -> SenderReply:
        """Say that the call is over."""
        headers = self._headers({}) | {"Earhook-End": "true"}
        return await self.connection.ask("POST", self._target, headers)

    async def stay(self) -> SenderReply:
        """Say that the call goes on, though nothing is sent now."""
        headers = self._headers({}) | {"Earhook-End": "false"}
        return await self.connection.ask("POST", self._target, headers)

    async def stream(self, pieces: Iterable[bytes], **more: str) -> SenderReply:
        """Send a whole call, or the rest of one, in one request."""
        async with self.streaming(**more) as stream:
            for piece in pieces:
                await stream.send(piece)
            return await stream.finish()

    @asynccontextmanager
    async def streaming(self, **more: str) -> AsyncIterator[SealedStream]:
        """A stream whose pieces the caller sends, and whose end too.

        Args:
            **more: Headers, with underscores for dashes.
        """
        stream = await self.connection.begin(self._target, self._headers(more))
        sealed = SealedStream(stream, None if self.key is None else Seal(self.key))
        await sealed.begin()
        yield sealed

    @property
    def _target(self) -> str:
        parts = urlsplit(self.url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        headers = {"Content-Type": self.content_type, "Audiohook-Session-Id": self.session_id}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.key is not None:
            headers["Content-Encoding"] = "aes128gcm"
        return headers | {**self.headers, **{n.replace("_", "-"): v for n, v in more.items()}}


class SealedStream:
    """A stream that is encrypted where there is a seal."""

    def __init__(self, stream: HttpStream, seal: Seal | None) -> None:
        self._stream = stream
        self._seal = seal

    async def begin(self) -> None:
        """Send what comes before the first record."""
        if self._seal is not None:
            await self._stream.send(self._seal.header)

    async def send(self, piece: bytes) -> None:
        """Send a piece, so that all of it can be heard."""
        if self._seal is None:
            await self._stream.send(piece)
        else:
            await self._stream.send(b"".join([*self._seal.add(piece), self._seal.flush()]))

    async def finish(self) -> SenderReply:
        """End the body and wait for the answer."""
        if self._seal is not None:
            await self._stream.send(self._seal.finish())
        return await self._stream.finish()
