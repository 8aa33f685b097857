"""Decides what of a call's words is shown."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, Literal, NamedTuple, TypeAlias

from earhook.analytics.phrases import PhraseListener
from earhook.analytics.segment import Segment
from earhook.analytics.words import spoken_words, words_of
from earhook.client import ChannelName

from .addresses import Place, find_addresses
from .contexts import CONTEXT_SECONDS, CONTEXTS, Context
from .numbers import find_card, is_phone, is_us_social_security
from .reading import Role, Token, read

__all__ = ["Finding", "PersonalKind", "Redactor", "Told"]

PersonalKind: TypeAlias = Literal[
    "card", "security-code", "national-id", "phone", "email", "bank-account", "number"
]
"""`number`: digits that are hidden because they may be part of any of the others."""


class Finding(NamedTuple):
    """Something personal that was said; the text shows the kind in its place.

    Attributes:
        digits: How many digits it has; 0: it is not of digits.
    """

    kind: PersonalKind
    channel: ChannelName
    start: int
    end: int
    digits: int


class Told(NamedTuple):
    """What may be shown of a segment, and what was found in it."""

    text: str
    findings: tuple[Finding, ...] = ()


class Redactor:
    """One call. Final segments of a channel come in order; channels interleave as they like.

    A number may go on in the next segment: people pause between its groups. So four digits at the
    end of a segment are hidden, whatever they prove to be, and what continues them is hidden as
    well. Of a card number that is said in pieces at most the first three digits are ever shown.
    Where the words before ask for something personal, three digits are enough; and where groups of
    digits follow each other, with whatever words between, they are hidden from eight digits on.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._channels: dict[ChannelName, _Channel] = {}
        self._asked: dict[Context, int] = {}
        """Until which position digits are taken for that."""

    def final(self, segment: Segment) -> Told:
        """Redact a segment that will not change, and remember how it ended."""
        channel = self._channels.setdefault(segment.channel, _Channel(CONTEXTS.listener()))
        for word in spoken_words(segment):
            for context, _, _ in channel.listener.hear(word.text):
                self._asked[context] = word.end + CONTEXT_SECONDS * self._rate
        reading = _Reading(segment, self._rate, self._contexts(segment), channel)
        told = reading.told()
        channel.open_run = reading.open_run
        channel.groups.extend(reading.groups)
        return told

    def interim(self, segment: Segment) -> Told:
        """Redact a reading that may change; nothing is remembered of it."""
        channel = self._channels.get(segment.channel) or _Channel(CONTEXTS.listener())
        contexts = self._contexts(segment)
        contexts |= {
            one.label for one in CONTEXTS.find(word.text for word in words_of(segment.text))
        }
        return Told(_Reading(segment, self._rate, contexts, channel).told().text)

    def _contexts(self, segment: Segment) -> set[Context]:
        return {context for context, until in self._asked.items() if segment.start < until}


@dataclass(slots=True)
class _Channel:
    listener: PhraseListener[Context]
    open_run: _Run | None = None
    groups: deque[_Group] = field(default_factory=lambda: deque(maxlen=_MOST_GROUPS))
    """The last ones."""


class _Group(NamedTuple):
    """Digits that may be a part of something longer."""

    end: int
    digits: int
    is_year: bool


@dataclass(frozen=True, slots=True)
class _Run:
    """Digits that belong together, over segments.

    Attributes:
        count: How many there are in all.
        digits: Those among which a card is looked for: a card that was found is out of them.
        groups: Where in `digits` groups of them begin.
        start: Position of the first one.
        end: Position after the last one.
        tokens: Those in the segment that is read.
    """

    count: int
    digits: str
    groups: tuple[int, ...]
    start: int
    end: int
    tokens: tuple[Token, ...] = field(default=(), repr=False)

    @property
    def own(self) -> int:
        """How many digits are in the segment that is read."""
        return sum(len(token.value) for token in self.tokens)

    @property
    def group(self) -> _Group:
        """Those digits."""
        said = "".join(token.value for token in self.tokens)
        return _Group(self.end, len(said), _YEAR.fullmatch(said) is not None)

    def with_digits(self, token: Token, end: int) -> _Run:
        """The run with one more group."""
        cut = max(len(self.digits) + len(token.value) - _SEARCHED_DIGITS, 0)
        digits = (self.digits + token.value)[cut:]
        groups = (*(one - cut for one in self.groups), len(self.digits) - cut)
        return _Run(
            self.count + len(token.value),
            digits,
            tuple(one for one in groups if one >= 0),
            self.start,
            end,
            (*self.tokens, token),
        )

    def without(self, end: int) -> _Run:
        """The run after a card that ended at `end` of its digits was found."""
        groups = tuple(one - end for one in self.groups if one >= end)
        return replace(self, digits=self.digits[end:], groups=groups)


