"""Pace, order and numbering of what leaves (AudioHook protocol §4.2, §9, §11.2, §16)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from earhook.errors import CommandRefused
from earhook.ids import SessionId
from earhook.protocol.bucket import TokenBucket
from earhook.protocol.json_text import MAX_TEXT_CHARACTERS
from earhook.protocol.messages import Closed, Pause, Pong, Resume, ServerType
from earhook.protocol.outbox import MAX_ENTITIES_BYTES, Outbox, Stamp
from earhook.protocol.playback import Playback
from earhook.protocol.replies import Reply, SendAudio, SendText
from earhook.protocol.settings import SendLimits
from earhook.protocol.states import SENDS, State

STAMP = Stamp(SessionId("0d9f5c52-7f3e-4b7a-9c43-5b8c1d2e3f40"), 0)
CALL = SENDS[State.ACTIVE]
LIMITS = SendLimits()
SLACK = 1e-3


def box(limits: SendLimits = LIMITS) -> Outbox:
    return Outbox(limits, 0.0)


def take(outbox: Outbox, now: float) -> list[Reply]:
    return outbox.take(STAMP, CALL, now)


def message(reply: Reply) -> dict[str, Any]:
    assert isinstance(reply, SendText)
    return orjson.loads(reply.payload)


def types(replies: list[Reply]) -> list[str]:
    return [reply.type if isinstance(reply, SendText) else "audio" for reply in replies]


# Any wishes at any time.

step = st.one_of(
    st.tuples(st.just("answer"), st.integers(1, 30)),
    st.tuples(st.just("pause"), st.booleans()),
    st.tuples(st.just("event"), st.integers(1, 8)),
    st.tuples(st.just("audio"), st.integers(1, 9000)),
    st.tuples(st.just("wait"), st.floats(0, 1.5)),
)


class Sent:
    """What was sent and when."""

    def __init__(self) -> None:
        self.outbox = box(SendLimits(waiting_answers=10_000))
        self.now = 0.0
        self.all: list[tuple[float, Reply]] = []
        self.audio = b""

    def take(self) -> int:
        taken = take(self.outbox, self.now)
        self.all += [(self.now, reply) for reply in taken]
        return len(taken)

    def until_empty(self) -> None:
        for _ in range(10_000):
            if self.outbox.wake_at is None:
                return
            assert self.outbox.wake_at > self.now
            self.now = self.outbox.wake_at
            assert self.take() > 0, "woken for nothing"
        pytest.fail("never done")

    def times(self, *wanted: str) -> list[float]:
        return [at for at, reply in self.all if types([reply])[0] in wanted]


def run_steps(steps: list[tuple[str, Any]]) -> tuple[Sent, list[int], list[int]]:
    sent = Sent()
    asked: list[int] = []
    entities: list[int] = []
    for name, amount in steps:
        if name == "wait":
            sent.now += amount
        elif name == "pause":
            sent.outbox.post_pause(Pause() if amount else Resume())
        elif name == "audio":
            fresh = bytes([len(sent.audio) % 251]) * amount
            sent.audio += fresh
            sent.outbox.playback.add(fresh)
        for _ in range(amount if name in ("answer", "event") else 0):
            if name == "answer":
                asked.append(len(asked) + 1)
                assert sent.outbox.post_answer(Pong(), asked[-1])
            else:
                entities.append(len(entities))
                sent.outbox.post_entities([str(entities[-1]).encode()])
        sent.take()
    sent.until_empty()
    return sent, asked, entities


@given(st.lists(step, max_size=60))
def test_whatever_is_wished_the_limits_hold(steps: list[tuple[str, Any]]) -> None:
    sent, _, _ = run_steps(steps)
    texts = sent.times(*ServerType)
    assert_within(texts, LIMITS.text_rate, LIMITS.text_burst)
    assert_within(sent.times("audio"), LIMITS.audio_rate, LIMITS.audio_burst)
    assert_within(sent.times("pause", "resume"), LIMITS.pause_rate, LIMITS.pause_burst)


def assert_within(times: list[float], rate: float, burst: int) -> None:
    for first in range(len(times)):
        for last in range(first, len(times)):
            allowed = burst + rate * (times[last] - times[first]) + SLACK
            assert last - first + 1 <= allowed


@given(st.lists(step, max_size=60))
def test_whatever_is_wished_nothing_is_lost_or_reordered(steps: list[tuple[str, Any]]) -> None:
    sent, asked, entities = run_steps(steps)
    texts = [message(reply) for _, reply in sent.all if isinstance(reply, SendText)]
    assert [text["seq"] for text in texts] == list(range(1, len(texts) + 1))
    assert [text["clientseq"] for text in texts if text["type"] == "pong"] == asked
    relayed = [
        entity
        for text in texts
        if text["type"] == "event"
        for entity in text["parameters"]["entities"]
    ]
    assert relayed == entities
    chunks = [reply.payload for _, reply in sent.all if isinstance(reply, SendAudio)]
    assert b"".join(chunks) == sent.audio
    assert all(len(chunk) <= LIMITS.chunk_limit_bytes for chunk in chunks)


@given(st.lists(step, max_size=60))
def test_whatever_is_wished_the_last_pause_wish_wins(steps: list[tuple[str, Any]]) -> None:
    sent, _, _ = run_steps(steps)
    wishes = [amount for name, amount in steps if name == "pause"]
    if wishes:
        assert sent.outbox.pause_held is wishes[-1]


@given(
    rate=st.floats(0.1, 50),
    burst=st.integers(1, 30),
    steps=st.lists(st.tuples(st.floats(0, 2), st.integers(0, 3)), max_size=50),
)
def test_a_bucket_is_ready_when_it_says_so(
    rate: float, burst: int, steps: list[tuple[float, int]]
) -> None:
    bucket, now = TokenBucket(rate, burst, 0.0), 0.0
    for seconds, reserve in steps:
        now += seconds
        if reserve >= burst:
            continue
        ready_at = bucket.ready_at(now, reserve)
        assert ready_at >= now
        if ready_at > now + 1e-3:
            assert not bucket.take(ready_at - 1e-3, reserve)
        now = ready_at
        assert bucket.take(now, reserve)


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    bucket = TokenBucket(4.5, 20, 0.0)
    assert sum(bucket.take(1000.0) for _ in range(100)) == 20


# Order.


def test_answers_go_before_pause_before_events_before_audio() -> None:
    outbox = box()
    outbox.playback.add(b"x")
    outbox.post_entities([b"{}"])
    outbox.post_pause(Pause())
    outbox.post_answer(Pong(), 1)
    assert types(take(outbox, 0.0)) == ["pong", "pause", "event", "audio"]


def test_a_first_message_goes_before_the_answers_that_wait() -> None:
    outbox = box()
    outbox.post_answer(Pong(), 1)
    outbox.post_first(Closed())
    assert types(outbox.take(STAMP, CALL | SENDS[State.CLOSED], 0.0)) == ["closed", "pong"]


def test_events_leave_room_for_answers() -> None:
    outbox = box()
    for _ in range(50):
        outbox.post_entities([b"1"])
        take(outbox, 0.0)
    assert outbox.seq == LIMITS.text_burst - LIMITS.text_reserve
    for number in range(LIMITS.text_reserve):
        outbox.post_answer(Pong(), number)
    assert types(take(outbox, 0.0)) == ["pong"] * LIMITS.text_reserve


def test_answers_wait_when_even_the_reserve_is_gone_and_are_never_dropped() -> None:
    outbox = box()
    for number in range(LIMITS.text_burst + 3):
        outbox.post_answer(Pong(), number)
    assert len(take(outbox, 0.0)) == LIMITS.text_burst
    assert outbox.wake_at == pytest.approx(1 / LIMITS.text_rate)
    assert types(take(outbox, 1.0)) == ["pong"] * 3


def test_too_many_answers_are_not_taken_on() -> None:
    outbox = box()
    posted = [outbox.post_answer(Pong(), number) for number in range(40)]
    assert posted == [True] * 32 + [False] * 8


# Merging.


def test_events_merge_while_they_wait() -> None:
    outbox = box()
    for number in range(100):
        outbox.post_entities([str(number).encode()])
    [event] = take(outbox, 0.0)
    assert message(event)["parameters"]["entities"] == list(range(100))


def test_a_merged_event_stays_within_the_size_limit() -> None:
    outbox = box()
    large = b'"' + b"x" * 20_000 + b'"'
    outbox.post_entities([large] * 7)
    replies = take(outbox, 0.0)
    sizes = [len(message(reply)["parameters"]["entities"]) for reply in replies]
    assert sizes == [3, 3, 1]
    assert all(len(reply.payload) <= MAX_TEXT_CHARACTERS for reply in replies)


def test_the_largest_entity_fits_a_message() -> None:
    outbox = box()
    outbox.post_entities([b'"' + b"x" * (MAX_ENTITIES_BYTES - 2) + b'"'])
    [event] = take(outbox, 0.0)
    assert len(event.payload) <= MAX_TEXT_CHARACTERS
    with pytest.raises(CommandRefused, match="too large"):
        outbox.post_entities([b"x" * (MAX_ENTITIES_BYTES + 1)])


def test_events_that_wait_are_bounded() -> None:
    outbox = box()
    for _ in range(5):
        outbox.post_entities([b"x" * 50_000])
    with pytest.raises(CommandRefused, match="too many events"):
        outbox.post_entities([b"x" * 50_000])
    assert outbox.drop_events() == 5
    outbox.post_entities([b"1"])
    assert len(take(outbox, 0.0)) == 1


def test_events_that_were_sent_make_room_for_others() -> None:
    outbox = box()
    for number in range(100):
        outbox.post_entities([b"x" * 50_000])
        assert len(take(outbox, float(number))) == 1


def test_a_pause_that_was_not_sent_is_replaced() -> None:
    outbox = box()
    outbox.post_pause(Pause())
    outbox.post_pause(Resume())
    assert types(take(outbox, 0.0)) == ["resume"]
    assert not outbox.pause_held


def test_pauses_have_a_limit_of_their_own() -> None:
    outbox = box()
    for number in range(20):
        outbox.post_pause(Resume() if number % 2 else Pause())
        take(outbox, 0.0)
    assert outbox.seq == LIMITS.pause_burst
    due = 1 / LIMITS.pause_rate
    assert outbox.wake_at == pytest.approx(due)
    assert types(take(outbox, due)) == ["resume"]


# Backing off.


def test_after_a_complaint_only_answers_go() -> None:
    outbox = box()
    outbox.back_off(3.0)
    outbox.back_off(1.0)
    outbox.post_entities([b"1"])
    outbox.post_pause(Pause())
    outbox.playback.add(b"x")
    outbox.post_answer(Pong(), 1)
    assert types(take(outbox, 0.0)) == ["pong"]
    assert outbox.wake_at == 3.0
    assert types(take(outbox, 3.0)) == ["pause", "event", "audio"]


# Audio.


def chunks(playback: Playback, now: float) -> list[int]:
    sizes = []
    while (chunk := playback.take(now)) is not None:
        sizes.append(len(chunk))
    return sizes


def test_the_first_chunk_goes_at_once_and_small_ones_then_grow() -> None:
    playback = Playback(LIMITS, 0.0)
    sizes = []
    for number in range(50):
        now = number / 64  # exact in binary, so that 0.2 s are 13 packets each time
        playback.add(bytes(125))
        sizes += chunks(playback, now)
    assert sizes == [125, 1625, 1625, 1625]


def test_a_long_utterance_goes_in_few_large_chunks() -> None:
    playback = Playback(LIMITS, 0.0)
    playback.add(bytes(97_000))
    assert chunks(playback, 0.0) == [32_000, 32_000, 32_000]
    assert playback.waiting_bytes == 1000
    assert playback.ready_at(0.0) == pytest.approx(LIMITS.chunk_seconds)
    assert chunks(playback, playback.ready_at(0.0)) == [1000]


def test_chunks_hold_whole_samples() -> None:
    playback = Playback(SendLimits(chunk_limit_bytes=7, chunk_bytes=1), 0.0)
    playback.start(group_bytes=2)
    assert not playback.is_whole(b"123")
    playback.add(bytes(20))
    assert chunks(playback, 0.0) == [6, 6, 6, 2]


def test_audio_that_waits_is_bounded() -> None:
    playback = Playback(SendLimits(waiting_audio_bytes=1000), 0.0)
    playback.add(bytes(900))
    assert playback.fits(bytes(100))
    assert not playback.fits(bytes(101))
    assert playback.clear() == 900


def test_limits_that_would_starve_events_are_refused() -> None:
    with pytest.raises(ValidationError, match="text_reserve"):
        SendLimits(text_burst=5, text_reserve=5)
