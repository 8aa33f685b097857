"""One row of the live list: what it says of a call, and how much attention that wants. Pure."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from earhook.sinks.base import CallEvent

__all__ = ["NUMBER_BITS", "STATE_BYTES", "CallState", "Flag", "flag_words"]

NUMBER_BITS: Final = 24
"""Of a call's number in one process; what is above says which process."""
RECENT_SECONDS: Final = 5.0
TALK_OVER_SECONDS: Final = 10.0
LONG_TALK_OVER_SECONDS: Final = 3.0
MANY_TALK_OVERS: Final = 8
"""So many that began within a minute are worth a look; people who get on well have some."""

_STATE: Final = struct.Struct("<IHBBbbHBBHIIIHH")
STATE_BYTES: Final = _STATE.size


class Flag:
    """What is the matter with a call; the numbers are those of the feed.

    Plain numbers: rows are weighed hundreds of times a second, and those of `enum` cost ten times
    as much.
    """

    PAUSED: Final = 1
    DROPPING: Final = 2
    ENDED: Final = 4
    TALK_OVER: Final = 8
    DEAD_AIR: Final = 16
    ONE_WAY: Final = 32
    SUSPECT: Final = 64
    CLIPPING: Final = 128
    LISTENED: Final = 256
    TRANSCRIBED: Final = 512
    PAUSE_LEFT: Final = 1024


def flag_words(flags: int) -> list[str]:
    """The names of flags in JSON."""
    return [name.lower() for name, flag in vars(Flag).items() if name.isupper() and flags & flag]


