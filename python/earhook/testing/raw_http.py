"""An ingest server that answers with digests, and a peer that sends it any bytes whatever.

For tests of HTTP itself, which know nothing of calls. It asks for no credential, so it is nothing
to put on a network.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from earhook.edge.arrival import EdgeRules
from earhook.edge.settings import ConnectionLimits
from earhook.ingest.exchange import Exchange
from earhook.ingest.reply import Reply, json_reply
from earhook.ingest.server import IngestServer
from earhook.ingest.settings import IngestLimits, IngestSettings

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from earhook.edge.tls import ServerCertificate
    from earhook.ingest.exchange import Answer

__all__ = ["HttpResponse", "RawHttpPeer", "digest_server", "digest_text", "raw_http_peer"]


class HttpResponse(NamedTuple):
    """One response; status 0: the connection ended without one."""

    status: int
    headers: dict[str, str]
    body: bytes


@asynccontextmanager
async def digest_server(
    limits: IngestLimits | None = None,
    certificate: ServerCertificate | None = None,
    answer: Answer | None = None,
    rules: EdgeRules | None = None,
) -> AsyncIterator[IngestServer]:
    """Run an ingest server on loopback, on a port of the system's choice.

    Args:
        limits: What peers may do.
        certificate: Serve TLS.
        answer: What answers; by default method, target, length and SHA-256 of the body as JSON.
        rules: Who may knock; anybody by default.
    """
    settings = IngestSettings(host="127.0.0.1", port=0, limits=limits or IngestLimits())
    server = IngestServer(
        settings,
        rules or EdgeRules(ConnectionLimits()),
        answer or _answer_digest,
        certificate=certificate,
    )
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def _answer_digest(exchange: Exchange) -> Reply:
    exchange.proven()
    digest = hashlib.sha256()
    body_bytes = 0
    async for piece in exchange.body():
        digest.update(piece)
        body_bytes += len(piece)
    said = digest_text(exchange.head.method, body_bytes, digest.hexdigest())
    return json_reply(200, {"said": said})


def digest_text(method: str, body_bytes: int, digest: str) -> str:
    """What the default answer says of a request."""
    return f"{method} {body_bytes} {digest}"


@dataclass
class RawHttpPeer:
    """One connection in raw bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, message: bytes) -> None:
        """Hand bytes to the kernel."""
        if not self.writer.transport.is_closing():
            self.writer.write(message)

    async def response(self, seconds: float = 5.0, *, to_head: bool = False) -> HttpResponse:
        """The next response; interim ones (status 1xx) are responses, too."""
        async with asyncio.timeout(seconds):
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, OSError):
                return HttpResponse(0, {}, b"")
            first, *lines = head.decode("latin-1")[:-4].split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            length = 0 if to_head else int(headers.get("Content-Length", 0))
            return HttpResponse(
                int(first.split(" ")[1]), headers, await self.reader.readexactly(length)
            )

    async def seconds_to_end(self, seconds: float = 10.0) -> float:
        """How long it takes until the server has ended the connection; reads what comes."""
        started = time.monotonic()
        async with asyncio.timeout(seconds):
            try:
                while await self.reader.read(65_536):
                    pass
            except OSError:
                pass
        return time.monotonic() - started

    async def rest(self, seconds: float = 5.0) -> bytes:
        """Everything up to the end of the connection."""
        async with asyncio.timeout(seconds):
            try:
                return await self.reader.read(-1)
            except OSError:
                return b""


@asynccontextmanager
async def raw_http_peer(
    port: int, context: ssl.SSLContext | None = None, source: str = "127.0.0.1"
) -> AsyncIterator[RawHttpPeer]:
    """Connect to loopback; over TLS with a context."""
    name = "localhost" if context else None
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=name, local_addr=(source, 0)
    )
    try:
        yield RawHttpPeer(reader, writer)
    finally:
        writer.transport.abort()
