"""Nonces seen before (AudioHook protocol §3.6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.protocol.replay import ReplayCache, ReplayMode


def test_off_remembers_nothing() -> None:
    cache = ReplayCache(ReplayMode.OFF)
    assert [cache.check("key", "nonce", 0.0) for _ in range(3)] == [True] * 3
    assert (len(cache), cache.repeats) == (0, 0)


def test_log_counts_repeats_and_lets_them_pass() -> None:
    cache = ReplayCache(ReplayMode.LOG)
    assert [cache.check("key", "nonce", 0.0) for _ in range(3)] == [True] * 3
    assert cache.repeats == 2


def test_enforce_refuses_repeats() -> None:
    cache = ReplayCache(ReplayMode.ENFORCE)
    assert [cache.check("key", "nonce", 0.0) for _ in range(3)] == [True, False, False]
    assert cache.repeats == 2


def test_a_nonce_belongs_to_its_key() -> None:
    cache = ReplayCache(ReplayMode.ENFORCE)
    assert cache.check("key", "nonce", 0.0)
    assert cache.check("other", "nonce", 0.0)
    assert cache.check("keyn", "once", 0.0)


def test_a_nonce_is_forgotten_after_the_window_and_not_before() -> None:
    cache = ReplayCache(ReplayMode.ENFORCE, retention_seconds=19.0)
    assert cache.check("key", "nonce", 100.0)
    assert not cache.check("key", "nonce", 119.0)
    assert cache.check("key", "nonce", 119.1)
    assert cache.check("key", "other", 200.0)
    assert len(cache) == 1


def test_a_clock_set_back_forgets_nothing() -> None:
    cache = ReplayCache(ReplayMode.ENFORCE)
    assert cache.check("key", "nonce", 100.0)
    assert not cache.check("key", "nonce", 50.0)


def test_a_full_cache_fails_closed_when_enforcing() -> None:
    cache = ReplayCache(ReplayMode.ENFORCE, capacity=2, retention_seconds=10.0)
    assert [cache.check("key", str(n), 0.0) for n in range(3)] == [True, True, False]
    assert cache.overflows == 1
    assert cache.check("key", "2", 10.1)


def test_a_full_cache_forgets_the_oldest_when_logging() -> None:
    cache = ReplayCache(ReplayMode.LOG, capacity=2)
    assert all(cache.check("key", str(n), 0.0) for n in range(5))
    assert (len(cache), cache.overflows) == (2, 3)


@pytest.mark.parametrize("mode", list(ReplayMode))
@given(steps=st.lists(st.tuples(st.integers(0, 5), st.floats(0, 4)), max_size=60))
def test_against_a_plain_dictionary(mode: ReplayMode, steps: list[tuple[int, float]]) -> None:
    cache = ReplayCache(mode, capacity=1000, retention_seconds=5.0)
    seen: dict[str, float] = {}
    now = 0.0
    for number, passed in steps:
        now += passed
        nonce = str(number)
        is_repeat = nonce in seen and now <= seen[nonce]
        if mode is not ReplayMode.OFF and not is_repeat:
            seen[nonce] = now + 5.0
        expected = not (is_repeat and mode is ReplayMode.ENFORCE)
        assert cache.check("key", nonce, now) is expected
