"""What a reload of a running gateway puts in service, and what it must not."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from earhook.app import Gateway
from earhook.config.schema import Configuration
from earhook.testing.peer import CallPeer, CallPlan
from earhook.testing.peer_setup import PeerCredential
from earhook.testing.sources import Source

SECRET = b"0123456789abcdef0123456789abcdef"


class House:
    """A gateway, and the sections that the next reload will read."""

    def __init__(self, **sections: Any) -> None:
        self.sections = sections
        self.gateway: Gateway

    def configuration(self) -> Configuration:
        standard: dict[str, Any] = {
            "media": {"host": "127.0.0.1", "port": 0},
            "admin": {"port": 0},
            "keys": [{"api_key": "k", "secrets": [base64.b64encode(SECRET).decode()]}],
        }
        return Configuration.model_validate(standard | self.sections)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Gateway]:
        async with Gateway(self.configuration(), reread=self.configuration) as gateway:
            self.gateway = gateway
            yield gateway

    def reload(self, **sections: Any) -> bool:
        self.sections = sections
        return self.gateway.reload()

    async def metrics_status(self, token: str | None) -> int:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        url = f"http://127.0.0.1:{self.gateway.admin_port}/metrics"
        async with aiohttp.ClientSession() as client, client.get(url, headers=headers) as answer:
            return answer.status

    async def dial(self, seed: str) -> CallPeer:
        url = f"ws://127.0.0.1:{self.gateway.media_port}/audiohook"
        plan = CallPlan(source=Source.random(seed), credential=PeerCredential("k", SECRET))
        return await CallPeer.connect(url, plan)


def test_the_admin_token_is_another_from_the_reload_on(run: Any) -> None:
    async def story() -> None:
        house = House(admin={"port": 0, "token": "first"})
        async with house.open():
            assert await house.metrics_status("first") == 200
            assert house.reload(admin={"port": 0, "token": "second"})
            assert await house.metrics_status("first") == 401
            assert await house.metrics_status("second") == 200
            assert house.reload(admin={"port": 0})
            assert await house.metrics_status(None) == 200

    run(story())


def test_no_reload_opens_an_admin_port_that_others_can_reach(run: Any) -> None:
    async def story() -> None:
        house = House(admin={"host": "0.0.0.0", "port": 0, "token": "first"})
        async with house.open():
            # Good in itself, but the port still listens where the old configuration said.
            assert not house.reload(admin={"host": "127.0.0.1", "port": 0})
            assert await house.metrics_status(None) == 401

    run(story())


def test_fewer_calls_are_let_in_and_the_live_ones_go_on(run: Any) -> None:
    async def story() -> None:
        house = House()
        async with house.open() as gateway:
            peer = await house.dial("a")
            await peer.opened()
            assert house.reload(media={"host": "127.0.0.1", "port": 0, "max_calls": 1})
            with pytest.raises(Exception, match="503"):
                await house.dial("b")
            assert house.reload(media={"host": "127.0.0.1", "port": 0, "max_calls": 2})
            second = await house.dial("c")
            await second.opened()
            await peer.reached(peer.position + 1600)
            assert gateway.hub.live_calls == 2

    run(story())
