"""The live list, as a page reads it."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from earhook.console import events
from earhook.sinks.base import CallEvent
from earhook.testing import Pace

from .conftest import Shown, house


async def read_until(socket: Any, shown: Shown, seen: Any) -> None:
    async with asyncio.timeout(10):
        while not seen():
            shown.take(await socket.receive())


def test_a_page_is_shown_a_call_from_its_beginning_to_its_end(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            peer = await home.call()
            session = peer.setup.session_id
            async with home.session.ws_connect("/api/v1/feed") as socket:
                shown = Shown()
                await read_until(socket, shown, lambda: shown.states)
                ((number, row),) = shown.rows.items()
                assert row["session"] == session
                await socket.send_json({"watch": [number], "open": session})
                await read_until(socket, shown, lambda: len(shown.envelope) >= 10)
                assert all(level > 0 for level in shown.meters[number])
                assert shown.totals["live"] == 1
                assert shown.totals["dropping"] == []
                spans = [(record[2], record[2] + record[1]) for record in shown.envelope]
                assert spans[0][0] == 0
                assert all(one[1] == two[0] for one, two in pairwise(spans))
                peer.close()
                await read_until(socket, shown, lambda: shown.states[number][0] & 4)
            found = await home.json(f"/api/v1/calls/{session}")
            assert found["state"] == "ended"
            assert found["outcome"]["samples_in"] == peer.record.samples_sent

    run(story())


@pytest.mark.parametrize("is_measured", [True, False])
def test_a_call_that_is_looked_at_late_is_shown_from_its_beginning_if_it_is_measured(
    run: Any, until: Any, tmp_path: Path, *, is_measured: bool
) -> None:
    sections = {"ring": {"seconds": 2.0}, "signal": {"enabled": is_measured}}

    async def story() -> None:
        async with house(tmp_path, **sections) as home:
            peer = await home.call(pace=Pace(speed=10.0, limit_samples=80_000, at_end="hang"))
            await until(lambda: peer.record.samples_sent == 80_000)
            async with home.session.ws_connect("/api/v1/feed") as socket:
                shown = Shown()
                await socket.send_json({"open": peer.setup.session_id})

                def ends() -> list[int]:
                    return [record[2] + record[1] for record in shown.envelope]

                await read_until(socket, shown, lambda: 80_000 in ends())
            assert shown.envelope[0][2] == 0
            assert all(
                record[2] == end for record, end in zip(shown.envelope[1:], ends(), strict=False)
            )
            # Of the first second, whatever a busy machine lost later.
            assert {record[7] for record in shown.envelope[:10]} == {int(not is_measured)}
            call = await home.json(f"/api/v1/calls/{peer.setup.session_id}")
            first = call["envelope"]["external"]["rms"][0]
            assert (first is None) != is_measured
            peer.close()
            await peer.finished()

    run(story())


def test_the_envelope_of_an_ended_call_is_there_for_who_comes_late(
    run: Any, until: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            peer = await home.call(pace=Pace(speed=10.0, limit_samples=17_000))
            await peer.finished()
            await until(lambda: not home.gateway.hub.snapshot().live)
            call = await home.json(f"/api/v1/calls/{peer.setup.session_id}")
            envelope = call["envelope"]
            assert (envelope["step"], envelope["position"], envelope["end"]) == (800, 0, 17_000)
            for word in ("external", "internal"):
                assert len(envelope[word]["peak"]) == 22
                assert all(level > 200 for level in envelope[word]["peak"])

    run(story())


def test_whoever_is_connected_is_told_that_the_gateway_stops_and_does_not_hold_it_up(
    run: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        async with house(tmp_path) as home:
            socket = await home.session.ws_connect("/api/v1/feed")
            silent = await home.session.ws_connect("/api/v1/feed")
            stream = await home.session.get("/api/v1/events")
            await socket.receive()
            began = loop.time()
            stopping = asyncio.create_task(home.gateway.stop())
            async with asyncio.timeout(5):
                while not socket.closed:
                    await socket.receive()
                assert socket.close_code == 1001
                assert await stream.content.read() == b""
            await stopping
            assert loop.time() - began < 2.0
            await silent.close()

    run(story())


def test_a_reader_that_does_not_read_is_cut_and_holds_up_nobody(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "STUCK_SECONDS", 0.3)

    async def story() -> None:
        async with house(tmp_path) as home:
            await home.call()
            (call,) = home.gateway.hub.snapshot().live
            lazy = await home.session.get("/api/v1/events")
            assert lazy.connection is not None
            transport = lazy.connection.transport
            assert transport is not None
            transport.pause_reading()  # type: ignore[attr-defined]
            async with home.session.ws_connect("/api/v1/feed") as socket, asyncio.timeout(20):
                streams = home.gateway.admin._pages._streams  # type: ignore[union-attr]
                shown = Shown()
                assert len(streams) == 1
                while len(streams):
                    for number in range(64):
                        text = {"text": "x" * 60_000}
                        home.gateway.hub.publish(call, CallEvent("note", number, text))
                    shown.take(await socket.receive())
            lazy.close()

    run(story())
