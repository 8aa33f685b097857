"""A line and a bad engine: nothing is waited for, nothing grows, what is lost is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest

from earhook.analytics import hearing as hearing_module
from earhook.analytics.analysis import Analyst
from earhook.analytics.call import CallHearing, Workshop
from earhook.analytics.engine import Line
from earhook.analytics.hearing import Hearing, HearingOwner, HearingSettings
from earhook.analytics.rules import RuleBook
from earhook.analytics.segment import Segment
from earhook.client import Block, Gap
from earhook.errors import EngineFailed

from .lines import RATE, call, noise

CALL = call()


class FakeEngine:
    """Hears every 200 ms as a segment, unless it is told to fail or to be slow."""

    name = "fake"

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures = 0
        self.refusals = 0
        self.is_hopeless = False
        self.defect: Exception | None = None
        self.opened: list[FakeRecogniser] = []

    async def open(self, line: Line) -> FakeRecogniser:
        if self.refusals:
            self.refusals -= 1
            raise EngineFailed("not now", is_hopeless=self.is_hopeless)
        self.opened.append(FakeRecogniser(self, line))
        return self.opened[-1]

    async def close(self) -> None:
        pass


class FakeRecogniser:
    def __init__(self, engine: FakeEngine, line: Line) -> None:
        self.settled = 0
        self.is_closed = False
        self.heard: list[tuple[int, int]] = []
        self.skipped: list[tuple[int, int]] = []
        self._engine = engine
        self._line = line
        self._said: asyncio.Queue[Segment | None] = asyncio.Queue()

    async def push(self, samples: Any, position: int) -> None:
        await self._engine.gate.wait()
        if self._engine.failures:
            self._engine.failures -= 1
            raise self._engine.defect or EngineFailed("it broke")
        end = self.settled = position + len(samples)
        self.heard.append((position, end))
        self.say(Segment(self._line.channel, position, end, "word"))

    def say(self, segment: Segment) -> None:
        self._said.put_nowait(segment)

    async def skip(self, position: int, samples: int) -> None:
        self.skipped.append((position, position + samples))

    async def finish(self) -> None:
        self._said.put_nowait(None)

    async def segments(self) -> AsyncIterator[Segment]:
        while (segment := await self._said.get()) is not None:
            yield segment

    async def close(self) -> None:
        self.is_closed = True


class Story:
    """A hearing, and what it tells."""

    def __init__(self, engine: FakeEngine, start: int = 0, **wishes: Any) -> None:
        self.said: list[Segment] = []
        self.missed: list[tuple[int, int]] = []
        self.failed: list[EngineFailed] = []
        owner = HearingOwner(
            self.said.append,
            lambda _channel, start, end: self.missed.append((start, end)),
            lambda _channel, error: self.failed.append(error),
        )
        line = Line(CALL, "external", RATE)
        self.hearing = Hearing(line, engine, owner, HearingSettings(**wishes), start)
        self.position = 0

    def push(self, seconds: float) -> None:
        self.hear(noise(seconds))

    def hear(self, samples: Any) -> None:
        self.hearing.put(Block(CALL, "external", self.position, samples))
        self.position += len(samples)

    def skip(self, seconds: float) -> None:
        samples = round(seconds * RATE)
        self.hearing.put(Gap(CALL, "external", self.position, samples, "paused"))
        self.position += samples


def test_everything_is_heard_in_order_up_to_the_end(run: Any) -> None:
    async def story() -> None:
        told = Story(FakeEngine())
        for _ in range(20):
            told.push(0.2)
        told.skip(5.0)
        told.push(0.2)
        await told.hearing.finish()
        assert [(one.start, one.end) for one in told.said] == [
            *((place * 1600, place * 1600 + 1600) for place in range(20)),
            (72_000, 73_600),
        ]
        assert not told.missed
        assert told.hearing.dropped_samples == 0
        assert told.hearing.settled == told.position

    run(story())


def test_an_interim_reading_is_told_when_it_changes(run: Any, until: Any) -> None:
    """Engines that answer every frame repeat what they have, until there is more of it."""
    readings = [
        *[(0, 1600, "my"), (0, 3200, "my"), (0, 4800, "my card"), (0, 6400, "my")],
        *[(0, 8000, "my"), (8000, 9600, "my"), (8000, 11_200, "my")],
    ]

    async def story() -> None:
        engine = FakeEngine()
        told = Story(engine)
        engine.gate.clear()
        told.push(2.0)
        await until(lambda: engine.opened)
        for place, (start, end, text) in enumerate(readings):
            final = place in {4, 6}
            engine.opened[0].say(Segment("external", start, end, text, is_final=final))
        await until(lambda: len([one for one in told.said if one.is_final]) == 2)
        assert [(one.start, one.text, one.is_final) for one in told.said] == [
            (0, "my", False),
            (0, "my card", False),
            (0, "my", False),
            (0, "my", True),
            (8000, "my", False),
            (8000, "my", True),
        ]
        await told.hearing.close()

    run(story())


def test_an_engine_that_hangs_costs_the_oldest_audio_and_no_memory(run: Any, until: Any) -> None:
    async def story() -> None:
        engine = FakeEngine()
        engine.gate.clear()
        told = Story(engine, backlog_seconds=2.0)
        told.push(0.2)
        await until(lambda: engine.opened)
        for _ in range(500):  # of which nothing waits
            told.push(0.2)
        assert told.hearing._waiting_samples <= 2.0 * RATE
        assert len(told.hearing._waiting) <= 12
        dropped = told.hearing.dropped_samples
        assert 97.6 * RATE <= dropped <= 99.2 * RATE
        assert sum(end - start for start, end in told.missed) == dropped
        engine.gate.set()
        await told.hearing.finish()
        (recogniser,) = engine.opened
        heard = sum(end - start for start, end in recogniser.heard)
        assert heard + dropped == told.position
        ((start, end),) = recogniser.skipped
        assert end - start == dropped

    run(story())


class Turnstile(asyncio.Event):
    """Lets through as many as it was told of."""

    def __init__(self) -> None:
        super().__init__()
        self._tickets = asyncio.Semaphore(0)

    def admit(self) -> None:
        self._tickets.release()

    async def wait(self) -> Literal[True]:
        await self._tickets.acquire()
        return True


@pytest.mark.parametrize("times_slower", [2, 8])
def test_an_engine_that_is_too_slow_gets_few_long_holes(
    run: Any, until: Any, times_slower: int
) -> None:
    """Each of them ends an utterance; half of the words would be worth nothing one by one."""

    async def story() -> None:
        engine = FakeEngine()
        engine.gate = turnstile = Turnstile()
        told = Story(engine, backlog_seconds=4.0)
        told.push(0.2)
        await until(lambda: engine.opened)
        (recogniser,) = engine.opened
        for turn in range(200):
            for _ in range(times_slower):
                told.push(0.2)
            turnstile.admit()
            await until(lambda turn=turn: len(recogniser.heard) > turn)
        assert told.hearing.dropped_samples > 30 * RATE
        assert len(recogniser.skipped) <= 40
        assert all(end - start >= 1.6 * RATE for start, end in recogniser.skipped)
        ends = [start for start, _ in recogniser.skipped]
        phrases = [end - start for start, end in zip([0, *_ends(recogniser)], ends, strict=False)]
        assert min(phrases[1:]) >= 1.0 * RATE
        await told.hearing.close()

    run(story())


def _ends(recogniser: FakeRecogniser) -> list[int]:
    return [end for _, end in recogniser.skipped]


def test_a_recogniser_that_never_comes_back_is_replaced(run: Any, until: Any) -> None:
    async def story() -> None:
        engine = FakeEngine()
        engine.gate.clear()
        told = Story(engine, step_seconds=0.05)
        told.push(0.2)
        await until(lambda: told.missed)
        assert [str(error) for error in told.failed] == ["it gave no answer for 0.05 s"]
        assert told.missed == [(0, 1600)]
        engine.gate.set()
        told.hearing._deaf_until = 0.0
        told.push(0.2)
        await told.hearing.finish()
        first, second = engine.opened
        assert first.is_closed
        assert [one.start for one in told.said] == [1600]
        assert second.heard == [(1600, 3200)]

    run(story())


def test_a_recogniser_that_does_not_let_go_does_not_keep_the_end_waiting(
    run: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing_module, "CLOSE_SECONDS", 0.05)

    async def never(_recogniser: FakeRecogniser) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(FakeRecogniser, "close", never)

    async def story() -> None:
        told = Story(FakeEngine())
        told.push(0.2)
        async with asyncio.timeout(5):
            await told.hearing.finish()
        assert told.said

    run(story())


def test_a_broken_recogniser_is_replaced(
    run: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing_module, "FIRST_PAUSE_SECONDS", 0.0)

    async def story() -> None:
        engine = FakeEngine()
        engine.failures = 1
        told = Story(engine)
        told.hearing._pause_seconds = 0.0
        told.push(0.2)
        await until(lambda: told.failed)
        told.push(0.2)
        await told.hearing.finish()
        assert [str(error) for error in told.failed] == ["it broke"]
        assert told.missed == [(0, 1600)]
        assert [one.start for one in told.said] == [1600]
        first, second = engine.opened
        assert first.is_closed
        assert second.is_closed

    run(story())


def test_a_defect_of_an_engine_is_a_failure_like_others(run: Any, until: Any) -> None:
    async def story() -> None:
        engine = FakeEngine()
        engine.failures, engine.defect = 1, ZeroDivisionError("of its own")
        told = Story(engine)
        told.push(0.2)
        await until(lambda: told.failed)
        await told.hearing.finish()
        assert [str(error) for error in told.failed] == [
            "a defect of the engine: ZeroDivisionError"
        ]
        assert told.hearing.dropped_samples == told.position

    run(story())


def test_readings_that_overlap_the_one_before_are_kept_and_repetitions_are_not(
    run: Any, until: Any
) -> None:
    async def story() -> None:
        engine = FakeEngine()
        told = Story(engine)
        told.push(0.2)
        await until(lambda: told.said)
        (recogniser,) = engine.opened
        for start, end, is_final in [(0, 1600, True), (1500, 3000, False), (1500, 3200, True)]:
            segment = Segment("external", start, end, "again", is_final=is_final)
            recogniser._said.put_nowait(segment)
        await told.hearing.finish()
        spans = [(one.start, one.end, one.is_final) for one in told.said]
        assert spans == [(0, 1600, True), (1600, 3000, False), (1600, 3200, True)]

    run(story())


def test_an_engine_that_is_away_is_not_asked_for_every_block(run: Any, until: Any) -> None:
    async def story() -> None:
        engine = FakeEngine()
        engine.refusals = 1000
        told = Story(engine)
        for _ in range(100):
            told.push(0.2)
        await until(lambda: told.hearing.settled == told.position)
        assert engine.refusals == 999
        assert len(told.failed) == 1
        assert told.hearing.dropped_samples == told.position
        await told.hearing.finish()

    run(story())


def test_what_is_hopeless_is_not_asked_again(run: Any, until: Any) -> None:
    async def story() -> None:
        engine = FakeEngine()
        engine.refusals, engine.is_hopeless = 1, True
        told = Story(engine)
        told.push(0.2)
        await until(lambda: told.failed)
        told.push(0.2)
        await told.hearing.finish()
        assert told.hearing._deaf_until == float("inf")
        assert not engine.opened
        assert told.hearing.dropped_samples == told.position

    run(story())


def test_what_was_told_by_a_run_before_is_not_told_again(run: Any) -> None:
    async def story() -> None:
        engine = FakeEngine()
        told = Story(engine, start=2400)
        for _ in range(3):
            told.push(0.2)
        await told.hearing.finish()
        assert [(one.start, one.end) for one in told.said] == [(2400, 3200), (3200, 4800)]
        assert told.hearing.dropped_samples == 0

    run(story())


def test_an_engine_without_last_words_does_not_keep_the_end_waiting(run: Any) -> None:
    async def story() -> None:
        engine = FakeEngine()
        engine.gate.clear()
        told = Story(engine, finish_seconds=0.05)
        told.push(0.2)
        async with asyncio.timeout(5):
            await told.hearing.finish()
        assert [str(error) for error in told.failed] == ["no last words in time"]
        assert engine.opened[0].is_closed

    run(story())


class Told:
    """An outlet that keeps everything."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def tell(self, _call: Any, result: Any, _segment: Any) -> None:
        self.told.append((result.kind, result.details))

    def write(self, kind: str, _call: Any, _position: int, details: Any) -> None:
        self.told.append((kind, details))

    def of(self, kind: str) -> list[Any]:
        return [details for one, details in self.told if one == kind]


