"""The laws that every sink must keep, as tests to run against your own.

    @pytest.mark.parametrize("law", SINK_LAWS, ids=lambda law: law.__name__)
    def test_my_sink_keeps(law: SinkLaw) -> None:
        asyncio.run(law(lambda: MySink(...)))

A law is a coroutine function. It makes its own sinks, starts and stops them, and raises
`AssertionError` where the contract of `earhook.sinks.base` is broken.
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final, TypeAlias

from earhook.ids import ConversationId, CorrelationId, KeyName, OrganizationId, SessionId
from earhook.media.format import MediaFormat
from earhook.media.gaps import GapReason
from earhook.media.pipeline import Budget, open_pipeline
from earhook.sinks.base import (
    CallEvent,
    CallFacts,
    CallOutcome,
    LiveCall,
    ProtocolEntry,
    Sink,
    SinkBooks,
)

from .sinks import StallingSink

__all__ = ["SINK_LAWS", "Rehearsal", "SinkLaw", "SinkMaker", "StagedCall"]

SinkMaker: TypeAlias = Callable[[], Sink]
"""Makes a sink, not started; called on a running loop. All that it makes have one name."""
SinkLaw: TypeAlias = Callable[[SinkMaker], Awaitable[None]]

PROMPT_SECONDS: Final = 0.1
"""What a sink may take to be told something. Generous: the machine may be busy."""
PATIENCE_SECONDS: Final = 10.0
STOP_SECONDS: Final = 5.0
FRAME_SAMPLES: Final = 1600


class _CountingCall(LiveCall):
    """Counts the answers, and not only the first."""

    __slots__ = ("answers",)

    answers: list[tuple[str, SinkBooks]]

    def settle(self, sink_name: str, books: SinkBooks) -> None:
        self.answers.append((sink_name, books))
        super().settle(sink_name, books)


class StagedCall:
    """A call without a peer: a pipeline that the test pushes to, and the sinks that are told."""

    def __init__(
        self, rehearsal: Rehearsal, media: MediaFormat, changes: Mapping[str, Any]
    ) -> None:
        self._rehearsal = rehearsal
        facts = CallFacts(
            session_id=SessionId(str(uuid.uuid4())),
            organization_id=OrganizationId(str(uuid.uuid4())),
            conversation_id=ConversationId(str(uuid.uuid4())),
            correlation_id=CorrelationId(str(uuid.uuid4())),
            key_name=KeyName("rehearsal"),
            media=media,
            opened_wall_seconds=rehearsal.opened_wall_seconds,
            language="en-US",
        )
        facts = replace(facts, **changes)
        pipeline = open_pipeline(rehearsal.budget, media, ring_seconds=rehearsal.ring_seconds)
        names = frozenset(sink.name for sink in rehearsal.sinks)
        self.live = _CountingCall(facts, pipeline, names, lambda _: None)
        self.live.answers = []
        self.live.protocol_log.append(ProtocolEntry(0.0, "in", "open"))
        for sink in rehearsal.sinks:
            self._tell(sink.attach, self.live)

    @property
    def answers(self) -> list[tuple[str, SinkBooks]]:
        """What sinks have settled it with: name and books, every answer of every sink."""
        return self.live.answers

    def push(self, codes: bytes) -> None:
        """Let a frame arrive."""
        self.live.pipeline.push(codes)

    def speak(self, frames: int = 1) -> None:
        """Let frames of 200 ms arrive that are like no other."""
        group_bytes = self.live.facts.media.bytes_per_group
        for _ in range(frames):
            self.push(self._rehearsal.random.randbytes(FRAME_SAMPLES * group_bytes))

    def gap(self, samples: int, reason: GapReason = GapReason.PAUSED) -> None:
        """Let time pass without audio."""
        self.live.pipeline.gap(samples, reason)
        event = CallEvent(reason.word, self.live.pipeline.position)
        for sink in self._rehearsal.sinks:
            self._tell(sink.publish, self.live, event)

    def close(self, reason: str = "end") -> None:
        """End the call, as the hub does."""
        pipeline = self.live.pipeline
        pipeline.end()
        self.live.outcome = CallOutcome(
            reason=reason,
            position=pipeline.position,
            samples_in=pipeline.written_samples,
            written=pipeline.written_samples,
            dropped={},
            frames=pipeline.frames,
            duration_seconds=pipeline.position / self.live.facts.media.rate,
        )
        for sink in self._rehearsal.sinks:
            self._tell(sink.ended, self.live)

    def forget(self) -> None:
        """Let the time run out in which a consumer could resume it."""
        for sink in self._rehearsal.sinks:
            self._tell(sink.forget, self.live)

    def _tell(self, tell: Callable[..., None], *facts: object) -> None:
        began = time.perf_counter()
        tell(*facts)
        self._rehearsal.slowest_seconds = max(
            self._rehearsal.slowest_seconds, time.perf_counter() - began
        )


class Rehearsal:
    """Plays the hub: opens calls and tells sinks, in the order that the contract promises."""

    def __init__(
        self, *sinks: Sink, ring_seconds: float = 2.0, opened_wall_seconds: float = 1_767_225_600.0
    ) -> None:
        """Prepare.

        Args:
            *sinks: Who is told; started and stopped by `running`.
            ring_seconds: Of every call's ring.
            opened_wall_seconds: When every call opens; 2026-01-01 00:00 UTC.
        """
        self.sinks = sinks
        self.budget = Budget(1 << 30)
        self.ring_seconds = ring_seconds
        self.opened_wall_seconds = opened_wall_seconds
        self.random = random.Random(20260101)  # noqa: S311 - audio that can be had again
        self.slowest_seconds = 0.0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start all sinks, and stop them at the end of the block."""
        for sink in self.sinks:
            await sink.start()
        try:
            yield
        finally:
            for sink in self.sinks:
                await sink.stop(STOP_SECONDS)

    def open(self, media: MediaFormat | None = None, **changes: object) -> StagedCall:
        """Open a call.

        Args:
            media: Left out: what Genesys Cloud sends, mu-law of both sides.
            **changes: Other facts of the call; left out: fresh ids.
        """
        return StagedCall(self, media or MediaFormat("PCMU", (0, 1)), changes)

    async def settled(self, sink: Sink, *calls: StagedCall) -> list[SinkBooks]:
        """Wait until a sink has settled calls; give its books of each."""
        due = time.monotonic() + PATIENCE_SECONDS
        while not all(sink.name in call.live.settled for call in calls):
            assert time.monotonic() < due, f"{sink.name} has not settled a call that has ended"
            await asyncio.sleep(0.005)
        return [call.live.settled[sink.name] for call in calls]


