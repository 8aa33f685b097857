"""Text as words that can be compared: lower case, no punctuation, contractions spelled out.

Recognisers write the same speech in different ways (*I'm*, *i am*, *Im*); rules, lexicon and
redaction read it in one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from .segment import Segment

__all__ = ["FILLERS", "SpokenWord", "spoken_words", "words_of"]


class SpokenWord(NamedTuple):
    """A word, and the positions between which it was said."""

    text: str
    start: int
    end: int


class _Written(NamedTuple):
    """A word, and where in its text it stands."""

    text: str
    begin: int
    end: int


def words_of(text: str) -> Iterator[_Written]:
    """The words of a text. A contraction gives several, all at its place; fillers are left out."""
    for found in _WORD.finditer(text):
        for word in _plain(found.group()):
            if word not in FILLERS:
                yield _Written(word, found.start(), found.end())


def spoken_words(segment: Segment) -> list[SpokenWord]:
    """The words of a segment with their positions.

    Those of the engine where it gives them; else a word's place in the text is its place in time.
    """
    if segment.words:
        return [
            SpokenWord(word.text, given.start, given.end)
            for given in segment.words
            for word in words_of(given.text)
        ]
    length = max(len(segment.text), 1)
    samples = segment.end - segment.start
    return [
        SpokenWord(
            text, segment.start + samples * begin // length, segment.start + samples * end // length
        )
        for text, begin, end in words_of(segment.text)
    ]


def _plain(word: str) -> list[str]:
    word = word.lower().replace("\u2019", "'")
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    stem, apostrophe, ending = word.rpartition("'")
    if apostrophe and ending in _ENDINGS:
        return [stem, _ENDINGS[ending]]
    if word.endswith("n't"):
        return [word[:-3], "not"]
    return [word.replace("'", "")]


_WORD: Final = re.compile(r"\d+|[^\W\d_]+(?:['\u2019][^\W\d_]+)*")

_ENDINGS: Final = {"m": "am", "re": "are", "ll": "will", "ve": "have", "d": "would"}
_IRREGULAR: Final = {
    "can't": ["can", "not"],
    "cannot": ["can", "not"],
    "won't": ["will", "not"],
    "shan't": ["shall", "not"],
    "let's": ["let", "us"],
    "it's": ["it", "is"],
    "that's": ["that", "is"],
    "what's": ["what", "is"],
    "there's": ["there", "is"],
    "here's": ["here", "is"],
    "gonna": ["going", "to"],
    "wanna": ["want", "to"],
    "gotta": ["got", "to"],
}

FILLERS: Final = frozenset({"um", "uh", "er", "erm", "hmm", "mm", "mhm", "ah", "eh"})
"""Sounds that say nothing; they stand in nobody's way."""
