"""The rules of one call, live: words, events and time in, hits out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from earhook.analytics.languages import is_in
from earhook.analytics.phrases import PhraseBook, PhraseListener
from earhook.analytics.redaction import Told
from earhook.analytics.segment import Segment
from earhook.analytics.sentiment import Score
from earhook.analytics.unheard import Unheard
from earhook.analytics.words import SpokenWord, spoken_words
from earhook.client import ChannelName

from .detectors import (
    CHANNELS,
    AllOfDetector,
    DeadAirDetector,
    DtmfDetector,
    EventDetector,
    InterruptionDetector,
    PersonalDetector,
    SentimentDetector,
    TalkOverDetector,
    is_about,
)
from .language import (
    FIRST_WORDS,
    AllOfRule,
    CallRule,
    DeadAirRule,
    DtmfRule,
    InterruptionRule,
    PersonalRule,
    SentimentRule,
    SpeakerRule,
    TalkOverRule,
    TranscriptRule,
)
from .watch import Detection, Verdict, Watch

__all__ = ["Evaluation", "Hit", "RuleBook"]


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule is met. `evidence` is redacted text and figures.

    Attributes:
        position: Where in the call it became known.
    """

    rule: CallRule
    channel: ChannelName | None
    start: int
    end: int
    position: int
    evidence: tuple[str, ...] = field(repr=False)

    def details(self) -> dict[str, Any]:
        """As the event `hit` has them."""
        return {
            "rule": self.rule.id,
            "name": self.rule.name,
            "severity": self.rule.severity,
            "channel": self.channel,
            "start": self.start,
            "end": self.end,
            "evidence": list(self.evidence),
            "action": self.rule.action,
        }


class RuleBook:
    """Rules, made ready. Immutable; serves any number of calls."""

    def __init__(self, rules: Iterable[CallRule]) -> None:
        self.rules = tuple(rules)
        self.phrases: PhraseBook[int] = PhraseBook(
            (phrase, number)
            for number, rule in enumerate(self.rules)
            if isinstance(rule, TranscriptRule)
            for phrase in rule.phrases
        )

    @property
    def wants_sentiment(self) -> bool:
        """Whether a rule looks at scores."""
        return any(isinstance(rule, SentimentRule) for rule in self.rules)

    @property
    def wants_signal(self) -> bool:
        """Whether a rule looks at what the gateway measures (`[signal]`)."""
        kinds = DeadAirRule | TalkOverRule | InterruptionRule | DtmfRule
        return any(isinstance(rule, kinds) for rule in self.rules)


class Evaluation:
    """One call; positions are its time."""

    def __init__(
        self, book: RuleBook, rate: int, unheard: Unheard, language: str | None = None
    ) -> None:
        self._book = book
        self._unheard = unheard
        self._rate = rate
        self._is_silent = [not is_in(language, rule.language) for rule in book.rules]
        self._watches = [Watch(rule, rate) for rule in book.rules]
        self._events = _EventRules(book, rate)
        self._sentiment = {
            number: SentimentDetector(rule)
            for number, rule in enumerate(book.rules)
            if isinstance(rule, SentimentRule)
        }
        self._personal = {
            number: PersonalDetector(rule)
            for number, rule in enumerate(book.rules)
            if isinstance(rule, PersonalRule)
        }
        self._all_of = {
            number: AllOfDetector(rule, rate)
            for number, rule in enumerate(book.rules)
            if isinstance(rule, AllOfRule)
        }
        self._speakers: dict[ChannelName, _Speaker] = {}

    def hear(self, segment: Segment, told: Told, score: Score | None) -> list[Hit]:
        """Take a final segment, as it was said and as it may be shown."""
        speaker = self._speakers.get(segment.channel)
        if speaker is None:
            speaker = _Speaker(self._book.phrases.listener(), self._rate)
            self._speakers[segment.channel] = speaker
        found = speaker.hear(segment, told.text)
        hits = self._first_words(segment) if speaker.has_begun else []
        for number, first, last in found:
            rule = self._book.rules[number]
            if isinstance(rule, SpeakerRule) and is_about(rule.who, segment.channel):
                evidence = speaker.shown_between(first.start, last.end)
                detection = Detection(segment.channel, first.start, last.end, evidence)
                hits += self._met(number, [detection])
        for number, personal in self._personal.items():
            for finding in told.findings:
                hits += self._met(number, personal.find(finding, told.text[:_EVIDENCE_SIZE]))
        if score is not None:
            shown = told.text[:_EVIDENCE_SIZE]
            for number, one in self._sentiment.items():
                detections = one.score(segment.channel, segment.start, segment.end, score, shown)
                hits += self._met(number, detections)
        return hits

    def note(self, kind: str, position: int, details: Mapping[str, Any]) -> list[Hit]:
        """Take an event."""
        return [
            hit
            for number, detections in self._events.note(kind, position, details)
            for hit in self._met(number, detections)
        ]

    def advance(self, position: int) -> list[Hit]:
        """All that happened before `position` was told."""
        hits = [
            hit
            for number, detections in self._events.advance(position)
            for hit in self._met(number, detections)
        ]
        for number, watch in enumerate(self._watches):
            hits += self._hits(number, watch.advance(position))
        return hits

    def finish(self, position: int) -> list[Hit]:
        """The call is over; a window that it cut short is over as well."""
        hits = self.advance(position)
        for number, watch in enumerate(self._watches):
            hits += self._hits(number, watch.finish(position))
        return hits

    def _first_words(self, segment: Segment) -> list[Hit]:
        hits: list[Hit] = []
        for number, rule in enumerate(self._book.rules):
            if rule.since != FIRST_WORDS or not isinstance(rule, SpeakerRule):
                continue
            if is_about(rule.who, segment.channel) and not self._watches[number].is_open:
                hits += self._hits(number, self._watches[number].open(segment.start))
        return hits

    def _met(self, number: int, detections: Iterable[Detection]) -> list[Hit]:
        return [
            hit
            for detection in detections
            for hit in self._hits(number, self._watches[number].detect(detection))
        ]

    def _hits(self, number: int, verdicts: Iterable[Verdict]) -> list[Hit]:
        """The hits of a rule, and of rules that count from it or ask for it."""
        hits: list[Hit] = []
        rule = self._book.rules[number]
        if self._is_silent[number]:
            return hits
        for verdict in verdicts:
            hit = self._missed(rule, verdict) if not verdict.detections else _hit(rule, verdict)
            if hit is None:
                continue
            hits.append(hit)
            for other, watch in enumerate(self._watches):
                if watch.rule.since == rule.id and not watch.is_open:
                    hits += self._hits(other, watch.open(hit.end))
            detection = Detection(hit.channel, hit.start, hit.end, hit.evidence)
            for other, all_of in self._all_of.items():
                hits += self._met(other, all_of.find(rule, detection))
        return hits

    def _missed(self, rule: CallRule, verdict: Verdict) -> Hit | None:
        """What did not happen; None where it may have happened unheard."""
        start, end = verdict.start, verdict.end
        evidence = [f"not between {start / self._rate:.1f} s and {end / self._rate:.1f} s"]
        channel: ChannelName | None = None
        if isinstance(rule, SpeakerRule):
            channels = CHANNELS[rule.who]
            channel = channels[0] if len(channels) == 1 else None
            unheard = max(self._unheard.samples(one, start, end) for one in channels)
            if unheard > _UNHEARD_SHARE * (end - start):
                return None
            if unheard:
                evidence.append(f"{unheard / self._rate:.1f} s of it were not heard")
            for one in channels:
                if one in self._speakers:
                    evidence += self._speakers[one].shown_between(start, end)
        return Hit(rule, channel, start, end, verdict.position, tuple(evidence[:_MOST_EVIDENCE]))


