"""Who else comes by while calls are live: probes, strangers, broken connections, listeners.

None of them may leave anything behind. What the gateway answers them is checked elsewhere; here a
wrong answer is counted all the same.
"""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from bench.gateway_process import Place
from earhook.client import connect
from earhook.errors import EarhookError
from earhook.testing.peer_request import upgrade_headers
from earhook.testing.peer_setup import CallSetup, PeerCredential
from earhook.transport.dial import DialError, dial

__all__ = ["Visitors"]

KNOCK_SECONDS: Final = 0.5
STRANGER_SECONDS: Final = 5.0
LISTEN_SECONDS: Final = 20.0
VISIT_SECONDS: Final = 15.0
"""A visit that takes longer has failed."""


class Visitors:
    """Four kinds of visitors until they are told to stop.

    Args:
        place: Where the gateway is.
        https_port: Its other door.
    """

    def __init__(self, place: Place, https_port: int) -> None:
        self._place = place
        self._ports = (place.port, https_port)
        self._context = place.client_context()
        self._doors = 0
        self.visits: Counter[str] = Counter()
        self.surprises: Counter[str] = Counter()

    async def come(self) -> None:
        """Visit until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._again("connect and close", KNOCK_SECONDS, self._knock))
            group.create_task(self._again("broken request", STRANGER_SECONDS, self._break_off))
            group.create_task(self._again("wrong signature", STRANGER_SECONDS, self._forge))
            group.create_task(self._again("passing listener", LISTEN_SECONDS, self._listen))

    async def _again(self, kind: str, seconds: float, visit: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                async with asyncio.timeout(VISIT_SECONDS):
                    await visit()
                self.visits[kind] += 1
            except (EarhookError, OSError, EOFError) as error:
                self.surprises[f"{kind}: {type(error).__name__}: {error}"[:200]] += 1
            await asyncio.sleep(seconds)

    async def _knock(self) -> None:
        """What a balancer does to see whether somebody is there."""
        self._doors += 1
        port = self._ports[self._doors % 2]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()

    async def _break_off(self) -> None:
        """TLS, half a request, and gone without a word."""
        self._doors += 1
        port = self._ports[self._doors % 2]
        _, writer = await asyncio.open_connection("localhost", port, ssl=self._context)
        writer.write(b"GET /audiohook HTTP/1.1\r\nHost: local")
        await writer.drain()
        writer.transport.abort()

    async def _forge(self) -> None:
        """The right key, the wrong secret: that is 401."""
        place = self._place
        forged = PeerCredential(place.api_key, os.urandom(32))
        nonce = base64.b64encode(os.urandom(18)).decode("ascii")
        headers = upgrade_headers(place.url, CallSetup(), forged, time.time(), nonce)
        try:
            await dial(place.url, headers, _Nobody(), self._context)
        except DialError as error:
            if error.status != 401:
                raise
        else:
            self.surprises["a forged signature was let in"] += 1

    async def _listen(self) -> None:
        """A consumer that comes in the middle of all calls, and goes in the middle."""
        until = time.monotonic() + VISIT_SECONDS / 2
        stream = connect(self._place.address, start="now", name="passing", give_up_seconds=5.0)
        async with stream:
            async for _ in stream:
                if time.monotonic() > until:
                    return


class _Nobody:
    """Whoever is let in by mistake."""

    def on_connected(self, socket: object) -> None:
        """Never called."""

    def on_text(self, payload: bytes) -> None:
        """Never called."""

    def on_audio(self, payload: bytes) -> None:
        """Never called."""

    def on_closed(self, code: int | None) -> None:
        """Never called."""

    def on_writable(self) -> None:
        """Never called."""
