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

import pytest

from earhook.testing.peer import CallPeer
from earhook.transport.dial import DialError
from integration.test_serve import get, plan, ready, recorded_samples, served

from .crowd import children_of, command_of, crowd, left_in

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
    tally = Knocking(url)

    async def knock_on() -> None:
        while True:
            await tally.knock()

    task = asyncio.create_task(knock_on())
    try:
        yield tally
    finally:
        task.cancel()
        done = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(done[0], asyncio.CancelledError), done


def test_whoever_is_killed_is_replaced_at_once_and_nobody_is_refused(
    run: Run, until: Until, tmp_path: Path
) -> None:
    async def story() -> None:
        async with crowd(tmp_path) as gateway:
            live = await gateway.call(plan("live"))
            opened = await gateway.gateway.line("call.opened")
            its_slot = opened["worker"]
            async with knocking(gateway.url) as knocks:
                for kills in (1, 2, 3):
                    os.kill(gateway.serving(1 - its_slot), signal.SIGKILL)
                    await until(lambda kills=kills: gateway.count("worker.serving") == 2 + kills)
                    before = knocks.opened
                    await until(lambda before=before: knocks.opened >= before + 5)
            assert gateway.count("worker.lost", signal="SIGKILL", slot=1 - its_slot) == 3
            assert gateway.count("worker.lost") == 3
            assert knocks.cut <= 3
            assert not live.record.outcome, "the others' calls go on"
            os.kill(gateway.serving(its_slot), signal.SIGKILL)
            lost = await gateway.gateway.line("worker.lost", slot=its_slot)
            assert lost["calls_lost"] == 1
            await live.finished()
            await until(lambda: gateway.count("worker.serving") == 6)
            gateway.gateway.process.send_signal(signal.SIGTERM)
            assert await gateway.gateway.exit_code() == 0
            assert not left_in(tmp_path), "the private directory is gone"

    run(story())


