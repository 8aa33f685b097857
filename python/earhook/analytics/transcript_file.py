"""Runs an analysis over a transcript in a file: to try out rules, and for calls of yesterday.

A line is a JSON object of one of two forms, mixed as you like:

```json
{"speaker": "agent", "start_seconds": 0.5, "end_seconds": 6.0, "text": "thank you for calling"}
{"type": "dead_air", "position": 200000, "details": {"start": 160000}}
```

The second is how Earhook itself writes events and results, so what `earhook analyze --json` and
`earhook tail` wrote can be read again: its transcripts are heard, its signal facts noted, what it
found is left out. Lines with a `session` belong to that call. Positions are at a rate of 8000
unless the line, or the call's line `opened`, has another `rate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from earhook.client import ChannelName
from earhook.errors import ConfigurationError, ConfigurationFault

from .analysis import Analysis, Analyst, CallFacts
from .result import RESULT_KINDS, Result
from .segment import Segment

__all__ = ["Told", "analyse_transcript", "read_transcript"]


class Told(NamedTuple):
    """A result, and the call it is of; `rate` makes seconds of its positions."""

    session: str
    conversation: str | None
    rate: int
    result: Result

    def as_json(self) -> dict[str, Any]:
        """As the line of a live call, and the `rate`, which no line before it has told."""
        return {
            "type": self.result.kind,
            "session": self.session,
            "conversation": self.conversation,
            "position": self.result.position,
            "seconds": round(self.result.position / self.rate, 3),
            "rate": self.rate,
            "details": dict(self.result.details),
        }


class _Entry(NamedTuple):
    """A line, in positions. A segment, or an event."""

    session: str
    rate: int
    start: int
    end: int
    segment: Segment | None
    kind: str
    details: Mapping[str, Any]
    conversation: str | None = None


Seconds = Annotated[float, Field(ge=0, le=1e6)]


class _Turn(BaseModel):
    """The short form."""

    model_config = ConfigDict(extra="forbid")

    speaker: Literal["agent", "customer", "internal", "external"]
    start_seconds: Seconds
    end_seconds: Seconds
    text: str
    session: str = ""
    conversation: str | None = None


class _Event(BaseModel):
    """The form that Earhook writes."""

    type: str
    position: int = Field(ge=0)
    details: dict[str, Any] = {}
    session: str = ""
    conversation: str | None = None
    rate: int | None = Field(default=None, gt=0)


def analyse_transcript(analyst: Analyst, entries: Iterable[_Entry]) -> Iterator[Told]:
    """What a live analysis would have told, in the order in which it would have."""
    entries = sorted(entries, key=lambda one: one.start)
    languages: dict[str, str | None] = {}
    for entry in entries:
        if entry.segment is not None and entry.segment.language:
            languages.setdefault(entry.session, entry.segment.language)
    conversations = {
        entry.session: entry.conversation for entry in entries if entry.conversation is not None
    }
    calls: dict[str, tuple[Analysis, int]] = {}
    ends: dict[str, int] = {}
    for entry in entries:
        session = entry.session
        if session not in calls:
            facts = CallFacts(rate=entry.rate, language=languages.get(session))
            calls[session] = (analyst.open(facts), entry.rate)
        analysis, rate = calls[session]
        results = analysis.advance(entry.start)
        if entry.segment is not None:
            results += analysis.hear(entry.segment)
        elif entry.kind == "unheard" and entry.details.get("channel") in _CHANNELS:
            channel = _CHANNELS[entry.details["channel"]]
            results += analysis.miss(channel, entry.start, entry.end)
        else:
            results += analysis.note(entry.kind, entry.end, entry.details)
        ends[session] = max(ends.get(session, 0), entry.end)
        yield from (Told(session, conversations.get(session), rate, one) for one in results)
    for session, (analysis, rate) in calls.items():
        results = analysis.finish(ends[session])
        yield from (Told(session, conversations.get(session), rate, one) for one in results)


def read_transcript(path: Path) -> list[_Entry]:
    """The lines of a file that say something.

    Raises:
        ConfigurationError: With the faults of the first lines that have some.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise ConfigurationError.of(str(path), what) from None
    entries: list[_Entry] = []
    faults: list[ConfigurationFault] = []
    rates: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = _entry(line, rates)
        except ValueError as error:
            faults.append(ConfigurationFault(f"{path}: line {number}", _told(error), _REMEDY))
        else:
            entries += [entry] if entry is not None else []
        if len(faults) == _MOST_FAULTS:
            break
    if faults:
        raise ConfigurationError(faults)
    return entries


def _entry(line: bytes, rates: dict[str, int]) -> _Entry | None:
    """What a line says; `rates`, by session, is what the lines before said."""
    body = orjson.loads(line)
    if not isinstance(body, dict):
        raise ValueError("is no JSON object")  # noqa: TRY004 - a fault of the file, as others
    if "speaker" in body:
        turn = _Turn.model_validate(body)
        return _turn(turn)._replace(conversation=turn.conversation)
    event = _Event.model_validate(body)
    if event.type == "opened":
        event.rate = _position(event.details.get("rate"), _RATE) or _RATE
    if event.rate is not None:
        rates[event.session] = event.rate
    entry = _event(event, rates.get(event.session, _RATE))
    return entry and entry._replace(conversation=event.conversation)


def _turn(turn: _Turn) -> _Entry:
    start, end = round(turn.start_seconds * _RATE), round(turn.end_seconds * _RATE)
    segment = Segment(_CHANNELS[turn.speaker], start, max(start, end), turn.text)
    return _Entry(turn.session, _RATE, start, segment.end, segment, "", {})


def _event(event: _Event, rate: int) -> _Entry | None:
    details = event.details
    if event.type != "transcript":
        start = min(_position(details.get("start"), event.position), event.position)
        entry = _Entry(event.session, rate, start, event.position, None, event.type, details)
        return None if event.type in RESULT_KINDS else entry
    if not details.get("final", True):
        return None
    if details.get("channel") not in ("external", "internal"):
        raise ValueError("details.channel is external or internal")
    end = _position(details.get("end"), event.position)
    start = min(_position(details.get("start"), end), end)
    language = details.get("language")
    segment = Segment(
        details["channel"],
        start,
        end,
        str(details.get("text", "")),
        language=language if isinstance(language, str) else None,
    )
    return _Entry(event.session, rate, start, end, segment, "", {})


def _position(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and value >= 0 else otherwise


def _told(error: ValueError) -> str:
    """What is wrong, without what was said."""
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in found["loc"])
        return f"{place}: {found['msg'].replace('Input should be', 'must be')}"
    return "is no JSON" if isinstance(error, orjson.JSONDecodeError) else str(error)


_RATE: Final = 8000
_MOST_FAULTS: Final = 20
_REMEDY: Final = "docs/howto/analyze.md shows what lines look like"
_CHANNELS: Final[Mapping[str, ChannelName]] = {
    "agent": "internal",
    "internal": "internal",
    "customer": "external",
    "external": "external",
}
