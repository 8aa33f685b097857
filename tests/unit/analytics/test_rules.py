"""Rules live: windows, thresholds, what is not said, what is not known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from earhook.analytics.analysis import Analysis, Analyst, CallFacts
from earhook.analytics.result import Result
from earhook.analytics.rules import RuleBook
from earhook.analytics.rules.language import RuleFile
from earhook.analytics.segment import Segment
from earhook.analytics.sentiment import Lexicon, Sentiment

pytestmark = pytest.mark.unit

RATE = 8000


def analysis(*rules: Mapping[str, Any], start: float = 0, **facts: Any) -> Analysis:
    """Of a call under rules, given as a file would."""
    named = [{"name": rule["id"], **rule} for rule in rules]
    book = RuleBook(RuleFile.model_validate({"rules": named}).rules)
    sentiment = Sentiment(Lexicon()) if book.wants_sentiment else None
    call = CallFacts(rate=RATE, start=round(start * RATE), **facts)
    return Analyst(book, sentiment).open(call)


def agent(start: float, text: str, seconds: float = 2.0) -> Segment:
    return Segment("internal", round(start * RATE), round((start + seconds) * RATE), text)


def customer(start: float, text: str, seconds: float = 2.0) -> Segment:
    return Segment("external", round(start * RATE), round((start + seconds) * RATE), text)


def hits(results: list[Result]) -> list[tuple[str, float]]:
    """Which rules, and when in the call it became known, in seconds."""
    return [
        (one.details["rule"], round(one.position / RATE, 1)) for one in results if one.kind == "hit"
    ]


def told(one: Analysis, kind: str, at: float, **details: Any) -> list[tuple[str, float]]:
    """An event; seconds become positions."""
    inside = {
        name: round(value * RATE) if name in ("start", "end") else value
        for name, value in details.items()
    }
    return hits(one.note(kind, round(at * RATE), inside))


DISCLOSURE = {
    "id": "disclosure",
    "kind": "transcript",
    "who": "agent",
    "phrases": ["call [may|will]? be recorded"],
    "negate": True,
    "first_seconds": 10,
}


def test_what_must_be_said_is_missing_when_its_time_is_over_and_not_before() -> None:
    call = analysis(DISCLOSURE)
    assert hits(call.hear(agent(0, "good morning"))) == []
    assert hits(call.hear(customer(3, "this call will be recorded"))) == []
    assert hits(call.advance(round(9.9 * RATE))) == []
    (found,) = call.advance(12 * RATE)
    assert found.details == {
        "rule": "disclosure",
        "name": "disclosure",
        "severity": "warning",
        "channel": "internal",
        "start": 0,
        "end": 10 * RATE,
        "evidence": ["not between 0.0 s and 10.0 s", "good morning"],
        "action": None,
    }
    assert call.finish(60 * RATE) == []


def test_what_was_said_in_time_is_not_missing() -> None:
    call = analysis(DISCLOSURE)
    call.hear(agent(1, "this call may"))
    call.hear(agent(3.2, "be recorded"))
    assert hits(call.advance(20 * RATE) + call.finish(60 * RATE)) == []


def test_what_was_said_too_late_is_missing() -> None:
    call = analysis(DISCLOSURE)
    assert hits(call.advance(11 * RATE) + call.hear(agent(11, "this call may be recorded"))) == [
        ("disclosure", 10)
    ]


def test_a_short_call_is_judged_by_what_there_was_of_it() -> None:
    call = analysis(DISCLOSURE)
    call.hear(agent(0, "good morning"))
    assert hits(call.finish(4 * RATE)) == [("disclosure", 4)]


@pytest.mark.parametrize(("seconds", "is_hit"), [(2, True), (4, False)])
def test_what_may_have_been_said_unheard_is_not_missing(seconds: int, is_hit: bool) -> None:
    call = analysis(DISCLOSURE)
    call.miss("internal", 0, seconds * RATE)
    found = call.advance(10 * RATE)
    assert bool(found) is is_hit
    if found:
        assert "2.0 s of it were not heard" in found[0].details["evidence"]


def test_nothing_is_missing_on_a_channel_that_nobody_recognises() -> None:
    assert analysis(DISCLOSURE, channels=("external",)).finish(60 * RATE) == []
    assert analysis(DISCLOSURE, start=30).finish(60 * RATE) == []


def test_time_can_count_from_the_first_words() -> None:
    call = analysis({**DISCLOSURE, "since": "first-words"})
    assert hits(call.advance(40 * RATE)) == []
    call.hear(customer(41, "hello is anybody there"))
    call.hear(agent(50, "good morning"))
    assert hits(call.advance(59 * RATE)) == []
    assert hits(call.advance(61 * RATE)) == [("disclosure", 60)]


def test_time_can_count_from_another_rule() -> None:
    rules = (
        {"id": "wish", "kind": "transcript", "who": "customer", "phrases": ["a manager"]},
        {
            "id": "ignored",
            "kind": "transcript",
            "who": "agent",
            "phrases": ["transfer you"],
            "since": "wish",
            "first_seconds": 20,
            "negate": True,
        },
    )
    call = analysis(*rules)
    call.hear(agent(0, "i can transfer you"))
    assert hits(call.hear(customer(30, "i want a manager"))) == [("wish", 32)]
    assert hits(call.advance(60 * RATE)) == [("ignored", 52)]
    call = analysis(*rules)
    call.hear(customer(30, "i want a manager"))
    call.hear(agent(40, "i will transfer you"))
    assert hits(call.advance(60 * RATE) + call.finish(90 * RATE)) == []


def test_the_last_seconds_are_known_at_the_end() -> None:
    rule = {**DISCLOSURE, "first_seconds": None, "last_seconds": 10}
    call = analysis(rule)
    call.hear(agent(5, "this call may be recorded"))
    assert hits(call.advance(50 * RATE)) == []
    assert hits(call.finish(60 * RATE)) == [("disclosure", 60)]
    call = analysis(rule)
    call.hear(agent(52, "this call may be recorded"))
    assert hits(call.finish(60 * RATE)) == []


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, [1]),
        ({"repeat": True}, [1, 5, 9, 13]),
        ({"threshold": 3}, [9]),
        ({"threshold": 2, "repeat": True}, [5, 13]),
        ({"start_seconds": 4}, [5]),
        ({"start_seconds": 4, "end_seconds": 8, "repeat": True}, [5]),
        ({"start_seconds": 4, "first_seconds": 7, "repeat": True}, [5, 9]),
    ],
)
def test_how_often_and_when(more: dict[str, Any], expected: list[float]) -> None:
    call = analysis({"id": "x", "kind": "transcript", "phrases": ["sorry"], **more})
    found = [hit for start in (0, 4, 8, 12) for hit in hits(call.hear(agent(start, "sorry", 1)))]
    assert [when for _, when in found] == expected


def test_a_rule_is_met_once_where_two_of_its_phrases_are() -> None:
    rule = {
        "id": "x",
        "kind": "transcript",
        "phrases": ["calm down", "need to calm down"],
        "repeat": True,
    }
    assert len(hits(analysis(rule).hear(agent(0, "you need to calm down")))) == 1


def test_a_phrase_does_not_reach_over_a_long_silence() -> None:
    rule = {"id": "x", "kind": "transcript", "phrases": ["be recorded"]}
    call = analysis(rule)
    call.hear(agent(0, "this may be"))
    assert hits(call.hear(agent(30, "recorded music is what i like"))) == []


def test_dead_air_is_told_when_it_has_lasted() -> None:
    call = analysis({"id": "x", "kind": "dead-air", "seconds": 10, "repeat": True})
    assert told(call, "dead_air", 25, start=20) == []
    assert hits(call.advance(29 * RATE)) == []
    assert hits(call.advance(31 * RATE)) == [("x", 30)]
    assert told(call, "dead_air_ended", 40, start=20, end=40) == []
    assert told(call, "dead_air", 55, start=50) == []
    assert told(call, "dead_air_ended", 58, start=50, end=58) == []
    assert told(call, "dead_air_ended", 80, start=62, end=80) == [("x", 72)]


@pytest.mark.parametrize(
    ("spoken", "is_hit"),
    [(None, True), ("en", True), ("en-GB", True), ("EN-us", True), ("es-US", False)],
)
def test_a_call_in_another_language_is_not_held_to_a_rule(spoken: str | None, is_hit: bool) -> None:
    call = analysis({**DISCLOSURE, "language": "en"}, language=spoken)
    assert bool(hits(call.finish(60 * RATE))) is is_hit


def test_a_pause_is_no_dead_air() -> None:
    call = analysis({"id": "x", "kind": "dead-air", "seconds": 10, "repeat": True})
    assert told(call, "dead_air", 25, start=20) == []
    assert told(call, "paused", 27) == []
    assert hits(call.advance(60 * RATE)) == []
    assert told(call, "dead_air_ended", 90, start=20, end=90) == []
    assert told(call, "dead_air", 105, start=95) == [("x", 105)]


def test_talking_over_and_interrupting() -> None:
    call = analysis(
        {"id": "over", "kind": "talk-over", "seconds": 2, "repeat": True},
        {"id": "in", "kind": "interruption", "who": "agent", "threshold": 2},
    )
    assert told(call, "talk_over", 3, start=2, end=3, by="internal") == []
    assert told(call, "talk_over", 8, start=5, end=8, by="external") == [("over", 8)]
    assert told(call, "interruption", 8, start=5, end=8, by="external") == []
    assert told(call, "interruption", 12, start=11, end=12, by="internal") == []
    assert told(call, "interruption", 15, start=14, end=15, by="internal") == [("in", 15)]


def keys(call: Analysis, count: int, at: float, source: str = "audio") -> list[tuple[str, float]]:
    found = []
    for number in range(count):
        start = at + number * 0.3
        more = {"channel": "external", "source": "audio"} if source == "audio" else {}
        found += told(call, "dtmf", start + 0.1, start=start, end=start + 0.1, digit="4", **more)
    return found


def test_keys_count_while_the_call_is_recorded_and_no_digit_is_told() -> None:
    call = analysis({"id": "x", "kind": "dtmf", "digits": 4, "repeat": True})
    assert keys(call, 3, 0) == []
    (found,) = [
        one for n in range(4) for one in call.note("dtmf", 160_000 + n * 1600, {"digit": "7"})
    ]
    assert found.details["evidence"] == ["4 keys were pressed while the call was recorded"]
    assert "7" not in found.details["evidence"][0]
    assert told(call, "paused", 60) == []
    assert keys(call, 16, 61) == []
    assert told(call, "resumed", 90) == []
    assert keys(call, 4, 91) == [("x", 92)]


def test_a_key_that_is_told_twice_is_one_key() -> None:
    call = analysis({"id": "x", "kind": "dtmf", "digits": 2, "repeat": True})
    found = []
    for start in (1.0, 1.4):
        found += keys(call, 1, start)
        found += keys(call, 1, start + 0.15, source="protocol")
    assert len(found) == 1


def test_keys_in_a_pause_can_be_looked_for() -> None:
    call = analysis({"id": "x", "kind": "dtmf", "during": "paused"})
    assert keys(call, 3, 0) == []
    told(call, "paused", 5)
    assert keys(call, 1, 6) == [("x", 6.1)]


def test_sentiment_crosses_a_line() -> None:
    call = analysis(
        {"id": "angry", "kind": "sentiment", "who": "customer", "below": -0.3},
        {"id": "glad", "kind": "sentiment", "of": "segment", "above": 0.4, "repeat": True},
    )
    assert hits(call.hear(agent(0, "this is terrible i hate it"))) == []
    assert hits(call.hear(customer(3, "this is terrible i hate it"))) == [("angry", 5)]
    assert hits(call.hear(customer(6, "awful awful awful"))) == []
    assert hits(call.hear(customer(9, "great wonderful"))) == [("glad", 11)]


def test_a_spoken_card_pauses_and_is_not_in_the_evidence() -> None:
    call = analysis(
        {"id": "card", "kind": "personal", "of": ["card"], "action": "pause", "pause_seconds": 60}
    )
    call.hear(customer(0, "four one one one one one one one"))
    (found,) = [
        one
        for one in call.hear(customer(3, "one one one one one one one one"))
        if one.kind == "hit"
    ]
    assert found.details["action"] == "pause"
    assert found.pause_seconds == 60
    assert found.details["start"] == 0
    assert found.details["evidence"] == ["card of 16 digits", "[card]"]


LEAVING = {"id": "leaving", "kind": "transcript", "who": "customer", "phrases": ["cancel"]}
NO_OFFER = {
    "id": "no-offer", "kind": "transcript", "who": "agent", "phrases": ["offer"],
    "since": "leaving", "first_seconds": 20, "negate": True,
}  # fmt: skip
LOUD = {"id": "loud", "kind": "talk-over", "repeat": True}
BOTH = {"id": "both", "kind": "all-of", "rules": ["leaving", "loud"]}


def test_all_of_is_met_once_each_of_its_rules_is_in_any_order() -> None:
    call = analysis(BOTH, LEAVING, LOUD)
    assert told(call, "talk_over", 7, start=5, end=7) == [("loud", 7)]
    (_, leaving, both) = call.hear(customer(8, "please cancel"))
    assert hits([leaving, both]) == [("leaving", 10), ("both", 10)]
    assert both.details["start"] == 5 * RATE
    assert both.details["channel"] is None
    assert both.details["evidence"] == ["loud: both spoke for 2.0 s", "leaving: please cancel"]
    assert told(call, "talk_over", 14, start=12, end=14) == [("loud", 14)]  # once per call


def test_said_and_not_said_is_all_of_a_rule_and_one_that_is_negated() -> None:
    rules = ({**BOTH, "rules": ["leaving", "no-offer"]}, LEAVING, NO_OFFER)
    call = analysis(*rules)
    call.hear(customer(8, "please cancel"))
    call.hear(agent(12, "all right"))
    assert hits(call.advance(40 * RATE)) == [("no-offer", 30), ("both", 30)]
    kept = analysis(*rules)
    kept.hear(customer(8, "please cancel"))
    kept.hear(agent(12, "let me make you an offer"))
    assert hits(kept.advance(40 * RATE) + kept.finish(60 * RATE)) == []


@pytest.mark.parametrize(("within", "is_hit"), [(2, False), (4, True)])
def test_hits_of_all_of_can_be_asked_to_lie_close_together(within: int, is_hit: bool) -> None:
    call = analysis({**BOTH, "within_seconds": within}, LEAVING, LOUD)
    told(call, "talk_over", 7, start=5, end=7)
    found = hits(call.hear(customer(8, "please cancel")))
    assert (("both", 10) in found) is is_hit
    if not is_hit:  # a later hit of one of them is nearer
        assert told(call, "talk_over", 11, start=9.5, end=11) == [("loud", 11), ("both", 11)]


def test_all_of_repeated_wants_a_new_hit_of_each() -> None:
    call = analysis({**BOTH, "repeat": True}, {**LEAVING, "repeat": True}, LOUD)
    found = []
    for at in (10, 20, 30):
        found += told(call, "talk_over", at, start=at - 2, end=at)
    assert [one for one in found if one[0] == "both"] == []
    assert ("both", 42) in hits(call.hear(customer(40, "please cancel")))
    assert ("both", 52) not in hits(call.hear(customer(50, "please cancel")))
    assert ("both", 60) in told(call, "talk_over", 60, start=58, end=60)


def test_the_example_has_no_fault(tmp_path: Path) -> None:
    from earhook.analytics.rules import example_rules, read_rules

    text = example_rules().read_text()
    everything = tmp_path / "all.toml"
    everything.write_text(
        text.replace("enabled = false", "enabled = true")
        .replace('# action = "pause"', 'action = "pause"')
        .replace("# pause_seconds", "pause_seconds")
    )
    assert len(read_rules([everything])) > len(read_rules([example_rules()])) > 20
