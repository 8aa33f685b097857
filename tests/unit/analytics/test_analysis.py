"""Laws of the analysis: pieces, order and progress change nothing; nothing personal goes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earhook.analytics.analysis import Analysis, Analyst, AnalystSettings, CallFacts
from earhook.analytics.result import Result
from earhook.analytics.rules import example_rules
from earhook.analytics.segment import Segment, Word
from earhook.errors import ConfigurationError
from earhook.sinks.pcm_stream.results import MAX_ENTRIES, read_results

pytestmark = pytest.mark.unit

RATE = 8000
END = 100 * RATE
ANALYST = Analyst.of(AnalystSettings(rules=(example_rules(),)))
COMPLAINT = Path(__file__).parents[3] / "python" / "earhook" / "demo" / "complaint.json"

AGENT_LINES = (
    "thank you for calling northwind my name is alice",
    "this call may be recorded for quality",
    "i am sorry to hear that",
    "you need to calm down there is nothing i can do",
    "what is the card number",
    "let me transfer you to my supervisor",
    "is there anything else",
    "i guarantee you that it works",
)
CUSTOMER_LINES = (
    "this is the third time i am calling",
    "i want to speak to your manager",
    "four one one one one one one one one one one one one one one one",
    "cancel my account i will sue you",
    "stop calling me my lawyer will hear of this",
    "thank you that is wonderful",
    "my father passed away",
)


@st.composite
def conversations(draw: st.DrawFn) -> list[Segment]:
    """Turns of both, in order of time; a channel's own do not overlap."""
    said = []
    at = 0
    for _ in range(draw(st.integers(1, 8))):
        at += draw(st.integers(0, 6 * RATE))
        who, lines = draw(
            st.sampled_from((("internal", AGENT_LINES), ("external", CUSTOMER_LINES)))
        )
        end = at + draw(st.integers(RATE, 4 * RATE))
        said.append(Segment(who, at, end, draw(st.sampled_from(lines))))  # type: ignore[arg-type]
        at = end
    return said


def analysis() -> Analysis:
    return ANALYST.open(CallFacts(rate=RATE, engine="test", language="en-US"))


def heard(segments: list[Segment]) -> list[Result]:
    call = analysis()
    results = [result for segment in segments for result in call.hear(segment)]
    return results + call.finish(END)


def hits(results: list[Result]) -> set[tuple[Any, ...]]:
    return {
        (one.details["rule"], one.details["start"], one.details["end"])
        for one in results
        if one.kind == "hit"
    }


@given(conversations(), st.data())
def test_in_which_order_channels_come_makes_no_difference(
    said: list[Segment], data: st.DataObject
) -> None:
    agent = [one for one in said if one.channel == "internal"]
    customer = [one for one in said if one.channel == "external"]
    mixed = []
    while agent or customer:
        first = data.draw(st.booleans())
        mixed.append((agent if (first and agent) or not customer else customer).pop(0))
    assert hits(heard(mixed)) == hits(heard(said))


@given(conversations(), st.data())
def test_saying_how_far_it_is_makes_no_difference(said: list[Segment], data: st.DataObject) -> None:
    call = analysis()
    results = []
    for segment in said:
        results += call.advance(data.draw(st.integers(0, segment.start)))
        results += call.hear(segment)
    assert hits(results + call.finish(END)) == hits(heard(said))


@given(conversations(), st.data())
def test_how_words_are_cut_into_segments_makes_no_difference_to_phrases(
    said: list[Segment], data: st.DataObject
) -> None:
    whole, pieces = [], []
    for segment in said:
        words = segment.text.split()
        step = (segment.end - segment.start) // len(words)
        timed = [
            Word(word, segment.start + n * step, segment.start + (n + 1) * step)
            for n, word in enumerate(words)
        ]
        cuts = sorted(data.draw(st.sets(st.integers(1, len(words) - 1), max_size=3)))
        for a, b in zip([0, *cuts], [*cuts, len(words)], strict=True):
            part = timed[a:b]
            text = " ".join(words[a:b])
            pieces.append(
                Segment(segment.channel, part[0].start, part[-1].end, text, words=tuple(part))
            )
        whole.append(
            Segment(
                segment.channel, timed[0].start, timed[-1].end, segment.text, words=tuple(timed)
            )
        )
    # Sentiment is of whole segments, and what counts from it follows it.
    unmoved = {rule.id for rule in ANALYST.rules.rules if rule.kind == "transcript"} - {
        "no-empathy"
    }
    assert {hit for hit in hits(heard(pieces)) if hit[0] in unmoved} == {
        hit for hit in hits(heard(whole)) if hit[0] in unmoved
    }


@given(conversations())
@settings(max_examples=50)
def test_the_gateway_takes_every_result(said: list[Segment]) -> None:
    entries = [result.as_entry() for result in heard(said)]
    for first in range(0, len(entries), MAX_ENTRIES):
        some = json.loads(json.dumps(entries[first : first + MAX_ENTRIES]))
        assert len(read_results({"entries": some}, END)) == len(some)


def test_a_segment_of_any_length_fits() -> None:
    long = Segment("external", 0, RATE, "\U0001f600 so long " * 3000)
    (entry, *_) = [result.as_entry() for result in analysis().hear(long)]
    assert read_results({"entries": [entry]}, RATE)


def test_an_interim_reading_is_shown_redacted_and_counts_for_nothing() -> None:
    call = analysis()
    reading = Segment("external", 0, RATE, "my lawyer 4111 1111", is_final=False)
    (result,) = call.hear(reading)
    assert result.details["text"] == "my lawyer [number]"
    assert result.details["final"] is False


def test_only_what_it_knows_is_scored() -> None:
    said = Segment("external", 0, RATE, "no me gusta", language="es-US")
    kinds = [result.kind for result in analysis().hear(said)]
    assert kinds == ["transcript"]


def test_what_the_demo_plays_is_found() -> None:
    script = json.loads(COMPLAINT.read_text())
    said = [
        Segment(
            "external" if turn["speaker"] == "customer" else "internal",
            turn["start"],
            turn["end"],
            turn["text"],
        )
        for turn in script["turns"]
        if "text" in turn
    ]
    results = heard(said)
    found = {one.details["rule"] for one in results if one.kind == "hit"}
    assert {"recording-disclosure", "angry-customer", "card-spoken", "escalation", "rude"} <= found
    assert "introduction" not in found
    assert "one one one" not in json.dumps([one.as_entry() for one in results]).lower()


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    lexicon = tmp_path / "lexicon.toml"
    lexicon.write_text('[words]\nbad = -9\n[phrases]\n"a [" = 1\n')
    with pytest.raises(ConfigurationError) as caught:
        Analyst.of(AnalystSettings(rules=(tmp_path / "none.toml",), lexicon=lexicon))
    assert len(caught.value.faults) == 2


def test_rules_about_sentiment_want_it() -> None:
    with pytest.raises(ConfigurationError, match="rules of kind sentiment"):
        Analyst.of(AnalystSettings(rules=(example_rules(),), sentiment=False))
