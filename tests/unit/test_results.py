"""What consumers may say of a call: the table's entries and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from earhook.errors import CommandRefused
from earhook.sinks.base import CallEvent
from earhook.sinks.pcm_stream.results import MAX_ENTRIES, RESULT_KINDS, read_results

SPAN = {"channel": "external", "start": 800, "end": 1600}
GOOD: dict[str, dict[str, Any]] = {
    "transcript": {
        **SPAN,
        "segment": "external-800",
        "text": "good morning",
        "confidence": 0.5,
        "final": True,
        "engine": "scripted",
        "language": "en-US",
    },
    "sentiment": {**SPAN, "segment": "external-800", "score": -1, "rolling": 0.25},
    "hit": {
        **SPAN,
        "rule": "greeting",
        "name": "Greets",
        "severity": "warning",
        "evidence": ["good morning", 3, 0.5],
        "action": "pause",
    },
    "analysis": {
        "engine": "scripted",
        "state": "behind",
        "dropped_seconds": 0.0,
        "behind_seconds": 3.5,
    },
}


def read(kind: object, details: object, position: object = 1600) -> CallEvent:
    entry = {"type": kind, "position": position, "details": details}
    (event,) = read_results({"entries": [entry]}, reached=2000)
    return event


@pytest.mark.parametrize("kind", RESULT_KINDS)
def test_a_good_entry_becomes_a_personal_event(kind: str) -> None:
    event = read(kind, GOOD[kind])
    assert (event.kind, event.position, event.personal) == (kind, 1600, True)
    assert event.by == "consumer"
    assert event.details == GOOD[kind]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("transcript", "confidence"),
        ("transcript", "language"),
        ("hit", "channel"),
        ("hit", "action"),
        ("analysis", "behind_seconds"),
    ],
)
def test_what_may_be_null_may_be_left_out(kind: str, name: str) -> None:
    without = {key: value for key, value in GOOD[kind].items() if key != name}
    assert read(kind, without).details == {**GOOD[kind], name: None}
    assert read(kind, {**without, name: None}).details == {**GOOD[kind], name: None}


WRONG: tuple[object, ...] = ({}, [[]], "\n", 1, True, 2.5, -2, 2**53 + 1, ["x", True], ["x", None])
FITS: dict[str, tuple[object, ...]] = {
    "final": (True,),
    "dropped_seconds": (1, 2.5),
    "behind_seconds": (1, 2.5),
    "confidence": (1,),
    "score": (1,),
    "rolling": (1,),
    "start": (1,),
    **dict.fromkeys(("segment", "text", "engine", "language", "rule", "name"), ("\n",)),
}
"""Of those values, the ones that a member may have."""


@pytest.mark.parametrize("kind", RESULT_KINDS)
def test_every_member_is_looked_at(kind: str) -> None:
    for name in GOOD[kind]:
        fitting = [(type(value), value) for value in FITS.get(name, ())]
        for value in WRONG:
            if (type(value), value) in fitting:
                continue
            with pytest.raises(CommandRefused):
                read(kind, {**GOOD[kind], name: value})
    with pytest.raises(CommandRefused, match="object of"):
        read(kind, {**GOOD[kind], "more": 1})


@pytest.mark.parametrize(
    ("kind", "details", "position"),
    [
        ("dtmf", {"digit": "1"}, 1600),
        (["hit"], GOOD["hit"], 1600),
        ("hit", [], 1600),
        ("hit", GOOD["hit"], True),
        ("hit", GOOD["hit"], -1),
        ("hit", GOOD["hit"], 2001),
        ("hit", GOOD["hit"], 1599),
        ("hit", {**GOOD["hit"], "start": 1601}, 1600),
        ("hit", {**GOOD["hit"], "evidence": ["x"] * 33}, 1600),
        ("hit", {**GOOD["hit"], "evidence": ["x" * 2000] * 5}, 1600),
        ("transcript", {**GOOD["transcript"], "text": "x" * 2001}, 1600),
    ],
)
def test_what_is_not_in_the_table_is_refused(kind: object, details: object, position: int) -> None:
    with pytest.raises(CommandRefused):
        read(kind, details, position)


@pytest.mark.parametrize(
    "entries", [None, {}, [], [1], [{}], [{"type": "hit"}], [None] * (MAX_ENTRIES + 1)]
)
def test_entries_are_a_list_of_some(entries: object) -> None:
    with pytest.raises(CommandRefused):
        read_results({"entries": entries}, reached=0)


def test_one_bad_entry_refuses_all() -> None:
    good = {"type": "analysis", "position": 0, "details": GOOD["analysis"]}
    assert len(read_results({"entries": [good, good]}, reached=0)) == 2
    with pytest.raises(CommandRefused, match=r"entries\[1\]"):
        read_results({"entries": [good, {**good, "position": 1}]}, reached=0)
