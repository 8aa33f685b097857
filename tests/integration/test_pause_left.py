"""A consumer pauses a real call and goes: whoever else is there sees that the call stays paused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from earhook.app import Gateway
from earhook.client import CallEvent, CallOpened, Item, Stream, connect
from earhook.sinks.pcm_stream import pauses
from earhook.testing import CallPeer, CallPlan, Source

from .test_signal import CREDENTIAL, configuration, figure


async def next_of(stream: Stream, kind: str) -> Item:
    """The next item of a kind: `opened`, or that of an event."""
    async with asyncio.timeout(10):
        async for item in stream:
            if isinstance(item, CallOpened) and kind == "opened":
                return item
            if isinstance(item, CallEvent) and item.kind == kind:
                return item
    raise EOFError(kind)


def test_everybody_sees_it(
    run: Any, until: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "LEFT_SECONDS", 0.2)
    address = f"unix:{tmp_path}/pcm.sock"

    async def flags(gateway: Gateway, session: str) -> list[str]:
        url = f"http://127.0.0.1:{gateway.admin_port}/api/v1/calls/{session}"
        async with aiohttp.ClientSession() as client, client.get(url) as answer:
            shown: dict[str, Any] = await answer.json()
        return list(shown["flags"])

    async def story() -> None:
        async with Gateway(configuration(tmp_path)) as gateway:
            url = f"ws://127.0.0.1:{gateway.media_port}/audiohook"
            plan = CallPlan(source=Source.silence(), credential=CREDENTIAL)
            peer = await CallPeer.connect(url, plan)
            await peer.opened()
            async with connect(address, events=True) as stays:
                call = (await next_of(stays, "opened")).call
                async with connect(address, events=True) as goes:
                    await goes.pause((await next_of(goes, "opened")).call)
                    await next_of(goes, "paused")
                await next_of(stays, "pause_left")
                assert {"paused", "pause_left"} <= set(await flags(gateway, call.session_id))
                told = {"sink": "pcm-stream", "reason": "pauses_left"}
                assert figure(gateway, "earhook_sink_events_total", **told) == 1
                await stays.resume(call)
                await next_of(stays, "resumed")
                assert "pause_left" not in await flags(gateway, call.session_id)
            peer.close()
            await peer.finished()

    run(story())
