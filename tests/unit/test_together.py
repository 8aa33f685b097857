"""Limits of calls hold for the sum of workers: never passed, and reached again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from earhook.control.admission import FULL, Admissions
from earhook.control.board import Board, Counts
from earhook.control.lifecycle import Stage
from earhook.control.pressure import Pressure
from earhook.control.settings import SheddingSettings
from earhook.control.together import Alone, Present, SharedCalls
from earhook.ids import KeyName
from earhook.ingest.refusal import Refusal
from earhook.ingest.settings import IngestSettings
from earhook.ingest.shares import CallShares

MEDIA_LIMIT, INGEST_LIMIT, KEY_CAP, SENDER_LIMIT, PROBES = 5, 4, 2, 2, 2
KEYS = [KeyName("one"), KeyName("two"), KeyName("three")]
SHEDDING = SheddingSettings(release_calls_percent=100, probes="answer", probe_sessions=PROBES)
INGEST = IngestSettings(max_calls=INGEST_LIMIT, max_calls_per_sender=SENDER_LIMIT, plaintext=True)


class TurningLoop:
    """An event loop that turns when it is told to."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], object]] = []
        self.later: list[Callable[[], object]] = []

    def call_soon(self, work: Callable[[], object]) -> None:
        self.soon.append(work)

    def call_later(self, _seconds: float, work: Callable[[], object]) -> Any:
        self.later.append(work)
        return _Timer()

    def turn(self) -> None:
        due, self.soon = self.soon, []
        for work in due:
            work()

    def tick(self) -> None:
        due, self.later = self.later, []
        for work in due:
            work()


class _Timer:
    def cancel(self) -> None:
        pass


class Worker:
    """The doors of one process, and what is behind them."""

    def __init__(self, board: Board, generation: int) -> None:
        self.generation = generation
        self.loop = TurningLoop()
        loop = cast("asyncio.AbstractEventLoop", self.loop)
        self.together = SharedCalls(board.seat(generation), loop)
        pressure = Pressure(SHEDDING)
        media, ingest = self.together.at("media"), self.together.at("ingest")
        self.media_door = Admissions(MEDIA_LIMIT, SHEDDING, pressure, media)
        self.ingest_door = Admissions(INGEST_LIMIT, SHEDDING, pressure, ingest)
        self.shares = CallShares()
        self.shares.others = self.together
        self.media: Counter[KeyName] = Counter()
        self.probes = 0
        self.posted: Counter[KeyName] = Counter()
        self.together.start(
            Present(
                lambda: Counts(self.media.total(), self.probes, self.posted.total()),
                lambda: self.media.total() + self.posted.total(),
                lambda key: self.media[key],
                self.shares.calls_of,
            )
        )

    def dial(self, key: KeyName, *, comes_to_something: bool) -> bool:
        """As the gate asks: is there room, and has the key room; whether it came in."""
        admission = self.media_door.judge(Stage.SERVING, self.media.total(), self.probes)
        if not admission.admitted:
            return False
        if not self.together.has_room(key, self.media[key], KEY_CAP) or not comes_to_something:
            return False
        if admission.probe_only:
            self.probes += 1
        else:
            self.media[key] += 1
        return True

    def post(self, key: KeyName, *, comes_to_something: bool) -> bool:
        """As the ingest asks."""
        if not self.ingest_door.judge(Stage.SERVING, self.posted.total()).admitted:
            return False
        party = (key, frozenset({"org"}))
        try:
            self.shares.require(party, INGEST, None, 0.0)
        except Refusal:
            return False
        if comes_to_something:
            self.posted[key] += 1
            self.shares.enter(party)
        return comes_to_something

    def end(self, key: KeyName) -> None:
        """One call ends at each door, and a probe."""
        self.media[key] -= self.media[key] > 0
        self.probes -= self.probes > 0
        if self.posted[key]:
            self.posted[key] -= 1
            self.shares.leave((key, frozenset({"org"})))


