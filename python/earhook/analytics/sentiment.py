"""How what is said sounds, from -1 to 1: VADER with a lexicon of what callers say.

VADER was made for short posts: of *third time I am calling* it knows the word *calling* at most.
So phrases of a lexicon in TOML are put in as words of their own, and VADER does the rest:
negation, boosters, *but*.

VADER: Hutto and Gilbert, ICWSM 2014; the package `vaderSentiment`, of the extra `analytics`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final, NamedTuple, Protocol

from pydantic import Field, ValidationError

from earhook.client import ChannelName
from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ops.redaction import printable
from earhook.settings import Settings

from .phrases import PhraseBook, PhraseError
from .segment import Segment
from .words import words_of

__all__ = ["LANGUAGE", "Curve", "Lexicon", "Score", "Sentiment", "own_lexicon", "read_lexicon"]

Valence = Annotated[float, Field(ge=-4, le=4)]


class Lexicon(Settings):
    """Words and phrases with their valence, from -4 (worst) to 4 (best)."""

    words: dict[str, Valence] = Field(
        default_factory=dict,
        description="Single words; 0 takes a word away that VADER gives a meaning.",
    )
    phrases: dict[str, Valence] = Field(
        default_factory=dict, description="Phrases as rules write them."
    )

    def over(self, below: Lexicon) -> Lexicon:
        """Both; what this one says counts."""
        others = {text: one for text, one in below.phrases.items() if text not in self.phrases}
        # Of phrases as long as each other, the first counts.
        return Lexicon(words={**below.words, **self.words}, phrases={**self.phrases, **others})


class Score(NamedTuple):
    """Of a segment, and of its speaker up to its end. Both from -1 to 1."""

    score: float
    rolling: float


class Sentiment:
    """Scores texts. Immutable; serves any number of calls."""

    def __init__(self, lexicon: Lexicon) -> None:
        """Make VADER ready.

        Raises:
            ConfigurationError: It is not installed.
        """
        self._vader = _vader()
        self._book: PhraseBook[str] = PhraseBook(
            (phrase, f"{_STANDS_FOR}{number}") for number, phrase in enumerate(lexicon.phrases)
        )
        own = {f"{_STANDS_FOR}{number}": one for number, one in enumerate(lexicon.phrases.values())}
        words = {word.lower(): valence for word, valence in lexicon.words.items()}
        self._vader.lexicon.update({**words, **own})

    def score(self, text: str) -> float:
        """One text by itself; 0 for what says nothing. Of a very long one, its beginning."""
        text = self._with_phrases(text[:_MOST_CHARACTERS])
        return self._vader.polarity_scores(text)["compound"]

    def _with_phrases(self, text: str) -> str:
        """The text with each phrase replaced by the word that stands for it; longest ones win."""
        words = list(words_of(text))
        found = self._book.find(word.text for word in words)
        parts: list[str] = []
        at = 0
        for label, first, last in sorted(found, key=lambda one: (one.first, -one.last)):
            begin, end = words[first].begin, words[last].end
            if begin >= at:
                parts += [text[at:begin], label]
                at = end
        return "".join([*parts, text[at:]])


class _Vader(Protocol):
    """What we use of it."""

    lexicon: dict[str, float]

    def polarity_scores(self, text: str) -> Mapping[str, float]: ...


class Curve:
    """The rolling score of each speaker of one call.

    A mean of what was said, weighted by words and by age: what lies `half_life_seconds` back counts
    half. It begins at 0 with the weight of a few words, so one outburst is not the whole mood.
    """

    def __init__(self, rate: int, half_life_seconds: float = 30.0) -> None:
        self._half_life = half_life_seconds * rate
        self._speakers: dict[ChannelName, _Mood] = {}

    def add(self, segment: Segment, score: float) -> Score:
        """Take the score of a final segment."""
        mood = self._speakers.get(segment.channel, _Mood(0.0, _PRIOR_WORDS, segment.start))
        fading = 0.5 ** (max(segment.end - mood.position, 0) / self._half_life)
        words = min(sum(1 for _ in words_of(segment.text)), _MOST_WORDS)
        # What is faded out of the weight comes back as neutral, so silence calms down.
        total = mood.total * fading + score * words
        weight = max(mood.weight * fading, _PRIOR_WORDS) + words
        self._speakers[segment.channel] = _Mood(total, weight, segment.end)
        return Score(round(score, 4), round(total / weight, 4))


class _Mood(NamedTuple):
    total: float
    weight: float
    position: int


def own_lexicon() -> Lexicon:
    """The one that comes with Earhook."""
    return read_lexicon(Path(str(files(__package__) / "lexicon.toml")))


def read_lexicon(path: Path) -> Lexicon:
    """A lexicon from a file.

    Raises:
        ConfigurationError: With every fault.
    """
    try:
        lexicon = Lexicon.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise ConfigurationError.of(str(path), what) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        what = f"is no TOML: {printable(str(error), 120)}"
        raise ConfigurationError.of(str(path), what) from None
    except ValidationError as error:
        raise ConfigurationError(list(_shape_faults(path, error))) from None
    if faults := list(_phrase_faults(path, lexicon)):
        raise ConfigurationError(faults)
    return lexicon


def _shape_faults(path: Path, error: ValidationError) -> Iterator[ConfigurationFault]:
    for details in error.errors(include_url=False):
        place = [printable(str(part), 64) for part in details["loc"]]
        if details["type"] == "extra_forbidden":
            yield ConfigurationFault(
                f"{path}: {place[-1]}", "unknown key", "known here: words, phrases"
            )
            continue
        where = f"{path}: {place[0]}" + (f".{place[1]!r}" if len(place) > 1 else "")
        what = details["msg"].replace("Input should be", "must be")
        yield ConfigurationFault(where, what, "a valence from -4 to 4")


def _phrase_faults(path: Path, lexicon: Lexicon) -> Iterator[ConfigurationFault]:
    for phrase in lexicon.phrases:
        try:
            PhraseBook([(phrase, 0)])
        except PhraseError as error:
            yield ConfigurationFault(f"{path}: phrases.{phrase!r}", str(error))


def _vader() -> _Vader:
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        what = "sentiment needs vaderSentiment, which is not installed"
        remedy = "pip install 'earhook[analytics]', or do without: --no-sentiment"
        raise ConfigurationError.of("sentiment", what, remedy) from None
    vader: _Vader = SentimentIntensityAnalyzer()
    return vader


LANGUAGE: Final = "en"
"""What VADER and the lexicon know; other languages have no scores."""

_STANDS_FOR: Final = "earhookphrase"
_PRIOR_WORDS: Final = 6.0
_MOST_WORDS: Final = 30
_MOST_CHARACTERS: Final = 1_000
"""VADER's time grows with the square of the length."""
