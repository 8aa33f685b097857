"""The live list as the feed tells it: rows, their states, their meters. Pure.

Numbers and layouts are those of docs/reference/console-feed.md.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

__all__ = ["FLAGS", "LiveList", "Meter", "Row", "Sort", "State"]

FLAGS: Final = (
    "paused",
    "dropping",
    "ended",
    "talk_over",
    "dead_air",
    "one_way",
    "suspect",
    "clipping",
    "listened",
    "transcribed",
    "pause_left",
)
"""By bit."""
SEVERITIES: Final = ("", "info", "warning", "critical")
KEPT_EVENTS: Final = 64
UNKNOWN_SENTIMENT: Final = -128
UNKNOWN_SHARE: Final = 255
FULL_SCALE_STEP: Final = 127
"""A level is dBFS and this."""

_HEADER: Final = struct.Struct("<BxHI")
_METER: Final = struct.Struct("<I4B")
_STATE: Final = struct.Struct("<IHBBbbHBBHIIIHH")
_METERS, _STATES = 1, 2

Sort = Literal["attention", "time", "lost", "lag", "sentiment", "hits"]


class Level(NamedTuple):
    """Of one channel, in dBFS; None is silence."""

    rms: int | None = None
    peak: int | None = None
    speaks: bool = False
    clips: bool = False


class Meter(NamedTuple):
    """Of one call."""

    external: Level = Level()
    internal: Level = Level()


@dataclass(frozen=True, slots=True)
class State:
    """How a call stands. Times are in milliseconds, sentiments -1 to 1, shares 0 to 1."""

    flags: frozenset[str] = frozenset()
    attention: int = 0
    severity: str = ""
    hits: int = 0
    sentiment_external: float | None = None
    sentiment_internal: float | None = None
    talk_external: float | None = None
    talk_internal: float | None = None
    interruptions: int = 0
    talk_overs: int = 0
    position_milliseconds: int = 0
    lost_milliseconds: int = 0
    lag_milliseconds: int = 0
    gaps: int = 0


@dataclass(slots=True)
class Row:
    """One call. `state` is None until the feed has told it."""

    facts: Mapping[str, Any]
    state: State | None = None
    meter: Meter = field(default_factory=Meter)

    @property
    def session(self) -> str:
        """Its session id."""
        return str(self.facts.get("session", ""))

    def as_json(self) -> dict[str, Any]:
        """For programs: facts, and the state in words and seconds."""
        own = self.state or State()
        return {
            **{key: value for key, value in self.facts.items() if key != "number"},
            "attention": own.attention,
            "flags": [flag for flag in FLAGS if flag in own.flags],
            "hits": own.hits,
            "worst_hit": own.severity or None,
            "sentiment": {"external": own.sentiment_external, "internal": own.sentiment_internal},
            "talk_share": {"external": own.talk_external, "internal": own.talk_internal},
            "interruptions": own.interruptions,
            "talk_overs": own.talk_overs,
            "gaps": own.gaps,
            "position_seconds": own.position_milliseconds / 1000 or None,
            "lost_seconds": own.lost_milliseconds / 1000,
            "lag_seconds": own.lag_milliseconds / 1000,
        }


class LiveList:
    """What one connection to the feed has told."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.totals: Mapping[str, Any] = {}
        self.events: deque[Mapping[str, Any]] = deque(maxlen=KEPT_EVENTS)
        """Of the open call, the oldest first."""
        self.session: str | None = None
        """The open call."""
        self.has_meters = False
        self._has_rows = False

    @property
    def is_whole(self) -> bool:
        """Whether the first picture is complete."""
        told = all(row.state is not None for row in self.rows.values())
        return self._has_rows and bool(self.totals) and told

    def open(self, session: str | None) -> None:
        """Follow the events of this call, or of none."""
        self.session = session
        self.events.clear()

    def take(self, message: Mapping[str, Any] | bytes) -> None:
        """One message of the feed. What is not known is left out."""
        if isinstance(message, bytes):
            self._take_records(message)
        elif message.get("type") == "calls":
            self._take_calls(message)
        elif message.get("type") == "totals":
            self.totals = message
        elif message.get("type") == "events" and message.get("session") == self.session:
            self.events.extend(message.get("events", ()))

    def seconds_of(self, row: Row) -> float:
        """How long a call lasts already. The feed tells it now and then; in between time runs."""
        own = row.state or State()
        told = own.position_milliseconds / 1000
        if told and own.flags & {"paused", "ended"}:
            return told
        return max(told, float(self.totals.get("time", 0.0)) - _opened(row))

    def sorted_by(self, sort: Sort) -> list[Row]:
        """All rows, those that have ended last; equals keep the order in which calls came in."""
        order = SORTS[sort]
        return sorted(
            self.rows.values(), key=lambda row: ("ended" in _state(row).flags, *order(row))
        )

    def number_of(self, row: Row) -> int:
        """What the feed calls it."""
        return int(row.facts["number"])

    def _take_calls(self, message: Mapping[str, Any]) -> None:
        self._has_rows = True
        if message.get("reset"):
            self.rows.clear()
        for number in message.get("removed", ()):
            self.rows.pop(number, None)
        for facts in message.get("added", ()):
            self.rows[facts["number"]] = Row(facts)

    def _take_records(self, message: bytes) -> None:
        if len(message) < _HEADER.size:
            return
        kind, size, count = _HEADER.unpack_from(message)
        known = {_METERS: (_METER, _read_meter), _STATES: (_STATE, _read_state)}.get(kind)
        if known is None or size < known[0].size:
            return
        layout, read = known
        self.has_meters |= kind == _METERS
        last = min(_HEADER.size + count * size, len(message) - layout.size + 1)
        for offset in range(_HEADER.size, last, size):
            number, *fields = layout.unpack_from(message, offset)
            row = self.rows.get(number)
            if row is not None:
                read(row, fields)


