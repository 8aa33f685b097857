"""Real workers that are too large or too old. The parent is in this process: so is its clock."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from earhook.config.load import load_configuration
from earhook.control.lifecycle import Input, Stage
from earhook.testing.peer import CallPeer
from earhook.workers.crew import LEAST_AGE_SECONDS, Crew, Standing
from earhook.workers.parent import Parent
from integration.test_serve import API_KEY, SECRET, plan

from .crowd import START_SECONDS

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Until = Callable[..., Coroutine[Any, Any, None]]
LEAST_MIB = 128
"""The lowest limit that a configuration may have; a worker without calls is smaller."""
CONFIGURATION = f"""\
[media]
host = "127.0.0.1"
port = 0
[admin]
port = 0
[[keys]]
api_key = "{API_KEY}"
secrets = ["{base64.b64encode(SECRET).decode()}"]
[workers]
recycle_memory_mib = {LEAST_MIB}
recycle_hours = 1
"""


class Clock:
    """As the machine's, but that it can be put forward."""

    ahead_seconds = 0.0

    def monotonic_seconds(self) -> float:
        return time.monotonic() + self.ahead_seconds

    def wall_seconds(self) -> float:
        return time.time()


class OneWorker:
    """A parent with one slot."""

    def __init__(self, parent: Parent, clock: Clock) -> None:
        self.clock = clock
        self._parts = vars(parent)
        self._crew: Crew = self._parts["_crew"]

    @classmethod
    @asynccontextmanager
    async def of(cls, file: Path, until: Until) -> AsyncIterator[Self]:
        configuration, clock = load_configuration(file, {}), Clock()
        parent = Parent(configuration, lambda: configuration, slots=1, clock=clock)
        running = asyncio.create_task(parent.run())
        try:
            house = cls(parent, clock)
            await until(lambda: house.stage is Stage.SERVING or running.done(), START_SECONDS)
            yield house
            parent.receive(Input.STOP)
            async with asyncio.timeout(START_SECONDS):
                await running
        finally:
            running.cancel()
            await asyncio.wait([running])

    @property
    def stage(self) -> Stage:
        stage: Stage = self._parts["_front"].stage
        return stage

    @property
    def url(self) -> str:
        port = self._parts["_sockets"][0]["media"][0].getsockname()[1]
        return f"ws://127.0.0.1:{port}/audiohook"

    def replaced(self) -> dict[str, int]:
        """How often somebody was replaced, by reason."""
        restarts = self._parts["_reports"].restarts
        return {str(reason): count for reason, count in restarts.items() if count}

    def is_due(self, reason: str) -> bool:
        """Whether the one that serves is to be replaced for that."""
        members = self._crew.members
        return any(one.standing is Standing.SERVING and one.reason == reason for one in members)

    def processes(self) -> int:
        return len(self._crew.members)

    def may_have(self, mebibytes: int | None) -> None:
        """What is too large from now on, for the parent alone."""
        parts = vars(self._crew)
        parts["_settings"] = parts["_settings"].model_copy(update={"recycle_memory_mib": mebibytes})


async def opened(url: str, seed: str) -> CallPeer:
    peer = await CallPeer.connect(url, plan(seed))
    await peer.opened()
    return peer


def test_too_large_or_too_old_is_replaced_and_its_call_goes_on(
    run: Run, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        file = tmp_path / "earhook.toml"
        file.write_text(CONFIGURATION)
        async with OneWorker.of(file, until) as house:
            live = await opened(house.url, "live")
            house.clock.ahead_seconds += LEAST_AGE_SECONDS
            house.may_have(LEAST_MIB // 8)
            await until(lambda: house.replaced() == {"memory": 1}, START_SECONDS)
            # The next one is too large as well; it waits until the first has drained.
            house.clock.ahead_seconds += LEAST_AGE_SECONDS
            await until(lambda: house.is_due("memory"), START_SECONDS)
            later = await opened(house.url, "later")
            await live.reached(live.position + 1600)
            assert house.replaced() == {"memory": 1}
            house.may_have(None)
            live.close()
            await live.finished()
            await until(lambda: house.replaced() == {"memory": 2}, START_SECONDS)
            await until(lambda: house.processes() == 3, START_SECONDS)  # and one drains
            house.clock.ahead_seconds += 3600
            await later.reached(later.position + 1600)
            assert house.replaced() == {"memory": 2}
            later.close()
            await later.finished()
            await until(lambda: house.replaced() == {"memory": 2, "age": 1}, START_SECONDS)
            last = await opened(house.url, "last")
            last.close()
            await last.finished()

    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    run(story())
