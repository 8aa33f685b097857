"""Several ingest ports that share their sessions, each with a house of its own, in one process."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earhook.clock import Clock
from earhook.edge.arrival import EdgeRules
from earhook.edge.settings import ConnectionLimits
from earhook.ingest.passed import PassedServer, passed_path
from earhook.ingest.passing import Passing
from earhook.ingest.server import IngestServer
from earhook.ingest.settings import IngestSettings
from earhook.sinks.base import LiveCall
from earhook.testing.clock import ManualClock
from earhook.testing.http_sender import HttpConnection, SenderReply
from earhook.testing.sinks import CollectedCall, CollectingSink

from .asking import PATH, House


@dataclass
class Ledger:
    """Who has what, of all workers; `earhook.hub.claims.SessionClaims` as a worker sees it."""

    owners: dict[bytes, int] = field(default_factory=dict)

    def of(self, generation: int) -> LedgerPage:
        return LedgerPage(self, generation)


@dataclass
class LedgerPage:
    ledger: Ledger
    generation: int

    def take(self, name: bytes) -> int | None:
        owner = self.ledger.owners.setdefault(name, self.generation)
        return None if owner == self.generation else owner

    def owner(self, name: bytes) -> int | None:
        owner = self.ledger.owners.get(name)
        return None if owner == self.generation else owner

    def give_back(self, name: bytes) -> None:
        if self.ledger.owners.get(name) == self.generation:
            del self.ledger.owners[name]


class EverySink(CollectingSink):
    """Keeps a session's calls apart when it begins anew."""

    def __init__(self) -> None:
        super().__init__()
        self.every: list[CollectedCall] = []

    def attach(self, call: LiveCall) -> None:
        super().attach(call)
        self.every.append(self.calls[call.facts.session_id])


class Worker:
    """One of them."""

    def __init__(
        self, number: int, ledger: Ledger, directory: Path, settings: IngestSettings, **more: Any
    ) -> None:
        self.passing = Passing(directory, lambda: self.server.is_ending)
        self.claims = ledger.of(number)
        self.sink = EverySink()
        between = {"claims": self.claims, "passing": self.passing, "sink": self.sink}
        self.house = House(settings, **between, **more)
        rules = EdgeRules(ConnectionLimits())
        self.server = IngestServer(settings, rules, self.house.door.answer)
        path = passed_path(directory, number)
        self.passed = PassedServer(path, self.house.door.answer_passed, self.server.tally)

    async def connect(self) -> HttpConnection:
        return await HttpConnection.open(f"http://127.0.0.1:{self.server.port}{PATH}")

    async def stop(self) -> None:
        self.house.calls.disconnect()
        await self.server.stop()
        await self.passed.stop(1.0)
        self.passing.stop()


@dataclass
class Town:
    """All of them."""

    workers: list[Worker]
    ledger: Ledger
    clock: ManualClock

    async def ask(
        self, at: int, headers: dict[str, str], body: bytes = b"", method: str = "POST"
    ) -> SenderReply:
        """One request on a connection of its own with a worker."""
        connection = await self.workers[at].connect()
        try:
            return await connection.ask(method, PATH, headers, body)
        finally:
            connection.abort()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for worker in self.workers:
            worker.house.calls.sweep()

    def heard(self) -> list[bytes]:
        """The customer's audio of every call so far, whoever has it."""
        for worker in self.workers:
            worker.house.sink.collect()
        return [call.channel(0) for worker in self.workers for call in worker.sink.every]

    def assert_balanced(self) -> None:
        for worker in self.workers:
            worker.house.assert_balanced()
            assert worker.server.snapshot().faults == 0
            assert worker.passing.under_way == 0


@asynccontextmanager
async def town(
    directory: Path,
    count: int = 2,
    *,
    ring_seconds: float = 30.0,
    clock: Clock | None = None,
    **settings: Any,
) -> AsyncIterator[Town]:
    """That many workers, started; stopped at the end."""
    os.chmod(directory, 0o700)  # noqa: PTH101 - once, before anything runs
    ledger, time = Ledger(), ManualClock()
    chosen = IngestSettings(plaintext=True, host="127.0.0.1", port=0, **settings)
    async with AsyncExitStack() as stack:
        workers = []
        for number in range(1, count + 1):
            worker = Worker(
                number, ledger, directory, chosen, clock=clock or time, ring_seconds=ring_seconds
            )
            await worker.passed.start()
            await worker.server.start()
            stack.push_async_callback(worker.stop)
            workers.append(worker)
        yield Town(workers, ledger, time)
