"""What rules are about, one class a kind: facts in, detections out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from earhook.analytics.redaction import Finding
from earhook.analytics.sentiment import Score
from earhook.client import ChannelName

from .language import (
    AllOfRule,
    DeadAirRule,
    DtmfRule,
    InterruptionRule,
    PersonalRule,
    Rule,
    SentimentRule,
    TalkOverRule,
    Who,
)
from .watch import Detection

__all__ = [
    "AllOfDetector",
    "DeadAirDetector",
    "DtmfDetector",
    "EventDetector",
    "InterruptionDetector",
    "PersonalDetector",
    "SentimentDetector",
    "TalkOverDetector",
    "is_about",
]

CHANNELS: Final[Mapping[Who, tuple[ChannelName, ...]]] = {
    "agent": ("internal",),
    "customer": ("external",),
    "either": ("external", "internal"),
}


def is_about(who: Who, channel: ChannelName | None) -> bool:
    """Whether a rule about `who` is about that channel; None: nobody knows whose it was."""
    return channel is None or channel in CHANNELS[who]


class EventDetector:
    """Sees events of the call. Kinds that it does not know are nothing to it."""

    def note(self, kind: str, position: int, details: Mapping[str, Any]) -> list[Detection]:
        """Take an event."""
        raise NotImplementedError

    def advance(self, position: int) -> list[Detection]:
        """The call has come so far."""
        del position
        return []


@dataclass(slots=True)
class DeadAirDetector(EventDetector):
    """Silence of both that lasts."""

    rule: DeadAirRule
    rate: int
    _since: int | None = None
    _is_told: bool = False

    def note(self, kind: str, position: int, details: Mapping[str, Any]) -> list[Detection]:
        """Take an event."""
        if kind == "dead_air":
            self._since, self._is_told = _position(details, "start", position), False
            return self.advance(position)
        if kind == "paused":  # what comes now is no silence, and nobody measures it
            found, self._is_told = self.advance(position), True
            return found
        if kind != "dead_air_ended":
            return []
        if self._since is None:  # it began before we listened
            self._since, self._is_told = _position(details, "start", position), False
        found = self.advance(_position(details, "end", position))
        self._since = None
        return found

    def advance(self, position: int) -> list[Detection]:
        """The call has come so far."""
        needed = round(self.rule.seconds * self.rate)
        if self._since is None or self._is_told or position - self._since < needed:
            return []
        self._is_told = True
        text = f"{self.rule.seconds:g} s of silence"
        return [Detection(None, self._since, self._since + needed, (text,))]


@dataclass(slots=True)
class TalkOverDetector(EventDetector):
    """Both at once."""

    rule: TalkOverRule
    rate: int

    def note(self, kind: str, position: int, details: Mapping[str, Any]) -> list[Detection]:
        """Take an event."""
        if kind != "talk_over":
            return []
        start, end = _span(details, position)
        if end - start < self.rule.seconds * self.rate:
            return []
        text = f"both spoke for {(end - start) / self.rate:.1f} s"
        return [Detection(_channel(details, "by"), start, end, (text,))]


@dataclass(slots=True)
class InterruptionDetector(EventDetector):
    """One comes in, the other falls silent."""

    rule: InterruptionRule
    rate: int

    def note(self, kind: str, position: int, details: Mapping[str, Any]) -> list[Detection]:
        """Take an event."""
        by = _channel(details, "by")
        if kind != "interruption" or by is None or not is_about(self.rule.who, by):
            return []
        start, end = _span(details, position)
        if end - start < self.rule.seconds * self.rate:
            return []
        text = f"{_PEOPLE[by]} interrupted; both were heard for {(end - start) / self.rate:.1f} s"
        return [Detection(by, start, end, (text,))]


@dataclass(slots=True)
class DtmfDetector(EventDetector):
    """Keys that follow one another. Which keys they were goes nowhere."""

    rule: DtmfRule
    rate: int
    _is_paused: bool = False
    _rows: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """By source: how many keys, from where, to where."""
    _told: tuple[str, int] | None = None
    """By which source, and to where."""

    def note(self, kind: str, position: int, details: Mapping[str, Any]) -> list[Detection]:
        """Take an event."""
        if kind in ("paused", "resumed"):
            self._is_paused = kind == "paused"
            self._rows.clear()
        if kind != "dtmf" or not self._is_wanted(details):
            return []
        source = str(details.get("source", "protocol"))
        start, end = _span(details, position)
        count, first, last = self._rows.get(source, (0, start, start))
        if start - last > _KEY_GAP_SECONDS * self.rate or count == self.rule.digits == 1:
            count, first = 0, start
        self._rows[source] = (count + 1, first, end)
        if count + 1 != self.rule.digits or self._is_echo(source, first):
            return []
        self._told = (source, end)
        keys = "1 key was" if self.rule.digits == 1 else f"{self.rule.digits} keys were"
        state = "paused" if self._is_paused else "recorded"
        text = f"{keys} pressed while the call was {state}"
        return [Detection(_channel(details, "channel"), first, end, (text,))]

    def _is_wanted(self, details: Mapping[str, Any]) -> bool:
        if self.rule.during != "any" and (self.rule.during == "paused") != self._is_paused:
            return False
        return is_about(self.rule.who, _channel(details, "channel"))

    def _is_echo(self, source: str, first: int) -> bool:
        """A key is told twice: as it was heard, and as the peer announces it."""
        if self._told is None or self._told[0] == source:
            return False
        return first <= self._told[1] + _ECHO_SECONDS * self.rate


@dataclass(slots=True)
class SentimentDetector:
    """Words that sound bad, or good."""

    rule: SentimentRule
    _is_beyond: dict[ChannelName, bool] = field(default_factory=dict)

    def score(
        self, channel: ChannelName, start: int, end: int, score: Score, shown: str
    ) -> list[Detection]:
        """Take the score of a segment whose text may be shown as `shown`."""
        if not is_about(self.rule.who, channel):
            return []
        value = score.rolling if self.rule.of == "rolling" else score.score
        is_beyond = self._beyond(value)
        was_beyond = self._is_beyond.get(channel, False)
        self._is_beyond[channel] = is_beyond
        if not is_beyond or (self.rule.of == "rolling" and was_beyond):
            return []
        return [Detection(channel, start, end, (f"{value:+.2f}", shown))]

    def _beyond(self, value: float) -> bool:
        if self.rule.below is not None:
            return value < self.rule.below
        return self.rule.above is not None and value > self.rule.above


@dataclass(slots=True)
class PersonalDetector:
    """What redaction took out."""

    rule: PersonalRule

    def find(self, finding: Finding, shown: str) -> list[Detection]:
        """Take a finding in a segment whose text may be shown as `shown`."""
        if finding.kind not in self.rule.of or not is_about(self.rule.who, finding.channel):
            return []
        what = finding.kind.replace("-", " ")
        digits = f" of {finding.digits} digits" if finding.digits else ""
        return [Detection(finding.channel, finding.start, finding.end, (what + digits, shown))]


@dataclass(slots=True)
class AllOfDetector:
    """Hits of other rules, until there is one of each."""

    rule: AllOfRule
    rate: int
    _last: dict[str, tuple[str, Detection]] = field(default_factory=dict)
    """By id of the rule: its name and its last hit."""

    def find(self, rule: Rule, hit: Detection) -> list[Detection]:
        """Take a hit of any rule."""
        if rule.id not in self.rule.rules:
            return []
        self._last[rule.id] = (rule.name, hit)
        hits = [one for _, one in self._last.values()]
        if len(hits) < len(self.rule.rules) or not self._is_near(hits):
            return []
        said = tuple(_of_rule(name, one) for name, one in self._last.values())
        self._last.clear()
        channels = {one.channel for one in hits}
        channel = channels.pop() if len(channels) == 1 else None
        start, end = min(one.start for one in hits), max(one.end for one in hits)
        return [Detection(channel, start, end, said)]

    def _is_near(self, hits: list[Detection]) -> bool:
        within = self.rule.within_seconds
        ends = [one.end for one in hits]
        return within is None or max(ends) - min(ends) <= within * self.rate


def _of_rule(name: str, hit: Detection) -> str:
    """What one of several rules has to say."""
    return f"{name}: {hit.evidence[0]}" if hit.evidence else name


def _position(details: Mapping[str, Any], key: str, otherwise: int) -> int:
    value = details.get(key)
    return value if isinstance(value, int) and value >= 0 else otherwise


def _span(details: Mapping[str, Any], position: int) -> tuple[int, int]:
    end = _position(details, "end", position)
    return min(_position(details, "start", end), end), end


def _channel(details: Mapping[str, Any], key: str) -> ChannelName | None:
    value = details.get(key)
    return value if value in ("external", "internal") else None


_PEOPLE: Final = {"external": "the customer", "internal": "the agent"}
_KEY_GAP_SECONDS: Final = 10
_ECHO_SECONDS: Final = 2
