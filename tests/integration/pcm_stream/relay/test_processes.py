"""The relay, its workers and its keeper as they run: processes, killed without a word."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from earhook.client import Block, CallClosed, CallOpened, Gap, Stream, connect
from earhook.config.schema import Configuration
from earhook.workers.relay.keeper import RelayKeeper

from .speaking import said, session_of

CHANNELS = {"external": 0, "internal": 1}


class Listener:
    """Holds everything that arrives to what was said."""

    def __init__(self, stream: Stream) -> None:
        self.positions: dict[tuple[str, str], int] = {}
        self.closed: dict[str, CallClosed] = {}
        self.gaps: list[Gap] = []
        self._task = asyncio.create_task(self._listen(stream))

    async def _listen(self, stream: Stream) -> None:
        async for item in stream:
            session = item.call.session_id
            if isinstance(item, CallOpened):
                for channel in item.call.channels:
                    assert (session, channel) not in self.positions
                    self.positions[session, channel] = item.position
            elif isinstance(item, Gap):
                if item.position:  # what was said before anybody listened is no loss
                    self.gaps.append(item)
                self._go_on(session, item.channel, item.position, item.samples)
            elif isinstance(item, Block):
                count = len(item.samples)
                expected = said(CHANNELS[item.channel], item.position, count)
                assert np.array_equal(item.samples, expected)
                self._go_on(session, item.channel, item.position, count)
            elif isinstance(item, CallClosed):
                assert session not in self.closed
                self.closed[session] = item

    def _go_on(self, session: str, channel: str, position: int, samples: int) -> None:
        assert self.positions[session, channel] == position
        self.positions[session, channel] += samples

    def heard(self, session: str) -> int:
        self.check()
        return min(self.positions.get((session, channel), 0) for channel in CHANNELS)

    def check(self) -> None:
        if self._task.done():
            self._task.result()


@asynccontextmanager
async def speaking(
    folder: Path, name: str, calls: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker's stream at `folder/name.sock`, until the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("speaking.py")),
        str(folder / f"{name}.sock"),
        name,
        str(calls),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b"serving\n"
        yield process
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def keeping(keeper: RelayKeeper) -> AsyncIterator[RelayKeeper]:
    await keeper.open()
    try:
        await keeper.start()
        yield keeper
    finally:
        await keeper.stop(2.0)


def configuration(folder: Path) -> Configuration:
    sink = {"kind": "pcm-stream", "listen": f"unix:{folder / 'pcm.sock'}", "token": "sesame"}
    return Configuration.model_validate({"sinks": [sink], "log": {"level": "error"}})


def test_kills_cost_what_they_must_and_nothing_else(run: Any, until: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        wishes = {"token": "sesame", "gaps": True, "events": True}
        async with (
            keeping(RelayKeeper(configuration(tmp_path))) as keeper,
            speaking(tmp_path, "east", 3) as east,
            speaking(tmp_path, "west", 3) as west,
            connect(keeper.addresses["pcm-stream"], **wishes) as stream,
        ):
            listener = Listener(stream)
            for generation, name in ((1, "east"), (2, "west")):
                keeper.worker_serves(generation, {"pcm-stream": tmp_path / f"{name}.sock"})
            sessions = {name: [session_of(name, n) for n in range(3)] for name in ("east", "west")}
            everybody = sessions["east"] + sessions["west"]
            await until(lambda: all(listener.heard(one) > 4000 for one in everybody))

            # The relay dies. The next one accepts on the same socket.
            killed = keeper.pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            await until(lambda: keeper.pid not in (None, killed))
            before = {one: listener.heard(one) for one in everybody}
            await until(lambda: all(listener.heard(o) > before[o] + 8000 for o in everybody))
            assert not listener.gaps
            assert not listener.closed

            # A worker dies, and takes its own calls with it.
            east.kill()
            await east.wait()
            keeper.worker_gone(1)
            await until(lambda: len(listener.closed) == 3)
            assert set(listener.closed) == set(sessions["east"])
            for closed in listener.closed.values():
                assert closed.reason == "worker_lost"
                assert closed.totals.verified
                assert closed.position == listener.heard(closed.call.session_id)

            # The other one ends as it should.
            assert west.stdin is not None
            west.stdin.close()
            await until(lambda: len(listener.closed) == 6)
            for session in sessions["west"]:
                closed = listener.closed[session]
                assert closed.reason == "completed"
                assert closed.position == listener.heard(session)
                assert not any(closed.totals.channels["external"].missing.values())
            assert not listener.gaps

    run(scenario())


def test_the_next_program_takes_the_relay_over(run: Any, until: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with speaking(tmp_path, "east", 2):
            first = RelayKeeper(configuration(tmp_path))
            await first.open()
            await first.start()
            first.worker_serves(1, {"pcm-stream": tmp_path / "east.sock"})
            address = first.addresses["pcm-stream"]
            async with connect(address, token="sesame", gaps=True, events=True) as stream:
                listener = Listener(stream)
                sessions = [session_of("east", number) for number in range(2)]
                await until(lambda: all(listener.heard(one) > 1600 for one in sessions))
                await first._tasks.end()
                old = first.pid
                estate = hand_over(first)
                async with keeping(RelayKeeper(configuration(tmp_path), estate)) as second:
                    await until(lambda: sum(one.serves for one in second._relays) == 1)
                    assert second.pid != old
                    before = {one: listener.heard(one) for one in sessions}
                    await until(lambda: all(listener.heard(o) > before[o] + 4000 for o in sessions))
                    assert not listener.gaps
                    assert not listener.closed

    def hand_over(keeper: RelayKeeper) -> dict[str, Any]:
        """What execve(2) does: descriptors stay, and nothing else of us."""
        estate = keeper.estate()
        loop = asyncio.get_running_loop()
        for relay in keeper._relays:
            loop.remove_reader(relay.process._descriptor)
            os.close(relay.process._descriptor)
            relay.channel._end.detach()
        for listening in keeper._listening.values():
            for one in listening.sockets:
                one.detach()
        return estate

    run(scenario())