class Gateway(RuleBasedStateMachine):
    """Three workers; calls come, come to nothing, and end; workers die and are replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.board = Board.create(rows=8)
        self.last = 0
        self.workers: list[Worker] = []
        self.dead: list[int] = []
        for slot in range(3):
            self.enter(slot)

    def enter(self, slot: int) -> None:
        self.last += 1
        self.board.enter(slot, self.last)
        self.workers.insert(slot, Worker(self.board, self.last))

    slots = st.integers(0, 2)
    keys = st.sampled_from(KEYS)

    @rule(slot=slots, key=keys, turns=st.booleans(), comes=st.booleans())
    def dial(self, slot: int, key: KeyName, *, turns: bool, comes: bool) -> None:
        self.workers[slot].dial(key, comes_to_something=comes)
        if turns:
            self.workers[slot].loop.turn()

    @rule(slot=slots, key=keys, comes=st.booleans())
    def post(self, slot: int, key: KeyName, *, comes: bool) -> None:
        self.workers[slot].post(key, comes_to_something=comes)

    @rule(slot=slots, key=keys)
    def end(self, slot: int, key: KeyName) -> None:
        self.workers[slot].end(key)

    @rule(slot=slots)
    def a_tenth_of_a_second_later(self, slot: int) -> None:
        self.workers[slot].loop.turn()
        self.workers[slot].loop.tick()

    @precondition(lambda self: not self.dead)
    @rule(slot=slots)
    def die(self, slot: int) -> None:
        """The parent has not noticed yet."""
        self.dead.append(self.workers.pop(slot).generation)
        self.enter(slot)

    @precondition(lambda self: self.dead)
    @rule()
    def notice(self) -> None:
        self.board.leave(self.dead.pop())

    @rule(key=keys)
    def room_is_used(self, key: KeyName) -> None:
        """Once all is told, there is room exactly where the sum leaves some."""
        for worker in self.workers:
            worker.loop.turn()
            worker.loop.tick()
        if self.dead:
            return
        has_room = self.media < MEDIA_LIMIT and self.of_key(key) < KEY_CAP
        if self.media < MEDIA_LIMIT:
            assert self.workers[0].dial(key, comes_to_something=True) is has_room
        has_room = self.posted < INGEST_LIMIT and self.of_sender(key) < SENDER_LIMIT
        assert self.workers[1].post(key, comes_to_something=True) is has_room

    @invariant()
    def no_limit_is_passed(self) -> None:
        assert self.media <= MEDIA_LIMIT
        assert self.posted <= INGEST_LIMIT
        assert sum(worker.probes for worker in self.workers) <= PROBES
        for key in KEYS:
            assert self.of_key(key) <= KEY_CAP
            assert self.of_sender(key) <= SENDER_LIMIT

    @property
    def media(self) -> int:
        return sum(worker.media.total() for worker in self.workers)

    @property
    def posted(self) -> int:
        return sum(worker.posted.total() for worker in self.workers)

    def of_key(self, key: KeyName) -> int:
        return sum(worker.media[key] for worker in self.workers)

    def of_sender(self, key: KeyName) -> int:
        return sum(worker.posted[key] for worker in self.workers)


TestGateway = Gateway.TestCase
TestGateway.settings = settings(max_examples=50)


def test_what_was_taken_for_nothing_is_free_when_the_loop_turns() -> None:
    board = Board.create(rows=2)
    board.enter(0, 1)
    board.enter(1, 2)
    first, second = Worker(board, 1), Worker(board, 2)
    for number in range(MEDIA_LIMIT - 1):
        assert second.dial(KEYS[number % 2], comes_to_something=True)
    assert not first.dial(KEYS[2], comes_to_something=False)
    assert second.media_door.reason(second.media.total()) == FULL
    first.loop.turn()
    assert second.media_door.reason(second.media.total()) is None


def test_with_one_process_there_is_nobody_else() -> None:
    alone = Alone()
    assert alone.has_room(KEYS[0], 1, None)
    assert alone.has_room(KEYS[0], 1, 2)
    assert not alone.has_room(KEYS[0], 2, 2)
    elsewhere = alone.at("media")
    with elsewhere.held():
        elsewhere.take(5)
    assert (elsewhere.calls, elsewhere.probes) == (0, 0)


def test_the_lane_of_probes_is_as_wide_as_it_is_for_one() -> None:
    board = Board.create(rows=2)
    board.enter(0, 1)
    board.enter(1, 2)
    first, second = Worker(board, 1), Worker(board, 2)
    for number in range(MEDIA_LIMIT):
        assert first.dial(KeyName(f"key {number}"), comes_to_something=True)
    # Full: from now on what comes in is a probe, until there are as many as may be.
    came_in = [worker.dial(KEYS[2], comes_to_something=True) for worker in (first, second) * 3]
    assert sum(came_in) == first.probes + second.probes == PROBES
