"""The two ends of the PCM stream without a socket between them: any order, any cut, any chunks."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earhook.client import Block, CallClosed, CallEvent, CallOpened, Gap, Item, StreamError
from earhook.client.conversation import Conversation
from earhook.client.memory import Memories
from earhook.client.settings import StreamSettings
from earhook.ids import ConversationId, CorrelationId, KeyName, OrganizationId, SessionId
from earhook.media.format import MediaFormat
from earhook.media.pipeline import Budget, Pipeline
from earhook.media.stream import FrameDecoder, FrameKind, GapReason, encode_frame
from earhook.sinks.base import CallEvent as HubEvent
from earhook.sinks.base import CallFacts, CallOutcome, LiveCall, SinkBooks
from earhook.sinks.pcm_stream.messages import (
    event_body,
    gateway_hello_frame,
    read_subscribe,
    subscribed_frame,
)
from earhook.sinks.pcm_stream.outbox import Enrolment, Outbox
from earhook.sinks.pcm_stream.subscription import Beginning

RING_SAMPLES = 400


class Source:
    """A call whose sample at a position can be computed, so that nothing has to be remembered."""

    def __init__(self, number: int) -> None:
        facts = CallFacts(
            session_id=SessionId(str(uuid.UUID(int=number))),
            organization_id=OrganizationId(str(uuid.UUID(int=99))),
            conversation_id=ConversationId(str(uuid.UUID(int=98))),
            correlation_id=CorrelationId(str(uuid.UUID(int=97))),
            key_name=KeyName("key-1"),
            media=MediaFormat("L16", (1, 0)),
            opened_wall_seconds=0.0,
        )
        pipeline = Pipeline(
            Budget(1 << 20), codec="L16", channels=(1, 0), capacity_samples=RING_SAMPLES
        )
        self.call = LiveCall(facts, pipeline, frozenset(), lambda _: None)

    @staticmethod
    def said(channel: int, position: int, samples: int) -> Any:
        return ((np.arange(position, position + samples) * 2 + channel) % 30_000).astype("<i2")

    def push(self, samples: int) -> None:
        position = self.call.pipeline.position
        lanes = [self.said(channel, position, samples) for channel in (1, 0)]
        self.call.pipeline.push(np.stack(lanes, axis=1).tobytes())

    def end(self) -> None:
        pipeline = self.call.pipeline
        if not pipeline.ended:
            pipeline.end()
            written = pipeline.written_samples
            position = pipeline.position
            self.call.outcome = CallOutcome("end", position, written, written, {}, 0, 0.0)


class World:
    """A gateway and a consumer, and the wire between them as two lists of bytes."""

    def __init__(self) -> None:
        self.sources: list[Source] = []
        self.items: list[Item] = []
        self.books = SinkBooks()
        self.attached = 0
        self._memories = Memories(several=False)
        self._known: dict[str, Enrolment] = {}
        self.connect()

    def connect(self, *, greet: bool = True) -> None:
        """Lose what is on the wire, and begin anew; with or without the first exchange."""
        if hasattr(self, "outbox"):
            self.outbox.abandon()
        self._known = {}
        self._wire = bytearray(gateway_hello_frame("same", commands=False))
        self._heard = FrameDecoder()
        self.outbox = Outbox(lambda: None, self._on_left)
        self.conversation = Conversation(StreamSettings(), self._memories)
        if greet:
            self.deliver(1 << 20)

    def open(self) -> None:
        self.sources.append(Source(len(self.sources) + 1))
        if self.conversation.memory is not None:
            self._enrol(self.sources[-1], Beginning(0))

    def publish(self, source: Source) -> None:
        enrolment = self._known.get(source.call.facts.session_id)
        if enrolment is not None and enrolment.number in self.outbox.enrolments:
            position = source.call.pipeline.position
            body = event_body(HubEvent("note", position))
            self.outbox.say_at(enrolment, position, body)

    def give_up(self, source: Source) -> None:
        enrolment = self._known.get(source.call.facts.session_id)
        if enrolment is not None and enrolment.number in self.outbox.enrolments:
            self.outbox.give_up(enrolment)

    def pump(self, max_bytes: int) -> None:
        for part in self.outbox.take(max_bytes):
            self._wire += part

    def deliver(self, size: int) -> None:
        """Let so many bytes arrive, and the answer too."""
        chunk, self._wire = bytes(self._wire[:size]), self._wire[size:]
        for item in self.conversation.receive(chunk):
            assert isinstance(item, Block | Gap | CallOpened | CallEvent | CallClosed)
            self.items.append(item)
        for frame in self._heard.feed(self.conversation.take_output()):
            if frame[0] == FrameKind.SUBSCRIBE:
                self._subscribe(frame[6])

    def settle(self) -> None:
        """End everything and let all of it arrive."""
        for source in self.sources:
            source.end()
        for _ in range(4):
            self.deliver(1 << 30)
            while self.outbox.has_news:
                self.pump(1 << 20)
        self.deliver(1 << 30)

    def _subscribe(self, body: bytes) -> None:
        subscription = read_subscribe(body)
        for source in self.sources:
            if subscription.wants(source.call):
                self._enrol(source, subscription.beginning_of(source.call))
        self.outbox.say_in_line(subscribed_frame(0))

    def _enrol(self, source: Source, beginning: Beginning) -> None:
        enrolment = self.outbox.enrol(source.call, (0, 1), beginning)
        self._known[source.call.facts.session_id] = enrolment
        self.attached += 1

    def _on_left(self, _enrolment: Enrolment, books: Any) -> None:
        self.attached -= 1
        if books is not None:
            assert books.received == books.forwarded + books.buffered + sum(books.dropped.values())
            self.books.merge(books)


ACTIONS = st.one_of(
    st.just(("open",)),
    st.tuples(st.just("push"), st.integers(0, 7), st.integers(1, 300)),
    st.tuples(st.just("gap"), st.integers(0, 7), st.integers(1, 300)),
    st.tuples(st.just("event"), st.integers(0, 7)),
    st.tuples(st.just("end"), st.integers(0, 7)),
    st.tuples(st.just("give up"), st.integers(0, 7)),
    st.tuples(st.just("pump"), st.integers(1, 3000)),
    st.tuples(st.just("deliver"), st.integers(1, 5000)),
    st.tuples(st.just("cut"), st.booleans()),
)


def play(world: World, action: tuple[Any, ...]) -> None:
    """Do one thing."""
    match action:
        case ("open",):
            world.open()
        case ("cut", bool(greet)):
            world.connect(greet=greet)
        case ("pump", int(max_bytes)):
            world.pump(max_bytes)
        case ("deliver", int(size)):
            world.deliver(size)
        case (verb, int(which), *rest) if world.sources:
            source = world.sources[which % len(world.sources)]
            match verb:
                case "push" if not source.call.pipeline.ended:
                    source.push(rest[0])
                case "gap":
                    source.call.pipeline.gap(rest[0], 1)
                case "event":
                    world.publish(source)
                case "end":
                    source.end()
                case "give up":
                    source.end()
                    world.give_up(source)


def check(world: World) -> None:
    """Whatever has happened: each call is told once, each channel is contiguous and true."""
    sessions = {source.call.facts.session_id: source for source in world.sources}
    opened = [item.call.session_id for item in world.items if isinstance(item, CallOpened)]
    closed = [item.call.session_id for item in world.items if isinstance(item, CallClosed)]
    assert len(set(opened)) == len(opened)
    assert set(closed) == set(opened) == sessions.keys()
    for session, source in sessions.items():
        items = [item for item in world.items if item.call.session_id == session]
        assert isinstance(items[0], CallOpened)
        assert isinstance(items[-1], CallClosed)
        assert items[-1].position == source.call.pipeline.position
        for channel, name in enumerate(("external", "internal")):
            position, has_heard = 0, False
            for item in items:
                if isinstance(item, CallEvent):
                    assert item.position <= position
                if not isinstance(item, Block | Gap) or item.channel != name:
                    continue
                assert item.position == position
                if isinstance(item, Gap):
                    # What is late was gone before anything was had of the call.
                    assert item.reason in ("paused", "overrun", *(() if has_heard else ("late",)))
                    position += item.samples
                else:
                    said = source.said(channel, position, len(item.samples))
                    assert np.array_equal(item.samples, said)
                    position += len(item.samples)
                    has_heard = True
            assert position == items[-1].position


@settings(max_examples=300)
@given(st.lists(ACTIONS, min_size=20, max_size=80))
def test_whatever_happens_each_sample_is_had_once_or_its_gap(actions: list[Any]) -> None:
    world = World()
    for action in actions:
        play(world, action)
    world.settle()
    check(world)
    assert world.attached == 0
    assert world.outbox.backlog_bytes == 0
    assert world.books.balances()
    assert world.books.buffered == 0
    for item in world.items:
        if isinstance(item, CallClosed):
            assert item.totals.verified


def act_out(cut_after_bytes: int) -> tuple[World, bool]:
    """A short story in which the connection breaks after so many bytes, and audio is lost too."""
    world = World()
    for _ in range(2):
        world.open()
    for source in world.sources:
        source.push(20)
        source.call.pipeline.gap(7, 1)
        source.push(20)
        world.publish(source)
    world.sources[1].end()
    world.pump(1 << 20)
    is_over = cut_after_bytes >= len(world._wire)
    world.deliver(cut_after_bytes)
    world.connect(greet=False)
    world.sources[0].push(RING_SAMPLES - 30)
    world.settle()
    return world, is_over


def test_the_connection_may_break_at_any_byte() -> None:
    cut_after_bytes, is_over = 0, False
    while not is_over:
        world, is_over = act_out(cut_after_bytes)
        check(world)
        assert all(item.totals.verified for item in world.items if isinstance(item, CallClosed))
        cut_after_bytes += 1
    assert cut_after_bytes > 1000


def test_a_call_that_was_had_to_its_end_is_not_had_again() -> None:
    world = World()
    world.open()
    source = world.sources[0]
    source.push(50)
    world.settle()
    world.connect()
    # As if the list of what we have had were longer than what fits into a frame.
    world._enrol(source, Beginning(0))
    world.settle()
    check(world)


def frames_of(parts: list[bytes]) -> Iterator[tuple[int, int]]:
    for frame in FrameDecoder().feed(b"".join(parts)):
        yield frame[0], frame[1]


def test_within_one_take_control_comes_first_and_close_last() -> None:
    outbox = Outbox(lambda: None, lambda _enrolment, _books: None)
    source = Source(1)
    enrolment = outbox.enrol(source.call, (0,), Beginning(0))
    outbox.say_at(enrolment, 50, event_body(HubEvent("a", 50)))
    outbox.say(subscribed_frame(0))
    source.push(100)
    source.end()
    taken = list(frames_of(outbox.take(1 << 20)))
    kinds = [FrameKind(kind) for kind, _ in taken]
    assert kinds == [
        FrameKind.EVENT,
        FrameKind.OPEN,
        FrameKind.AUDIO,
        FrameKind.EVENT,
        FrameKind.CLOSE,
    ]
    assert not outbox.has_news
    assert outbox.enrolments == {}


def test_what_is_given_up_in_line_was_gone_before_the_consumer_came_or_is_its_loss() -> None:
    left: list[Any] = []
    outbox = Outbox(lambda: None, lambda _enrolment, books: left.append(books))
    source = Source(1)
    source.push(RING_SAMPLES + 100)
    came = Beginning(0, source.call.pipeline.oldest_position)
    enrolment = outbox.enrol(source.call, (0, 1), came)
    source.push(50)
    source.end()
    outbox.give_up(enrolment)
    frames = FrameDecoder().feed(b"".join(outbox.take(1 << 20)))
    gaps = [frame[3:6] for frame in frames if frame[0] == FrameKind.GAP]
    assert gaps == [(0, 100, GapReason.LATE), (100, RING_SAMPLES + 50, GapReason.OVERRUN)]
    (books,) = left
    assert (books.received, books.late) == (RING_SAMPLES + 50, 100)
    assert (books.dropped["overrun"], books.dropped["detached"]) == (50, RING_SAMPLES)


def test_an_event_waits_for_the_audio_before_it() -> None:
    outbox = Outbox(lambda: None, lambda _enrolment, _books: None)
    source = Source(1)
    source.push(300)
    enrolment = outbox.enrol(source.call, (0, 1), Beginning(0))
    outbox.say_at(enrolment, 300, event_body(HubEvent("a", 300)))
    outbox.say_at(enrolment, 301, event_body(HubEvent("b", 301)))
    kinds: list[int] = []
    while outbox.has_news:
        kinds += [kind for kind, _ in frames_of(outbox.take(64))]
    assert kinds == [FrameKind.OPEN, FrameKind.AUDIO, FrameKind.AUDIO, FrameKind.EVENT]
    assert outbox.backlog_bytes > 0
    source.end()
    assert [kind for kind, _ in frames_of(outbox.take(64))] == [FrameKind.EVENT, FrameKind.CLOSE]


def greeted() -> Conversation:
    conversation = Conversation(StreamSettings(), Memories(several=False))
    assert list(conversation.receive(gateway_hello_frame("one", commands=False))) == []
    return conversation


def opened() -> Conversation:
    conversation = greeted()
    facts = Source(1).call.facts.as_json(personal=True) | {"position": 100}
    body = orjson.dumps(facts)
    assert len(list(conversation.receive(encode_frame(FrameKind.OPEN, 1, body)))) == 1
    return conversation


def audio(call: int, channel: int, position: int) -> bytes:
    header = (22).to_bytes(4, "little") + bytes([4, channel, 0, 0]) + call.to_bytes(4, "little")
    return header + (1).to_bytes(4, "little") + position.to_bytes(8, "little") + b"\1\0"


@pytest.mark.parametrize(
    "frame",
    [
        b"HTTP/1.1 400 Bad Request",
        encode_frame(FrameKind.HELLO, 0, b'{"stream":"earhook-pcm","version":1,"role":"consumer"}'),
        encode_frame(FrameKind.HELLO, 0, b'{"stream":"earhook-pcm","version":0,"role":"gateway"}'),
        encode_frame(FrameKind.OPEN, 2, b"{}"),
        encode_frame(FrameKind.OPEN, 2, b"[]"),
        encode_frame(FrameKind.OPEN, 2, b"{"),
        encode_frame(FrameKind.EVENT, 1, b'{"type":"x"}'),
        encode_frame(FrameKind.CLOSE, 9, b'{"position":1}'),
        encode_frame(FrameKind.CLOSE, 1, b'{"position":-1}'),
        audio(2, 0, 100),
        audio(1, 7, 100),
    ],
)
def test_what_no_gateway_says_is_refused(frame: bytes) -> None:
    conversation = opened()
    with pytest.raises(StreamError):
        list(conversation.receive(frame))


def test_a_hole_that_nobody_explains_is_a_gap_all_the_same() -> None:
    conversation = opened()
    items = list(conversation.receive(audio(1, 0, 150)))
    gap, block = items
    assert isinstance(gap, Gap)
    assert (gap.position, gap.samples, gap.reason) == (100, 50, "missing")
    assert isinstance(block, Block)
    assert (block.position, block.gap_before) == (150, (gap,))


def test_of_a_gap_that_is_known_in_part_only_the_rest_is_told() -> None:
    conversation = opened()
    first = list(conversation.receive(audio(1, 0, 100) + audio(1, 0, 101)))
    gap = struct.pack("<IBBHIIQQ", 28, 5, 255, 0, 1, 3, 100, 5)
    gaps = [item for item in conversation.receive(gap) if isinstance(item, Gap)]
    assert len(first) == 2
    assert {(gap.channel, gap.position, gap.samples) for gap in gaps} == {
        ("external", 102, 3),
        ("internal", 100, 5),
    }
    assert list(conversation.receive(gap)) == []


def test_totals_that_differ_are_told() -> None:
    for forwarded, end, verified in ((1, 101, True), (2, 101, False), (1, 102, False)):
        conversation = opened()
        list(conversation.receive(audio(1, 0, 100) + audio(1, 1, 100)))
        close = {"reason": "end", "position": end, "books": {"forwarded": forwarded}}
        frame = encode_frame(FrameKind.CLOSE, 1, orjson.dumps(close))
        *gaps, closed = conversation.receive(frame)
        assert isinstance(closed, CallClosed)
        assert closed.totals.verified is verified
        assert sum(gap.samples for gap in gaps if isinstance(gap, Gap)) == 2 * (end - 101)


def test_acks_tell_what_the_program_has_seen() -> None:
    conversation = opened()
    conversation.take_output()
    blocks = list(conversation.receive(audio(1, 0, 100) + audio(1, 1, 100)))
    conversation.acknowledge()
    assert conversation.take_output() == b""
    memory = conversation.memory
    assert memory is not None
    (progress,) = memory.calls.values()
    for block in blocks:
        assert isinstance(block, Block)
        progress.lanes[block.channel].consumed = block.position + len(block.samples)
    conversation.acknowledge()
    conversation.acknowledge()
    (ack,) = FrameDecoder().feed(conversation.take_output())
    assert ack[:4] == (FrameKind.ACK, 1, 255, 101)


def test_filters_are_lists_not_texts() -> None:
    with pytest.raises(TypeError, match="channels is a list"):
        StreamSettings(channels="internal")  # type: ignore[arg-type]