def test_an_engine_that_is_behind_is_said_to_be_and_what_it_misses_is_told_where_it_is(
    run: Any, until: Any
) -> None:
    async def story() -> None:
        engine, told = FakeEngine(), Told()
        analyst = Analyst(RuleBook(()), None)
        settings = HearingSettings(backlog_seconds=10.0)
        hearing = CallHearing(CALL, 0, Workshop(engine, analyst, told, settings))

        def speak(first: int, last: int) -> None:
            for place in range(first, last):
                for channel in CALL.channels:
                    hearing.take(Block(CALL, channel, place * 1600, noise(0.2)))

        speak(0, 5)
        await until(lambda: len(told.of("transcript")) == 10)
        engine.gate.clear()
        speak(5, 35)  # 6 s
        assert [one["state"] for one in told.of("analysis")] == ["started", "behind"]
        behind = told.of("analysis")[1]["behind_seconds"]
        assert 3.0 <= behind < 4.0
        speak(35, 75)  # 8 s more than may wait
        assert not told.of("unheard")
        engine.gate.set()
        await until(lambda: len(told.of("transcript")) > 20)
        speak(75, 80)
        await hearing.finish()
        states = [one["state"] for one in told.of("analysis")]
        assert states[:2] == ["started", "behind"]
        assert states[-2:] == ["caught_up", "ended"]
        for channel in CALL.channels:
            spans = [
                (kind, details["start"], details["end"])
                for kind, details in told.told
                if kind in ("transcript", "unheard") and details["channel"] == channel
            ]
            assert [start for _, start, _ in spans] == [0, *(end for _, _, end in spans[:-1])]
            assert sum(kind == "unheard" for kind, *_ in spans) in (1, 2)
        assert told.of("analysis")[-1]["dropped_seconds"] >= 4.0

    run(story())
