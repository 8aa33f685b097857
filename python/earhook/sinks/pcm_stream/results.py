"""What consumers found out by listening: the entries of a `results` command. Pure.

Nothing passes that the tables below do not know: what stands in an event of the gateway's stream
is shown to people and kept by programs, whoever said it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias, TypeGuard

import orjson

from earhook.errors import CommandRefused
from earhook.media.format import Channel
from earhook.sinks.base import CallEvent

__all__ = ["MAX_ENTRIES", "RESULTS", "RESULT_KINDS", "read_results"]

RESULTS: Final = "results"
"""The word of the command."""
MAX_ENTRIES: Final = 64
MAX_ENTRY_BYTES: Final = 8 << 10
MAX_TEXT_CHARACTERS: Final = 2000
MAX_NAME_CHARACTERS: Final = 256
MAX_EVIDENCE: Final = 32
MAX_NUMBER: Final = 2**53
"""Whole numbers up to here are the same in every language that reads JSON."""


def read_results(body: Mapping[str, Any], reached: int) -> list[CallEvent]:
    """Read the entries of a command.

    Args:
        body: Of the command.
        reached: The call's position; a result about what is not there yet is none.

    Raises:
        CommandRefused: Any of them is not what its type asks for. Then none counts.
    """
    entries = body.get("entries")
    if not isinstance(entries, list) or not 0 < len(entries) <= MAX_ENTRIES:
        raise CommandRefused(f"entries is a list of 1 to {MAX_ENTRIES}")
    return [_read_entry(place, entry, reached) for place, entry in enumerate(entries)]


def _read_entry(place: int, entry: object, reached: int) -> CallEvent:
    if not isinstance(entry, dict) or entry.keys() != _ENTRY:
        raise CommandRefused(f"entries[{place}] is an object of type, position and details")
    kind, position, details = entry["type"], entry["position"], entry["details"]
    members = _MEMBERS.get(kind) if isinstance(kind, str) else None
    if members is None:
        raise CommandRefused(f"entries[{place}].type is one of {', '.join(_MEMBERS)}")
    if not _is_whole(position) or position > reached:
        text = f"entries[{place}].position is a position that the call has reached"
        raise CommandRefused(text)
    if not isinstance(details, dict) or not details.keys() <= members.keys():
        text = f"entries[{place}].details is an object of {', '.join(members)}"
        raise CommandRefused(text)
    for name, member in members.items():
        if not member.holds(details.get(name)):
            raise CommandRefused(f"entries[{place}].details.{name} is {member.text}")
    if len(orjson.dumps(entry)) > MAX_ENTRY_BYTES:
        raise CommandRefused(f"entries[{place}] is longer than {MAX_ENTRY_BYTES} bytes")
    start, end = details.get("start", 0), details.get("end", position)
    if not start <= end <= position:
        text = f"entries[{place}]: start, end and position come in this order"
        raise CommandRefused(text)
    # Every member is there, so that whoever shows them needs no defaults.
    told = {name: details.get(name) for name in members}
    return CallEvent(kind, position, told, personal=True, by="consumer")


class _Member(NamedTuple):
    """What a member of `details` has to be, for the code and for the text of a refusal."""

    holds: Callable[[object], bool]
    text: str


def _text(most: int, text: str) -> _Member:
    return _Member(lambda value: isinstance(value, str) and len(value) <= most, text)


def _one_of(*words: str) -> _Member:
    known = frozenset(words)
    return _Member(
        lambda value: isinstance(value, str) and value in known, f"one of {', '.join(words)}"
    )


def _number(least: float, most: float, text: str) -> _Member:
    return _Member(lambda value: _is_number(value) and least <= value <= most, text)


def _or_null(member: _Member) -> _Member:
    return _Member(lambda value: value is None or member.holds(value), f"{member.text}, or null")


def _is_whole(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= MAX_NUMBER


def _is_number(value: object) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -MAX_NUMBER <= value <= MAX_NUMBER


def _is_evidence(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MAX_EVIDENCE
        and all(_is_number(one) or _PHRASE.holds(one) for one in value)
    )


_ENTRY: Final = {"type", "position", "details"}
_NAME: Final = _text(MAX_NAME_CHARACTERS, f"a text of at most {MAX_NAME_CHARACTERS} characters")
_PHRASE: Final = _text(MAX_TEXT_CHARACTERS, f"a text of at most {MAX_TEXT_CHARACTERS} characters")
_POSITION: Final = _Member(_is_whole, "a position: a whole number from 0")
_CHANNEL: Final = _one_of(*(channel.word for channel in Channel))
_SHARE: Final = _number(0, 1, "a number from 0 to 1")
_SCORE: Final = _number(-1, 1, "a number from -1 to 1")
_SECONDS: Final = _number(0, MAX_NUMBER, "a number from 0")
_FLAG: Final = _Member(lambda value: isinstance(value, bool), "true or false")
_EVIDENCE: Final = _Member(_is_evidence, f"a list of at most {MAX_EVIDENCE} texts and numbers")

_Members: TypeAlias = Mapping[str, _Member]

_MEMBERS: Final[Mapping[str, _Members]] = {
    "transcript": {
        "segment": _NAME,
        "channel": _CHANNEL,
        "start": _POSITION,
        "end": _POSITION,
        "text": _PHRASE,
        "confidence": _or_null(_SHARE),
        "final": _FLAG,
        "engine": _NAME,
        "language": _or_null(_NAME),
    },
    "sentiment": {
        "segment": _NAME,
        "channel": _CHANNEL,
        "start": _POSITION,
        "end": _POSITION,
        "score": _SCORE,
        "rolling": _SCORE,
    },
    "hit": {
        "rule": _NAME,
        "name": _NAME,
        "severity": _one_of("info", "warning", "critical"),
        "channel": _or_null(_CHANNEL),
        "start": _POSITION,
        "end": _POSITION,
        "evidence": _EVIDENCE,
        "action": _or_null(_one_of("pause")),
    },
    "analysis": {
        "engine": _NAME,
        "state": _one_of("started", "behind", "caught_up", "ended", "failed"),
        "dropped_seconds": _SECONDS,
        "behind_seconds": _or_null(_SECONDS),
    },
}

RESULT_KINDS: Final = tuple(_MEMBERS)
"""Every type that an entry may have."""
