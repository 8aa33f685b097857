"""Push on one thread, drain on another: nothing lost, nothing twice, no deadlock."""

from __future__ import annotations

import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from earhook.media.feed import Feed, in_balance
from earhook.media.gaps import GapReason
from earhook.media.pipeline import Budget, Pipeline
from earhook.media.stream import FrameDecoder, FrameKind

DEADLINE_SECONDS = 30.0
ALL = 1 << 30


class Consumer:
    """Drains whenever it is woken, on a thread of its own, until so many calls have ended."""

    def __init__(self, calls: int, *, as_blocks: bool) -> None:
        self.calls_left = calls
        self.samples: dict[int, list[int]] = {call: [] for call in range(1, calls + 1)}
        self.gap_samples = dict.fromkeys(self.samples, 0)
        self.woken = threading.Event()
        self.feed = Feed(self.woken.set)
        self._take = self._take_blocks if as_blocks else self._take_frames
        self._decoder = FrameDecoder()

    def run(self) -> None:
        while self.calls_left:
            assert self.woken.wait(DEADLINE_SECONDS), "a wake was lost"
            self.woken.clear()
            while self.feed.pending:
                self._take()
            self.calls_left -= len(self.feed.finished())

    def _take_blocks(self) -> None:
        for call, position, gap_samples, _, audio in self.feed.drain_blocks(4096):
            self._book(call, position, gap_samples, audio)

    def _take_frames(self) -> None:
        stream = self.feed.drain(4096)
        for kind, call, _, position, samples, _, body in self._decoder.feed(stream):
            self._book(call, position, samples if kind == FrameKind.GAP else 0, body)

    def _book(self, call: int, position: int, gap_samples: int, audio: bytes) -> None:
        assert position == len(self.samples[call]) + self.gap_samples[call]
        self.gap_samples[call] += gap_samples
        self.samples[call] += struct.unpack(f"<{len(audio) // 2}h", audio)


@pytest.mark.parametrize("as_blocks", [True, False], ids=["blocks", "frames"])
def test_a_consumer_that_sleeps_until_woken_gets_every_sample(*, as_blocks: bool) -> None:
    calls, frames_per_call, frame_samples = 4, 400, 50
    consumer = Consumer(calls, as_blocks=as_blocks)
    capacity = frames_per_call * frame_samples
    pipelines = [
        Pipeline(Budget(1 << 24), codec="L16", channels=(0,), capacity_samples=capacity)
        for _ in range(calls)
    ]
    for call, pipeline in enumerate(pipelines, 1):
        consumer.feed.attach(call, pipeline, channels=(0,))
    with ThreadPoolExecutor(1) as threads:
        draining = threads.submit(consumer.run)
        for number in range(frames_per_call):
            for pipeline in pipelines:
                pipeline.push(struct.pack("<h", number) * frame_samples)
        for pipeline in pipelines:
            pipeline.end()
        draining.result(DEADLINE_SECONDS)
    expected = [number for number in range(frames_per_call) for _ in range(frame_samples)]
    for call, samples in consumer.samples.items():
        assert samples == expected
        books = consumer.feed.detach(call)
        assert in_balance(books)
        assert (books.forwarded, sum(books.dropped.values())) == (capacity, 0)


def test_a_slow_consumer_loses_what_its_books_say_and_nothing_more() -> None:
    consumer = Consumer(1, as_blocks=True)
    pipeline = Pipeline(Budget(1 << 24), codec="L16", channels=(0,), capacity_samples=64)
    consumer.feed.attach(1, pipeline, channels=(0,))
    with ThreadPoolExecutor(1) as threads:
        draining = threads.submit(consumer.run)
        for number in range(5000):
            pipeline.push(struct.pack("<7h", *[number] * 7))
        pipeline.end()
        draining.result(DEADLINE_SECONDS)
    books = consumer.feed.books(1)
    assert in_balance(books)
    assert books.received == pipeline.written_samples == 35_000
    assert books.forwarded == len(consumer.samples[1])
    assert books.dropped["overrun"] == consumer.gap_samples[1]
    assert consumer.samples[1] == sorted(consumer.samples[1])


def test_hammered_from_all_sides_nothing_hangs_and_everything_comes_back() -> None:
    budget = Budget(1 << 24)
    feed, stop = Feed(lambda: None), threading.Event()

    def live_through_calls(first: int) -> int:
        received = 0
        for call in range(first, first + 150):
            pipeline = Pipeline(budget, codec="PCMU", channels=(1, 0), capacity_samples=400)
            feed.attach(call, pipeline)
            for _ in range(5):
                pipeline.push(bytes(320))
                pipeline.gap(3, GapReason.PAUSED)
                assert in_balance(feed.books(call))
            pipeline.end()
            books = feed.detach(call)
            assert in_balance(books)
            received += books.received
        return received

    def drain_until_stopped() -> None:
        while not stop.is_set():
            feed.drain(2000)
            feed.drain_blocks(2000, codec="PCMA")
            feed.finished()

    with ThreadPoolExecutor(4) as threads:
        drainers = [threads.submit(drain_until_stopped) for _ in range(2)]
        lives = [threads.submit(live_through_calls, 1000 * number) for number in (1, 2)]
        try:
            received = [life.result(DEADLINE_SECONDS) for life in lives]
        finally:
            stop.set()
        for drainer in drainers:
            drainer.result(DEADLINE_SECONDS)
    assert received == [150 * 5 * 160] * 2
    feed.drain(ALL)
    assert (feed.pending, feed.finished(), budget.used_bytes) == (False, [], 0)


def test_the_interpreter_is_released_while_a_drain_works() -> None:
    """Another thread runs during one call, though no thread would be made to give way."""
    feed, pipelines = Feed(), list[Pipeline]()
    for call in range(1, 17):
        pipeline = Pipeline(Budget(ALL), codec="L16", channels=(0, 1), capacity_samples=400_000)
        feed.attach(call, pipeline)
        pipeline.push(bytes(4 * 400_000))
        pipelines.append(pipeline)
    gate, ran = threading.Lock(), []
    gate.acquire()

    def run_once() -> None:
        with gate:
            ran.append("during the drain")

    interval_seconds = sys.getswitchinterval()
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(run_once)
        try:
            sys.setswitchinterval(DEADLINE_SECONDS)
            gate.release()
            blocks = feed.drain_blocks(ALL, codec="PCMU")
            ran_meanwhile = list(ran)
        finally:
            sys.setswitchinterval(interval_seconds)
        running.result(DEADLINE_SECONDS)
    assert sum(len(block[4]) for block in blocks) == 16 * 2 * 400_000
    assert ran_meanwhile == ["during the drain"]
