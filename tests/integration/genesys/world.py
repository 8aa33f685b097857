"""A gateway with both doors, somebody who listens to it, and the fake platform beside it."""

from __future__ import annotations

import asyncio
import base64
import ssl
import wave
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import trustme

from earhook.app import Gateway
from earhook.client import Block, Call, CallClosed, Gap, Item, connect
from earhook.config.schema import Configuration
from earhook.genesys import MonitorWish
from earhook.ops.redaction import Redacted
from earhook.testing import Pace
from earhook.testing.genesys import CallStream, Conversation, FakeGenesys, LifeCycle, Reach

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Until = Callable[..., Coroutine[Any, Any, None]]
SECRET = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
PAYLOAD_KEY = base64.b64encode(b"thirty-two bytes of payload key.").decode()
TOKEN = "0123456789abcdef" * 3
CHANNELS = ("external", "internal")
BLOCK = 1600


@dataclass
class Ear:
    """What a consumer of the gateway has got, by stream or by session."""

    items: list[Item] = field(default_factory=list)

    def of(self, stream: CallStream | str, *kinds: type) -> list[Any]:
        session = stream if isinstance(stream, str) else stream.setup.session_id
        return [
            one
            for one in self.items
            if one.call.session_id == session and isinstance(one, kinds or object)
        ]

    def call(self, stream: CallStream | str) -> Call:
        call: Call = self.of(stream)[0].call
        return call

    def is_over(self, stream: CallStream | str) -> bool:
        return bool(self.of(stream, CallClosed))

    def pcm(self, stream: CallStream | str, channel: int) -> bytes:
        """Audio by position, gaps silent; holes and overlaps are faults."""
        heard = b""
        for item in self.of(stream, Block, Gap):
            if item.channel == CHANNELS[channel]:
                assert item.position == len(heard) // 2
                is_audio = isinstance(item, Block)
                heard += item.samples.tobytes() if is_audio else bytes(2 * item.samples)
        return heard

    def gaps(self, stream: CallStream | str) -> set[tuple[int, int, str]]:
        return {(gap.position, gap.samples, gap.reason) for gap in self.of(stream, Gap)}


@dataclass
class World:
    """A gateway, somebody who listens to it, the fake platform and a client of it."""

    gateway: Gateway
    ear: Ear
    scene: Any
    directory: Path
    until: Until

    @property
    def fake(self) -> FakeGenesys:
        fake: FakeGenesys = self.scene.fake
        return fake

    @property
    def media_url(self) -> str:
        return f"wss://localhost:{self.gateway.media_port}/audiohook"

    @property
    def ingest_url(self) -> str:
        return f"https://localhost:{self.gateway.ingest_port}/stream/v1/audiohook"

    async def monitored(self, secret: str = SECRET, **wish: Any) -> tuple[str, str]:
        """Ids of an active integration and of a queue that is monitored."""
        cloud = self.scene.cloud
        made = await cloud.integrations.provision(
            MonitorWish("mine", self.media_url, Redacted("k"), Redacted(secret), **wish)
        )
        assert (await cloud.integrations.enable(made.id)).reported_state == "ACTIVE"
        queue_id = self.fake.queues.add("support")
        await cloud.queues.set_monitored(queue_id, monitored=True)
        return made.id, queue_id

    async def reached(self, stream: CallStream, position: int) -> None:
        await self.until(lambda: stream.is_over or stream.position >= position)
        assert not stream.is_over, stream.failure

    async def ended(self, conversation: Conversation, *streams: CallStream) -> None:
        """It is hung up, and everything about it comes to its end."""
        self.fake.conversations.disconnect(conversation)
        await self.until(lambda: conversation.state is LifeCycle.DISCONNECTED)
        assert [stream.failure for stream in streams] == [None] * len(streams)
        await self.until(lambda: all(map(self.ear.is_over, streams)))

    async def events(self) -> list[Any]:
        now = self.scene.clock.wall_seconds()
        found: list[Any] = await self.scene.cloud.events.between(now - 3600, now + 3600)
        return found


def tls_door(directory: Path, authority: trustme.CA) -> dict[str, Any]:
    """Settings of a door on a free port, with a certificate that is put into the directory."""
    leaf = authority.issue_cert("localhost")
    leaf.cert_chain_pems[0].write_to_path(directory / "crt")
    leaf.private_key_pem.write_to_path(directory / "key")
    (directory / "key").chmod(0o600)
    tls = {"certificate": directory / "crt", "private_key": directory / "key"}
    return {"host": "127.0.0.1", "port": 0, "tls": tls}


def configuration(directory: Path, authority: trustme.CA) -> Configuration:
    door = tls_door(directory, authority)
    ingest = {
        "call_idle_seconds": 0.5,
        "delay_limit_milliseconds": 0,
        "tokens": [{"name": "t", "token": TOKEN}],
        "encryption_keys": [{"key_id": "mine", "key": PAYLOAD_KEY}],
    }
    return Configuration.model_validate(
        {
            "media": door,
            "ingest": {**door, **ingest},
            "admin": {"port": 0},
            "shedding": {"enabled": False},
            "keys": [{"api_key": "k", "secrets": [SECRET]}],
            "ring": {"seconds": 10.0},
            "sinks": [
                {"kind": "pcm-stream", "listen": f"unix:{directory}/pcm.sock"},
                {"kind": "recording", "directory": directory / "recordings"},
            ],
        }
    )


@asynccontextmanager
async def entered(
    play: Any, until: Until, directory: Path, authority: trustme.CA
) -> AsyncIterator[World]:
    """A gateway and a scene whose fake trusts it; the scene ends first."""
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    address = f"unix:{directory}/pcm.sock"
    async with (
        Gateway(configuration(directory, authority)) as gateway,
        play() as scene,
        connect(address, gaps=True, events=True) as stream,
    ):
        scene.fake.health.examine = Reach(trust)
        way = scene.fake.streams.way
        way.trust, way.token, way.pace = trust, TOKEN, Pace(speed=6.0)
        inside = World(gateway, Ear(), scene, directory, until)

        async def listen() -> None:
            async for item in stream:
                inside.ear.items.append(item)

        listening = asyncio.create_task(listen())
        yield inside
        listening.cancel()
        await asyncio.wait([listening])


def recorded(directory: Path, stream: CallStream) -> bytes:
    """Interleaved 16-bit stereo; only once the gateway has stopped."""
    audio = b""
    for path in sorted(directory.rglob(f"*{stream.setup.session_id}*.wav")):
        with wave.open(str(path)) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
            audio += file.readframes(file.getnframes())
    return audio


def stereo(stream: CallStream) -> bytes:
    lanes = [np.frombuffer(stream.expected_pcm(channel), "<i2") for channel in (0, 1)]
    return np.stack(lanes, axis=1).tobytes()
