"""What a feed gives, when it wakes, and that its books balance at every step."""

from __future__ import annotations

import gc
import struct
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.media.feed import Books, Feed, books_as_json, in_balance
from earhook.media.gaps import GapReason
from earhook.media.pipeline import Budget, Pipeline
from earhook.media.stream import ALL_CHANNELS, Frame, FrameDecoder, FrameKind

OpensCalls = Callable[..., Pipeline]


ALL = 1 << 30
Balanced = Callable[[Feed, int], Books]
Pcm = Callable[..., bytes]


def frames(stream: bytes) -> list[Frame]:
    decoder = FrameDecoder()
    decoded = [Frame._make(frame) for frame in decoder.feed(stream)]
    assert decoder.buffered_bytes == 0, "a drain gives whole frames"
    return decoded


def test_a_drain_is_frames_of_the_pcm_stream(open_call: OpensCalls, pcm: Pcm) -> None:
    pipeline, feed = open_call(channels=(1, 0)), Feed()
    feed.attach(9, pipeline)
    pipeline.push(pcm(1, 10, 2, 20))
    pipeline.gap(5, GapReason.DISCARDED)
    pipeline.push(pcm(3, 30))
    audio, gap = FrameKind.AUDIO, FrameKind.GAP
    assert frames(feed.drain(ALL)) == [
        Frame(audio, 9, 0, 0, 2, 0, pcm(10, 20)),
        Frame(audio, 9, 1, 0, 2, 0, pcm(1, 2)),
        Frame(gap, 9, ALL_CHANNELS, 2, 5, GapReason.DISCARDED, b""),
        Frame(audio, 9, 0, 7, 1, 0, pcm(30)),
        Frame(audio, 9, 1, 7, 1, 0, pcm(3)),
    ]
    assert feed.drain(ALL) == b""


@pytest.mark.parametrize(
    ("wanted", "block"),
    [((0, 1), (10, 1, 20, 2)), ((1, 0), (1, 10, 2, 20)), ((1,), (1, 2)), ((0,), (10, 20))],
)
def test_channels_come_in_the_order_in_which_they_are_wanted(
    open_call: OpensCalls, pcm: Pcm, wanted: tuple[int, ...], block: tuple[int, ...]
) -> None:
    pipeline, as_blocks, as_frames = open_call(channels=(1, 0)), Feed(), Feed()
    as_blocks.attach(1, pipeline, channels=wanted)
    as_frames.attach(1, pipeline, channels=wanted)
    pipeline.push(pcm(1, 10, 2, 20))
    assert as_blocks.drain_blocks(ALL) == [(1, 0, 0, 0, pcm(*block))]
    assert tuple(frame.channel for frame in frames(as_frames.drain(ALL))) == wanted


def test_a_channel_that_a_call_lacks_is_silent_in_blocks_and_absent_in_frames(
    open_call: OpensCalls, pcm: Pcm
) -> None:
    pipeline, as_blocks, as_frames = open_call(channels=(1,)), Feed(), Feed()
    as_blocks.attach(1, pipeline)
    as_frames.attach(1, pipeline)
    pipeline.push(pcm(1, 2))
    assert as_blocks.drain_blocks(ALL) == [(1, 0, 0, 0, pcm(0, 1, 0, 2))]
    assert [frame.channel for frame in frames(as_frames.drain(ALL))] == [1]


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_companded_audio_passes_through_blocks_unchanged(open_call: OpensCalls, codec: str) -> None:
    # Every code but mu-law's negative zero, which is the same sample as its positive one.
    codes = bytes(code for code in range(256) if codec != "PCMU" or code != 0x7F) + b"\xff"
    pipeline, feed = open_call(codec=codec, channels=(0,)), Feed()
    feed.attach(1, pipeline, channels=(0,))
    pipeline.push(codes)
    assert feed.drain_blocks(ALL, codec=codec) == [(1, 0, 0, 0, codes)]


