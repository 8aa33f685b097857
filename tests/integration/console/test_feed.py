"""The live list, as a page reads it."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

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
