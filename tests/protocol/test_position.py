"""Durations and positions (AudioHook protocol §4.3, §4.4)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.protocol.position import (
    NANOSECONDS_PER_SAMPLE,
    format_nanoseconds,
    format_samples,
    parse_nanoseconds,
    parse_samples,
    samples_from_seconds,
)

ONE_WEEK = 7 * 24 * 3600 * 8000
CENTURIES = 10**10 * 8000 - 1


@given(st.integers(0, CENTURIES))
def test_a_position_survives_writing_and_reading(samples: int) -> None:
    assert parse_samples(format_samples(samples)) == samples


@given(st.integers(0, 10**19 - 1))
def test_a_duration_survives_writing_and_reading(nanoseconds: int) -> None:
    assert parse_nanoseconds(format_nanoseconds(nanoseconds)) == nanoseconds


@given(st.integers(0, ONE_WEEK))
def test_a_position_printed_as_a_binary_float_is_read_exactly(samples: int) -> None:
    text = format(Decimal(samples / 8000), "f")
    assert parse_samples(f"PT{text[:40]}S") == samples


@given(st.integers(0, ONE_WEEK), st.integers(0, ONE_WEEK))
def test_durations_add_like_samples(left: int, right: int) -> None:
    total = parse_nanoseconds(format_samples(left)) + parse_nanoseconds(format_samples(right))
    assert total == (left + right) * NANOSECONDS_PER_SAMPLE


@given(st.text(max_size=60))
def test_any_text_is_a_duration_or_is_not(text: str) -> None:
    nanoseconds = parse_nanoseconds(text)
    assert nanoseconds is None or nanoseconds >= 0


@pytest.mark.parametrize(
    ("text", "samples"),
    [
        ("PT0S", 0),
        ("PT0.0S", 0),
        ("PT.5S", 4000),
        ("PT12.345S", 98_760),
        ("PT3.1S", 24_800),
        ("PT0.000125S", 1),
        ("PT0.0000625S", 1),
        ("PT0.000062499S", 0),
        ("PT0.30000000000000004S", 2400),
        ("PT0.9999999999S", 8000),
        ("PT9999999999S", 9_999_999_999 * 8000),
    ],
)
def test_durations_of_the_grammar(text: str, samples: int) -> None:
    assert parse_samples(text) == samples


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PT",
        "PTS",
        "PT.S",
        "PT5.S",
        "PT1M",
        "PT1H",
        "P1D",
        "-PT1S",
        "PT-1S",
        "PT+1S",
        "PT1e-7S",
        "PT1,5S",
        "pt1s",
        "PT1S ",
        " PT1S",
        "PT1S\n",
        "PT٣S",
        "PT" + "9" * 11 + "S",
        "PT" + "9" * 5000 + "S",
        "PT0." + "1" * 5000 + "S",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    assert parse_samples(text) is None


@pytest.mark.parametrize(
    ("samples", "text"),
    [(0, "PT0S"), (24_800, "PT3.1S"), (8000, "PT1S"), (1, "PT0.000125S"), (9600, "PT1.2S")],
)
def test_durations_are_written_in_fixed_point(samples: int, text: str) -> None:
    assert format_samples(samples) == text


def test_a_nanosecond_is_written_without_an_exponent() -> None:
    assert format_nanoseconds(1) == "PT0.000000001S"


def test_more_than_nine_decimals_are_rounded() -> None:
    assert parse_nanoseconds("PT0.0000000005S") == 1
    assert parse_nanoseconds("PT0.00000000049S") == 0
    assert parse_nanoseconds("PT0.9999999995S") == 1_000_000_000


def test_seconds_of_a_setting_become_samples() -> None:
    assert samples_from_seconds(0.5) == 4000
