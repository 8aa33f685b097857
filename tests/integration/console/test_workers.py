"""Several workers, one console."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import aiohttp

from integration.test_serve import plan
from integration.workers.crowd import Crowd, crowd

from .conftest import Shown
from .test_feed import read_until

CALLS = 16
"""So many that the kernel gives both workers some."""


def test_one_console_shows_the_calls_of_all_workers_and_of_none_that_has_died(
    run: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        async with crowd(tmp_path) as gateway:
            base = f"http://127.0.0.1:{gateway.admin_port}"
            async with (
                aiohttp.ClientSession(base) as client,
                client.get("/api/v1/events", params={"type": "opened"}) as stream,
                client.ws_connect("/api/v1/feed") as socket,
            ):
                peers = [await gateway.call(plan(f"{number}")) for number in range(CALLS)]
                sessions = {peer.setup.session_id for peer in peers}
                assert await told_of(stream, CALLS) == sessions
                shown = Shown()
                await read_until(socket, shown, lambda: len(shown.states) == CALLS)
                assert {row["session"] for row in shown.rows.values()} == sessions
                await looks_at_one(client, socket, shown)
                await loses_a_worker(gateway, socket, shown)

    async def told_of(stream: aiohttp.ClientResponse, count: int) -> set[str]:
        async with asyncio.timeout(20):
            lines = [json.loads(await stream.content.readline()) for _ in range(count)]
        return {line["session"] for line in lines}

    async def looks_at_one(client: aiohttp.ClientSession, socket: Any, shown: Shown) -> None:
        assert {row["worker"] for row in shown.rows.values()} == {0, 1}
        number, row = next(iter(shown.rows.items()))
        await socket.send_json({"watch": [*shown.rows], "open": row["session"]})
        await read_until(socket, shown, lambda: shown.envelope and len(shown.meters) == CALLS)
        assert shown.envelope[0][0] == number
        async with client.get(f"/api/v1/calls/{row['session']}") as answer:
            found = await answer.json()
        assert (found["worker"], found["state"]) == (row["worker"], "live")

    async def loses_a_worker(gateway: Crowd, socket: Any, shown: Shown) -> None:
        def is_left() -> bool:
            return bool(shown.rows) and {row["worker"] for row in shown.rows.values()} == {1}

        os.kill(gateway.serving(0), signal.SIGKILL)
        await read_until(socket, shown, is_left)

    run(story())