class _Speaker:
    """One channel's words: phrases in them, and what may be shown of the last ones."""

    def __init__(self, listener: PhraseListener[int], rate: int) -> None:
        self._listener = listener
        self._pause = _PAUSE_SECONDS * rate
        self._end = 0
        self._words: deque[SpokenWord] = deque(maxlen=_MOST_WORDS)
        self._last: dict[int, int] = {}
        """By rule: the number of the last word that it has had; finds of a rule do not overlap."""
        self._shown: deque[tuple[int, int, str]] = deque(maxlen=_MOST_SHOWN)

    @property
    def has_begun(self) -> bool:
        """Whether a word was heard."""
        return self._listener.count > 0

    def hear(self, segment: Segment, shown: str) -> list[tuple[int, SpokenWord, SpokenWord]]:
        """Rules whose phrases end in this segment, with their first word and their last."""
        if segment.start - self._end > self._pause:
            self._listener.forget()
        self._end = segment.end
        if shown:
            self._shown.append((segment.start, segment.end, shown[:_EVIDENCE_SIZE]))
        found: list[tuple[int, SpokenWord, SpokenWord]] = []
        for word in spoken_words(segment):
            self._words.append(word)
            ended: dict[int, int] = {}
            for number, first, last in self._listener.hear(word.text):
                if first > self._last.get(number, -1):
                    ended[number] = max(last - first, ended.get(number, 0))
            for number, length in ended.items():
                self._last[number] = self._listener.count - 1
                begin = self._words[max(-length - 1, -len(self._words))]
                found.append((number, begin, word))
        return found

    def shown_between(self, start: int, end: int) -> tuple[str, ...]:
        """The redacted texts that a stretch touches, the first few of them."""
        texts = [text for begin, stop, text in self._shown if begin < end and stop > start]
        return tuple(texts[:_MOST_EVIDENCE])


class _EventRules:
    """The rules about events."""

    def __init__(self, book: RuleBook, rate: int) -> None:
        self._detectors: dict[int, EventDetector] = {}
        for number, rule in enumerate(book.rules):
            match rule:
                case DeadAirRule():
                    self._detectors[number] = DeadAirDetector(rule, rate)
                case TalkOverRule():
                    self._detectors[number] = TalkOverDetector(rule, rate)
                case InterruptionRule():
                    self._detectors[number] = InterruptionDetector(rule, rate)
                case DtmfRule():
                    self._detectors[number] = DtmfDetector(rule, rate)

    def note(
        self, kind: str, position: int, details: Mapping[str, Any]
    ) -> list[tuple[int, list[Detection]]]:
        """What an event means to each rule."""
        return [
            (number, one.note(kind, position, details)) for number, one in self._detectors.items()
        ]

    def advance(self, position: int) -> list[tuple[int, list[Detection]]]:
        """What the time means to each rule."""
        return [(number, one.advance(position)) for number, one in self._detectors.items()]


def _hit(rule: CallRule, verdict: Verdict) -> Hit:
    channels = {one.channel for one in verdict.detections}
    channel = channels.pop() if len(channels) == 1 else None
    texts = dict.fromkeys(text for one in verdict.detections for text in one.evidence)
    evidence = tuple(texts)[-_MOST_EVIDENCE:]
    return Hit(rule, channel, verdict.start, verdict.end, verdict.position, evidence)


_PAUSE_SECONDS: Final = 10
"""A phrase does not reach over a longer silence."""
_UNHEARD_SHARE: Final = 0.25
"""What may have been said in so much unheard time is not found missing."""
_MOST_WORDS: Final = 1024
_MOST_SHOWN: Final = 64
_MOST_EVIDENCE: Final = 5
_EVIDENCE_SIZE: Final = 300
