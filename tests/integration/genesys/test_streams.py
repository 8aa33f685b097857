"""Both dialects from end to end: provisioned, probed, streamed, paused, ended, destroyed."""

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
import pytest
import trustme

from earhook.app import Gateway
from earhook.client import Block, Call, CallClosed, CallEvent, Gap, Item, connect
from earhook.config.schema import Configuration
from earhook.genesys import AudioHookWish, Finding, MonitorWish
from earhook.genesys.errors import ConversationOver, NotReached
from earhook.load.opus import OpusDecoding
from earhook.ops.redaction import Redacted
from earhook.testing import Pace
from earhook.testing.genesys import CallStream, Conversation, FakeGenesys, LifeCycle, Reach
from earhook.testing.genesys.posted_stream import PostedStream

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Until = Callable[..., Coroutine[Any, Any, None]]
SECRET = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
PAYLOAD_KEY = base64.b64encode(b"thirty-two bytes of payload key.").decode()
TOKEN = "0123456789abcdef" * 3
CHANNELS = ("external", "internal")
BLOCK = 1600


@dataclass
class Ear:
    """What a consumer of the gateway has got."""

    items: list[Item] = field(default_factory=list)

    def of(self, stream: CallStream, *kinds: type) -> list[Any]:
        session = stream.setup.session_id
        return [
            one
            for one in self.items
            if one.call.session_id == session and isinstance(one, kinds or object)
        ]

    def call(self, stream: CallStream) -> Call:
        call: Call = self.of(stream)[0].call
        return call

    def is_over(self, stream: CallStream) -> bool:
        return bool(self.of(stream, CallClosed))

    def pcm(self, stream: CallStream, channel: int) -> bytes:
        """Audio by position, gaps silent; holes and overlaps are faults."""
        heard = b""
        for item in self.of(stream, Block, Gap):
            if item.channel == CHANNELS[channel]:
                assert item.position == len(heard) // 2
                is_audio = isinstance(item, Block)
                heard += item.samples.tobytes() if is_audio else bytes(2 * item.samples)
        return heard

    def gaps(self, stream: CallStream) -> set[tuple[int, int, str]]:
        return {(gap.position, gap.samples, gap.reason) for gap in self.of(stream, Gap)}


@dataclass
class World:
    """A gateway, somebody who listens to it, the fake platform and a client of it."""

    gateway: Gateway
    ear: Ear
    scene: Any
    directory: Path
    until: Until
    trust: ssl.SSLContext

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


Enter = Callable[..., Any]


def configuration(directory: Path, authority: trustme.CA) -> Configuration:
    leaf = authority.issue_cert("localhost")
    leaf.cert_chain_pems[0].write_to_path(directory / "crt")
    leaf.private_key_pem.write_to_path(directory / "key")
    (directory / "key").chmod(0o600)
    tls = {"certificate": directory / "crt", "private_key": directory / "key"}
    door = {"host": "127.0.0.1", "port": 0, "tls": tls}
    ingest = {
        "call_idle_seconds": 1.0,
        "tokens": [{"name": "t", "token": TOKEN}],
        "encryption_keys": [{"key_id": "mine", "key": PAYLOAD_KEY}],
    }
    return Configuration.model_validate(
        {
            "media": door,
            "ingest": {**door, **ingest},
            "admin": {"port": 0},
            "keys": [{"api_key": "k", "secrets": [SECRET]}],
            "ring": {"seconds": 10.0},
            "sinks": [
                {"kind": "pcm-stream", "listen": f"unix:{directory}/pcm.sock"},
                {"kind": "recording", "directory": directory / "recordings"},
            ],
        }
    )


