"""Peers that speak in raw bytes, so that nothing of ours keeps them from being rude."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from earhook.clock import SystemClock
from earhook.edge.settings import TlsSettings
from earhook.edge.tls import ServerCertificate
from earhook.testing.echo import echo_server
from earhook.transport.server import MediaServer
from earhook.transport.settings import LimitSettings
from hostile.frames_sent import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_frame, frame

IDS = "".join(
    f"Audiohook-{name}-Id: 30b0e395-84d3-4570-ac13-9a62d8f514c0\r\n"
    for name in ("Session", "Organization", "Correlation")
)
UPGRADE = (
    "GET /audiohook HTTP/1.1\r\nHost: gateway.example\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + IDS
)


@dataclass
class RawPeer:
    """One connection in raw bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: bytes = b""
    frames: list[tuple[int, bytes]] = field(default_factory=list)

    def send(self, data: bytes) -> None:
        """Hand bytes to the kernel; whether they are read is the other end's affair."""
        if not self.writer.transport.is_closing():
            self.writer.write(data)

    async def read_frame(self, seconds: float = 5.0) -> tuple[int, bytes] | None:
        """The next frame as (opcode, payload); None when the connection has ended."""
        try:
            async with asyncio.timeout(seconds):
                first, size = await self.reader.readexactly(2)
                if size == 126:
                    (size,) = struct.unpack(">H", await self.reader.readexactly(2))
                elif size == 127:
                    (size,) = struct.unpack(">Q", await self.reader.readexactly(8))
                return first & 15, await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError):
            return None

    async def read_all(self, seconds: float = 5.0) -> list[tuple[int, bytes]]:
        """Every frame up to the end of the connection."""
        frames = []
        async with asyncio.timeout(seconds):
            while (received := await self.read_frame(seconds)) is not None:
                frames.append(received)
        return frames

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

    async def response(self, seconds: float = 5.0) -> tuple[int, dict[str, str], bytes]:
        """The whole answer to a request that is not upgraded: status, headers, body."""
        async with asyncio.timeout(seconds):
            try:
                raw = await self.reader.read(-1)
            except OSError:
                raw = b""
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return int(first.split(" ")[1]) if first else 0, headers, body

    async def end(self) -> None:
        """Go away without a word."""
        self.writer.transport.abort()


class Wire:
    """What the tests of this folder use; see the `wire` fixture."""

    CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG
    UPGRADE = UPGRADE
    frame = staticmethod(frame)
    close_frame = staticmethod(close_frame)

    def __init__(self, certificate: ServerCertificate, client_context: ssl.SSLContext) -> None:
        self.certificate = certificate
        self.client_context = client_context

    @asynccontextmanager
    async def dial(
        self, server: MediaServer, *, upgrade: bool = True, source: str = "127.0.0.1"
    ) -> AsyncIterator[RawPeer]:
        """Connect, and upgrade unless told not to."""
        context = self.client_context if server.is_secure else None
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            server.port,
            ssl=context,
            server_hostname="localhost" if context else None,
            local_addr=(source, 0),
        )
        peer = RawPeer(reader, writer)
        try:
            if upgrade:
                peer.send((UPGRADE + "\r\n").encode())
                async with asyncio.timeout(5):
                    peer.head = await reader.readuntil(b"\r\n\r\n")
                assert peer.head.startswith(b"HTTP/1.1 101 "), peer.head
            yield peer
        finally:
            await peer.end()

    def serve(
        self, limits: LimitSettings | None = None, *, tls: bool = False
    ) -> AbstractAsyncContextManager[MediaServer]:
        """An echo server with the limits of calls."""
        return echo_server(limits=limits, certificate=self.certificate if tls else None)


@pytest.fixture(scope="session")
def wire(certificate_authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Wire:
    """Raw frames, raw peers, and a server to be rude to."""
    directory = tmp_path_factory.mktemp("tls")
    issued = certificate_authority.issue_cert("localhost")
    certificate, private_key = directory / "server.crt", directory / "server.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(private_key)
    settings = TlsSettings(certificate=certificate, private_key=private_key)
    context = ssl.create_default_context()
    certificate_authority.configure_trust(context)
    return Wire(ServerCertificate(settings, SystemClock()), context)


class Bystander:
    """A well-behaved peer that measures its own echo while somebody else misbehaves."""

    def __init__(self, peer: RawPeer) -> None:
        self._peer = peer
        self.latencies: list[float] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Send a frame every 10 ms and wait for it to come back, until told to stop."""
        payload = json.dumps({"frame": "x" * 100}).encode()
        while not stop.is_set():
            started = time.perf_counter()
            self._peer.send(frame(BINARY, payload))
            received = await self._peer.read_frame()
            assert received == (BINARY, payload)
            self.latencies.append(time.perf_counter() - started)
            try:
                async with asyncio.timeout(0.01):
                    await stop.wait()
            except TimeoutError:
                continue

    def percentile(self, share: float) -> float:
        """A percentile of the echo times, in seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@pytest.fixture
def beside(wire: Wire) -> Callable[..., Any]:
    """Run an attack beside a bystander: `async with beside(server) as bystander: …`."""

    @asynccontextmanager
    async def context(server: MediaServer) -> AsyncIterator[Bystander]:
        async with wire.dial(server) as peer:
            bystander, stop = Bystander(peer), asyncio.Event()
            running = asyncio.create_task(bystander.run(stop))
            try:
                yield bystander
            finally:
                stop.set()
                await running

    return context


@pytest.fixture
def resident_bytes() -> Callable[[], int]:
    """Memory of this process that is really there."""

    def read() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    return read
