"""The signals, to a process of its own, while calls of both doors are live."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from earhook.testing.http_sender import HttpSender
from earhook.testing.peer import CallPeer, CallPlan
from earhook.testing.peer_setup import PeerCredential
from earhook.testing.sources import Source

from .house import API_KEY, BLOCK, PATH, SECRET, TOKEN, House

NEW_TOKEN = "another-token-0123456789"


class Served:
    """`earhook serve`, and what it logs."""

    def __init__(self, house: House, process: asyncio.subprocess.Process) -> None:
        self.house, self.process = house, process
        self.started: dict[str, Any] = {}

    async def line(self, event: str) -> dict[str, Any]:
        """The next line of an event; those before it are gone."""
        assert self.process.stderr is not None
        async with asyncio.timeout(15.0):
            async for text in self.process.stderr:
                line: dict[str, Any] = json.loads(text)
                if line["event"] == event:
                    return line
        raise AssertionError(f"it ended without {event}")

    async def exit_code(self, seconds: float) -> int:
        assert self.process.stderr is not None
        async with asyncio.timeout(seconds):
            await self.process.stderr.read()
            return await self.process.wait()

    def sender(self, token: str = TOKEN) -> HttpSender:
        url = f"https://127.0.0.1:{self.started['ingest_port']}{PATH}"
        return HttpSender(url=url, token=token, tls=self.house.trust)

    async def dial(self) -> CallPeer:
        url = f"wss://127.0.0.1:{self.started['media_port']}/audiohook"
        plan = CallPlan(source=Source.random("a"), credential=PeerCredential(API_KEY, SECRET))
        return await CallPeer.connect(url, plan, self.house.trust)


@asynccontextmanager
async def served(house: House) -> AsyncIterator[Served]:
    house.write()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "earhook", "serve", "--config", str(house.file)),
        stderr=asyncio.subprocess.PIPE,
        cwd=house.directory,
    )
    found = Served(house, process)
    try:
        found.started = await found.line("gateway.started")
        yield found
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_sighup_rotates_and_sigterm_waits_for_a_post_that_is_under_way(
    run: Any, house: House
) -> None:
    async def story() -> None:
        async with (
            served(house) as gateway,
            gateway.sender() as sender,
            gateway.sender(NEW_TOKEN) as fresh,
            sender.streaming() as stream,
        ):
            await stream.send(BLOCK)
            peer = await gateway.dial()
            await peer.opened()
            house.change("ingest", tokens=[{"name": "sender", "token": NEW_TOKEN}])
            house.write()
            gateway.process.send_signal(signal.SIGHUP)
            done = await gateway.line("reload.done")
            assert (done["keys"], done["tokens"]) == (1, 1)
            assert (await fresh.block(BLOCK)).status == 200
            house.change("ingest", tokens=[{"name": "sender", "token": "x"}])
            house.write()
            gateway.process.send_signal(signal.SIGHUP)
            (fault,) = (await gateway.line("reload.refused"))["faults"]
            assert "ingest.tokens" in fault
            assert "16 characters" in fault
            gateway.process.send_signal(signal.SIGTERM)
            assert (await gateway.line("gateway.stage"))["stage"] == "draining"
            for sequence in (1, 2):
                await stream.send(BLOCK)
                last = await fresh.block(BLOCK, end=sequence == 2)
                assert last.status == 200
            peer.close()
            await peer.finished()
            assert (await stream.finish()).json()["total_samples"] == 3 * len(BLOCK)
            assert await gateway.exit_code(5.0) == 0
        for session in (sender.session_id, fresh.session_id):
            assert len(house.recorded(session)[0]) == 2 * 3 * len(BLOCK)

    run(story())


def test_a_second_sigterm_ends_it_within_two_seconds(run: Any, house: House) -> None:
    async def story() -> None:
        async with (
            served(house) as gateway,
            gateway.sender() as sender,
            gateway.sender() as silent,
            sender.streaming() as stream,
        ):
            await stream.send(BLOCK)
            async with silent.streaming():  # its body never comes
                peer = await gateway.dial()
                await peer.reached(1600)
                gateway.process.send_signal(signal.SIGTERM)
                assert (await gateway.line("gateway.stage"))["stage"] == "draining"
                began = time.monotonic()
                gateway.process.send_signal(signal.SIGTERM)
                assert await gateway.exit_code(5.0) == 0
                assert time.monotonic() - began < 2.0
        assert len(house.recorded(sender.session_id)[0]) == 2 * len(BLOCK)
        assert house.sidecar(sender.session_id)["state"] == "complete"

    run(story())