@pytest.fixture
def world(play: Any, until: Until, tmp_path: Path, certificate_authority: trustme.CA) -> Enter:
    trust = ssl.create_default_context()
    certificate_authority.configure_trust(trust)

    @asynccontextmanager
    async def entered() -> AsyncIterator[World]:
        gateway = Gateway(configuration(tmp_path, certificate_authority))
        async with (
            gateway,
            play() as scene,
            connect(f"unix:{tmp_path}/pcm.sock", gaps=True, events=True) as stream,
        ):
            scene.fake.health.examine = Reach(trust)
            way = scene.fake.streams.way
            way.trust, way.token, way.pace = trust, TOKEN, Pace(speed=6.0)
            inside = World(gateway, Ear(), scene, tmp_path, until, trust)

            async def listen() -> None:
                async for item in stream:
                    inside.ear.items.append(item)

            listening = asyncio.create_task(listen())
            yield inside
            listening.cancel()
            await asyncio.wait([listening])

    return entered


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


def test_a_monitored_conversation_from_provisioning_to_destruction(run: Run, world: Enter) -> None:
    async def story() -> tuple[Path, CallStream]:
        async with world() as inside:
            cloud, play = inside.scene.cloud, inside.fake.conversations
            made_id, queue_id = await inside.monitored(custom_config={"tenant": "blue"})
            conversation = play.begin(queue_id)
            assert inside.fake.streams.of(conversation.id) == []
            play.connect(conversation)
            (stream,) = inside.fake.streams.of(conversation.id)
            await inside.reached(stream, 4 * BLOCK)

            await cloud.conversations.pause_recording(conversation.id)
            await inside.reached(stream, stream.position + 4 * BLOCK)
            await cloud.conversations.resume_recording(conversation.id)
            play.hold(conversation)
            await inside.reached(stream, stream.position + 2 * BLOCK)
            play.retrieve(conversation)
            await inside.ended(conversation, stream)

            (withheld,) = stream.record.withheld
            assert withheld.samples >= 4 * BLOCK
            assert inside.ear.gaps(stream) == {(*withheld, "paused")}
            for channel in (0, 1):
                assert inside.ear.pcm(stream, channel) == stream.expected_pcm(channel)
            told = [event.kind for event in inside.ear.of(stream, CallEvent)]
            assert [kind for kind in told if kind in {"paused", "resumed"}] == ["paused", "resumed"]
            call = inside.ear.call(stream)
            assert call.conversation_id == conversation.id
            assert call.organization_id == inside.fake.organization.id
            assert call.facts["custom_config"] == {"tenant": "blue"}

            await cloud.integrations.retire(made_id)
            assert inside.fake.organization.credentials == {}
            later = play.begin(queue_id, LifeCycle.CONNECTED)
            assert inside.fake.streams.of(later.id) == []
            assert await inside.events() == []
            return inside.directory, stream

    directory, stream = run(story())
    assert recorded(directory, stream) == stereo(stream)


@pytest.mark.parametrize(("channel", "heard"), [("external", 0), ("internal", 1)])
def test_one_channel_is_the_right_one(run: Run, world: Enter, channel: str, heard: int) -> None:
    async def story() -> None:
        async with world() as inside:
            _, queue_id = await inside.monitored(channel=channel)
            conversation = inside.fake.conversations.begin(queue_id, LifeCycle.CONNECTED)
            (stream,) = inside.fake.streams.of(conversation.id)
            await inside.reached(stream, 3 * BLOCK)
            await inside.ended(conversation, stream)
            assert inside.ear.call(stream).channels == (channel,)
            assert inside.ear.pcm(stream, heard) == stream.expected_pcm(heard)

    run(story())


def test_what_is_paused_before_it_connects_begins_paused(run: Run, world: Enter) -> None:
    async def story() -> None:
        async with world() as inside:
            _, queue_id = await inside.monitored()
            conversation = inside.fake.conversations.begin(queue_id)
            await inside.scene.cloud.conversations.pause_recording(conversation.id)
            inside.fake.conversations.connect(conversation)
            (stream,) = inside.fake.streams.of(conversation.id)
            await inside.reached(stream, 3 * BLOCK)
            assert stream.record.samples_sent == 0
            await inside.scene.cloud.conversations.resume_recording(conversation.id)
            await inside.reached(stream, stream.position + 2 * BLOCK)
            await inside.ended(conversation, stream)
            (withheld,) = stream.record.withheld
            assert withheld.start == 0
            assert inside.ear.gaps(stream) == {(*withheld, "paused")}
            assert inside.ear.pcm(stream, 1) == stream.expected_pcm(1)

    run(story())


