"""What calls sound like. `SignalFeed` is the native class itself."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from earhook._core import SignalFeed

__all__ = ["Fact", "LaneSummary", "Level", "SignalFeed", "Summary", "summary_of"]


class Fact(NamedTuple):
    """One thing that was found in a call, as `SignalFeed.take` gives it. Positions are samples.

    Attributes:
        call: Its number in the feed.
        kind: `speech`, `talk_over`, `interruption`, `dead_air`, `dead_air_ended`, `dtmf`, `tone`,
            `music`, `clipping`, `one_way` or `one_way_ended`.
        channel: Whose; of talk-over and interruption, who came in; of one-way audio, the silent
            one; None of dead air.
        end: None of what goes on.
        word: The digit of `dtmf`, what a `tone` means.
        samples: Those that were clipped.
    """

    call: int
    kind: str
    channel: int | None
    start: int
    end: int | None
    word: str | None
    samples: int | None


class Level(NamedTuple):
    """How loud one channel has been in the last 100 ms."""

    channel: int
    rms_dbfs: float
    peak_dbfs: float
    speaking: bool


class LaneSummary(NamedTuple):
    """One channel in figures."""

    channel: int
    samples: int
    talk_samples: int
    tone_samples: int
    music_samples: int
    clipped_samples: int
    spans: int
    digits: int
    interruptions: int
    rms_dbfs: float
    peak_dbfs: float
    dc: float


class Summary(NamedTuple):
    """A call in figures. Gaps are no part of it."""

    samples: int
    talk_over_samples: int
    dead_air_samples: int
    longest_dead_air_samples: int
    one_way: int | None
    lanes: tuple[LaneSummary, ...]


def summary_of(found: SummaryTuple) -> Summary:
    """Name the figures of `SignalFeed.summary`."""
    samples, talk_over, dead_air, longest, one_way, lanes = found
    named = tuple(map(LaneSummary._make, lanes))
    return Summary(samples, talk_over, dead_air, longest, one_way, named)


LaneTuple: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, float, float, float]
SummaryTuple: TypeAlias = tuple[int, int, int, int, int | None, list[LaneTuple]]
"""What `SignalFeed.summary` gives."""