async def calls_are_settled_once_and_books_balance(make: SinkMaker) -> None:
    """Every call gets exactly one answer, and it is final: nothing buffered, all accounted for."""
    sink = make()
    stage = Rehearsal(sink)
    async with stage.running():
        calls = [stage.open() for _ in range(5)]
        for number, call in enumerate(calls):
            call.speak(number)
            call.gap(FRAME_SAMPLES)
            call.speak()
            call.close()
        for call, books in zip(calls, await stage.settled(sink, *calls), strict=True):
            assert books.balances(), books
            assert books.buffered == 0, books
            assert books.received <= call.live.pipeline.written_samples, books
    assert all(len(call.answers) == 1 for call in calls), "a call was settled more than once"


async def being_told_takes_no_time(make: SinkMaker) -> None:
    """`attach`, `publish` and `ended` return at once, however many calls there are."""
    sink = make()
    stage = Rehearsal(sink)
    async with stage.running():
        calls = [stage.open() for _ in range(100)]
        for call in calls:
            call.speak()
            call.gap(80)
            call.close()
        await stage.settled(sink, *calls)
    assert stage.slowest_seconds < PROMPT_SECONDS, f"it took {stage.slowest_seconds:.3f} s"


async def books_balance_at_any_moment(make: SinkMaker) -> None:
    """The snapshot's books balance while audio flows, and cover calls that have ended."""
    sink = make()
    stage = Rehearsal(sink, ring_seconds=0.5)
    async with stage.running():
        for _ in range(5):
            call = stage.open()
            for _ in range(20):
                call.speak()
                books = sink.snapshot().books
                assert books.balances(), books
                await asyncio.sleep(0)
            call.close()
            await stage.settled(sink, call)
            assert sink.snapshot().books.balances()
            assert sink.snapshot().books.buffered == 0
        assert sink.snapshot().calls == 0