@pytest.mark.parametrize("key", [None, PAYLOAD_KEY], ids=["plain", "encrypted"])
def test_a_bound_conversation_from_provisioning_to_destruction(
    run: Run, world: Enter, key: str | None
) -> None:
    async def story() -> tuple[Path, CallStream]:
        async with world() as inside:
            cloud, play = inside.scene.cloud, inside.fake.conversations
            inside.fake.streams.way.mark_seconds = 0.2
            sealed = None if key is None else Redacted(key)
            hook = await cloud.audiohooks.provision(
                AudioHookWish("mine", inside.ingest_url, "PCMU", sealed)
            )
            assert hook.status == "ENABLED"
            conversation = play.begin()
            with pytest.raises(NotReached, match="alerting"):
                await cloud.audiohooks.bind(conversation.id, hook.id)
            play.connect(conversation)
            assert inside.fake.streams.of(conversation.id) == []
            await cloud.audiohooks.bind(conversation.id, hook.id)
            (stream,) = inside.fake.streams.of(conversation.id)
            await inside.reached(stream, 4 * BLOCK)
            await cloud.conversations.pause_recording(conversation.id)
            # Longer than the gateway waits for a silent call: that it goes on is said.
            await inside.reached(stream, stream.position + 8 * BLOCK * 6)
            await cloud.conversations.resume_recording(conversation.id)
            await inside.reached(stream, stream.position + 4 * BLOCK)
            await inside.ended(conversation, stream)
            with pytest.raises(ConversationOver):
                await cloud.audiohooks.bind(conversation.id, hook.id)

            (withheld,) = stream.record.withheld
            assert inside.ear.gaps(stream) == {(*withheld, "missing")}
            for channel in (0, 1):
                assert inside.ear.pcm(stream, channel) == stream.expected_pcm(channel)
            assert inside.ear.call(stream).conversation_id == conversation.id
            await cloud.audiohooks.delete(hook.id)
            assert await cloud.audiohooks.list() == []
            assert await inside.events() == []
            return inside.directory, stream

    directory, stream = run(story())
    assert recorded(directory, stream) == stereo(stream)


def test_opus_is_what_a_decoder_makes_of_it(run: Run, world: Enter) -> None:
    async def story() -> None:
        async with world() as inside:
            cloud = inside.scene.cloud
            wish = AudioHookWish("mine", inside.ingest_url, "OPUS", Redacted(PAYLOAD_KEY))
            hook = await cloud.audiohooks.provision(wish)
            conversation = inside.fake.conversations.begin(state=LifeCycle.CONNECTED)
            await cloud.audiohooks.bind(conversation.id, hook.id)
            (stream,) = inside.fake.streams.of(conversation.id)
            await inside.reached(stream, 8 * BLOCK)
            await inside.ended(conversation, stream)
            assert isinstance(stream, PostedStream)
            assert stream.opus is not None
            decoding, samples = OpusDecoding(stream.opus), stream.position
            decoding.end(samples)
            for channel in (0, 1):
                wanted = decoding.wanted(channel, 0, samples)
                assert wanted.any()
                assert inside.ear.pcm(stream, channel) == wanted.tobytes()

    run(story())