@pytest.mark.parametrize("codec", ["L16BE", "opus", ""])
def test_blocks_of_another_codec_are_refused_before_anything_is_read(
    open_call: OpensCalls, pcm: Pcm, codec: str
) -> None:
    pipeline, feed = open_call(), Feed()
    feed.attach(1, pipeline)
    pipeline.push(pcm(1))
    with pytest.raises(ValueError, match=r"codec|L16, PCMU"):
        feed.drain_blocks(ALL, codec=codec)
    assert feed.lag_samples(1) == 1


class TestAttach:
    def test_from_the_start_from_now_and_from_a_position(
        self, open_call: OpensCalls, pcm: Pcm
    ) -> None:
        pipeline, feed = open_call(), Feed()
        pipeline.push(pcm(1, 2, 3))
        feed.attach(1, pipeline, channels=(0,))
        feed.attach(2, pipeline, channels=(0,), position=None)
        feed.attach(3, pipeline, channels=(0,), position=2)
        feed.attach(4, pipeline, channels=(0,), position=99)
        pipeline.push(pcm(4))
        blocks = {call: (position, audio) for call, position, _, _, audio in feed.drain_blocks(ALL)}
        assert blocks == {
            1: (0, pcm(1, 2, 3, 4)),
            2: (3, pcm(4)),
            3: (2, pcm(3, 4)),
            4: (3, pcm(4)),
        }

    def test_what_the_ring_holds_no_more_is_an_overrun(
        self, open_call: OpensCalls, pcm: Pcm, balanced: Balanced
    ) -> None:
        pipeline, feed = open_call(capacity=2), Feed()
        pipeline.push(pcm(1, 2, 3, 4, 5))
        feed.attach(1, pipeline, channels=(0,), position=1)
        assert balanced(feed, 1).dropped["overrun"] == 2
        overrun = (1, 1, 2, GapReason.OVERRUN, b"")
        assert feed.drain_blocks(ALL) == [overrun, (1, 3, 0, 0, pcm(4, 5))]
        assert balanced(feed, 1).forwarded == 2

    def test_what_was_gone_before_the_reader_came_is_late(
        self, open_call: OpensCalls, pcm: Pcm, balanced: Balanced
    ) -> None:
        pipeline, feed = open_call(capacity=3), Feed()
        assert pipeline.oldest_position == 0
        pipeline.push(pcm(1, 2, 3, 4, 5))
        came = pipeline.oldest_position
        assert came == 2
        pipeline.push(pcm(6))
        feed.attach(1, pipeline, channels=(0,), owed_from=came)
        books = balanced(feed, 1)
        assert (books.received, books.dropped["overrun"], books.late) == (4, 1, 2)
        late, overrun = (1, 0, 2, GapReason.LATE, b""), (1, 2, 1, GapReason.OVERRUN, b"")
        assert feed.drain_blocks(ALL) == [late, overrun, (1, 3, 0, 0, pcm(4, 5, 6))]
        books = feed.detach(1)
        assert (books.received, books.forwarded, books.late) == (4, 3, 2)
        assert "late=2" in repr(books)

    def test_in_the_middle_of_a_gap(self, open_call: OpensCalls) -> None:
        pipeline, feed = open_call(), Feed()
        pipeline.gap(10, GapReason.PAUSED)
        feed.attach(1, pipeline, position=4)
        assert feed.drain_blocks(ALL) == [(1, 4, 6, GapReason.PAUSED, b"")]

    def test_to_a_call_that_has_ended(self, open_call: OpensCalls, pcm: Pcm) -> None:
        pipeline, feed = open_call(), Feed()
        pipeline.push(pcm(1))
        pipeline.end()
        feed.attach(1, pipeline)
        feed.attach(2, pipeline, position=None)
        assert feed.pending
        assert [block[0] for block in feed.drain_blocks(ALL)] == [1]
        assert sorted(feed.finished()) == [1, 2]
        assert feed.finished() == []

    def test_once_under_a_number(self, open_call: OpensCalls) -> None:
        pipeline, feed = open_call(), Feed()
        feed.attach(1, pipeline)
        with pytest.raises(ValueError, match="1 is attached already"):
            feed.attach(1, pipeline)
        feed.detach(1)
        feed.attach(1, pipeline)

    @pytest.mark.parametrize("call", [0, -1, 2**32])
    def test_under_a_number_that_the_stream_can_carry(
        self, open_call: OpensCalls, call: int
    ) -> None:
        with pytest.raises((ValueError, OverflowError)):
            Feed().attach(call, open_call())

    @pytest.mark.parametrize("channels", [(), (0, 0), (2,), (0, 1, 2)])
    def test_with_channels_that_there_are(
        self, open_call: OpensCalls, channels: tuple[int, ...]
    ) -> None:
        with pytest.raises(ValueError, match="channels"):
            Feed().attach(1, open_call(), channels=channels)

    def test_unknown_numbers_are_key_errors(self) -> None:
        feed = Feed()
        for door in (feed.detach, feed.books, feed.lag_samples):
            with pytest.raises(KeyError, match="7 is not attached"):
                door(7)

    def test_detach_drops_the_rest_and_says_so(self, open_call: OpensCalls, pcm: Pcm) -> None:
        pipeline, feed = open_call(), Feed()
        feed.attach(1, pipeline)
        pipeline.push(pcm(1, 2))
        feed.drain(ALL)
        pipeline.push(pcm(3, 4, 5))
        books = feed.detach(1)
        assert in_balance(books)
        assert books_as_json(books) == {
            "received": 5,
            "forwarded": 2,
            "buffered": 0,
            "dropped": {"detached": 3},
        }
        assert books.position == 2
        assert not feed.pending
        assert feed.drain(ALL) == b""


