"""Playing the fake platform over HTTP, as whoever tries things by hand does."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from earhook.genesys import (
    AccountSettings,
    GenesysCloud,
    MonitorWish,
    NetworkSettings,
    custom_region,
)
from earhook.ops.redaction import Redacted
from earhook.testing.genesys import FakeGenesys, LifeCycle, Refusal
from earhook.testing.genesys.conversations import MOST_BOUND, MOST_ENDED, MOST_LIVE
from integration.genesys.world import SECRET, configuration


class Hand:
    """Somebody with `curl`."""

    def __init__(self, url: str, client: aiohttp.ClientSession) -> None:
        self._url = url
        self._client = client

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Status and JSON of an answer."""
        request = self._client.request(
            method, f"{self._url}/fake/{path}", json=body, headers=headers
        )
        async with request as answer:
            return answer.status, await answer.json()

    async def state_after(self, path: str) -> str:
        status, shown = await self.ask("POST", path)
        return str(shown["state"]) if status == 200 else str(status)


@asynccontextmanager
async def hand_of(url: str) -> AsyncIterator[Hand]:
    async with aiohttp.ClientSession() as client:
        yield Hand(url, client)


def test_a_conversation_is_moved_through_its_life(run: Any) -> None:
    async def story() -> None:
        async with FakeGenesys().served() as fake, hand_of(fake.url) as hand:
            _, queue = await hand.ask("POST", "queues", {"name": "support"})
            assert (await hand.ask("GET", "queues"))[1]["entities"] == [queue]
            _, begun = await hand.ask("POST", "conversations", {"queueId": queue["id"]})
            assert (begun["state"], begun["streams"]) == ("alerting", [])
            one = f"conversations/{begun['id']}"
            moves = ["hold", "connect", "connect", "hold", "hold", "retrieve", "pause"]
            states = [await hand.state_after(f"{one}/{move}") for move in moves]
            assert states == ["409", "connected", "409", "held", "409", "connected", "connected"]
            _, shown = await hand.ask("GET", one)
            assert shown["recordingState"] == "PAUSED"
            moves = ["resume", "disconnect", "disconnect", "pause", "connect"]
            states = [await hand.state_after(f"{one}/{move}") for move in moves]
            assert states == ["connected", "disconnected", "disconnected", "409", "409"]
            _, listed = await hand.ask("GET", "conversations")
            assert [entry["id"] for entry in listed["entities"]] == [begun["id"]]

    run(story())


def test_what_makes_no_sense_is_refused(run: Any) -> None:
    async def story() -> None:
        async with FakeGenesys().served() as fake, hand_of(fake.url) as hand:
            assert (await hand.ask("POST", "conversations", {"queueId": "nobody's"}))[0] == 404
            assert (await hand.ask("POST", "conversations", {"state": "held"}))[0] == 400
            assert (await hand.ask("POST", "conversations/unknown/connect"))[0] == 404
            assert (await hand.ask("POST", "conversations", ["a list"]))[0] == 400
            page = {"Origin": "https://page.example"}
            assert (await hand.ask("POST", "conversations", **page))[0] == 403
            assert fake.organization.conversations == {}

    run(story())


def test_conversations_are_bounded_live_and_ended(run: Any) -> None:
    async def story() -> None:
        async with FakeGenesys().served() as fake:
            play = fake.conversations
            live = [play.begin() for _ in range(MOST_LIVE)]
            with pytest.raises(Refusal, match="live already"):
                play.begin()
            for _ in range(MOST_ENDED + 30):
                play.disconnect(live.pop())
                live.append(play.begin())
            known = fake.organization.conversations.values()
            assert len(known) <= MOST_LIVE + MOST_ENDED
            assert sum(one.state is LifeCycle.ALERTING for one in known) == MOST_LIVE

    run(story())


def test_one_conversation_takes_so_many_audiohooks(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            hook = {"id": "h", "name": "mine", "status": "DISABLED", "format": "PCMU"}
            scene.fake.organization.audiohooks["h"] = hook
            conversation = scene.fake.begin_conversation(LifeCycle.CONNECTED)
            for _ in range(MOST_BOUND):
                await scene.cloud.audiohooks.bind(conversation.id, "h")
            with pytest.raises(Exception, match="Too many"):
                await scene.cloud.audiohooks.bind(conversation.id, "h")

    run(story())


def greeting(served: subprocess.Popen[str]) -> dict[str, str]:
    """What a served fake says first, by name."""
    assert served.stdout is not None
    lines = [served.stdout.readline().strip() for _ in range(4)]
    return dict(line.removeprefix("export ").split("=", 1) for line in lines)


def test_ctrl_c_ends_what_is_streamed_politely(
    run: Any, until: Any, certificate_authority: trustme.CA, tmp_path: Path
) -> None:
    from earhook.app import Gateway

    certificate_authority.cert_pem.write_to_path(tmp_path / "ca")
    words = [sys.executable, "-m", "earhook", "genesys", "fake", "--cafile", str(tmp_path / "ca")]

    async def story() -> None:
        async with Gateway(configuration(tmp_path, certificate_authority)) as gateway:
            told = await asyncio.to_thread(greeting, served)
            url, queue_id = told["EARHOOK_GENESYS_URL"], told["QUEUE"].partition(" ")[0]
            await enable(url, told, f"wss://localhost:{gateway.media_port}/audiohook", queue_id)
            async with hand_of(url) as hand:
                wish = {"queueId": queue_id, "state": "connected"}
                _, begun = await hand.ask("POST", "conversations", wish)
                await until(lambda: gateway.hub.snapshot().live)
                (live,) = gateway.hub.snapshot().live
                assert live.facts.conversation_id == begun["id"]
                await until(lambda: live.pipeline.position > 0)
            served.send_signal(signal.SIGINT)
            await until(lambda: live.outcome is not None)
            assert live.outcome is not None
            assert live.outcome.reason == "completed"
            assert await asyncio.to_thread(served.wait, 10) == 0

    async def enable(url: str, told: dict[str, str], uri: str, queue_id: str) -> None:
        account = AccountSettings(
            client_id=told["EARHOOK_GENESYS_CLIENT_ID"],
            client_secret=told["EARHOOK_GENESYS_CLIENT_SECRET"],
        )
        network = NetworkSettings(use_environment_proxies=False)
        async with GenesysCloud(custom_region(url, url), account, network=network) as cloud:
            wish = MonitorWish("mine", uri, Redacted("k"), Redacted(SECRET))
            made = await cloud.integrations.provision(wish)
            await cloud.integrations.enable(made.id)
            await cloud.queues.set_monitored(queue_id, monitored=True)

    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as served:
        try:
            run(story())
        finally:
            served.kill()
