"""The table of used signatures between processes: one answer each, and nobody's death matters."""

from __future__ import annotations

import fcntl
import os
import signal
from collections import Counter
from typing import Any

import pytest

from earhook.control.replay import ReplayGuard
from earhook.control.replay_store import Remembered, ReplayStore
from earhook.control.settings import ReplayMode
from forks import DEADLINE_SECONDS, FORK, started

START = 1_767_225_600.0


def remember_all(store: ReplayStore, texts: int, answers: Any) -> None:
    counted: Counter[str] = Counter()
    for number in range(texts):
        answer = Remembered.BUSY  # as long as it may be on a machine with more to do than it can
        while answer is Remembered.BUSY:
            answer = store.remember(str(number).encode(), START, START + 60)
        counted[answer.name] += 1
    answers.put(counted)


def test_of_many_processes_one_is_told_that_it_is_new() -> None:
    store, texts, workers = ReplayStore.create(10_000), 3000, 4
    answers = FORK.Queue()
    with started(workers, remember_all, store, texts, answers):
        total: Counter[str] = sum(
            (answers.get(timeout=DEADLINE_SECONDS) for _ in range(workers)), Counter()
        )
    assert total == {"NEW": texts, "REPEATED": texts * (workers - 1)}


def hold_every_lock(store: ReplayStore, ready: Any) -> None:
    fcntl.lockf(store.fileno(), fcntl.LOCK_EX)
    ready.put(True)
    signal.pause()


def remember_for_ever(store: ReplayStore, ready: Any) -> None:
    number = 0
    while True:
        store.remember(f"{os.getpid()} {number}".encode(), START, START + 60)
        number += 1
        if number == 100:
            ready.put(True)


def test_who_is_stopped_holding_the_table_stops_nobody_and_his_death_frees_it() -> None:
    store = ReplayStore.create(100)
    enforce = ReplayGuard(ReplayMode.ENFORCE, store, 10.0)
    ready = FORK.Queue()
    with started(1, hold_every_lock, store, ready) as (holder,):
        assert ready.get(timeout=DEADLINE_SECONDS)
        assert store.remember(b"x", START, START + 10) is Remembered.BUSY
        assert not enforce.check("key", "nonce", START)
        assert ReplayGuard(ReplayMode.LOG, store, 10.0).check("key", "nonce", START)
        assert enforce.timeouts == 1
        holder.kill()
        holder.join(DEADLINE_SECONDS)
        assert enforce.check("key", "nonce", START)
        assert not enforce.check("key", "nonce", START)


@pytest.mark.parametrize("moment", range(10))
def test_a_kill_in_the_middle_of_it_leaves_a_whole_table(moment: int) -> None:
    store = ReplayStore.create(1000)
    ready = FORK.Queue()
    with started(1, remember_for_ever, store, ready) as (writer,):
        assert ready.get(timeout=DEADLINE_SECONDS)
        for _ in range(moment * 50):  # another moment each time
            store.remember(os.urandom(8), START, START + 1)
        writer.kill()
        writer.join(DEADLINE_SECONDS)
        later = START + 61
        fresh = [os.urandom(8) for _ in range(1000)]
        assert {store.remember(text, later, later + 9) for text in fresh} == {Remembered.NEW}
        assert {store.remember(text, later, later + 9) for text in fresh} == {Remembered.REPEATED}


def exits_with(store_descriptor: int) -> None:
    store = ReplayStore.attach(store_descriptor)
    os._exit(store.remember(b"shared", START, START + 60) is Remembered.REPEATED)


def test_a_worker_that_is_handed_the_descriptor_sees_what_the_others_saw() -> None:
    store = ReplayStore.create(100)
    assert store.remember(b"shared", START, START + 60) is Remembered.NEW
    with started(1, exits_with, os.dup(store.fileno())) as (worker,):
        worker.join(DEADLINE_SECONDS)
        assert worker.exitcode == 1
