"""What the core says of calls that it measures: the same however it is asked, and by whom."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from earhook.media.format import MediaFormat
from earhook.media.gaps import GapReason
from earhook.media.pipeline import Budget, Pipeline, open_pipeline
from earhook.media.signal import POINT_BYTES, Fact, SignalFeed, Stretch, Summary, summary_of

RATE = 8000
MEDIA = MediaFormat("L16", (1, 0))


@pytest.fixture
def feed() -> SignalFeed:
    return SignalFeed(
        dead_air_seconds=2.0,
        pause_seconds=0.4,
        talk_over_seconds=0.2,
        interruption_seconds=1.0,
        one_way_seconds=10.0,
    )


def call(media: MediaFormat = MEDIA, seconds: float = 30.0) -> Pipeline:
    return open_pipeline(Budget(1 << 26), media, ring_seconds=seconds)


def clipped(samples: int) -> np.ndarray[Any, Any]:
    """As loud as can be, on both channels: the simplest thing that everybody must notice."""
    wave = 30_000.0 * np.sign(np.sin(np.arange(samples) * 0.3))
    lane = np.where(wave > 0, 32_767, -32_768).astype("<i2")
    return np.stack([lane, lane], axis=1)


def speech(samples: int, seed: int) -> np.ndarray[Any, Any]:
    """Two lanes of something that comes and goes, to have facts at all."""
    random = np.random.default_rng(seed)
    lanes = np.zeros((samples, 2))
    for lane in range(2):
        at = 0
        while at < samples:
            length = int(random.integers(2000, 16_000))
            if random.random() < 0.5:
                lanes[at : at + length, lane] = random.normal(0, 3000, len(lanes[at : at + length]))
            at += length
    return lanes.clip(-32_768, 32_767).astype("<i2")


def everything(
    feed: SignalFeed, number: int, pipeline: Pipeline
) -> tuple[list[tuple[Any, ...]], Summary]:
    """All facts of a call but its number, and its figures; its books balance."""
    pipeline.end()
    taken = [fact for fact in feed.take(1 << 20) if fact[0] == number]
    facts, summary, envelope, books = feed.finish(number)
    assert summary is not None
    assert envelope is not None
    assert Stretch._make(envelope).end == pipeline.position
    assert books.received == books.forwarded + sum(books.dropped.values())
    assert books.buffered == 0
    return [fact[1:] for fact in [*taken, *facts]], summary_of(summary)


def test_facts_do_not_depend_on_when_they_are_asked_for(feed: SignalFeed) -> None:
    audio, (at_once, in_pieces) = speech(12 * RATE, seed=1), (call(), call())
    for number, pipeline in enumerate((at_once, in_pieces), 1):
        feed.attach(number, pipeline, channels=MEDIA.channels, rate=RATE)
    at_once.push(audio.tobytes())
    facts, summary = everything(feed, 1, at_once)
    for piece in np.array_split(audio, 97):
        in_pieces.push(piece.tobytes())
        assert feed.measure() is False
    assert everything(feed, 2, in_pieces) == (facts, summary)
    assert summary.samples == 12 * RATE
    assert facts


def test_what_nobody_has_measured_yet_is_measured_at_the_end(feed: SignalFeed) -> None:
    pipeline = call()
    feed.attach(1, pipeline, channels=MEDIA.channels, rate=RATE)
    pipeline.push(clipped(3 * RATE).tobytes())
    pipeline.gap(RATE, GapReason.PAUSED)
    pipeline.push(bytes(4 * 5 * RATE))
    facts, summary = everything(feed, 1, pipeline)
    kinds = {Fact(0, *fact).kind for fact in facts}
    assert {"clipping", "dead_air", "dead_air_ended"} <= kinds
    assert summary.samples == 8 * RATE
    assert [lane.channel for lane in summary.lanes] == [0, 1]
    assert all(lane.clipped_samples == 3 * RATE for lane in summary.lanes)
    assert summary.longest_dead_air_samples == pytest.approx(5 * RATE, abs=RATE // 2)


def test_a_call_with_one_channel_and_another_rate(feed: SignalFeed) -> None:
    media = MediaFormat("L16", (1,), 16_000)
    pipeline = call(media)
    feed.attach(7, pipeline, channels=media.channels, rate=media.rate)
    pipeline.push(clipped(16_000)[:, 0].tobytes())
    feed.measure()
    ((channel, rms, peak, _),) = feed.levels(7)
    assert (channel, round(rms), round(peak)) == (1, 0, 0)
    facts, summary = everything(feed, 7, pipeline)
    assert {fact[1] for fact in facts} <= {1, None}
    assert [lane.channel for lane in summary.lanes] == [1]


def test_an_overrun_is_a_gap_and_balances(feed: SignalFeed) -> None:
    pipeline = call(seconds=1.0)
    feed.attach(1, pipeline, channels=MEDIA.channels, rate=RATE)
    for _ in range(5):
        pipeline.push(speech(RATE, seed=2).tobytes())
    pipeline.end()
    _, summary, _, books = feed.finish(1)
    assert summary is not None
    assert summary_of(summary).samples == RATE
    assert (books.received, books.dropped["overrun"]) == (5 * RATE, 4 * RATE)


def test_how_loud_a_call_was_from_its_beginning_to_its_end(feed: SignalFeed) -> None:
    pipeline = call()
    feed.attach(1, pipeline, channels=MEDIA.channels, rate=RATE)
    # Channel 0 is the second one of this call.
    pipeline.push(np.full((RATE, 2), (-328, 3277), "<i2").tobytes())
    pipeline.gap(RATE // 10, GapReason.PAUSED)
    pipeline.push(bytes(4 * 170))
    assert feed.envelope(1, 0) == (RATE // 10, 0, 0, b"")
    feed.measure()
    loud, gap, silent = bytes((215, 215, 175, 175, 0)), bytes((0, 0, 0, 0, 1)), bytes(5)
    # Ten samples are no block yet.
    end = pipeline.position - 10
    assert feed.envelope(1, 0) == (800, 0, end, 10 * loud + gap + silent)
    assert feed.envelope(1, RATE) == (800, RATE, end, gap + silent)
    assert feed.envelope(1, end) == (800, end, end, b"")
    pipeline.end()
    _, _, envelope, _ = feed.finish(1)
    assert envelope == (800, 0, end + 10, 10 * loud + gap + silent)


def test_an_envelope_does_not_grow_with_the_call(feed: SignalFeed) -> None:
    media = MediaFormat("L16", (1,))
    pipeline = call(media)
    feed.attach(1, pipeline, channels=media.channels, rate=RATE)
    pipeline.push(np.full(RATE, 3277, "<i2").tobytes())
    pipeline.gap(8 * 3600 * RATE, GapReason.PAUSED)
    feed.measure()
    found = feed.envelope(1, 0)
    assert found is not None
    stretch = Stretch._make(found)
    assert len(stretch.levels) <= 768 * POINT_BYTES
    assert stretch.levels[:5] == bytes((0, 0, 215, 215, 0))
    assert stretch.end == pipeline.position
    assert stretch.step_samples * 384 <= stretch.end
    # Whoever has all of it goes on finely.
    pipeline.push(np.full(RATE, -328, "<i2").tobytes())
    feed.measure()
    assert feed.envelope(1, stretch.end) == (
        800,
        stretch.end,
        pipeline.position,
        10 * bytes((0, 0, 175, 175, 0)),
    )


def test_calls_that_are_not_there(feed: SignalFeed) -> None:
    pipeline = call()
    feed.attach(1, pipeline, channels=MEDIA.channels, rate=RATE)
    with pytest.raises(ValueError, match="attached"):
        feed.attach(1, pipeline, channels=MEDIA.channels, rate=RATE)
    with pytest.raises(ValueError, match="44100"):
        feed.attach(2, pipeline, channels=MEDIA.channels, rate=44_100)
    for ask in (feed.finish, feed.books):
        with pytest.raises(KeyError):
            ask(2)
    assert (feed.summary(2), feed.levels(2), feed.take(9), feed.pending) == (None, [], [], False)
    assert feed.envelope(2, 0) is None


def test_a_thread_that_measures_and_a_loop_that_asks(feed: SignalFeed) -> None:
    """Every fact of every call comes once and in order, whoever found it."""
    alone = SignalFeed(
        dead_air_seconds=2.0,
        pause_seconds=0.4,
        talk_over_seconds=0.2,
        interruption_seconds=1.0,
        one_way_seconds=10.0,
    )
    audio = [speech(8 * RATE, seed=seed) for seed in range(8)]
    is_over = threading.Event()

    def measure() -> None:
        while not is_over.is_set():
            feed.measure()

    thread = threading.Thread(target=measure)
    thread.start()
    try:
        for _ in range(5):
            for number, samples in enumerate(audio, 1):
                expected, heard = call(), call()
                alone.attach(number, expected, channels=MEDIA.channels, rate=RATE)
                feed.attach(number, heard, channels=MEDIA.channels, rate=RATE)
                expected.push(samples.tobytes())
                for piece in np.array_split(samples, 40):
                    heard.push(piece.tobytes())
                feed.levels(number)
                found = everything(feed, number, heard)
                assert found == everything(alone, number, expected)
    finally:
        is_over.set()
        thread.join()
