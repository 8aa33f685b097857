"""Delay: what stamps say, and when the door closes and opens again."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.ingest.delay import DelayGauge, read_delay

NOW = 1_767_225_600.0  # 2026-01-01 00:00 UTC


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("1767225600000", 0.0),
        ("1767225599900", 0.1),
        ("1767225604000", 0.0),
        ("2026-01-01T00:00:00Z", 0.0),
        ("2025-12-31T23:59:59.9Z", 0.1),
        ("2025-12-31t23:59:59,900z", 0.1),
        ("2026-01-01T00:59:59.900+01:00", 0.1),
        ("2025-12-31T18:59:59.900000000-0500", 0.1),
        ("2025-12-31T00:00:00Z", 86_400.0),
    ],
)
def test_stamps_are_read(stamp: str, seconds: float) -> None:
    assert read_delay(stamp, NOW) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    "stamp",
    [
        *("", "now", "1767225600", "17672256000000000", "-1767225600000", "1767225600000.5"),
        *("1767225605001", "0", "nan", "1e12", "٤٢", "2026-01-01", "2026-01-01T00:00:00"),
        *("2026-13-01T00:00:00Z", "2026-01-01T25:00:00Z", "2026-01-01T00:00:00+99:00"),
        *("2025-12-30T23:59:59Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59"),
        "1767225600000, 1767225600000",
    ],
)
def test_what_cannot_be_is_ignored(stamp: str) -> None:
    assert read_delay(stamp, NOW) is None
    gauge = DelayGauge(0.15)
    gauge.observe(read_delay(stamp, NOW), 0.0)
    assert (gauge.ignored, gauge.histogram.count, gauge.is_over(0.0)) == (1, 0, False)


@given(st.floats(0, 86_400), st.sampled_from([0, 2, -7]))
def test_both_forms_of_a_stamp_say_the_same(ago: float, hours: int) -> None:
    at = datetime.datetime.fromtimestamp(
        NOW - ago, datetime.timezone(datetime.timedelta(hours=hours))
    )
    text = read_delay(at.isoformat(timespec="milliseconds"), NOW)
    number = read_delay(str(int((NOW - ago) * 1000)), NOW)
    assert text is not None
    assert number is not None
    assert text == pytest.approx(number, abs=0.0021)


def feed(
    gauge: DelayGauge, delay: float, start: float, seconds: float, every: float = 0.02
) -> float:
    for step in range(int(seconds / every)):
        gauge.observe(delay, start + step * every)
    return start + seconds


def test_the_door_closes_above_the_limit_and_opens_at_four_fifths_of_it() -> None:
    gauge = DelayGauge(0.15)
    now = feed(gauge, 0.05, 100.0, 5.0)
    assert not gauge.is_over(now)
    now = feed(gauge, 0.3, now, 20.0)
    assert gauge.is_over(now)
    now = feed(gauge, 0.13, now, 30.0)
    assert gauge.is_over(now), "between four fifths and the limit nothing changes"
    now = feed(gauge, 0.05, now, 20.0)
    assert not gauge.is_over(now)
    now = feed(gauge, 0.13, now, 30.0)
    assert not gauge.is_over(now), "nor on the way back"


def test_one_sender_with_a_wrong_clock_does_not_close_the_door() -> None:
    gauge = DelayGauge(0.15)
    now = 100.0
    for step in range(5000):
        gauge.observe(3600.0 if step % 10 == 0 else 0.05, now)
        assert not gauge.is_over(now)
        now += 0.004
    assert gauge.histogram.maximum == 3600.0


def test_a_single_request_never_closes_it() -> None:
    gauge = DelayGauge(0.15)
    gauge.observe(80_000.0, 100.0)
    assert not gauge.is_over(100.0)


def test_nobody_telling_a_delay_opens_it() -> None:
    gauge = DelayGauge(0.15)
    now = feed(gauge, 1.0, 100.0, 20.0)
    assert gauge.is_over(now + 29.0)
    assert not gauge.is_over(now + 31.0)
    assert gauge.smoothed_seconds is None


def test_without_a_limit_it_only_counts() -> None:
    gauge = DelayGauge(None)
    now = feed(gauge, 10.0, 100.0, 20.0)
    assert (gauge.is_over(now), gauge.histogram.count) == (False, 1000)
    gauge.replace_limit(0.15)
    assert gauge.is_over(now)
