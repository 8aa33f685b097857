"""Two workers measure their calls, and consumers divide them: all of it is that of one gateway."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import zlib
from pathlib import Path
from typing import Any

import pytest

from earhook.client import Block, CallClosed, CallEvent, CallOpened, Item, Stream, connect
from earhook.testing import CallPeer, CallPlan, Pace, Source
from earhook.testing.peer_setup import PeerCredential
from integration.test_serve import API_KEY, SECRET, get
from integration.test_signal import RATE, source

from .crowd import Crowd, crowd

EXTRA = "[signal]\ndead_air_seconds = 1.0\n"
FAST = Pace(speed=10.0)
CREDENTIAL = PeerCredential(API_KEY, SECRET)
SPOKEN = CallPlan(source=source(), credential=CREDENTIAL, pace=FAST)
SILENT = CallPlan(source=Source.silence(), credential=CREDENTIAL, pace=FAST)


class Listener:
    """A consumer that keeps what it is told, by session."""

    def __init__(self, stream: Stream) -> None:
        self.items: dict[str, list[Item]] = {}
        self._task = asyncio.create_task(self._listen(stream))

    def closed(self) -> set[str]:
        return {one for one, items in self.items.items() if isinstance(items[-1], CallClosed)}

    def audio(self, session: str) -> list[tuple[int, int]]:
        """Where the external channel's blocks lie."""
        blocks = (item for item in self.items[session] if isinstance(item, Block))
        return [
            (block.position, block.position + len(block.samples))
            for block in blocks
            if block.channel == "external"
        ]

    def end(self) -> None:
        self._task.cancel()

    async def _listen(self, stream: Stream) -> None:
        async for item in stream:
            self.items.setdefault(item.call.session_id, []).append(item)


