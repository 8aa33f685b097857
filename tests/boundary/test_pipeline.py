"""What a pipeline tells about its call, and what it refuses."""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Callable

import pytest

from earhook.errors import BudgetExhausted
from earhook.media.feed import Feed
from earhook.media.format import MediaFormat
from earhook.media.g711 import decode_g711
from earhook.media.gaps import Gap, GapReason, gaps_of
from earhook.media.pipeline import Budget, Pipeline, open_pipeline

OpensCalls = Callable[..., Pipeline]


def test_positions_count_gaps_and_samples_apart(
    open_call: OpensCalls, pcm: Callable[..., bytes]
) -> None:
    pipeline = open_call()
    pipeline.push(pcm(1, 2, 3))
    pipeline.gap(10, GapReason.PAUSED)
    pipeline.gap(5, GapReason.PAUSED)
    pipeline.gap(0, GapReason.DISCARDED)
    pipeline.push(pcm(4))
    pipeline.gap(1, GapReason.UNREPORTED)
    assert (pipeline.position, pipeline.written_samples, pipeline.frames) == (20, 4, 2)
    assert gaps_of(pipeline) == [Gap(3, 15, GapReason.PAUSED), Gap(19, 1, GapReason.UNREPORTED)]


def test_levels_are_of_the_last_frame_by_channel(
    open_call: OpensCalls, pcm: Callable[..., bytes]
) -> None:
    pipeline = open_call(channels=(1, 0))
    assert pipeline.levels() == [(1, 0, 0.0), (0, 0, 0.0)]
    pipeline.push(pcm(30_000, 30_000))
    pipeline.push(pcm(3, -32_768, -4, 0))
    pipeline.gap(100, GapReason.PAUSED)
    (first, second) = pipeline.levels()
    assert first == (1, 4, pytest.approx(math.sqrt((9 + 16) / 2)))
    assert second == (0, 32_768, pytest.approx(32_768 / math.sqrt(2)))


def test_after_the_end_nothing_is_taken_and_nothing_fails(
    open_call: OpensCalls, pcm: Callable[..., bytes]
) -> None:
    pipeline = open_call()
    pipeline.push(pcm(1))
    pipeline.end()
    pipeline.end()
    assert pipeline.ended
    assert pipeline.push(pcm(2)) == 0
    pipeline.gap(5, GapReason.PAUSED)
    assert (pipeline.position, pipeline.frames, pipeline.gaps()) == (1, 1, [])


