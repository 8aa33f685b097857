"""What calls sound like. `SignalFeed` is the native class itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

from earhook._core import SignalFeed

__all__ = [
    "POINT_BYTES",
    "Fact",
    "LaneSummary",
    "Level",
    "SignalFeed",
    "Stretch",
    "Summary",
    "summary_of",
]

POINT_BYTES: Final = 5


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


class Stretch(NamedTuple):
    """How loud a call was from a position on, as `SignalFeed.envelope` gives it.

    Attributes:
        step_samples: What a point stands for.
        position: Of the first point.
        end: Of the last point, which may stand for fewer samples.
        levels: `POINT_BYTES` a point: peak and root mean square of external, those of internal,
            each as twice the dBFS plus 255 (0 is digital silence), and 1 if there is no audio.
    """

    step_samples: int
    position: int
    end: int
    levels: bytes

    def since(self, position: int) -> Stretch:
        """The points that end behind a position."""
        if position >= self.end:
            return self._replace(position=self.end, levels=b"")
        passed = max(0, position - self.position) // self.step_samples
        start = self.position + passed * self.step_samples
        return self._replace(position=start, levels=self.levels[passed * POINT_BYTES :])

    def points(self) -> Iterator[tuple[int, int, bytes]]:
        """Position, samples and levels of each."""
        for index in range(len(self.levels) // POINT_BYTES):
            start = self.position + index * self.step_samples
            levels = self.levels[index * POINT_BYTES : (index + 1) * POINT_BYTES]
            yield start, min(self.step_samples, self.end - start), levels


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