class TestWake:
    def test_once_until_drained_empty(self, open_call: OpensCalls, pcm: Pcm) -> None:
        wakes: list[str] = []
        pipeline, feed = open_call(), Feed(lambda: wakes.append("woken"))
        feed.attach(1, pipeline)
        assert wakes == []
        pipeline.push(pcm(1))
        pipeline.push(pcm(2))
        pipeline.gap(3, GapReason.PAUSED)
        assert (len(wakes), feed.pending) == (1, True)
        feed.drain(ALL)
        assert not feed.pending
        pipeline.end()
        assert (len(wakes), feed.pending) == (2, True)

    def test_a_full_drain_leaves_the_feed_pending_and_does_not_wake_it(
        self, open_call: OpensCalls, pcm: Pcm
    ) -> None:
        wakes: list[str] = []
        feed = Feed(lambda: wakes.append("woken"))
        pipelines = [open_call(), open_call()]
        for call, pipeline in enumerate(pipelines, 1):
            feed.attach(call, pipeline)
            pipeline.push(pcm(1))
        assert feed.drain(1)
        pipelines[0].push(pcm(2))
        assert (len(wakes), feed.pending) == (1, True)

    def test_the_callback_may_use_everything(self, open_call: OpensCalls, pcm: Pcm) -> None:
        drained: list[bytes] = []
        pipeline, other = open_call(), open_call()

        def drain_and_push() -> None:
            drained.append(feed.drain(ALL))
            if len(drained) == 1:
                pipeline.push(pcm(2))
                other.push(pcm(3))
                feed.attach(2, other)

        feed = Feed(drain_and_push)
        feed.attach(1, pipeline)
        pipeline.push(pcm(1))
        assert {frame.body for part in drained for frame in frames(part)} == {
            pcm(1),
            pcm(2),
            pcm(3),
        }
        assert not feed.pending

    def test_what_the_callback_raises_reaches_no_pusher(
        self, open_call: OpensCalls, pcm: Pcm, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unraisable: list[Any] = []
        monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

        def fail() -> None:
            raise RuntimeError("a sink's own trouble")

        pipeline, feed, healthy = open_call(), Feed(fail), Feed()
        feed.attach(1, pipeline)
        healthy.attach(1, pipeline)
        assert pipeline.push(pcm(1)) == 1
        assert [str(it.exc_value) for it in unraisable] == ["a sink's own trouble"]
        assert not pipeline.ended
        assert feed.drain(ALL) == healthy.drain(ALL)

    def test_a_feed_without_callback_is_polled(self, open_call: OpensCalls, pcm: Pcm) -> None:
        pipeline, feed = open_call(), Feed(None)
        feed.attach(1, pipeline)
        pipeline.push(pcm(1))
        assert feed.pending

    def test_a_feed_that_is_gone_is_not_woken(self, open_call: OpensCalls, pcm: Pcm) -> None:
        wakes: list[str] = []
        pipeline, feed = open_call(), Feed(lambda: wakes.append("woken"))
        feed.attach(1, pipeline)
        del feed
        gc.collect()
        pipeline.push(pcm(1))
        assert wakes == []


def test_calls_take_turns_so_that_a_backlog_delays_nobody(
    budget: Budget, open_call: OpensCalls, pcm: Pcm
) -> None:
    feed, behind, live = Feed(), open_call(capacity=20_000), open_call()
    feed.attach(1, behind, channels=(0,))
    feed.attach(2, live, channels=(0,))
    behind.push(bytes(2 * 20_000))
    live.push(pcm(1))
    assert [(call, len(audio) // 2) for call, *_, audio in feed.drain_blocks(ALL)] == [
        (1, 8000),
        (2, 1),
        (1, 8000),
        (1, 4000),
    ]


@given(max_bytes=st.integers(1, 60_000))
def test_a_drain_exceeds_its_limit_by_less_than_one_item(max_bytes: int) -> None:
    feed = Feed()
    pipeline = Pipeline(Budget(1 << 20), codec="L16", channels=(0, 1), capacity_samples=20_000)
    feed.attach(1, pipeline)
    pipeline.push(bytes(4 * 20_000))
    while feed.pending:
        stream = feed.drain(max_bytes)
        assert len(stream) < max_bytes + 2 * (24 + 2 * 8000)
    assert feed.books(1).forwarded == 20_000


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(0, 30)),
        st.tuples(st.just("gap"), st.integers(0, 10)),
        st.tuples(st.just("drain"), st.integers(1, 200)),
        st.tuples(st.just("blocks"), st.integers(1, 200)),
        st.tuples(st.just("late"), st.integers(0, 100)),
    ),
    max_size=40,
)


