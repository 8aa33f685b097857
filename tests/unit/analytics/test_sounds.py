"""Words that an engine hears in tones and music are nobody's: they are left out, or taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.analytics.analysis import Analysis, Analyst, AnalystSettings, CallFacts
from earhook.analytics.segment import Segment, Word
from earhook.analytics.sounds import Sounds

pytestmark = pytest.mark.unit

RATE = 8000
SPANS = st.tuples(st.integers(0, 200), st.integers(0, 200)).map(sorted)
RULE = (
    '[[rules]]\nid = "r"\nname = "Somebody says hello"\nkind = "transcript"\nphrases = ["hello"]\n'
)


@pytest.fixture
def call(tmp_path: Path) -> Analysis:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULE)
    analyst = Analyst.of(AnalystSettings(rules=(rules,), sentiment=False))
    return analyst.open(CallFacts(rate=RATE, engine="test"))


def tone(start: float, end: float, channel: str = "external") -> dict[str, Any]:
    span = {"start": round(start * RATE), "end": round(end * RATE)}
    return {"channel": channel, "kind": "ringback", **span}


def segment(start: float, end: float, *, final: bool = True, words: Any = ()) -> Segment:
    placed = tuple(Word("hello", round(a * RATE), round(b * RATE)) for a, b in words)
    span = (round(start * RATE), round(end * RATE))
    return Segment("external", *span, "hello", is_final=final, words=placed)


def texts(results: list[Any]) -> list[tuple[str, str]]:
    return [(one.kind, one.details.get("text", "")) for one in results]


@pytest.mark.parametrize("kind", ["tone", "music", "dtmf"])
def test_what_lies_in_it_is_not_told_and_no_rule_hears_it(call: Analysis, kind: str) -> None:
    call.note(kind, 2 * RATE, tone(1.0, 3.0))
    assert call.hear(segment(0.8, 2.0, final=False)) == []
    assert call.hear(segment(0.8, 2.9)) == []
    assert call.left_out == 1
    assert texts(call.hear(segment(5.0, 6.0))) == [("transcript", "hello"), ("hit", "")]


def test_half_of_it_and_another_channel_and_another_event_hide_nothing(call: Analysis) -> None:
    call.note("tone", RATE, tone(0.0, 1.0))
    call.note("tone", RATE, tone(1.0, 9.0, "internal"))
    call.note("speech", RATE, tone(1.0, 9.0))
    call.note("dtmf", RATE, {"digit": "5", "source": "protocol"})
    assert texts(call.hear(segment(0.0, 2.0)))[0] == ("transcript", "hello")
    assert call.left_out == 0


def test_words_count_where_they_are_and_not_the_silence_around_them(call: Analysis) -> None:
    call.note("tone", RATE, tone(1.0, 1.6))
    assert call.hear(segment(0.5, 3.0, words=[(1.0, 1.3), (1.3, 1.6)])) == []
    call.note("tone", 6 * RATE, tone(4.0, 6.0))
    assert call.hear(segment(4.0, 7.0, words=[(6.2, 6.9)]))


def test_a_reading_that_was_told_before_is_taken_back(call: Analysis) -> None:
    assert texts(call.hear(segment(1.0, 1.6, final=False))) == [("transcript", "hello")]
    call.note("music", 3 * RATE, tone(0.9, 3.0))
    (taken_back,) = call.hear(segment(1.0, 2.2))
    assert taken_back.details["segment"] == "external-8000"
    assert taken_back.details["final"] is True
    assert taken_back.details["text"] == ""
    assert call.hear(segment(2.2, 2.6)) == []


@given(st.lists(SPANS, max_size=8), SPANS)
def test_a_sample_counts_once(spans: list[list[int]], place: list[int]) -> None:
    sounds = Sounds()
    for start, end in spans:
        sounds.note("tone", {"channel": "external", "start": start, "end": end})
    inside = sum(any(start <= at < end for start, end in spans) for at in range(*place))
    said = Segment("external", *place, "x")
    assert sounds.cover(said) is (2 * inside > place[1] - place[0])
