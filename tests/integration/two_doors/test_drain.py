"""Stopping while calls of both doors are live: nobody new, nobody cut, and soon if asked twice."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from earhook.control.lifecycle import Input, Stage
from earhook.ingest.server import IngestServer
from earhook.testing.peer_setup import Pace
from earhook.transport.dial import DialError

from .house import BLOCK, House


def test_draining_takes_no_new_call_and_lets_those_of_both_doors_end(
    run: Any, house: House, until: Any
) -> None:
    async def story() -> None:
        async with (
            house.open() as gateway,
            house.sender() as blocks,
            house.sender() as long,
            house.sender() as idle,
            house.sender() as late,
            long.streaming() as stream,
        ):
            peer = await house.dial("running", pace=Pace(limit_samples=4000))
            await stream.send(BLOCK)
            assert (await blocks.block(BLOCK)).status == 200
            assert (await idle.check()).status == 200
            await until(lambda: gateway.hub.live_calls == 3)
            connection = blocks.connection
            gateway.receive(Input.STOP)
            await until(lambda: gateway.stage is Stage.DRAINING)
            assert await house.admin("/readyz") == (503, "not ready: stage\n")
            with pytest.raises(asyncio.IncompleteReadError):
                await idle.connection.answer()
            await late.connect()
            refused = await late.block(BLOCK)
            assert (refused.status, refused.headers["retry-after"]) == (429, "1")
            assert refused.headers["connection"] == "close"
            with pytest.raises(DialError, match="503"):
                await house.dial("late")
            await late.connect()
            assert (await late.check()).status == 200
            # The live ones notice nothing; above all, they keep their connections.
            for _ in range(3):
                await stream.send(BLOCK)
                reply = await blocks.block(BLOCK)
                assert (reply.status, reply.headers.get("connection")) == (200, None)
            assert blocks.connection is connection
            assert (await stream.finish()).json()["total_samples"] == 4 * len(BLOCK)
            await peer.finished()
            assert peer.record.outcome == "completed"
            assert gateway.stage is Stage.DRAINING
            last = await blocks.block(BLOCK, end=True)
            assert (last.status, last.headers["connection"]) == (200, "close")
            assert last.json()["total_samples"] == 5 * len(BLOCK)
            async with asyncio.timeout(2.0):
                await gateway.run()
            assert gateway.stage is Stage.STOPPED
        house.check_books()
        for sender in (blocks, long):
            assert house.sidecar(sender.session_id)["reason"] == "completed"
        assert len(house.recorded(blocks.session_id)[0]) == 2 * 5 * len(BLOCK)

    run(story())


def test_after_the_grace_senders_are_told_that_their_calls_are_over(
    run: Any, house: House, until: Any
) -> None:
    house.change("drain", grace_seconds=0.3, disconnect_seconds=0.2)

    async def story() -> None:
        async with (
            house.open() as gateway,
            house.sender() as blocks,
            house.sender() as long,
            long.streaming() as stream,
        ):
            peer = await house.dial("running")
            await stream.send(BLOCK)
            assert (await blocks.block(BLOCK)).status == 200
            await until(lambda: gateway.hub.live_calls == 3)
            gateway.receive(Input.STOP)
            answer = await long.connection.answer()
            assert (answer.status, answer.json()["error"]) == (410, "ended")
            await peer.finished()
            async with asyncio.timeout(3.0):
                await gateway.run()
        house.check_books()
        for sender in (blocks, long):
            assert house.sidecar(sender.session_id)["reason"] == "disconnected"
            assert len(house.recorded(sender.session_id)[0]) == 2 * len(BLOCK)

    run(story())


def test_asked_twice_it_cuts_calls_of_both_doors_and_keeps_their_audio(
    run: Any, house: House, until: Any
) -> None:
    async def story() -> None:
        async with (
            house.open() as gateway,
            house.sender() as blocks,
            house.sender() as long,
            house.sender() as half,
            long.streaming() as stream,
        ):
            peer = await house.dial("running")
            await stream.send(BLOCK)
            assert (await blocks.block(BLOCK)).status == 200
            # A block whose end never comes.
            await half.connection.begin("/stream/v1/audiohook", half.headers)
            await until(lambda: gateway.hub.live_calls == 3)
            gateway.receive(Input.STOP)
            began = time.monotonic()
            gateway.receive(Input.STOP)
            await gateway.run()
            assert time.monotonic() - began < 1.9
            await peer.finished()
        house.check_books()
        for sender in (blocks, long):
            assert len(house.recorded(sender.session_id)[0]) == 2 * len(BLOCK)

    run(story())


def test_a_door_that_fails_to_close_costs_no_audio(
    run: Any, house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_server: IngestServer, _seconds: float) -> None:
        raise RuntimeError("a defect")

    async def story() -> None:
        async with house.open() as gateway, house.sender() as sender:
            assert (await sender.block(BLOCK)).status == 200
            with monkeypatch.context() as broken:
                broken.setattr(IngestServer, "stop", fail)
                gateway.receive(Input.STOP)
                gateway.receive(Input.STOP)
                await gateway.run()
            assert gateway.ways_in.https is not None
            await gateway.ways_in.https.server.stop(0.0)
        house.check_books()
        assert len(house.recorded(sender.session_id)[0]) == 2 * len(BLOCK)
        assert house.sidecar(sender.session_id)["state"] == "complete"
        assert "door.stop_failed" in caplog.text

    run(story())
