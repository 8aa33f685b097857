"""A gateway with one call, and somebody who looks at it through the admin port."""

from __future__ import annotations

import base64
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from earhook.app import Gateway
from earhook.config.schema import Configuration
from earhook.testing import CallPeer, CallPlan, Pace, Source
from earhook.testing.peer_setup import PeerCredential

SECRET = b"0123456789abcdef0123456789abcdef"
TOKEN = "canary-token-71c2"
FAST = Pace(speed=10.0)


def configuration(directory: Path, **sections: Any) -> Configuration:
    key = {"api_key": "k", "secrets": [base64.b64encode(SECRET).decode()]}
    return Configuration.model_validate(
        {
            "media": {"host": "127.0.0.1", "port": 0},
            "admin": {"port": 0},
            "keys": [key],
            # Calls run ten times as fast here: nothing is to be lost on a busy machine.
            "ring": {"seconds": 30.0},
            "sinks": [
                {"kind": "pcm-stream", "listen": f"unix:{directory}/pcm.sock"},
                {"kind": "recording", "directory": directory / "recordings"},
            ],
            **sections,
        }
    )


def plan(seed: str, **fields: Any) -> CallPlan:
    credential = PeerCredential("k", SECRET)
    return CallPlan(source=Source.random(seed), credential=credential, **{"pace": FAST, **fields})


@asynccontextmanager
async def house(directory: Path, **sections: Any) -> AsyncIterator[House]:
    async with Gateway(configuration(directory, **sections)) as gateway:
        base = f"http://127.0.0.1:{gateway.admin_port}"
        async with aiohttp.ClientSession(base) as session:
            yield House(gateway, session)


@dataclass
class House:
    gateway: Gateway
    session: aiohttp.ClientSession

    async def call(self, seed: str = "a", **fields: Any) -> CallPeer:
        url = f"ws://127.0.0.1:{self.gateway.media_port}/audiohook"
        peer = await CallPeer.connect(url, plan(seed, **fields))
        await peer.opened()
        return peer

    async def json(self, path: str, **headers: str) -> Any:
        async with self.session.get(path, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def status(self, path: str, **headers: str) -> int:
        async with self.session.get(path, headers=headers) as answer:
            return answer.status


@dataclass
class Shown:
    """What a page knows from the feed, as docs/reference/console-feed.md says."""

    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    states: dict[int, tuple[int, ...]] = field(default_factory=dict)
    meters: dict[int, tuple[int, ...]] = field(default_factory=dict)
    envelope: list[tuple[int, ...]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    totals: dict[str, Any] = field(default_factory=dict)
    messages: int = 0

    def take(self, message: aiohttp.WSMessage) -> None:
        self.messages += 1
        if message.type is aiohttp.WSMsgType.BINARY:
            return self.take_records(message.data)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        body = message.json()
        match body["type"]:
            case "calls":
                if body["reset"]:
                    self.rows.clear()
                    self.states.clear()
                self.rows |= {row["number"]: row for row in body["added"]}
                for number in body["removed"]:
                    self.rows.pop(number, None)
                    self.states.pop(number, None)
            case "events":
                self.events += body["events"]
            case "totals":
                self.totals = body
        return None

    def take_records(self, message: bytes) -> None:
        kind, zero, size, count = struct.unpack_from("<BBHI", message)
        form = {1: "<IBBBB", 2: "<IHBBbbHBBHIIIHH", 3: "<IIQBBBBI"}[kind]
        assert zero == 0
        assert size == struct.calcsize(form)
        assert len(message) == 8 + size * count
        for record in struct.iter_unpack(form, message[8:]):
            if kind == 3:
                self.envelope.append(record)
                continue
            assert record[0] in self.rows, "a record before its row"
            (self.meters if kind == 1 else self.states)[record[0]] = record[1:]
