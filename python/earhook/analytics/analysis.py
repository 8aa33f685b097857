"""What is made of a call's words and signal facts: redacted text, sentiment, hits of rules.

One `Analyst` per process holds what is read from files; it opens one `Analysis` per call. Nothing
here has a clock, a socket or a task: time is positions, and everything that is told comes back as
results, in the order in which it became known.

```python
analyst = Analyst.of(AnalystSettings(rules=(Path("rules.toml"),)))  # ConfigurationError: all faults
analysis = analyst.open(CallFacts(rate=call.rate, channels=call.channels, engine="pocketsphinx"))
results = analysis.hear(segment)                      # of any channel, interim ones too
results += analysis.note("dead_air", event.position, event.details)     # any event of the stream
results += analysis.miss("internal", gap.position, gap.position + gap.samples)
results += analysis.advance(position)     # whatever was said before `position` has been heard
results += analysis.finish(position)      # the call is over
```

What comes in is as it was said. What goes out holds no card number, phone number, e-mail address
or national id; see `redaction`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from earhook.client import ChannelName
from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.settings import Settings

from .languages import is_in
from .redaction import Redactor, Told
from .result import Result
from .rules import Evaluation, Hit, RuleBook, read_rules
from .segment import Segment
from .sentiment import LANGUAGE as SENTIMENT_LANGUAGE
from .sentiment import Curve, Score, Sentiment, own_lexicon, read_lexicon
from .sounds import Sounds
from .unheard import Unheard

__all__ = ["Analysis", "Analyst", "AnalystSettings", "CallFacts"]


class AnalystSettings(Settings):
    """Which words are looked for, and with which lexicon."""

    rules: tuple[Path, ...] = Field(default=(), description="Files of rules, in TOML.")
    sentiment: bool = Field(
        default=True, description="Whether segments are scored; wants the extra `analytics`."
    )
    lexicon: Path | None = Field(
        default=None, description="A lexicon of your own, over the one that comes with Earhook."
    )


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What an analysis has to know of its call.

    Attributes:
        rate: Samples per second that positions count.
        channels: Those that are recognised; what must be said is not asked of others.
        start: Where listening began: 0, or later when the call was under way.
        engine: Who recognises; goes into transcripts.
        language: What the call is in where segments do not say.
    """

    rate: int
    channels: tuple[ChannelName, ...] = ("external", "internal")
    start: int = 0
    engine: str = ""
    language: str | None = None


class Analyst:
    """What all calls of a process share. Immutable."""

    def __init__(self, rules: RuleBook, sentiment: Sentiment | None) -> None:
        self.rules = rules
        self.sentiment = sentiment

    @classmethod
    def of(cls, settings: AnalystSettings) -> Analyst:
        """Read the files.

        Raises:
            ConfigurationError: With every fault of all files, or for what is not installed.
        """
        faults: list[ConfigurationFault] = []
        rules = RuleBook(())
        sentiment = None
        try:
            rules = RuleBook(read_rules(settings.rules))
        except ConfigurationError as error:
            faults += error.faults
        if settings.sentiment:
            try:
                lexicon = own_lexicon()
                if settings.lexicon is not None:
                    lexicon = read_lexicon(settings.lexicon).over(lexicon)
                sentiment = Sentiment(lexicon)
            except ConfigurationError as error:
                faults += error.faults
        elif rules.wants_sentiment:
            what = "rules of kind sentiment need it"
            faults.append(ConfigurationFault("sentiment", what, "turn it on, or disable them"))
        if faults:
            raise ConfigurationError(faults)
        return cls(rules, sentiment)

    def open(self, call: CallFacts) -> Analysis:
        """Begin to listen to a call."""
        return Analysis(self, call)


class Analysis:
    """One call. Final segments of a channel come in order; channels interleave as they like."""

    def __init__(self, analyst: Analyst, call: CallFacts) -> None:
        self._call = call
        self._sentiment = analyst.sentiment
        self._curve = Curve(call.rate)
        self._redactor = Redactor(call.rate)
        self._sounds = Sounds()
        self._interim: dict[ChannelName, str] = {}
        """Which segments have been told that are not final yet."""
        self.left_out = 0
        """Segments that were no speech, by what the gateway has heard."""
        self._unheard = Unheard(call.channels, call.start)
        self._evaluation = Evaluation(analyst.rules, call.rate, self._unheard, call.language)

    def hear(self, segment: Segment) -> list[Result]:
        """Take a segment; interim ones are redacted and told, and nothing else is made of them.

        Of what lies in tones and music nothing is made either: engines hear words there.
        """
        if self._sounds.cover(segment):
            return self._leave_out(segment)
        if not segment.is_final:
            self._interim[segment.channel] = segment.id
            return [self._transcript(segment, self._redactor.interim(segment))]
        self._interim.pop(segment.channel, None)
        told = self._redactor.final(segment)
        results = [self._transcript(segment, told)]
        score = None
        is_scored = is_in(segment.language or self._call.language, SENTIMENT_LANGUAGE)
        if self._sentiment is not None and is_scored and segment.text.strip():
            score = self._curve.add(segment, self._sentiment.score(segment.text))
            results.append(_sentiment(segment, score))
        return results + _results(self._evaluation.hear(segment, told, score))

    def note(self, kind: str, position: int, details: Mapping[str, Any]) -> list[Result]:
        """Take an event of the PCM stream; kinds that no rule is about cost nothing."""
        self._sounds.note(kind, details)
        return _results(self._evaluation.note(kind, position, details))

    def miss(self, channel: ChannelName, start: int, end: int) -> list[Result]:
        """A stretch that nobody recognised: a gap, a pause, a recogniser that failed.

        What must be said is not found missing where too much went unheard.
        """
        self._unheard.add(channel, start, end)
        return []

    def advance(self, position: int) -> list[Result]:
        """Whatever was said before `position`, on any channel, has been heard or missed.

        Here it shows what was *not* said in time. It may be late, and never goes back; a segment
        that comes later all the same is taken.
        """
        return _results(self._evaluation.advance(position))

    def finish(self, position: int) -> list[Result]:
        """The call ended at `position`; what can only be known at its end is told."""
        return _results(self._evaluation.finish(position))

    def _leave_out(self, segment: Segment) -> list[Result]:
        """Say nothing of it, or take back what has been said."""
        if not segment.is_final:
            return []
        self.left_out += 1
        if self._interim.pop(segment.channel, None) != segment.id:
            return []
        return [self._transcript(segment, Told(""))]

    def _transcript(self, segment: Segment, told: Told) -> Result:
        details = {
            "segment": segment.id,
            "channel": segment.channel,
            "start": segment.start,
            "end": segment.end,
            "text": told.text[:_MOST_CHARACTERS],
            "confidence": segment.confidence,
            "final": segment.is_final,
            "engine": self._call.engine,
            "language": segment.language or self._call.language,
        }
        return Result("transcript", segment.end, details)


def _sentiment(segment: Segment, score: Score) -> Result:
    details = {
        "segment": segment.id,
        "channel": segment.channel,
        "start": segment.start,
        "end": segment.end,
        **score._asdict(),
    }
    return Result("sentiment", segment.end, details)


def _results(hits: Iterable[Hit]) -> list[Result]:
    return [Result("hit", hit.position, hit.details(), hit.rule.pause_seconds) for hit in hits]


_MOST_CHARACTERS: Final = 1_900
"""Of a text in a result: with four bytes each, it fits an entry of the command `results`."""
