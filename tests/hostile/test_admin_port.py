"""The admin port and people who mean no good: what they learn, what they hold."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from earhook.app import Gateway
from earhook.config.schema import Configuration
from earhook.control import admin_connection
from earhook.ops.logging import configure_logging
from earhook.ops.settings import LogSettings

TOKEN = "canary-token-5b1f"
BEARER = f"Authorization: Bearer {TOKEN}".encode()
MALFORMED = {
    "a control character": BEARER + b"\x01\r\n",
    "a space before the colon": BEARER.replace(b":", b" :") + b"\r\n",
    "no colon": BEARER.replace(b":", b"") + b"\r\n",
    "a bare line feed": BEARER + b"\n X\r\n",
    "two hosts": b"Host: b\r\n" + BEARER + b"\r\n",
    "too long": BEARER + b"x" * 10_000 + b"\r\n",
    "two framings": BEARER + b"\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
}


@asynccontextmanager
async def gateway(**admin: Any) -> AsyncIterator[Gateway]:
    sections = {"media": {"host": "127.0.0.1", "port": 0}, "admin": {"port": 0, **admin}}
    async with Gateway(Configuration.model_validate(sections)) as running:
        yield running


async def answer(port: int, request: bytes, source: str = "127.0.0.1") -> bytes:
    """Everything that comes back until the other end closes, or nothing for a second."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    received = b""
    try:
        async with asyncio.timeout(1.0):
            writer.write(request)
            while chunk := await reader.read(65_536):
                received += chunk
    except (TimeoutError, ConnectionError):
        pass
    writer.transport.abort()
    return received


@pytest.fixture
def log() -> Any:
    """What the process writes at its most talkative."""
    root, ours = logging.getLogger(), logging.getLogger("earhook")
    before = root.handlers[:], root.level, ours.level
    lines = io.StringIO()
    configure_logging(LogSettings(format="json", level="debug"), lines)
    yield lines
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])
    logging.captureWarnings(capture=False)


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_http_is_neither_repeated_nor_logged(run: Any, log: Any, name: str) -> None:
    async def story() -> None:
        async with gateway(token=TOKEN) as running:
            request = b"GET /metrics HTTP/1.1\r\nHost: a\r\n" + MALFORMED[name] + b"\r\n"
            received = await answer(running.admin_port, request)
            head, _, body = received.partition(b"\r\n\r\n")
            assert head.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))
            assert body == b"malformed request\n"
            assert b"earhook" in head
            assert b"aiohttp" not in head
            assert TOKEN.encode() not in received
        assert "admin.malformed" in log.getvalue()
        assert TOKEN not in log.getvalue()
        assert "Traceback" not in log.getvalue()

    run(story())


def test_who_holds_connections_keeps_nobody_else_out(run: Any) -> None:
    async def story() -> None:
        async with gateway() as running:
            port = running.admin_port
            live = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            held = [
                await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.5.1", 0))
                for _ in range(64)
            ]
            assert await answer(port, live, "127.0.5.1") == b""
            assert (await answer(port, live)).startswith(b"HTTP/1.1 200 ")
            for _, writer in held:
                writer.transport.abort()
            answers: list[bytes] = []

            async def ask() -> None:
                while not answers or not answers[-1]:
                    answers.append(await answer(port, live, "127.0.5.1"))

            async with asyncio.timeout(5.0):
                await ask()
            assert answers[-1].startswith(b"HTTP/1.1 200 ")

    run(story())


def test_who_takes_no_answer_gives_its_place_back(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_connection, "LOOK_SECONDS", 0.2)

    async def hold(port: int, requests: bytes) -> socket.socket:
        """A connection whose other end reads nothing."""
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        held.bind(("127.0.7.1", 0))
        held.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(held, ("127.0.0.1", port))
        await loop.sock_sendall(held, requests)
        return held

    async def story() -> None:
        async with gateway() as running:
            port = running.admin_port
            script = b"GET /static/vendor/uPlot.iife.min.js HTTP/1.1\r\nHost: localhost\r\n"
            live = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            many = (script + b"\r\n") * 100 + script + b"Connection: close\r\n\r\n"
            held = [await hold(port, many) for _ in range(64)]
            async with asyncio.timeout(10.0):
                while not (await answer(port, live, "127.0.7.1")).startswith(b"HTTP/1.1 200 "):
                    pass
            for connection in held:
                connection.close()

    run(story())


def test_who_says_more_than_anybody_has_to_say_is_cut(run: Any) -> None:
    async def story() -> None:
        async with gateway() as running:
            port = running.admin_port
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20_000)
            async with asyncio.timeout(5.0):
                with contextlib.suppress(ConnectionError):
                    while await reader.read(65_536):
                        pass
            writer.transport.abort()
            live = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            assert (await answer(port, live)).startswith(b"HTTP/1.1 200 ")

    run(story())


def test_all_addresses_together_hold_so_many_connections(run: Any) -> None:
    async def story() -> None:
        async with gateway() as running:
            port = running.admin_port
            held = [
                await asyncio.open_connection(
                    "127.0.0.1", port, local_addr=(f"127.0.6.{1 + number // 60}", 0)
                )
                for number in range(256)
            ]
            assert await answer(port, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
            for _, writer in held:
                writer.transport.abort()

    run(story())