@given(steps=STEPS)
def test_the_books_balance_and_positions_are_contiguous_whatever_happens(
    steps: list[tuple[str, int]],
) -> None:
    pipeline = Pipeline(Budget(1 << 20), codec="L16", channels=(0,), capacity_samples=16)
    feed, given_out, starts = Feed(), dict[int, list[int | None]](), dict[int, int]()

    def attach(position: int) -> None:
        call = len(starts) + 1
        feed.attach(call, pipeline, channels=(0,), position=position)
        starts[call], given_out[call] = feed.books(call).position, []

    def take(call: int, position: int, gap_samples: int, audio: bytes) -> None:
        assert position == starts[call] + len(given_out[call])
        samples = struct.unpack(f"<{len(audio) // 2}h", audio)
        given_out[call] += [None] * gap_samples if gap_samples else samples

    attach(0)
    for step, amount in steps:
        match step:
            case "push":
                start = pipeline.position
                pipeline.push(struct.pack(f"<{amount}h", *range(start, start + amount)))
            case "gap":
                pipeline.gap(amount, GapReason.MALFORMED)
            case "drain":
                for frame in frames(feed.drain(amount)):
                    silent = frame.samples if frame.kind == FrameKind.GAP else 0
                    take(frame.call, frame.position, silent, frame.body)
            case "blocks":
                for call, position, gap_samples, _, audio in feed.drain_blocks(amount):
                    take(call, position, gap_samples, audio)
            case "late":
                attach(amount)
        for call, positions in given_out.items():
            books = feed.books(call)
            assert in_balance(books), books
            assert books.forwarded == sum(sample is not None for sample in positions)
            assert books.buffered == feed.lag_samples(call)
            assert books.position == starts[call] + len(positions)
    for call, positions in given_out.items():
        for position, sample in enumerate(positions, starts[call]):
            assert sample in {None, position}, "a sample is where it was written"
