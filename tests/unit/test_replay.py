"""Signatures seen before (AudioHook protocol §3.6), against a plain dictionary."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.control.replay import ReplayGuard
from earhook.control.replay_store import Remembered, ReplayStore
from earhook.control.settings import ReplayMode

START = 1_767_225_600.0


def guard(mode: ReplayMode, capacity: int = 1000, retention_seconds: float = 19.0) -> ReplayGuard:
    return ReplayGuard(mode, ReplayStore.create(capacity), retention_seconds)


def test_off_remembers_nothing() -> None:
    off = guard(ReplayMode.OFF)
    assert [off.check("key", "nonce", START) for _ in range(3)] == [True] * 3
    assert (off.store.living(START), off.repeats) == (0, 0)


def test_log_counts_repeats_and_lets_them_pass() -> None:
    log = guard(ReplayMode.LOG)
    assert [log.check("key", "nonce", START) for _ in range(3)] == [True] * 3
    assert log.repeats == 2


def test_enforce_refuses_repeats() -> None:
    enforce = guard(ReplayMode.ENFORCE)
    assert [enforce.check("key", "nonce", START) for _ in range(3)] == [True, False, False]
    assert enforce.repeats == 2


def test_a_nonce_belongs_to_its_key() -> None:
    enforce = guard(ReplayMode.ENFORCE)
    assert enforce.check("key", "nonce", START)
    assert enforce.check("other", "nonce", START)
    assert enforce.check("keyn", "once", START)


def test_a_nonce_is_forgotten_after_the_window_and_not_before() -> None:
    enforce = guard(ReplayMode.ENFORCE, retention_seconds=19.0)
    assert enforce.check("key", "nonce", START)
    assert not enforce.check("key", "nonce", START + 19)
    assert enforce.check("key", "nonce", START + 19.1)
    assert enforce.check("key", "other", START + 200)
    assert enforce.store.living(START + 200) == 1


def test_a_clock_set_back_forgets_nothing() -> None:
    enforce = guard(ReplayMode.ENFORCE)
    assert enforce.check("key", "nonce", START + 100)
    assert not enforce.check("key", "nonce", START + 50)


def test_a_full_table_fails_closed_when_enforcing_and_opens_again() -> None:
    enforce = guard(ReplayMode.ENFORCE, capacity=1, retention_seconds=10.0)
    slots = enforce.store.slots
    passed = [enforce.check("key", str(n), START) for n in range(slots + 5)]
    assert passed == [True] * slots + [False] * 5
    assert (enforce.overflows, enforce.unremembered) == (5, 5)
    assert enforce.check("key", "late", START + 10.1)


def test_a_full_table_lets_pass_when_logging() -> None:
    log = guard(ReplayMode.LOG, capacity=1)
    count = log.store.slots + 5
    assert all(log.check("key", str(n), START) for n in range(count))
    assert (log.overflows, log.repeats) == (5, 0)


@pytest.mark.parametrize("capacity", [1000, 10_000])
def test_a_table_holds_what_it_was_made_for(capacity: int) -> None:
    store = ReplayStore.create(capacity)
    kept = [store.remember(os.urandom(8), START, START + 9) for _ in range(capacity)]
    assert set(kept) == {Remembered.NEW}
    assert abs(store.living(START) - capacity) <= capacity * 0.1
    assert store.living(START + 10) == 0


def test_two_views_are_one_table() -> None:
    store = ReplayStore.create(100)
    other = ReplayStore.attach(os.dup(store.fileno()))
    assert store.remember(b"x", START, START + 9) is Remembered.NEW
    assert other.remember(b"x", START, START + 9) is Remembered.REPEATED
    assert other.slots == store.slots


def test_what_is_no_table_is_refused() -> None:
    descriptor = os.memfd_create("no-table")
    try:
        os.truncate(descriptor, 4096)
        with pytest.raises(ValueError, match="no replay table"):
            ReplayStore.attach(descriptor)
    finally:
        os.close(descriptor)


def test_nobody_can_pull_the_memory_away() -> None:
    store = ReplayStore.create(100)
    with pytest.raises(PermissionError):
        os.truncate(store.fileno(), 0)


STEPS = st.lists(st.tuples(st.integers(0, 5), st.floats(0, 4)), max_size=60)


@pytest.mark.parametrize("mode", list(ReplayMode))
@given(steps=STEPS)
def test_against_a_plain_dictionary(mode: ReplayMode, steps: list[tuple[int, float]]) -> None:
    checked = guard(mode, retention_seconds=5.0)
    seen: dict[str, float] = {}
    now = START
    for number, passed in steps:
        now += passed
        nonce = str(number)
        is_repeat = nonce in seen and now <= seen[nonce]
        if mode is not ReplayMode.OFF and not is_repeat:
            seen[nonce] = now + 5.0
        expected = not (is_repeat and mode is ReplayMode.ENFORCE)
        assert checked.check("key", nonce, now) is expected


@given(steps=st.lists(st.tuples(st.integers(0, 120), st.floats(0, 1)), max_size=200))
def test_a_crowded_bucket_never_forgets_and_never_overflows_early(
    steps: list[tuple[int, float]],
) -> None:
    """One bucket, more texts than slots: NEW, REPEATED and FULL are what a dictionary says."""
    store = ReplayStore.create(1)
    seen: dict[int, float] = {}
    now = START
    for number, passed in steps:
        now += passed
        living = {text for text, until in seen.items() if until >= now}
        expected = Remembered.NEW
        if number in living:
            expected = Remembered.REPEATED
        elif len(living) >= store.slots:
            expected = Remembered.FULL
        if expected is Remembered.NEW:
            seen[number] = now + 50.0
        assert store.remember(str(number).encode(), now, now + 50.0) is expected