def test_a_server_that_goes_is_told_and_the_audiohook_disabled(run: Run, world: Enter) -> None:
    async def contented(_url: str) -> list[Finding]:
        return []

    async def story() -> None:
        async with world() as inside:
            cloud = inside.scene.cloud
            cloud.audiohooks._check = contented
            made_id, queue_id = await inside.monitored()
            wish = AudioHookWish("mine", inside.ingest_url, "PCMU")
            hook = await cloud.audiohooks.provision(wish)
            conversation = inside.fake.conversations.begin(queue_id, LifeCycle.CONNECTED)
            await cloud.audiohooks.bind(conversation.id, hook.id)
            streams = inside.fake.streams.of(conversation.id)
            for stream in streams:
                await inside.reached(stream, 2 * BLOCK)
            await inside.gateway.stop()
            await inside.until(lambda: all(stream.is_over for stream in streams))
            assert all(stream.failure for stream in streams)
            # The platform looks again, a while later, and finds nobody.
            inside.scene.clock.advance(5)
            seen = await cloud.audiohooks.read(hook.id)
            assert (seen.status, bool(seen.reason)) == ("DISABLED", True)
            assert (await cloud.integrations.read(made_id)).reported_state == "ERROR"
            events = await inside.events()
            told = {(one.entity_name, one.conversation_id == conversation.id) for one in events}
            assert told == {("mine", True), ("mine", False)}
            assert {one.code for one in events} == {"AUDIOHOOK-0001", "AUDIOHOOK-0003"}
            assert all(one.title and one.detail for one in events)
            with pytest.raises(NotReached):
                await cloud.audiohooks.watch(hook.id, 5)
            inside.fake.conversations.disconnect(conversation)
            assert conversation.state is LifeCycle.DISCONNECTED

    run(story())


def test_a_secret_that_was_changed_at_one_side_only_is_told(run: Run, world: Enter) -> None:
    async def story() -> None:
        async with world() as inside:
            _, queue_id = await inside.monitored()
            wrong = base64.b64encode(b"another secret of thirty-two byte").decode()
            for stored in inside.fake.organization.credentials.values():
                stored["fields"]["clientSecret"] = wrong
            conversation = inside.fake.conversations.begin(queue_id, LifeCycle.CONNECTED)
            (stream,) = inside.fake.streams.of(conversation.id)
            await inside.until(lambda: stream.is_over)
            (event,) = await inside.events()
            assert (event.code, event.conversation_id) == ("AUDIOHOOK-0002", conversation.id)
            assert "401" in event.detail
            assert wrong not in repr(event)

    run(story())


def test_the_wrong_token_is_told(run: Run, world: Enter) -> None:
    async def story() -> None:
        async with world() as inside:
            cloud = inside.scene.cloud
            hook = await cloud.audiohooks.provision(
                AudioHookWish("mine", inside.ingest_url, "PCMU")
            )
            inside.fake.streams.way.token = "nobody's"
            conversation = inside.fake.conversations.begin(state=LifeCycle.CONNECTED)
            await cloud.audiohooks.bind(conversation.id, hook.id)
            (stream,) = inside.fake.streams.of(conversation.id)
            await inside.until(lambda: stream.is_over)
            assert stream.failure is not None
            assert "401" in stream.failure.reason

    run(story())


def test_what_is_disabled_or_ended_is_streamed_no_longer(run: Run, world: Enter) -> None:
    async def story() -> None:
        async with world() as inside:
            made_id, queue_id = await inside.monitored()
            play = inside.fake.conversations
            first = play.begin(queue_id, LifeCycle.CONNECTED)
            (stream,) = inside.fake.streams.of(first.id)
            await inside.reached(stream, BLOCK)
            await inside.scene.cloud.integrations.switch(made_id, "DISABLED")
            await inside.until(lambda: stream.is_over)
            assert (stream.failure, first.state) == (None, LifeCycle.CONNECTED)

            await inside.scene.cloud.integrations.enable(made_id)
            second = play.begin(queue_id, LifeCycle.CONNECTED)
            (other,) = inside.fake.streams.of(second.id)
            await inside.reached(other, BLOCK)
        # The fake has ended, politely.
        assert (other.is_over, other.failure) == (True, None)

    run(story())