async def figures(gateway: Crowd) -> dict[str, float]:
    _, text = await get(gateway.admin_port, "/metrics")
    samples = re.findall(r"^(earhook_si\S+) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in samples}


async def ask(gateway: Crowd, path: str) -> dict[str, Any]:
    status, text = await get(gateway.admin_port, path)
    assert status == 200, text
    found: dict[str, Any] = json.loads(text)
    return found


async def open_on_both(gateway: Crowd, plan: CallPlan, least: int = 4) -> list[CallPeer]:
    """Live calls, until either worker has some."""
    peers: list[CallPeer] = []
    while True:
        peers += [await gateway.call(plan) for _ in range(least)]
        calls = (await ask(gateway, "/api/v1/calls?limit=100"))["calls"]
        if {call["worker"] for call in calls} == {0, 1}:
            return peers
        assert len(peers) < 40, "the kernel gives one worker all of them"


def test_facts_figures_and_calls_are_those_of_both(run: Any, until: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            crowd(tmp_path, EXTRA) as gateway,
            connect(f"unix:{tmp_path}/pcm.sock", events=True) as stream,
        ):
            listener = Listener(stream)
            silent = await open_on_both(gateway, SILENT)
            spoken = await asyncio.gather(*(gateway.call(SPOKEN) for _ in range(8)))
            await asyncio.gather(*(peer.finished() for peer in spoken))
            await until(lambda: len(listener.closed()) == len(spoken), 30)
            for session in listener.closed():
                check_facts(listener.items[session])
            await check_figures(gateway, len(silent), len(spoken))
            rows = (await ask(gateway, "/api/v1/calls?limit=100"))["calls"]
            assert {row["session"] for row in rows} == {
                one for one in listener.items if one not in listener.closed()
            }
            for row in rows:
                one = await ask(gateway, f"/api/v1/calls/{row['session']}")
                assert one["session"] == row["session"]
                assert one["signal"]["now"]["dead_air"] is True
                assert one["signal"]["so_far"]["seconds"] >= 1.0
                assert row["signal"]["now"]["dead_air"] is True
            for session in listener.closed():
                one = await ask(gateway, f"/api/v1/calls/{session}")
                assert one["state"] == "ended"
                assert one["summary"]["seconds"] == 3.0
                told = [event["type"] for event in one["events"]]
                assert {"dead_air", "dead_air_ended", "clipping", "signal"} <= set(told)
            for peer in silent:
                peer.abort()
            listener.end()

    run(story())


def check_facts(items: list[Item]) -> None:
    """Of one call: each once, where it was, and the figures last."""
    assert isinstance(items[0], CallOpened)
    events = [item for item in items if isinstance(item, CallEvent)]
    kinds = [event.kind for event in events]
    assert kinds.count("dead_air") == kinds.count("dead_air_ended") == 1
    assert kinds.count("clipping") == 2  # a channel each
    assert kinds[-1] == "signal"
    told = {event.kind: event for event in events}
    assert told["dead_air"].details == {"start": 0}
    assert told["dead_air"].position == RATE
    assert told["dead_air_ended"].details["end"] == pytest.approx(2 * RATE, abs=0.1 * RATE)
    assert told["signal"].position == 3 * RATE
    assert told["signal"].details["seconds"] == 3.0
    assert all(event.by == "gateway" for event in events)


async def check_figures(gateway: Crowd, live: int, ended: int) -> None:
    async with asyncio.timeout(30):
        while (found := await figures(gateway))['earhook_signal_calls{kind="dead_air"}'] != live:
            pass
    assert found['earhook_signal_seconds_total{kind="measured"}'] == 3.0 * ended
    dead_air = found['earhook_signal_seconds_total{kind="dead_air"}']
    assert dead_air == pytest.approx(2.0 * ended, abs=0.1 * ended)
    told = {
        reason: found[f'earhook_sink_events_total{{reason="{reason}",sink="signal"}}']
        for reason in ("dead_air", "dead_air_ended", "clipping")
    }
    assert told == {"dead_air": live + ended, "dead_air_ended": ended, "clipping": 2 * ended}


def test_consumers_that_share_have_every_call_once_whichever_worker_has_it(
    run: Any, until: Any, tmp_path: Path
) -> None:
    """And when one has gone, its calls wait for the next with its number, and go on there."""
    address = f"unix:{tmp_path}/pcm.sock"

    def owner(session: str) -> int:
        return zlib.crc32(session.lower().encode()) % 2

    async def story() -> None:
        async with crowd(tmp_path, "[ring]\nseconds = 30\n") as gateway:
            plan = CallPlan(source=Source.random("shared"), credential=CREDENTIAL)
            async with connect(address, share=(0, 2), gaps=True) as stays:
                first = Listener(stays)
                async with connect(address, share=(1, 2), gaps=True) as leaves:
                    second = Listener(leaves)
                    peers = await open_on_both(gateway, plan, least=8)
                    count = len(peers)
                    await until(lambda: len(first.items) + len(second.items) == count, 30)
                    assert first.items
                    assert second.items
                    assert all(owner(session) == 0 for session in first.items)
                    assert all(owner(session) == 1 for session in second.items)
                    second.end()
                late = [await gateway.call(plan) for _ in range(8)]
                rows = (await ask(gateway, "/api/v1/calls?limit=100"))["calls"]
                sessions = {row["session"] for row in rows}
                assert len(sessions) == count + len(late)
                mine = {session for session in sessions if owner(session) == 0}
                await until(lambda: set(first.items) == mine, 30)
                async with connect(address, share=(1, 2), gaps=True) as comes:
                    third = Listener(comes)
                    await until(lambda: set(third.items) == sessions - mine, 30)
                    await until(lambda: all(third.audio(one) for one in third.items), 30)
                    assert set(second.items) < set(third.items)
                    # From the first sample, as long as the rings have it.
                    assert all(third.audio(one)[0][0] == 0 for one in third.items)
                    assert set(first.items) == mine
                    # So it is with a worker that came after the consumers.
                    os.kill(gateway.serving(0), signal.SIGKILL)
                    await gateway.line("worker.serving", worker=0, generation=3)
                    before = first.items.keys() | third.items.keys()
                    late += await open_on_both(gateway, plan, least=8)
                    rows = (await ask(gateway, "/api/v1/calls?limit=100"))["calls"]
                    new = {row["session"] for row in rows} - before
                    mine |= {session for session in new if owner(session) == 0}
                    await until(lambda: new <= first.items.keys() | third.items.keys(), 30)
                    assert set(first.items) == mine
                    assert not mine & third.items.keys()
                    for listener in (first, third):
                        listener.end()
            for peer in peers + late:
                peer.abort()

    run(story())