class CallState:
    """What a row shows. Every method says whether it has changed.

    Counts are samples per channel; `rate` makes milliseconds of them.
    """

    __slots__ = (
        "_measured_at",
        "_recent",
        "_talk_overs",
        "flags",
        "gaps",
        "hits",
        "interruptions",
        "lag_samples",
        "lost_samples",
        "position",
        "rate",
        "sentiment",
        "severity",
        "summary",
        "talk_over_count",
        "talk_percent",
        "talk_samples",
        "talked_until",
    )

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.flags = 0
        self.severity = 0
        self.hits = 0
        self.sentiment = [_UNKNOWN_SENTIMENT, _UNKNOWN_SENTIMENT]
        self.talk_percent = [_UNKNOWN_PERCENT, _UNKNOWN_PERCENT]
        self.interruptions = 0
        self.talk_over_count = 0
        self.position = 0
        self.lost_samples = 0
        self.lag_samples = 0
        self.gaps = 0
        self.summary: Mapping[str, Any] | None = None
        self._recent: dict[int, float] = {}
        self._talk_overs: deque[int] = deque(maxlen=MANY_TALK_OVERS)
        self._measured_at = float("-inf")
        self.talk_samples = [0, 0]
        self.talked_until = 0

    def take(self, event: CallEvent, now: float) -> bool:
        """Something has happened."""
        take = _EVENTS.get(event.kind)
        if take is None:
            return False
        try:
            return take(self, event.details, now)
        except (TypeError, ValueError, KeyError, OverflowError):
            return False  # a consumer's word, and not in the form that it should have

    def end(self) -> bool:
        """The call is over; what was the matter just then is so no longer."""
        self._recent.clear()
        self.flags = (self.flags & Flag.SUSPECT) | Flag.ENDED
        self.lag_samples = 0
        return True

    @property
    def is_ended(self) -> bool:
        """Whether the call is over."""
        return bool(self.flags & Flag.ENDED)

    @property
    def attention(self) -> int:
        """How much it wants to be looked at, 0 to 255."""
        weight = sum(points for flag, points in _WEIGHTS.items() if self.flags & flag)
        weight += _SEVERITY_WEIGHTS[self.severity]
        sentiment = self.sentiment[0]
        if _UNKNOWN_SENTIMENT < sentiment < -20:
            weight += -sentiment // 2
        return min(weight, 255) // (4 if self.is_ended else 1)

    def set(self, flag: int, *, on: bool = True) -> bool:
        """Raise or lower a flag."""
        flags = self.flags | flag if on else self.flags & ~flag
        has_changed = flags != self.flags
        self.flags = flags
        return has_changed

    def measure(self, position: int, gaps: int, lost: int, lag: int, now: float) -> bool:
        """Take what is looked at from time to time; the position alone changes nothing."""
        # A few frames that wait are how it works; only their growing number is news.
        lag = lag if lag > self.rate else 0
        measured = (lost, lag, gaps, *self._talk())
        before = (self.lost_samples, self.lag_samples, self.gaps, *self.talk_percent)
        flags = self.flags
        if lost > self.lost_samples and self.is_fresh(now):
            self.raise_for(Flag.DROPPING, now, RECENT_SECONDS)
        self._measured_at = now
        if self._recent:
            for flag in [flag for flag, until in self._recent.items() if until <= now]:
                del self._recent[flag]
                self.flags &= ~flag
        self.position = position
        self.lost_samples, self.lag_samples, self.gaps, *self.talk_percent = measured
        return measured != before or flags != self.flags

    def is_fresh(self, now: float) -> bool:
        """Whether it was measured a moment ago, so that what is new has happened since."""
        return now - self._measured_at <= RECENT_SECONDS

    def packed(self, number: int) -> bytes:
        """The record of the feed."""
        return _STATE.pack(
            number,
            self.flags,
            self.attention,
            self.severity,
            *self.sentiment,
            min(self.hits, 0xFFFF),
            *self.talk_percent,
            min(self.interruptions, 0xFFFF),
            self._milliseconds(self.position),
            self._milliseconds(self.lost_samples),
            self._milliseconds(self.lag_samples),
            min(self.gaps, 0xFFFF),
            min(self.talk_over_count, 0xFFFF),
        )

    def _milliseconds(self, samples: int) -> int:
        return min(samples * 1000 // self.rate, 0xFFFFFFFF)

    def raise_for(self, flag: int, now: float, seconds: float) -> None:
        """Raise a flag for some time."""
        self.flags |= flag
        self._recent[flag] = now + seconds

    def talked_over(self, start: int, end: int) -> bool:
        """Note a talk-over; says whether it was a long one, or one of many."""
        begun = self._talk_overs
        begun.append(start)
        is_often = len(begun) == MANY_TALK_OVERS and start - begun[0] <= 60 * self.rate
        return is_often or end - start >= LONG_TALK_OVER_SECONDS * self.rate

    def _talk(self) -> tuple[int, int]:
        """Shares of talk in what was heard of the call, in percent; 255 while nobody has spoken."""
        until, (left, right) = self.talked_until, self.talk_samples
        if not until:
            return _UNKNOWN_PERCENT, _UNKNOWN_PERCENT
        return min(100, 100 * left // until), min(100, 100 * right // until)


def _take_talk_over(state: CallState, details: Mapping[str, Any], now: float) -> bool:
    is_much = state.talked_over(int(details["start"]), int(details["end"]))
    state.talk_over_count += 1
    if is_much:
        state.raise_for(Flag.TALK_OVER, now, TALK_OVER_SECONDS)
    return True


def _take_interruption(state: CallState, _details: Mapping[str, Any], _now: float) -> bool:
    state.interruptions += 1
    return True


def _take_clipping(state: CallState, _details: Mapping[str, Any], now: float) -> bool:
    state.raise_for(Flag.CLIPPING, now, RECENT_SECONDS)
    return True


def _take_sentiment(state: CallState, details: Mapping[str, Any], _now: float) -> bool:
    rolling = round(float(details["rolling"]) * 100)
    state.sentiment[_channel(details)] = max(-100, min(100, rolling))
    return True


def _take_hit(state: CallState, details: Mapping[str, Any], _now: float) -> bool:
    severity = _SEVERITIES[details["severity"]]
    state.hits += 1
    state.severity = max(state.severity, severity)
    return True


_AT_WORK: Final = frozenset({"started", "behind", "caught_up"})


def _take_analysis(state: CallState, details: Mapping[str, Any], _now: float) -> bool:
    return state.set(Flag.TRANSCRIBED, on=details["state"] in _AT_WORK)


def _take_speech(state: CallState, details: Mapping[str, Any], _now: float) -> bool:
    end = int(details["end"])
    state.talk_samples[_channel(details)] += end - int(details["start"])
    state.talked_until = max(state.talked_until, end)
    return False  # seen when it is measured


def _take_summary(state: CallState, details: Mapping[str, Any], _now: float) -> bool:
    state.summary = details
    return False


def _raising(flag: int) -> _Take:
    return lambda state, _details, _now: state.set(flag)


def _lowering(flag: int) -> _Take:
    return lambda state, _details, _now: state.set(flag, on=False)


def _channel(details: Mapping[str, Any]) -> int:
    return ("external", "internal").index(details["channel"])


_Take = Callable[[CallState, Mapping[str, Any], float], bool]
_UNKNOWN_SENTIMENT: Final = -128
_UNKNOWN_PERCENT: Final = 255
_SEVERITIES: Final = {"info": 1, "warning": 2, "critical": 3}
_SEVERITY_WEIGHTS: Final = (0, 5, 40, 80)
_WEIGHTS: Final = {
    Flag.DROPPING: 120,
    Flag.ONE_WAY: 70,
    Flag.PAUSE_LEFT: 70,
    Flag.DEAD_AIR: 40,
    Flag.SUSPECT: 40,
    Flag.TALK_OVER: 15,
    Flag.CLIPPING: 10,
}
_EVENTS: Final[dict[str, _Take]] = {
    "paused": _raising(Flag.PAUSED),
    "resumed": _lowering(Flag.PAUSED | Flag.PAUSE_LEFT),
    "pause_left": _raising(Flag.PAUSE_LEFT),
    "dead_air": _raising(Flag.DEAD_AIR),
    "dead_air_ended": _lowering(Flag.DEAD_AIR),
    "one_way": _raising(Flag.ONE_WAY),
    "one_way_ended": _lowering(Flag.ONE_WAY),
    "format_suspect": _raising(Flag.SUSPECT),
    "talk_over": _take_talk_over,
    "interruption": _take_interruption,
    "clipping": _take_clipping,
    "sentiment": _take_sentiment,
    "hit": _take_hit,
    "analysis": _take_analysis,
    "speech": _take_speech,
    "signal": _take_summary,
}