async def a_stalled_neighbour_does_not_matter(make: SinkMaker) -> None:
    """With a sink beside it that never reads and never answers, a sink gets all there is."""
    alone, beside = make(), make()
    books = []
    for sink, neighbours in ((alone, ()), (beside, (StallingSink("neighbour"),))):
        stage = Rehearsal(sink, *neighbours)
        async with stage.running():
            call = stage.open()
            call.speak(8)
            call.close()
            books += await stage.settled(sink, call)
    assert books[0] == books[1], "a neighbour that stalls has changed what came"


async def stop_flushes_within_its_deadline(make: SinkMaker) -> None:
    """`stop` writes what has come and is in time; a call that outlives it is settled all the same,
    when it ends at the latest.
    """
    sink = make()
    stage = Rehearsal(sink)
    await sink.start()
    ended, live = stage.open(), stage.open()
    ended.speak(5)
    ended.close()
    live.speak(5)
    began = time.monotonic()
    await sink.stop(STOP_SECONDS)
    assert time.monotonic() - began < STOP_SECONDS + 1, "it took longer than it was given"
    await stage.settled(sink, ended)
    live.close()
    for books in await stage.settled(sink, ended, live):
        assert books.balances(), books
    assert [len(call.answers) for call in (ended, live)] == [1, 1], "settled more than once"


async def order_of_stopping_is_forgiven(make: SinkMaker) -> None:
    """To stop a sink twice, or one that never started, is harmless; so are calls afterwards."""
    await make().stop(0.0)
    sink = make()
    stage = Rehearsal(sink)
    await sink.start()
    await sink.stop(STOP_SECONDS)
    await sink.stop(STOP_SECONDS)
    call = stage.open()
    call.speak()
    call.gap(80)
    call.close()
    call.forget()
    assert (await stage.settled(sink, call))[0].balances()


async def nothing_is_held_of_a_call_that_is_forgotten(make: SinkMaker) -> None:
    """The memory of a call's ring is free once the call is settled and forgotten."""
    sink = make()
    stage = Rehearsal(sink)
    async with stage.running():
        call = stage.open()
        call.speak(3)
        call.close()
        await stage.settled(sink, call)
        call.forget()
        call.forget()
        del call
        due = time.monotonic() + PATIENCE_SECONDS
        while stage.budget.used_bytes:
            assert time.monotonic() < due, "a ring is still held"
            gc.collect()
            await asyncio.sleep(0.005)


async def a_snapshot_is_plain_and_names_the_sink(make: SinkMaker) -> None:
    """Before the start, while it runs and after the stop."""
    sink = make()
    assert sink.snapshot().name == sink.name
    await sink.start()
    running = sink.snapshot()
    assert (running.name, running.kind) == (sink.name, sink.kind)
    assert running.healthy or running.detail, "an unhealthy sink must say what to do"
    assert all(isinstance(value, int) for value in running.counters.values())
    await sink.stop(STOP_SECONDS)
    assert sink.snapshot().books.balances()


SINK_LAWS: Final[tuple[SinkLaw, ...]] = (
    calls_are_settled_once_and_books_balance,
    being_told_takes_no_time,
    books_balance_at_any_moment,
    a_stalled_neighbour_does_not_matter,
    stop_flushes_within_its_deadline,
    order_of_stopping_is_forgiven,
    nothing_is_held_of_a_call_that_is_forgotten,
    a_snapshot_is_plain_and_names_the_sink,
)
