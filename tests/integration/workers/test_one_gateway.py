"""Two workers are one gateway: one admin port, one set of limits, one reload."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from earhook.testing.peer import CallPeer, CallPlan
from earhook.testing.peer_setup import PeerCredential
from earhook.testing.sources import Source
from earhook.transport.dial import DialError
from integration.test_serve import Served, get, plan, served

TWO = "[workers]\ncount = 2\n"
SIX = {"EARHOOK__MEDIA__MAX_CALLS": "6"}
OTHER_KEY = '[[keys]]\nname = "other"\napi_key = "other-key-77"\nunsigned = true\nmax_calls = 3\n'


class Pair:
    """A gateway of two workers, as its operator sees it."""

    def __init__(self, gateway: Served, started: dict[str, Any], directory: Path) -> None:
        self.gateway = gateway
        self.admin_port = started["admin_port"]
        self.url = f"ws://127.0.0.1:{started['media_port']}/audiohook"
        self.file = directory / "earhook.toml"
        self.calls: list[CallPeer] = []

    async def dial(self, plan: CallPlan) -> bool:
        """Open a call; False where it was refused for lack of room."""
        try:
            peer = await CallPeer.connect(self.url, plan)
        except DialError as error:
            assert "503" in str(error)  # noqa: PT017 - most of them are to be refused
            return False
        self.calls.append(peer)
        await peer.opened()
        return True

    async def dial_until_full(self, plan_of: Any = plan, most: int = 40) -> int:
        """How many more calls come in, when far more are tried."""
        asked = (self.dial(plan_of(f"{number}")) for number in range(most))
        return sum(await asyncio.gather(*asked))

    async def json(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((await get(self.admin_port, path))[1])
        return found

    async def figures(self) -> dict[str, float]:
        _, text = await get(self.admin_port, "/metrics")
        samples = re.findall(r"^(earhook\S+) (\S+)$", text, re.MULTILINE)
        return {name: float(value) for name, value in samples}

    def pid_of(self, slot: int) -> int:
        """The process that serves at a slot."""
        lines = [line for line in self.gateway.lines if line["event"] == "worker.serving"]
        return int([line["pid"] for line in lines if line["worker"] == slot][-1])

    def reload(self, before: str, after: str) -> None:
        self.file.write_text(self.file.read_text().replace(before, after))
        self.gateway.process.send_signal(signal.SIGHUP)


@asynccontextmanager
async def pair(directory: Path, extra: str = TWO, **environment: str) -> AsyncIterator[Pair]:
    async with served(directory, extra, **environment) as gateway:
        both = Pair(gateway, await gateway.line("gateway.started"), directory)
        try:
            yield both
        finally:
            for peer in both.calls:
                peer.abort()


def other_plan(seed: str) -> CallPlan:
    return CallPlan(source=Source.random(seed), credential=PeerCredential("other-key-77", None))


def counters(figures: dict[str, float]) -> dict[str, float]:
    """Those that may only grow."""
    ends = ("_total", "_count", "_sum", "_bucket")
    return {name: value for name, value in figures.items() if name.split("{")[0].endswith(ends)}


def test_limits_and_figures_are_those_of_both(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with pair(tmp_path, TWO + OTHER_KEY, **SIX) as both:
            assert await both.dial_until_full(other_plan) == 3
            assert await both.dial_until_full() == 3
            found = await both.json("/api/v1/calls?limit=5")
            assert found["total"] == 6
            assert len(found["calls"]) == 5
            opened = [call["opened"] for call in found["calls"]]
            assert opened == sorted(opened)
            figures = await both.figures()
            assert figures["earhook_calls"] == 6
            assert figures['earhook_calls_counted{door="media"}'] == 6
            assert figures['earhook_calls_limit{door="media"}'] == 6
            assert figures['earhook_workers{state="serving"}'] == 2
            of_slot = [figures[f'earhook_worker_calls{{slot="{slot}"}}'] for slot in (0, 1)]
            assert sum(of_slot) == 6
            status, text = await get(both.admin_port, "/readyz?verbose")
            assert (status, "[-] max-calls: 6 of 6" in text) == (503, True)
            (sink,) = [
                sink
                for sink in (await both.json("/api/v1/sinks"))["sinks"]
                if sink["name"] == "recording"
            ]
            assert sink["calls"] == 6
            # Places are free again soon after calls have ended, whichever worker had them.
            for peer in both.calls[:2]:
                peer.abort()
            async with asyncio.timeout(10):
                while not await both.dial(plan("again")):
                    pass

    run(story())


def test_nothing_counted_is_lost_with_a_worker(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with pair(tmp_path, **SIX) as both:
            assert await both.dial_until_full() == 6
            for peer in both.calls:
                await peer.reached(4000)
            before = await both.figures()
            had = int(before['earhook_worker_calls{slot="1"}'])
            os.kill(both.pid_of(1), signal.SIGKILL)
            lost = await both.gateway.line("worker.lost")
            assert (lost["slot"], lost["calls_lost"]) == (1, had)
            after = await both.figures()
            for name, value in counters(before).items():
                assert after[name] >= value, name
            assert after["earhook_worker_lost_calls_total"] == had
            assert after['earhook_worker_restarts_total{reason="lost"}'] == 1
            await both.gateway.line("worker.serving", worker=1, generation=3)
            # What the dead one had is free again.
            assert await both.dial_until_full() == had
            assert (await both.figures())["earhook_calls_opened_total"] == 6 + had

    run(story())


def test_a_stopped_worker_is_named_and_the_gateway_stays_ready(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with pair(tmp_path) as both:
            os.kill(both.pid_of(0), signal.SIGSTOP)
            status, text = await get(both.admin_port, "/readyz?verbose")
            assert status == 200
            assert "[+] workers: 1 of 2 ready; worker 0: no answer" in text
            calls, figures = await asyncio.gather(both.json("/api/v1/calls"), both.figures())
            assert calls["unheard_workers"] == [0]
            assert figures["earhook_workers_unheard"] == 1
            assert await get(both.admin_port, "/livez") == (200, "live\n")
            os.kill(both.pid_of(0), signal.SIGCONT)
            assert "unheard_workers" not in await both.json("/api/v1/calls")

    run(story())


def test_a_reload_is_one_for_both_and_for_those_that_come(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with pair(tmp_path) as both:
            assert await both.dial(plan("live"))
            both.reload("[media]\n", "[media]\nmax_calls = 'many'\npath = '/other'\n")
            refused = await both.gateway.line("reload.refused")
            assert "max_calls" in refused["faults"][0]
            both.file.write_text(both.file.read_text() + OTHER_KEY)
            both.reload("'many'", "4")
            done = await both.gateway.line("reload.done")
            assert (done["workers"], done["keys"]) == (2, 2)
            waits = await both.gateway.line("reload.needs_restart")
            assert waits["settings"] == ["media.path"]
            assert await both.dial_until_full() == 3
            figures = await both.figures()
            assert figures['earhook_reloads_total{reason="good"}'] == 1
            assert figures['earhook_reloads_total{reason="bad"}'] == 1
            assert figures["earhook_reload_good"] == 1
            # One that comes later serves what the others do: the new key at the old path.
            os.kill(both.pid_of(0), signal.SIGKILL)
            os.kill(both.pid_of(1), signal.SIGKILL)
            for generation in (3, 4):
                await both.gateway.line("worker.serving", generation=generation)
            assert await both.dial_until_full(other_plan) == 3
            assert await both.dial_until_full() == 1

    run(story())


def test_a_rolling_restart_forgets_nothing_that_was_counted(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with pair(tmp_path, **SIX) as both:
            assert await both.dial_until_full() == 6
            before = await both.figures()
            both.gateway.process.send_signal(signal.SIGUSR2)
            await both.gateway.line("rolling.done", 30.0)
            after = await both.figures()
            for name, value in counters(before).items():
                assert after[name] >= value, name
            assert after["earhook_calls"] == 6
            # Those that drain count as well: no new call comes in.
            assert await both.dial_until_full(most=8) == 0
            assert after['earhook_worker_restarts_total{reason="rolling"}'] == 2
            for peer in both.calls:
                peer.close()
            for peer in both.calls:
                await peer.finished()
            assert await both.dial_until_full(most=12) == 6
            figures = await both.figures()
            assert figures["earhook_calls_opened_total"] == 12
            assert figures['earhook_calls_closed_total{reason="completed"}'] == 6

    run(story())
