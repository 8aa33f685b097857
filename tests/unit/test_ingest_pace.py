"""Deadlines of a connection, with time by hand."""

from __future__ import annotations

import math

import pytest

from earhook.ingest.pace import Pace
from earhook.ingest.settings import IngestLimits
from earhook.ingest.tally import Slow

LIMITS = IngestLimits()


def ended(pace: Pace, feed: dict[float, int], until: float = 100.0) -> tuple[float, Slow] | None:
    """When and why a peer that sends those bytes at those times is ended."""
    times = sorted(feed)
    now = 0.0
    while now < until:
        due = times[0] if times else math.inf
        now = min(due, pace.deadline)
        if math.isinf(now):
            return None
        if now == due:
            pace.count(feed[times.pop(0)], now)
        slow = pace.judge(now)
        if slow is not None:
            return now, slow
        assert pace.deadline > now
    return None


def test_a_new_connection_has_five_seconds_for_a_whole_head() -> None:
    assert ended(Pace(LIMITS, 0.0), {}) == (5.0, Slow.SILENT)
    pace = Pace(LIMITS, 0.0)
    for second in range(5):
        pace.begin_head(float(second))
    assert ended(pace, {}) == (5.0, Slow.HEAD)


def test_a_kept_connection_waits_a_minute_and_then_has_five_seconds() -> None:
    pace = Pace(LIMITS, 0.0)
    pace.await_request(1.0, LIMITS.keep_alive_seconds)
    assert pace.judge(60.9) is None
    assert pace.judge(61.0) is Slow.KEEP_ALIVE
    pace.await_request(1.0, LIMITS.keep_alive_seconds)
    pace.begin_head(30.0)
    pace.begin_head(34.0)
    assert pace.judge(34.9) is None
    assert pace.judge(35.0) is Slow.HEAD


@pytest.mark.parametrize(
    ("feed", "end"),
    [
        ({}, (5.0, Slow.BODY)),
        ({0.1: 100_000}, (10.0, Slow.BODY)),
        ({float(second): 1 for second in range(1, 60)}, (5.0, Slow.BODY)),
        ({float(second): 1100 for second in range(60)}, (30.0, Slow.BODY)),
    ],
    ids=["nothing", "a burst, then nothing", "a byte a second", "slow, but above the rate"],
)
def test_a_body_of_told_length_keeps_its_rate(
    feed: dict[float, int], end: tuple[float, Slow]
) -> None:
    pace = Pace(LIMITS, 0.0)
    pace.begin_body(0.0, is_stream=False)
    assert ended(pace, feed) == end


@pytest.mark.parametrize(
    ("feed", "end"),
    [
        ({}, (10.0, Slow.STREAM_IDLE)),
        ({5.0: 100_000}, (15.0, Slow.STREAM_IDLE)),
        ({float(second): 1 for second in range(1, 100)}, (10.0, Slow.STREAM_RATE)),
        ({float(second): 20 for second in range(1, 101)}, None),
        ({second * 0.4: 11 for second in range(1, 250)}, None),
    ],
    ids=["nothing", "a burst, then nothing", "a byte a second", "little", "suppressed silence"],
)
def test_a_stream_goes_on_as_long_as_bytes_keep_coming(
    feed: dict[float, int], end: tuple[float, Slow] | None
) -> None:
    pace = Pace(LIMITS, 0.0)
    pace.begin_body(0.0, is_stream=True)
    assert ended(pace, feed, until=99.0) == end


def test_time_in_which_we_did_not_read_is_not_the_peers() -> None:
    for is_stream in (False, True):
        pace = Pace(LIMITS, 0.0)
        pace.begin_body(0.0, is_stream=is_stream)
        pace.forgive(4.0)
        pace.forgive(20.0)
        assert pace.judge(20.0) is None
        assert pace.judge(24.9) is None
        assert pace.judge(30.0) is not None


def test_a_whole_body_owes_nothing_and_an_unread_answer_ends_the_connection() -> None:
    pace = Pace(LIMITS, 0.0)
    pace.begin_body(0.0, is_stream=False)
    pace.begin_answer()
    assert pace.judge(1000.0) is None
    pace.begin_writing(1000.0)
    assert pace.judge(1010.0) is Slow.ANSWER