@pytest.mark.parametrize(
    ("codec", "channels", "capacity", "says"),
    [
        ("MP3", (0,), 10, "MP3"),
        ("pcmu", (0,), 10, "pcmu"),
        ("PCMU", (), 10, "channels"),
        ("PCMU", (0, 0), 10, "channels"),
        ("PCMU", (2,), 10, "channels"),
        ("PCMU", (0, 1, 2), 10, "channels"),
        ("PCMU", (0,), 0, "capacity"),
    ],
)
def test_a_call_that_cannot_be_is_refused(
    budget: Budget, codec: str, channels: tuple[int, ...], capacity: int, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        Pipeline(budget, codec=codec, channels=channels, capacity_samples=capacity)
    assert budget.used_bytes == 0


@pytest.mark.parametrize("reason", [0, 8, 2**32 - 1])
def test_a_gap_has_a_known_reason(open_call: OpensCalls, reason: int) -> None:
    with pytest.raises(ValueError, match=str(reason)):
        open_call().gap(1, reason)


def test_positions_end_where_a_signed_64_bit_number_does(open_call: OpensCalls) -> None:
    pipeline = open_call()
    pipeline.gap(2**63 - 1, GapReason.PAUSED)
    with pytest.raises(ValueError, match="9223372036854775807"):
        pipeline.gap(1, GapReason.PAUSED)
    with pytest.raises(OverflowError):
        pipeline.gap(-1, GapReason.PAUSED)
    assert pipeline.position == 2**63 - 1


def test_the_budget_is_given_back_by_the_last_who_holds_a_call(
    budget: Budget, pcm: Callable[..., bytes]
) -> None:
    media = MediaFormat("PCMU", (0, 1))
    pipeline = open_pipeline(budget, media, ring_seconds=2.0)
    assert budget.used_bytes == 2 * 16_000 * 2
    feed = Feed()
    feed.attach(1, pipeline)
    pipeline.push(bytes(100))
    assert budget.used_bytes == 2 * 16_000, "G.711 is kept as it came"
    del pipeline
    assert budget.used_bytes == 2 * 16_000
    assert feed.drain_blocks(1 << 20)[0][:2] == (1, 0)
    assert feed.finished() == [1], "a pipeline that is gone has ended its call"
    feed.detach(1)
    assert budget.used_bytes == 0


def test_a_feed_that_is_gone_holds_nothing(budget: Budget, open_call: OpensCalls) -> None:
    pipeline, feed = open_call(), Feed()
    feed.attach(1, pipeline)
    del feed, pipeline
    assert budget.used_bytes == 0


def test_a_budget_that_is_used_up_says_what_was_asked_for() -> None:
    budget = Budget(200)
    held = Pipeline(budget, codec="L16", channels=(0,), capacity_samples=60)
    with pytest.raises(BudgetExhausted, match="120 bytes does not fit: 120 of 200"):
        Pipeline(budget, codec="L16", channels=(0,), capacity_samples=60)
    assert (budget.limit_bytes, budget.used_bytes) == (200, 120)
    del held
    Pipeline(budget, codec="L16", channels=(0,), capacity_samples=100)


def test_a_ring_that_no_machine_can_hold_costs_its_call_and_not_the_process() -> None:
    budget = Budget(2**64 - 1)
    pipeline = Pipeline(budget, codec="L16", channels=(0,), capacity_samples=2**62)
    with pytest.raises(BudgetExhausted, match="memory"):
        pipeline.push(bytes(2))
    assert pipeline.position == 0
    del pipeline
    assert budget.used_bytes == 0


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_codes_are_kept_and_decoded_for_every_reader(codec: str) -> None:
    """Of stereo, whole and by channel, in an order of its own, beyond the end of the ring."""
    codes = bytes(range(256)) * 2
    pipeline = Pipeline(Budget(1 << 20), codec=codec, channels=(1, 0), capacity_samples=300)
    feeds = {wanted: Feed() for wanted in ((0,), (1,), (0, 1), (1, 0))}
    for wanted, feed in feeds.items():
        feed.attach(1, pipeline, channels=wanted, position=0)
    pipeline.push(codes[:100])
    pipeline.push(codes)
    pcm = decode_g711((codes[:100] + codes)[12:], codec)
    lane = {1: memoryview(pcm).cast("h")[::2].tolist(), 0: memoryview(pcm).cast("h")[1::2].tolist()}
    for wanted, feed in feeds.items():
        gap, audio = feed.drain_blocks(1 << 20)
        assert gap[1:4] == (0, 6, GapReason.OVERRUN)
        groups = zip(*(lane[channel] for channel in wanted), strict=True)
        assert memoryview(audio[4]).cast("h").tolist() == [one for group in groups for one in group]


def test_a_circle_of_sink_feed_and_call_is_collected(budget: Budget, open_call: OpensCalls) -> None:
    class Circle:
        def __init__(self) -> None:
            self.feed = Feed(self.wake)
            self.pipeline = open_call()
            self.feed.attach(1, self.pipeline)

        def wake(self) -> None:
            """Hold the owner, as a bound method does."""

    Circle()
    gc.collect()
    assert budget.used_bytes == 0


def test_a_call_that_is_gone_without_an_end_ends_and_calls_nobody(
    budget: Budget, open_call: OpensCalls
) -> None:
    wakes: list[str] = []
    feed, other = Feed(lambda: wakes.append("woken")), open_call()
    feed.attach(1, open_call())
    assert wakes == []
    assert feed.pending
    feed.attach(2, other)
    other.push(bytes(4))
    assert wakes == ["woken"]
    feed.drain(1 << 20)
    assert feed.finished() == [1]


def test_a_callback_in_garbage_is_not_called(
    budget: Budget, open_call: OpensCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", calls.append)

    def circle() -> None:
        held: list[object] = []
        feed = Feed(lambda: calls.append(held))
        pipeline = open_call()
        feed.attach(1, pipeline)
        held += [feed, pipeline]  # taken apart from its end, when the callback has lost it

    circle()
    gc.collect()
    assert calls == []
    assert budget.used_bytes == 0
