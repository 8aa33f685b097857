"""Sentiment: what the lexicon is worth, what the curve does, what a lexicon may hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.sentiment.__main__ import figures, read, table
from earhook.analytics.segment import Segment
from earhook.analytics.sentiment import Curve, Lexicon, Sentiment, own_lexicon, read_lexicon
from earhook.errors import ConfigurationError

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
RATE = 8000
PLAIN, OWN = Sentiment(Lexicon()), Sentiment(own_lexicon())


def segment(start: float, words: int = 10, seconds: float = 2.0) -> Segment:
    return Segment("external", round(start * RATE), round((start + seconds) * RATE), "so " * words)


def test_the_figures_that_are_told_are_the_figures() -> None:
    now = figures({"plain VADER": PLAIN, "with the lexicon": OWN})
    told = json.loads((ROOT / "bench" / "results" / "sentiment.json").read_text())
    assert table(told).startswith(table(now))
    assert table(told) in (ROOT / "docs" / "howto" / "analyze.md").read_text()


def test_the_sets_are_apart_and_large_enough() -> None:
    development, held_out = read("development"), read("held-out")
    assert len(held_out) >= 100
    assert len(development) >= 100
    assert not {one.text for one in development} & {one.text for one in held_out}


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("unbelievable this is the third time i am calling", -1),
        ("that is not what i was promised", -1),
        ("i have been waiting for more than an hour", -1),
        ("Thank you for calling, how may I help you?", 0),
        ("You don't listen to me", -1),
        ("no problem at all", 1),
    ],
)
def test_what_callers_say_sounds_as_it_is_meant(text: str, sign: int) -> None:
    score = OWN.score(text)
    assert (score > 0.05) - (score < -0.05) == sign


@given(st.text(max_size=200))
def test_any_text_has_a_score(text: str) -> None:
    assert -1 <= OWN.score(text) <= 1


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=20))
def test_the_curve_stays_among_what_was_said_and_neutral(scores: list[float]) -> None:
    curve = Curve(RATE)
    for number, score in enumerate(scores):
        rolling = curve.add(segment(number * 3), score).rolling
        assert min(0, *scores) - 1e-4 <= rolling <= max(0, *scores) + 1e-4


def test_the_curve_follows_and_forgets() -> None:
    curve = Curve(RATE)
    first = curve.add(segment(0), -0.8).rolling
    second = curve.add(segment(3), -0.8).rolling
    assert -0.8 < second < first < -0.4
    assert abs(curve.add(segment(200, words=1), 0.0).rolling) < 0.05


def test_speakers_have_curves_of_their_own() -> None:
    curve = Curve(RATE)
    curve.add(segment(0), -1.0)
    agent = Segment("internal", 0, RATE, "so so")
    assert curve.add(agent, 0.5).rolling > 0


def test_a_lexicon_of_ones_own_goes_over_the_other(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('[words]\nnorthwind = -3\n[phrases]\n"third time" = 3\n')
    mine = Sentiment(read_lexicon(path).over(own_lexicon()))
    assert mine.score("northwind") < 0 < mine.score("third time")


def test_what_is_wrong_with_a_lexicon_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('word = 1\n[words]\nbad = -5\nworse = "x"\n')
    with pytest.raises(ConfigurationError) as caught:
        read_lexicon(path)
    assert len(caught.value.faults) == 3
    path.write_text('[phrases]\n"a [b" = 1\n"... c" = 1\n')
    with pytest.raises(ConfigurationError) as caught:
        read_lexicon(path)
    assert [fault.where for fault in caught.value.faults] == [
        f"{path}: phrases.'a [b'",
        f"{path}: phrases.'... c'",
    ]