def _read_meter(row: Row, fields: list[int]) -> None:
    row.meter = Meter(_level(*fields[:2]), _level(*fields[2:]))


def _level(rms: int, peak: int) -> Level:
    return Level(_dbfs(rms), _dbfs(peak), speaks=rms >= 128, clips=peak >= 128)


def _dbfs(step: int) -> int | None:
    return (step & 127) - FULL_SCALE_STEP if step & 127 else None


def _read_state(row: Row, fields: list[int]) -> None:
    bits, attention, worst, external, internal, hits, talk_external, talk_internal = fields[:8]
    interruptions, position, lost, lag, gaps, talk_overs = fields[8:]
    row.state = State(
        flags=frozenset(flag for bit, flag in enumerate(FLAGS) if bits >> bit & 1),
        attention=attention,
        severity=SEVERITIES[min(worst, len(SEVERITIES) - 1)],
        hits=hits,
        sentiment_external=None if external == UNKNOWN_SENTIMENT else external / 100,
        sentiment_internal=None if internal == UNKNOWN_SENTIMENT else internal / 100,
        talk_external=None if talk_external == UNKNOWN_SHARE else talk_external / 100,
        talk_internal=None if talk_internal == UNKNOWN_SHARE else talk_internal / 100,
        interruptions=interruptions,
        talk_overs=talk_overs,
        position_milliseconds=position,
        lost_milliseconds=lost,
        lag_milliseconds=lag,
        gaps=gaps,
    )


def _opened(row: Row) -> float:
    return float(row.facts.get("opened", 0.0))


def _state(row: Row) -> State:
    return row.state or State()


def _mood(row: Row) -> float:
    sentiment = _state(row).sentiment_external
    return 2.0 if sentiment is None else sentiment


SORTS: Final[dict[Sort, Callable[[Row], tuple[float, float]]]] = {
    "attention": lambda row: (-_state(row).attention, _opened(row)),
    "time": lambda row: (_opened(row), 0.0),
    "lost": lambda row: (-_state(row).lost_milliseconds, _opened(row)),
    "lag": lambda row: (-_state(row).lag_milliseconds, _opened(row)),
    "sentiment": lambda row: (_mood(row), _opened(row)),
    "hits": lambda row: (-_state(row).hits, _opened(row)),
}
"""What comes first has the smallest key."""
