"""Claims of sessions as one worker sees them, against a plain set."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.control.claims import Claims
from earhook.control.replay_store import ReplayStore
from earhook.errors import TooManyCalls
from earhook.hub.claims import live_name, posted_name


def worker(parent: Claims, generation: int = 1) -> Claims:
    return Claims.attach(os.dup(parent.fileno()), generation)


def test_what_is_taken_is_ours_until_it_is_given_back() -> None:
    ours = worker(Claims.create(100))
    assert [ours.take(b"a"), ours.take(b"a"), ours.take(b"b")] == [None] * 3
    assert (ours.count, ours.owner(b"a")) == (2, None)
    ours.give_back(b"a")
    ours.give_back(b"a")
    ours.give_back(b"never had")
    assert ours.count == 1
    assert ours.take(b"a") is None


def test_a_name_is_of_a_session_whatever_its_case_and_of_one_kind() -> None:
    assert live_name("AB") == live_name("ab") != posted_name("ab") == posted_name("Ab")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=60))
def test_against_a_plain_set(steps: list[tuple[bool, int]]) -> None:
    parent = Claims.create(1)
    ours, plain = worker(parent), set[int]()
    for takes, number in steps:
        name = str(number).encode()
        if takes:
            assert ours.take(name) is None
            plain.add(number)
        else:
            ours.give_back(name)
            plain.discard(number)
        assert ours.count == len(plain)


def test_a_full_table_takes_no_more_and_opens_again() -> None:
    ours = worker(Claims.create(1))
    names = [os.urandom(8) for _ in range(ours.slots)]
    for name in names:
        ours.take(name)
    with pytest.raises(TooManyCalls):
        ours.take(b"one more")
    assert ours.full == 1
    ours.give_back(names[7])
    assert ours.take(b"one more") is None


@pytest.mark.parametrize("capacity", [1000, 10_000])
def test_a_table_holds_what_it_was_made_for(capacity: int) -> None:
    ours = worker(Claims.create(capacity))
    for _ in range(capacity):
        assert ours.take(os.urandom(8)) is None
    assert (ours.count, ours.full) == (capacity, 0)


def test_who_made_the_table_is_no_worker() -> None:
    parent = Claims.create(10)
    with pytest.raises(ValueError, match="only workers"):
        parent.take(b"a")
    with pytest.raises(ValueError, match="no generation"):
        worker(parent, 0)
    assert parent.owner(b"a") is None


def test_what_is_no_table_of_claims_is_refused() -> None:
    store = ReplayStore.create(10)
    with pytest.raises(ValueError, match="no claims table"):
        Claims.attach(store.fileno(), 1)


def test_nobody_can_pull_the_memory_away() -> None:
    parent = Claims.create(10)
    with pytest.raises(PermissionError):
        os.truncate(parent.fileno(), 0)


def test_what_lives_is_not_cleared() -> None:
    ours = worker(Claims.create(10), 7)
    with pytest.raises(ValueError, match="generation 7 lives"):
        ours.clear(7)
