"""What a recogniser makes of a stretch of one channel. Frozen values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from earhook.client import ChannelName

__all__ = ["Segment", "Word"]


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a segment, where the engine tells it. Positions as those of the segment."""

    text: str = field(repr=False)
    start: int
    end: int
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A reading of a stretch of speech: one that may change still, or the last word.

    All readings of one stretch have the same `start`, and so the same `id`; the final one comes
    last and once. Segments of a channel do not overlap, and their final readings come in order.

    Attributes:
        start: Position of the first sample, in the call's rate.
        end: Position after the last one.
        text: As the engine wrote it; nobody has looked for card numbers in it yet.
        confidence: 0 to 1; None: the engine does not say.
        is_final: Whether no other reading follows.
        words: In order; empty: the engine gives no words.
        language: As a BCP 47 tag; None: the engine does not say.
    """

    channel: ChannelName
    start: int
    end: int
    text: str = field(repr=False)
    confidence: float | None = None
    is_final: bool = True
    words: tuple[Word, ...] = field(default=(), repr=False)
    language: str | None = None

    @property
    def id(self) -> str:
        """Names the stretch within its call, the same on every run that hears it from its start."""
        return f"{self.channel}-{self.start}"

    def bounded(self) -> Segment:
        """The segment as far as anything is made of it: minutes of speech, and no more.

        An engine sends what it likes; everything behind it takes time for each word.
        """
        characters = max(len(self.text), sum(len(word.text) + 1 for word in self.words))
        language = self.language if _is_tag(self.language) else None
        if characters <= MOST_CHARACTERS and language == self.language:
            return self
        text = self.text[:MOST_CHARACTERS]
        return replace(self, text=text, words=tuple(_first(self.words)), language=language)


def _first(words: Iterable[Word]) -> Iterator[Word]:
    """As many as there may be characters."""
    left = MOST_CHARACTERS
    for word in words:
        left -= len(word.text) + 1
        if left < 0:
            return
        yield word


def _is_tag(language: str | None) -> bool:
    return language is None or (isinstance(language, str) and len(language) <= MOST_TAG_CHARACTERS)


MOST_CHARACTERS: Final = 4000
MOST_TAG_CHARACTERS: Final = 35
"""RFC 5646 §4.4.1."""
