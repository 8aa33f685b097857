"""A consumer that comes when the ring has wrapped: it is told what is gone, nobody is alarmed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from earhook.client import Block, CallClosed, CallOpened, Gap, Stream, connect
from earhook.testing import CallPeer, Pace

from .conftest import House, Shown, house
from .test_feed import read_until

SAMPLES = 48_000
RING_SAMPLES = 16_000
GONE = SAMPLES - RING_SAMPLES
POSITION, LOST = 9, 10
"""Milliseconds in a record of states, behind the number."""


def test_who_comes_late_gets_a_gap_of_its_own_reason_and_nothing_is_lost(
    run: Any, until: Any, tmp_path: Path
) -> None:
    address = f"unix:{tmp_path}/pcm.sock"
    sections = {
        "ring": {"seconds": RING_SAMPLES / 8000},
        "signal": {"enabled": False},
        "sinks": [{"kind": "pcm-stream", "listen": address}],
    }

    async def story() -> None:
        async with house(tmp_path, **sections) as home:
            peer = await home.call(pace=Pace(speed=10.0, limit_samples=SAMPLES, at_end="hang"))
            # What has been sent has been taken in only when the hub says so.
            await until(lambda: home.gateway.hub.snapshot().live[0].pipeline.position == SAMPLES)
            async with connect(address, gaps=True, events=True) as late:
                await check_stream(late, peer)
                await check_figures(home, peer)
                peer.close()
                async with asyncio.timeout(10):
                    closed = [item async for item in until_closed(late)][-1]
            missing = {"late": GONE}
            assert {name: one.missing for name, one in closed.totals.channels.items()} == {
                "external": missing,
                "internal": missing,
            }
            assert closed.totals.verified
            assert closed.totals.books == {
                "received": RING_SAMPLES,
                "forwarded": RING_SAMPLES,
                "buffered": 0,
                "dropped": {},
                "late": GONE,
            }

    run(story())


async def until_closed(stream: Stream) -> Any:
    async for item in stream:
        yield item
        if isinstance(item, CallClosed):
            return


async def check_stream(late: Stream, peer: CallPeer) -> None:
    """One gap in each channel, then all that the ring has."""
    gaps, heard = {}, {"external": b"", "internal": b""}
    async with asyncio.timeout(10):
        async for item in late:
            if isinstance(item, CallOpened):
                assert item.position == 0
            elif isinstance(item, Gap):
                assert item.channel not in gaps
                gaps[item.channel] = (item.position, item.samples, item.reason)
            elif isinstance(item, Block):
                heard[item.channel] += item.samples.tobytes()
            if all(len(pcm) == 2 * RING_SAMPLES for pcm in heard.values()):
                break
    assert gaps == dict.fromkeys(heard, (0, GONE, "late"))
    for channel, pcm in enumerate(heard.values()):
        assert pcm == peer.expected_pcm(channel)[2 * GONE :]


async def check_figures(home: House, peer: CallPeer) -> None:
    """The call's books, the metrics and the page know of it, and count nothing as lost."""
    call = await home.json(f"/api/v1/calls/{peer.setup.session_id}")
    books = call["sinks"]["pcm-stream"]
    assert (books["received"], books["forwarded"]) == (RING_SAMPLES, RING_SAMPLES)
    assert (books["dropped"], books["late"]) == ({}, GONE)
    async with home.session.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    dropped = [line for line in lines if line.startswith("earhook_sink_dropped_samples_total{")]
    assert dropped
    assert all(line.endswith(" 0.0") for line in dropped)
    assert f'earhook_sink_late_samples_total{{sink="pcm-stream"}} {GONE}.0' in lines
    shown = Shown()
    async with home.session.ws_connect("/api/v1/feed") as socket:
        whole = SAMPLES * 1000 // 8000
        await read_until(
            socket, shown, lambda: any(it[POSITION] == whole for it in shown.states.values())
        )
        await read_until(socket, shown, lambda: shown.totals)
    assert [state[LOST] for state in shown.states.values()] == [0]
    assert shown.totals["dropping"] == []
    assert [(sink["dropped"], sink["dropping"]) for sink in shown.totals["sinks"]] == [(0, 0)]
