"""The house of the direct stream with a relay before it: consumers must not notice."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from earhook.sinks.pcm_stream.listening import listen_on
from earhook.sinks.pcm_stream.settings import PcmStreamSettings
from earhook.workers.relay.exchange import Exchange
from earhook.workers.relay.terms import private_sink
from pcm_stream.conftest import House, RawConsumer


class Crew:
    """Workers in this process, each with a sink of its own, behind one exchange."""

    def __init__(self, settings: PcmStreamSettings, folder: Path, ring_seconds: float) -> None:
        self.settings = settings
        self.workers: dict[int, House] = {}
        self.exchange: Exchange
        self._folder = folder
        self._ring_seconds = ring_seconds
        self._generations = itertools.count(1)

    @property
    def address(self) -> str:
        return str(self.exchange.address)

    async def open_exchange(self) -> Exchange:
        """On sockets that stay open whatever becomes of it."""
        held = [listening.dup() for listening in self.listening.sockets]
        self.exchange = Exchange(self.settings, held, "0123456789abcdef")
        for generation in self.workers:
            self.exchange.worker_added(generation, self.path(generation))
        await self.exchange.start()
        return self.exchange

    async def listen(self) -> None:
        self.listening = await listen_on(self.settings)

    async def add(self) -> House:
        """One more worker."""
        generation = next(self._generations)
        worker = House(private_sink(self.settings, self.path(generation)), self._ring_seconds)
        worker.budget = next(iter(self.workers.values()), worker).budget
        worker._seed = 1000 * generation
        await worker.sink.start()
        self.workers[generation] = worker
        self.exchange.worker_added(generation, self.path(generation))
        return worker

    def kill(self, worker: House) -> int:
        """A worker dies as by SIGKILL: its connections break, without a word."""
        generation = self.generation_of(worker)
        for subscriber in worker.sink._reception.guests:
            subscriber.abort()
        return generation

    def bury(self, generation: int) -> None:
        """The parent has noticed."""
        self.exchange.worker_gone(generation)

    def generation_of(self, worker: House) -> int:
        return next(number for number, one in self.workers.items() if one is worker)

    def path(self, generation: int) -> str:
        return str(self._folder / f"{generation}.sock")

    def rows(self) -> list[dict[str, Any]]:
        return list(self.exchange.snapshot()["subscribers"])


CrewMaker = Callable[..., AbstractAsyncContextManager[Crew]]


@pytest.fixture
def crew(tmp_path: Path) -> CrewMaker:
    """`async with crew(workers=2, …) as crew`: so many workers behind one exchange."""

    @asynccontextmanager
    async def make(
        *, workers: int = 2, ring_seconds: float = 2.0, **wishes: Any
    ) -> AsyncIterator[Crew]:
        wishes.setdefault("listen", f"unix:{tmp_path / 'pcm.sock'}")
        made = Crew(PcmStreamSettings(**wishes), tmp_path, ring_seconds)
        async with AsyncExitStack() as stack:
            await made.listen()
            stack.callback(lambda: made.listening.close())  # noqa: PLW0108 - which one by then
            await made.open_exchange()
            for _ in range(workers):
                await made.add()
            try:
                yield made
            finally:
                for consumer in RawConsumer.dialled:
                    consumer.close()
                RawConsumer.dialled.clear()
                for worker in made.workers.values():
                    await worker.sink.stop(2.0)
                    assert worker.subscribers() == 0
                await made.exchange.stop(2.0)
                assert made.rows() == []

    return make


class RelayedHouse(House):
    """One worker behind an exchange, as a house: addressed through the exchange."""

    def __init__(self, crew: Crew, worker: House) -> None:
        vars(self).update(vars(worker))
        self._crew = crew
        self._worker = worker
        self.sink._command, self.sink._publish = self._command, self._publish

    @property
    def address(self) -> str:
        return self._crew.address

    def counter(self, name: str) -> int:
        relayed = self._crew.exchange.snapshot()["counters"].get(name, 0)
        if name in ("resumed", "commands_refused"):
            relayed += self.sink.snapshot().counters.get(name, 0)
        return int(relayed)


@pytest.fixture
def house(crew: CrewMaker) -> Callable[..., AbstractAsyncContextManager[House]]:
    """The fixture of the same name, with a relay between it and its consumers."""

    @asynccontextmanager
    async def make(**wishes: Any) -> AsyncIterator[House]:
        async with crew(workers=1, **wishes) as made:
            (worker,) = made.workers.values()
            yield RelayedHouse(made, worker)

    return make
