"""Events as lines for people."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.terminal.event_text import _WRITERS, event_text, sentiment_text, time_text
from earhook.terminal.event_types import EVENT_TYPES, faults_of_types

SPAN = {"start": 8000, "end": 24_000}
LINES = [
    ("speech", {"channel": "external", **SPAN}, "customer spoke 2.0 s"),
    ("talk_over", {"by": "internal", **SPAN}, "agent    talked over the other 2.0 s"),
    ("interruption", {"by": "external", **SPAN}, "customer interrupted, and got the floor"),
    ("dead_air", {"start": 8000}, "dead air  nobody has spoken since 0:01.0"),
    ("dead_air_ended", SPAN, "dead air ended  after 2.0 s"),
    ("one_way", {"silent": "external"}, "one-way audio: nothing comes from the customer"),
    (
        "dtmf",
        {"digit": "•", "source": "audio", "channel": "external", **SPAN},
        "customer pressed •",
    ),
    ("dtmf", {"digit": "4"}, "pressed 4  told by the peer"),
    ("tone", {"channel": "internal", "kind": "busy", **SPAN}, "agent    busy tone 2.0 s"),
    ("paused", {"by": "gateway"}, "paused by the gateway"),
    ("pause_left", {}, "still paused, and the consumer that paused it is gone"),
    ("resumed", {"start": 0, "samples": 16_000}, "resumed  2.0 s were not heard"),
    ("transcript", {"channel": "internal", "text": "hello", "final": True}, "agent    hello"),
    ("transcript", {"channel": "external", "text": "hel", "final": False}, "customer hel …"),
    (
        "hit",
        {"severity": "critical", "name": "No", "evidence": ["x", 1.5]},
        "▲ critical  No  (x; 1.50)",
    ),
    (
        "hit",
        {"severity": "info", "name": "Card", "evidence": [], "action": "pause"},
        "recording paused",
    ),
    (
        "closed",
        {"reason": "completed", "duration_seconds": 2.0},
        "call closed  completed after 2.0 s",
    ),
    ("closed", {"reason": "lost", "dropped": {"late": 3}}, "3 samples were dropped"),
    (
        "analysis",
        {"engine": "e", "state": "behind", "dropped_seconds": 0.0, "behind_seconds": 3.5},
        "recognition by e is 3.5 s behind",
    ),
    (
        "analysis",
        {"engine": "e", "state": "caught_up", "dropped_seconds": 0.0, "behind_seconds": None},
        "recognition by e caught up",
    ),
    (
        "analysis",
        {"engine": "e", "state": "ended", "dropped_seconds": 2.5},
        "2.5 s of audio were not",
    ),
    ("missed", {"count": 1200}, "1,200 events were missed here"),
    ("something_new", {"x": 1}, "something new  x=1"),
]
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = (
    "channel", "start", "end", "text", "final", "score", "rolling", "severity", "name", "evidence",
    "action", "by", "samples", "digit", "summary", "dropped", "reason",
)  # fmt: skip


@pytest.mark.parametrize(("kind", "details", "line"), LINES)
def test_a_line_says_what_happened(kind: str, details: dict[str, object], line: str) -> None:
    assert line in event_text(kind, details).plain


@given(
    st.sampled_from(sorted(_WRITERS)) | st.text(),
    st.dictionaries(st.sampled_from(MEMBERS) | st.text(), ANY_JSON, max_size=6),
)
def test_nothing_that_strangers_say_steers_the_terminal(
    kind: str, details: dict[str, object]
) -> None:
    assert event_text(kind, details).plain.isprintable()


@given(st.floats(-1.0, 1.0))
def test_a_sentiment_is_always_as_wide(score: float) -> None:
    assert len(sentiment_text(score).plain) == len(sentiment_text(0.0).plain)


def test_time_is_minutes_and_seconds() -> None:
    assert [time_text(position) for position in (0, 8000 * 67 + 2400)] == ["0:00.0", "1:07.3"]
    assert time_text(16_000, 16_000) == "0:01.0"


def test_types_that_can_be_asked_for_are_those_of_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/pcm-stream.md").read_text()
    table = page.partition("\n| type | details |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = [row.split("|") for row in table.splitlines()]
    told = {kind for _, types, *_ in rows for kind in re.findall("`([a-z_]+)`", types)}
    told |= set(re.findall("`([a-z_]+_ended)`", table))
    assert len(told) > 20
    assert set(EVENT_TYPES) == told | {"opened", "closed", "missed"}


def test_a_type_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    (fault,) = faults_of_types(("hit", "dead-air"))
    assert fault.what == "no event is called 'dead-air'"
    assert fault.remedy.startswith("did you mean dead_air? There are opened, ")
    (fault,) = faults_of_types(("nosuch",))
    assert fault.remedy.startswith("There are opened, ")
