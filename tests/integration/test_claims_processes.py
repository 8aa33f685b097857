"""Claims between worker processes: one owner each, whoever dies, stops or stands in the way."""

from __future__ import annotations

import fcntl
import os
import signal
from collections import Counter
from typing import Any

import pytest

from earhook.control.claims import Claims
from earhook.errors import TooManyCalls
from forks import DEADLINE_SECONDS, FORK, started

SESSIONS = 2000


def joined(parent: Claims, generation: int) -> Claims:
    return Claims.attach(os.dup(parent.fileno()), generation)


def claim_all(parent: Claims, generations: Any, answers: Any) -> None:
    """Claim every session; say what came of each, and stay."""
    own = generations.get(timeout=DEADLINE_SECONDS)
    claims = joined(parent, own)
    answers.put((own, [claims.take(str(each).encode()) for each in range(SESSIONS)]))
    signal.pause()


def test_of_many_workers_one_has_it_and_all_others_are_told_which() -> None:
    parent, workers = Claims.create(SESSIONS), 4
    generations, answers = FORK.Queue(), FORK.Queue()
    for generation in range(1, workers + 1):
        generations.put(generation)
    with started(workers, claim_all, parent, generations, answers):
        told = dict(answers.get(timeout=DEADLINE_SECONDS) for _ in range(workers))
        look = joined(parent, workers + 1)
        for each in range(SESSIONS):
            (owner,) = {told[own][each] or own for own in told}
            assert sum(told[own][each] is None for own in told) == 1
            assert look.owner(str(each).encode()) == owner


def hold(parent: Claims, generation: int, names: list[bytes], ready: Any) -> None:
    claims = joined(parent, generation)
    ready.put([claims.take(name) for name in names])
    signal.pause()


def test_what_a_killed_worker_had_is_free_at_once_and_is_cleared() -> None:
    parent, ready = Claims.create(100), FORK.Queue()
    ours = joined(parent, 1)
    ours.take(b"ours")
    names = [str(each).encode() for each in range(20)]
    with started(1, hold, parent, 2, [*names, b"ours"], ready) as (worker,):
        assert ready.get(timeout=DEADLINE_SECONDS) == [None] * 20 + [1]
        assert {ours.owner(name) for name in names} == {2}
        assert ours.take(names[0]) == 2
        assert parent.is_living(2)
        with pytest.raises(ValueError, match="lives"):
            parent.clear(2)
        worker.kill()
        worker.join(DEADLINE_SECONDS)
        assert not parent.is_living(2)
        assert {ours.owner(name) for name in names} == {None}
        assert ours.take(names[0]) is None, "nobody had to be told"
        assert parent.clear(2) == 19, "all but the one that has a new owner"
        assert parent.clear(2) == 0
    ready = FORK.Queue()  # who was killed may have held the other one
    with started(1, hold, parent, 3, names[:2], ready):
        assert ready.get(timeout=DEADLINE_SECONDS) == [1, None]


def test_a_table_full_of_the_dead_has_room() -> None:
    parent, ready = Claims.create(1), FORK.Queue()
    names = [str(each).encode() for each in range(parent.slots)]
    ours = joined(parent, 1)
    with started(1, hold, parent, 2, names, ready) as (worker,):
        assert ready.get(timeout=DEADLINE_SECONDS) == [None] * len(names)
        with pytest.raises(TooManyCalls):
            ours.take(b"one more")
        worker.kill()
        worker.join(DEADLINE_SECONDS)
        for each in range(len(names)):
            assert ours.take(f"mine {each}".encode()) is None
        assert parent.clear(2) == 0


def test_a_stopped_worker_keeps_what_it_has() -> None:
    parent, ready = Claims.create(100), FORK.Queue()
    ours = joined(parent, 1)
    with started(1, hold, parent, 2, [b"a"], ready) as (worker,):
        assert ready.get(timeout=DEADLINE_SECONDS) == [None]
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGSTOP)
        assert ours.take(b"a") == 2
        assert ours.take(b"b") is None


def stand_on_the_buckets(parent: Claims, ready: Any) -> None:
    fcntl.lockf(parent.fileno(), fcntl.LOCK_EX, 1 << 30)
    ready.put(True)
    signal.pause()


def test_who_is_stopped_holding_the_table_stops_nobody_for_long() -> None:
    parent, ready = Claims.create(100), FORK.Queue()
    ours = joined(parent, 1)
    ours.take(b"before")
    with started(1, stand_on_the_buckets, parent, ready) as (holder,):
        assert ready.get(timeout=DEADLINE_SECONDS)
        with pytest.raises(TooManyCalls, match="stands still"):
            ours.take(b"a")
        assert ours.timeouts == 1
        assert ours.owner(b"a") is None
        ours.give_back(b"before")  # waits for nobody
        holder.kill()
        holder.join(DEADLINE_SECONDS)
        assert ours.take(b"a") is None


def other_of_this_number(parent: Claims, generation: int, answers: Any) -> None:
    try:
        joined(parent, generation)
    except ValueError as error:
        answers.put(str(error))


def test_no_two_workers_live_as_one_number() -> None:
    parent, answers = Claims.create(10), FORK.Queue()
    ours = joined(parent, 5)
    with started(1, other_of_this_number, parent, 5, answers):
        assert "lives as 5" in answers.get(timeout=DEADLINE_SECONDS)
    assert ours.take(b"a") is None


def take_and_give_back(parent: Claims, generation: int, ready: Any) -> None:
    claims, number = joined(parent, generation), 0
    while True:
        name = str(number % 50).encode()
        if claims.take(name) is None and number % 3:
            claims.give_back(name)
        number += 1
        if number == 100:
            ready.put(True)


@pytest.mark.parametrize("moment", range(10))
def test_kills_in_the_middle_of_it_leave_a_whole_table(moment: int) -> None:
    """Two workers fight for fifty names and are killed; what is left is as if nothing had been."""
    parent, at_work = Claims.create(1000), (FORK.Queue(), FORK.Queue())
    ours = joined(parent, 1)
    with (
        started(1, take_and_give_back, parent, 2, at_work[0]) as (first,),
        started(1, take_and_give_back, parent, 3, at_work[1]) as (second,),
    ):
        for ready in at_work:
            assert ready.get(timeout=DEADLINE_SECONDS)
        for each in range(moment * 50):  # another moment each time
            ours.take(f"mine {each}".encode())
        for worker in (first, second):
            worker.kill()
            worker.join(DEADLINE_SECONDS)
        owners = Counter(ours.owner(str(each).encode()) for each in range(50))
        assert owners == {None: 50}
        assert {ours.take(str(each).encode()) for each in range(50)} == {None}
        assert parent.clear(2) + parent.clear(3) == 0
        assert ours.count == 50 + moment * 50
