"""Workers come and go; calls come in all the same."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from earhook.testing.peer import CallPeer
from earhook.transport.dial import DialError
from integration.test_serve import get, plan, ready, recorded_samples, served

from .crowd import children_of, command_of, crowd, left_in

FRONT = "earhook.workers.front"
Run = Callable[[Coroutine[Any, Any, Any]], Any]
Until = Callable[..., Coroutine[Any, Any, None]]


def is_refused(error: BaseException) -> bool:
    """Nobody listened, or somebody who let no call in."""
    return isinstance(error, ConnectionRefusedError) or bool(re.search(r"refused|50\d", str(error)))


class Knocking:
    """One short call after the other, until told to stop; what came of them."""

    def __init__(self, url: str) -> None:
        self.opened = 0
        self.cut = 0
        self.longest_seconds = 0.0
        self._url = url

    async def knock(self) -> None:
        began = time.monotonic()
        try:
            async with CallPeer.dial(self._url, plan("knock")) as peer:
                await peer.opened()
        except (DialError, ConnectionError) as error:
            if is_refused(error):
                raise
            self.cut += 1  # it had been accepted by a process that was then killed
        else:
            self.opened += 1
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)


@asynccontextmanager
async def knocking(url: str) -> AsyncIterator[Knocking]:
    """Place calls all the while. A refused connect fails the test."""
    tally, ends = Knocking(url), False

    async def knock_on() -> None:
        while not ends:
            await tally.knock()

    task = asyncio.create_task(knock_on())
    try:
        yield tally
    finally:
        ends = True
        await task


def test_whoever_is_killed_or_stopped_is_replaced_and_nobody_is_refused(
    run: Run, until: Until, tmp_path: Path
) -> None:
    """And at the end a signal that goes to all processes is heard once."""

    async def story() -> None:
        async with crowd(tmp_path, "[workers]\nsilent_seconds = 2") as gateway:
            live = await gateway.call(plan("live"))
            its_slot = (await gateway.line("call.opened"))["worker"]
            async with knocking(gateway.url) as knocks:
                for kills in (1, 2):
                    os.kill(gateway.serving(1 - its_slot), signal.SIGKILL)
                    await gateway.comes(lambda kills=kills: gateway.count("worker.lost") == kills)
                    serving = 2 + kills
                    await gateway.comes(lambda n=serving: gateway.count("worker.serving") == n)
                    before = knocks.opened
                    await until(lambda n=before: knocks.opened >= n + 5, 30.0)
            assert gateway.count("worker.lost", signal="SIGKILL", slot=1 - its_slot) == 2
            assert knocks.cut <= 2
            assert not live.record.outcome, "the others' calls go on"

            stopped = gateway.serving(its_slot)
            os.kill(stopped, signal.SIGSTOP)
            try:
                assert (await gateway.line("worker.silent"))["pid"] == stopped
                await gateway.comes(lambda: gateway.count("worker.serving") == 5)
                async with knocking(gateway.url) as knocks:
                    await until(lambda: knocks.opened >= 6, 30.0)
                assert not knocks.cut
            finally:
                os.kill(stopped, signal.SIGCONT)
            await gateway.line("worker.heard_again", pid=stopped)
            await live.reached(live.position + 1600)
            live.close()
            await live.finished()
            await until(lambda: "earhook.workers" not in command_of(stopped), 30.0)
            assert gateway.count("worker.lost") == 2

            for pid in [*gateway.workers(), gateway.pid]:
                os.kill(pid, signal.SIGTERM)
            assert await gateway.ended() == 0
            assert gateway.count("worker.lost") == 2
            assert not left_in(tmp_path), "the private directory is gone"

    run(story())


def test_when_the_parent_is_killed_calls_go_on_and_a_new_gateway_can_start(
    run: Run, until: Until, tmp_path: Path
) -> None:
    async def story() -> None:
        async with crowd(tmp_path) as gateway:
            workers = gateway.workers()
            live = await gateway.call(plan("live"))
            gateway.gateway.process.kill()
            await gateway.line("worker.parent_lost")
            again = {"EARHOOK__MEDIA__PORT": str(gateway.media_port), "EARHOOK__SINKS": "[]"}
            async with served(tmp_path, **again) as other:
                assert (await other.line("gateway.started"))["media_port"] == gateway.media_port
                peer = await gateway.call(plan("new"))
                await live.reached(live.position + 1600)
                peer.close()
                live.close()
                await live.finished()
            await until(lambda: not any("earhook" in command_of(pid) for pid in workers), 30.0)
            closed = gateway.lines("call.closed")
            assert [line["balanced"] for line in closed] == [True]
            assert recorded_samples(tmp_path / "recordings") == closed[0]["written"]
            assert not left_in(tmp_path), "the last one out removes it"

    run(story())


def test_a_rolling_restart_has_a_new_configuration_and_cuts_no_call(
    run: Run, until: Until, tmp_path: Path
) -> None:
    """And at the end a second request to stop ends within two seconds."""

    async def story() -> None:
        async with crowd(tmp_path) as gateway:
            file = tmp_path / "earhook.toml"
            live = await gateway.call(plan("live"))
            session = (await gateway.line("call.opened"))["session"]
            before = {gateway.serving(0), gateway.serving(1)}
            good = file.read_text()
            file.write_text(good + "\n[ring]\nseconds = -1\n")
            gateway.signal(signal.SIGUSR2)
            assert "ring.seconds" in str((await gateway.line("rolling.refused"))["faults"])
            assert before <= set(gateway.workers())
            file.write_text(good + "\n[ring]\nseconds = 3\n")
            async with knocking(gateway.url) as knocks:
                gateway.signal(signal.SIGUSR2)
                await gateway.line("rolling.done")
                await until(lambda: knocks.opened >= 10, 30.0)
            assert knocks.cut == 0
            assert gateway.count("worker.replaced", reason="rolling") == 2
            assert not before & {gateway.serving(0), gateway.serving(1)}
            assert await ready(gateway.admin_port) == 200
            await live.reached(live.position + 1600)
            _, calls = await get(gateway.admin_port, "/api/v1/calls")
            assert session in calls, "the old worker is asked as well"
            live.close()
            await live.finished()
            await until(lambda: not before & set(gateway.workers()), 30.0)
            _, metrics = await get(gateway.admin_port, "/metrics")
            assert 'earhook_worker_restarts_total{reason="rolling"} 2.0' in metrics
            assert gateway.count("worker.lost") == 0
            assert all(line["balanced"] for line in gateway.lines("call.closed"))

            last = await gateway.call(plan("last"))
            gateway.signal(signal.SIGTERM)
            await gateway.line("gateway.stage", stage="draining", logger=FRONT)
            assert await ready(gateway.admin_port) == 503
            await last.reached(last.position + 1600)
            began = time.monotonic()
            gateway.signal(signal.SIGTERM)
            assert await gateway.ended() == 0
            assert time.monotonic() - began < 2.5
            assert gateway.lines("call.closed")[-1]["balanced"] is True
            assert gateway.count("worker.lost") == 0
            last.abort()

    run(story())


def test_what_no_worker_can_serve_is_told_once_and_nothing_is_left(
    run: Run, tmp_path: Path
) -> None:
    async def story() -> None:
        (tmp_path / "recordings").write_text("no directory")
        several = {"EARHOOK__WORKERS__COUNT": "2", "TMPDIR": str(tmp_path), "XDG_RUNTIME_DIR": ""}
        async with served(tmp_path, **several) as gateway:
            assert await gateway.exit_code(60.0) == 1
            (line,) = [line for line in gateway.lines if line["event"] == "gateway.not_started"]
            assert "recordings" in str(line["faults"])
            assert len(line["faults"]) == 1
            assert not children_of(gateway.process.pid)
            assert not left_in(tmp_path)

    run(story())
