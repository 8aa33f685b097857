"""Connects at a steady rate, whatever becomes of them, and a count of what became of them."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from earhook.testing.peer_request import upgrade_headers
from earhook.testing.peer_setup import CallSetup, PeerCredential

PATIENCE_SECONDS = 15.0


@dataclass(slots=True)
class Storm:
    """What became of the connects.

    Attributes:
        outcomes: `ok` (upgraded), `turned away` (another answer than 101), `refused` (nobody
            listened), `reset` (somebody had accepted and ended without an answer), `waited` (no
            answer for longer than Genesys waits).
        longest_seconds: Until a connect was upgraded.
        late_seconds: By how much a connect began too late at most: this program had to wait for
            the processor. Connects then wait, and are cut, for want of a client.
        begun: Connects, those included of which nothing has become yet.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    longest_seconds: float = 0.0
    late_seconds: float = 0.0
    begun: int = 0

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self.outcomes.most_common())
        late = f", begun up to {self.late_seconds:.1f} s late" if self.late_seconds >= 1 else ""
        return f"{counts}; longest {self.longest_seconds * 1000:.0f} ms{late}"


@asynccontextmanager
async def storming(
    url: str, credential: PeerCredential, rate: float, *, held: bool = False
) -> AsyncIterator[Storm]:
    """Connect so often a second, until the end of the block; all of it is counted then.

    Args:
        url: Of the gateway.
        credential: Signs the upgrades.
        rate: Connects a second.
        held: Keep what was upgraded until the end, or until the gateway ends it.
    """
    storm, ends = Storm(), asyncio.Event()
    task = asyncio.create_task(_Weather(storm, url, credential, ends).blow(rate, held=held))
    try:
        yield storm
    except BaseException:
        task.cancel()
        await asyncio.wait([task])
        raise
    ends.set()
    await task


class _Weather:
    def __init__(
        self, storm: Storm, url: str, credential: PeerCredential, ends: asyncio.Event
    ) -> None:
        self._storm = storm
        self._url = url
        self._credential = credential
        self._ends = ends

    async def blow(self, rate: float, *, held: bool) -> None:
        """Connect when a connect is due, however the others fare."""
        now = asyncio.get_running_loop().time
        began, number = now(), 0
        async with asyncio.TaskGroup() as group:
            while not self._ends.is_set():
                late = now() - began - number / rate
                self._storm.late_seconds = max(self._storm.late_seconds, late)
                number += 1
                self._storm.begun = number
                group.create_task(self._connect(held=held))
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(began + number / rate):
                        await self._ends.wait()

    async def _connect(self, *, held: bool) -> None:
        began, writer, storm = time.monotonic(), None, self._storm
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                outcome, writer = await self._upgrade()
        except TimeoutError:
            outcome = "waited"
        except ConnectionRefusedError:
            outcome = "refused"
        except (ConnectionError, asyncio.IncompleteReadError):
            outcome = "reset"
        storm.outcomes[outcome] += 1
        if outcome == "ok":
            storm.longest_seconds = max(storm.longest_seconds, time.monotonic() - began)
        if writer is not None:
            try:
                if held:
                    await self._ends.wait()
            finally:
                writer.close()

    async def _upgrade(self) -> tuple[str, asyncio.StreamWriter]:
        parts = urlsplit(self._url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(_request(self._url, self._credential))
            head = await reader.readuntil(b"\r\n\r\n")
        except BaseException:
            writer.close()
            raise
        return "ok" if head.startswith(b"HTTP/1.1 101") else "turned away", writer


def _request(url: str, credential: PeerCredential) -> bytes:
    nonce = base64.b64encode(os.urandom(18)).decode()
    lines = [
        f"GET {urlsplit(url).path} HTTP/1.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
    ]
    headers = upgrade_headers(url, CallSetup(), credential, time.time(), nonce)
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