def test_a_stopped_worker_gets_no_calls_and_drains_when_it_goes_on(
    run: Run, until: Until, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = "[workers]\nsilent_seconds = 2\nkill_seconds = 30"
        async with crowd(tmp_path, settings) as gateway:
            live = await gateway.call(plan("live"))
            opened = await gateway.gateway.line("call.opened")
            stopped = gateway.serving(opened["worker"])
            os.kill(stopped, signal.SIGSTOP)
            try:
                silent = await gateway.gateway.line("worker.silent")
                assert silent["pid"] == stopped
                await until(lambda: gateway.count("worker.serving") == 3)
                async with knocking(gateway.url) as knocks:
                    await until(lambda: knocks.opened >= 6)
                assert knocks.longest_seconds < 2.0
            finally:
                os.kill(stopped, signal.SIGCONT)
            await gateway.gateway.line("worker.heard_again", pid=stopped)
            await live.reached(live.position + 1600)
            live.close()
            await live.finished()
            await until(lambda: "earhook.workers" not in command_of(stopped))
            assert gateway.count("worker.silent") == 1
            assert gateway.count("worker.lost") == 0

    run(story())


def test_when_the_parent_is_killed_calls_go_on_and_a_new_gateway_can_start(
    run: Run, until: Until, tmp_path: Path
) -> None:
    async def story() -> None:
        async with crowd(tmp_path) as gateway:
            workers = gateway.workers()
            live = await gateway.call(plan("live"))
            gateway.gateway.process.kill()
            await gateway.gateway.line("worker.parent_lost")
            again = {"EARHOOK__MEDIA__PORT": str(gateway.media_port), "EARHOOK__SINKS": "[]"}
            async with served(tmp_path, **again) as other:
                assert (await other.line("gateway.started"))["media_port"] == gateway.media_port
                peer = await gateway.call(plan("new"))
                await live.reached(live.position + 1600)
                peer.close()
                live.close()
                await live.finished()
            await until(lambda: not any("earhook" in command_of(pid) for pid in workers))
            closed = gateway.lines("call.closed")
            assert [line["balanced"] for line in closed] == [True]
            assert recorded_samples(tmp_path / "recordings") == closed[0]["written"]
            assert not left_in(tmp_path), "the last one out removes it"

    run(story())


def test_a_drain_lets_calls_end_and_a_second_request_ends_within_two_seconds(
    run: Run, tmp_path: Path
) -> None:
    async def story() -> None:
        async with crowd(tmp_path) as gateway:
            live = await gateway.call(plan("live"))
            gateway.gateway.process.send_signal(signal.SIGTERM)
            await gateway.gateway.line("gateway.stage", stage="draining", worker=0)
            assert await ready(gateway.admin_port) == 503
            await live.reached(live.position + 1600)
            began = time.monotonic()
            gateway.gateway.process.send_signal(signal.SIGTERM)
            assert await gateway.gateway.exit_code(2.5) == 0
            assert time.monotonic() - began < 2.0
            assert gateway.lines("call.closed")[-1]["balanced"] is True
            assert gateway.count("worker.lost") == 0
            live.abort()

    run(story())


def test_a_rolling_restart_has_a_new_configuration_and_cuts_no_call(
    run: Run, until: Until, tmp_path: Path
) -> None:
    async def story() -> None:
        async with crowd(tmp_path) as gateway:
            file = tmp_path / "earhook.toml"
            live = await gateway.call(plan("live"))
            opened = await gateway.gateway.line("call.opened")
            before = gateway.workers()
            good = file.read_text()
            file.write_text(good + "\n[ring]\nseconds = -1\n")
            os.kill(gateway.pid, signal.SIGUSR2)
            refused = await gateway.gateway.line("rolling.refused")
            assert "ring.seconds" in str(refused["faults"])
            assert gateway.workers() == before
            file.write_text(good + "\n[ring]\nseconds = 3\n")
            async with knocking(gateway.url) as knocks:
                os.kill(gateway.pid, signal.SIGUSR2)
                await gateway.gateway.line("rolling.done", seconds=20.0)
                await until(lambda: knocks.opened >= 10)
            assert knocks.cut == 0
            assert gateway.count("worker.replaced", reason="rolling") == 2
            assert not set(before) & {gateway.serving(0), gateway.serving(1)}
            assert gateway.gateway.process.returncode is None
            assert await ready(gateway.admin_port) == 200
            await live.reached(live.position + 1600)
            _, calls = await get(gateway.admin_port, "/api/v1/calls")
            assert opened["session"] in calls, "the old worker is asked as well"
            live.close()
            await live.finished()
            await until(lambda: len(set(before) & set(gateway.workers())) == 0)
            _, metrics = await get(gateway.admin_port, "/metrics")
            assert 'earhook_worker_restarts_total{reason="rolling"} 2.0' in metrics
            assert gateway.count("worker.lost") == 0
            assert gateway.count("call.closed", balanced=True) == gateway.count("call.closed")
            gateway.gateway.process.send_signal(signal.SIGTERM)
            assert await gateway.gateway.exit_code() == 0

    run(story())


def test_what_no_worker_can_serve_is_told_once_and_nothing_is_left(
    run: Run, tmp_path: Path
) -> None:
    async def story() -> None:
        (tmp_path / "recordings").write_text("no directory")
        async with served(tmp_path, EARHOOK__WORKERS__COUNT="2", TMPDIR=str(tmp_path)) as gateway:
            assert await gateway.exit_code() == 1
            (line,) = [line for line in gateway.lines if line["event"] == "gateway.not_started"]
            assert "recordings" in str(line["faults"])
            assert len(line["faults"]) == 1
            assert not children_of(gateway.process.pid)
            assert not left_in(tmp_path)

    run(story())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_for_the_whole_group_are_heard_once(run: Run, tmp_path: Path, number: int) -> None:
    """As a terminal and some supervisors send them."""

    async def story() -> None:
        async with crowd(tmp_path) as gateway:
            live = await gateway.call(plan("live"))
            for pid in [*gateway.workers(), gateway.pid]:
                os.kill(pid, number)
            await gateway.gateway.line("gateway.stage", stage="draining")
            await live.reached(live.position + 1600)
            live.close()
            await live.finished()
            assert await gateway.gateway.exit_code() == 0
            assert gateway.count("worker.lost") == 0

    run(story())
