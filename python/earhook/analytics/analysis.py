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

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from earhook.client import ChannelName
from earhook.settings import Settings

from .result import Result
from .segment import Segment

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

    @classmethod
    def of(cls, settings: AnalystSettings) -> Analyst:
        """Read the files.

        Raises:
            ConfigurationError: With every fault of all files, or for what is not installed.
        """
        del settings
        return cls()

    def open(self, call: CallFacts) -> Analysis:
        """Begin to listen to a call."""
        return Analysis(call)


class Analysis:
    """One call. Law of the order: any interleaving of channels finds the same."""

    def __init__(self, call: CallFacts) -> None:
        self._call = call

    def hear(self, segment: Segment) -> list[Result]:
        """Take a segment; interim ones are redacted and told, and nothing else is made of them."""
        details = {
            "segment": segment.id,
            "channel": segment.channel,
            "start": segment.start,
            "end": segment.end,
            "text": segment.text,
            "confidence": segment.confidence,
            "final": segment.is_final,
            "engine": self._call.engine,
            "language": segment.language or self._call.language,
        }
        return [Result("transcript", segment.end, details)]

    def note(self, kind: str, position: int, details: Mapping[str, Any]) -> list[Result]:
        """Take an event of the PCM stream; kinds that no rule is about cost nothing."""
        del kind, position, details
        return []

    def miss(self, channel: ChannelName, start: int, end: int) -> list[Result]:
        """A stretch that nobody recognised: a gap, a pause, a recogniser that failed.

        What must be said is not found missing where too much went unheard.
        """
        del channel, start, end
        return []

    def advance(self, position: int) -> list[Result]:
        """Whatever was said before `position`, on any channel, has been heard or missed.

        Here it shows what was *not* said in time. It may be late, and never goes back; a segment
        that comes later all the same is taken.
        """
        del position
        return []

    def finish(self, position: int) -> list[Result]:
        """The call ended at `position`; what can only be known at its end is told."""
        del position
        return []