class _Reading:
    """One segment, read for what is personal."""

    def __init__(
        self, segment: Segment, rate: int, contexts: set[Context], channel: _Channel
    ) -> None:
        self._segment = segment
        self._contexts = contexts
        self._tokens = read(segment.text)
        earliest = segment.start - _PAUSE_SECONDS * rate
        run = channel.open_run
        self._before = replace(run, tokens=()) if run and run.end >= earliest else None
        self._groups_before = [group for group in channel.groups if group.end >= earliest]
        self.open_run = self._before
        """The digits at the end of the segment, which the next one may continue."""
        self.groups: list[_Group] = []
        """Those in the segment. One digit is none: it is often just a word."""

    def told(self) -> Told:
        """The text with marks in place of what is personal."""
        hidden: list[tuple[int, int, PersonalKind]] = []
        findings: list[Finding] = []
        places = find_addresses(self._segment.text, self._tokens)
        self._tokens = _apart(self._tokens, places)
        for place in places:
            hidden.append((place.begin, place.end, place.kind))
            start, end = self._position(place.begin), self._position(place.end)
            findings.append(Finding(place.kind, self._segment.channel, start, end, 0))
        runs = list(self._runs())
        self.groups = [run.group for run, _ in runs if run.own > 1]
        are_many = _are_many([*self._groups_before, *self.groups])
        for run, is_open in runs:
            kind, digits, left = self._judged(run, is_open=is_open)
            if is_open:
                self.open_run = left
            if kind is None and are_many and run.own > 1:
                kind = "number"
            if kind is None or not run.tokens:
                continue
            hidden.append((run.tokens[0].begin, run.tokens[-1].end, kind))
            if kind != "number":
                findings.append(Finding(kind, self._segment.channel, run.start, run.end, digits))
        return Told(_masked(self._segment.text, hidden), tuple(findings))

    def _runs(self) -> Iterator[tuple[_Run, bool]]:
        """The runs of digits, and whether each reaches the end of the segment."""
        run = self._before
        for token in self._tokens:
            if token.role is Role.DIGITS:
                start = self._position(token.begin)
                run = run or _Run(0, "", (), start, start)
                run = run.with_digits(token, self._position(token.end))
            elif token.role is Role.WORD and run is not None:
                yield run, False
                run = self.open_run = None
        if run is not None:
            yield run, True

    def _judged(self, run: _Run, *, is_open: bool) -> tuple[PersonalKind | None, int, _Run]:
        """What the digits are, None for nothing to hide; how many; and what is open still."""
        if card := find_card(run.digits, run.groups):
            return "card", card[1] - card[0], run.without(card[1])
        kind = self._kind(run, is_open=is_open) if run.count >= _SAFE_DIGITS else None
        return kind, run.count, run

    def _kind(self, run: _Run, *, is_open: bool) -> PersonalKind | None:
        asked = self._asked_for(run)
        if asked is not None:
            return asked
        if _is_written_social_security(run.tokens, self._segment.text):
            return "national-id"
        if is_phone(run.digits) or self._has_country_code(run):
            return "phone"
        may_go_on = is_open or (self._before is not None and run.start < self._segment.start)
        if run.count >= _LONG_DIGITS or (may_go_on and run.count > _SAFE_DIGITS):
            return "number"
        return "number" if self._contexts - {"phone"} else None

    def _asked_for(self, run: _Run) -> PersonalKind | None:
        """What digits are that somebody has asked for."""
        count = run.count
        if "security-code" in self._contexts and count in (3, 4):
            return "security-code"
        if "national-id" in self._contexts and (
            is_us_social_security(run.digits) or ("card" not in self._contexts and count == 4)
        ):
            return "national-id"
        if "phone" in self._contexts and count >= _LONG_DIGITS and "card" not in self._contexts:
            return "phone"
        return None

    def _has_country_code(self, run: _Run) -> bool:
        begin = run.tokens[0].begin if run.tokens else 0
        return self._segment.text[:begin].rstrip().endswith("+") and 8 <= run.count <= 15

    def _position(self, character: int) -> int:
        segment = self._segment
        length = max(len(segment.text), 1)
        return segment.start + (segment.end - segment.start) * character // length


def _are_many(groups: Sequence[_Group]) -> bool:
    """Whether groups of digits that follow each other may be one number; some years are not."""
    digits = sum(group.digits for group in groups)
    return digits >= _MANY_DIGITS and not all(group.is_year for group in groups)


def _apart(tokens: Sequence[Token], places: Iterable[Place]) -> list[Token]:
    """What was recognised as a whole is no part of a longer number."""
    kept: list[Token] = []
    waiting = deque(sorted(places, key=lambda place: place.begin))
    until = 0
    for token in tokens:
        while waiting and waiting[0].begin <= token.begin:
            until = max(until, waiting.popleft().end)
        kept.append(token._replace(role=Role.WORD) if token.begin < until else token)
    return kept


def _is_written_social_security(tokens: Sequence[Token], text: str) -> bool:
    if [len(token.value) for token in tokens] != [3, 2, 4]:
        return False
    between = {text[one.end : other.begin] for one, other in pairwise(tokens)}
    return between == {"-"} and is_us_social_security("".join(token.value for token in tokens))


def _masked(text: str, hidden: list[tuple[int, int, PersonalKind]]) -> str:
    parts: list[str] = []
    at = 0
    for begin, end, kind in sorted(hidden):
        if end <= at:
            continue
        if begin >= at or not parts:
            parts += [text[at:begin], f"[{kind.replace('-', ' ')}]"]
        at = end
    return "".join([*parts, text[at:]])


_SAFE_DIGITS: Final = 3
"""So many digits say nothing by themselves."""
_LONG_DIGITS: Final = 7
"""So many are always somebody's number."""
_PAUSE_SECONDS: Final = 20
"""A number that is interrupted for longer is another one."""
_SEARCHED_DIGITS: Final = 64
_MANY_DIGITS: Final = 8
"""So many in groups that follow each other are a number, whatever is said between."""
_MOST_GROUPS: Final = 32
_YEAR: Final = re.compile(r"19[4-9]\d|20[0-3]\d")
