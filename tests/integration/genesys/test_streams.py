"""Both dialects from end to end: provisioned, probed, streamed, paused, ended, destroyed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from earhook.client import CallEvent
from earhook.genesys import AudioHookWish, Finding
from earhook.genesys.errors import ConversationOver, NotReached
from earhook.load.opus import OpusDecoding
from earhook.ops.redaction import Redacted
from earhook.testing.genesys import CallStream, LifeCycle
from earhook.testing.genesys.posted_stream import PostedStream
from integration.genesys.world import (
    BLOCK,
    PAYLOAD_KEY,
    Run,
    Until,
    entered,
    recorded,
    stereo,
)

Enter = Callable[..., Any]


@pytest.fixture
def world(play: Any, until: Until, tmp_path: Path, certificate_authority: trustme.CA) -> Enter:
    return lambda: entered(play, until, tmp_path, certificate_authority)


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
            inside.fake.streams.way.mark_seconds = 0.1
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


def test_what_is_bound_while_it_is_paused_begins_with_a_gap(run: Run, world: Enter) -> None:
    async def story() -> None:
        async with world() as inside:
            cloud, conversations = inside.scene.cloud, inside.fake.conversations
            wish = AudioHookWish("mine", inside.ingest_url, "PCMU")
            hook = await cloud.audiohooks.provision(wish)
            conversation = conversations.begin(state=LifeCycle.CONNECTED)
            await cloud.conversations.pause_recording(conversation.id)
            await cloud.audiohooks.bind(conversation.id, hook.id)
            (stream,) = inside.fake.streams.of(conversation.id)
            await inside.reached(stream, 3 * BLOCK)
            assert stream.record.bytes_sent == 0
            await cloud.conversations.resume_recording(conversation.id)
            await inside.reached(stream, stream.position + 2 * BLOCK)
            await inside.ended(conversation, stream)
            (withheld,) = stream.record.withheld
            assert withheld.start == 0
            assert inside.ear.gaps(stream) == {(*withheld, "missing")}
            assert inside.ear.pcm(stream, 1) == stream.expected_pcm(1)

    run(story())


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
