"""The audio side of a session: its clock, and what becomes of every sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from .events import ClockJumped, Discarded, Resumed
from .gaps import GapReason
from .messages import MediaOffer, Span
from .position import SAMPLE_RATE

__all__ = ["DropReason", "Stream", "Tally"]

MAX_ERROR_CODES: Final = 16
OTHER_ERRORS: Final = 0


class DropReason(StrEnum):
    """Why audio that arrived was not kept."""

    PAUSED = "paused"
    MALFORMED = "malformed"
    LATE = "late"
    """After `close` or after our `disconnect`."""
    UNMANAGED = "unmanaged"
    """No media was agreed. Without a format, a byte counts as a sample."""


@dataclass(slots=True)
class Tally:
    """Plain counters of one session; read them any time, write them never."""

    samples_kept: int = 0
    samples_dropped: dict[DropReason, int] = field(
        default_factory=lambda: dict.fromkeys(DropReason, 0)
    )
    texts_in: int = 0
    texts_out: int = 0
    audio_out: int = 0
    """Binary frames sent."""
    unknown_types: int = 0
    unusable: int = 0
    """Messages of known type whose parameters said nothing."""
    ignored: int = 0
    """Messages that the state had no use for."""
    events_dropped: int = 0
    """Entities that were still waiting when the session ended."""
    errors: dict[int, int] = field(default_factory=dict)
    """Errors that the peer reported, by code; code 0 holds what exceeds 16 codes."""

    @property
    def samples_in(self) -> int:
        """Sample groups that arrived: kept plus dropped."""
        return self.samples_kept + sum(self.samples_dropped.values())

    def count_error(self, code: int) -> None:
        """Count one error that the peer reported."""
        if code not in self.errors and len(self.errors) >= MAX_ERROR_CODES:
            code = OTHER_ERRORS
        self.errors[code] = self.errors.get(code, 0) + 1


class Stream:
    """Clock and books of the audio that comes in (AudioHook protocol §4.4, §8)."""

    __slots__ = ("flowing", "group_bytes", "has_media", "position", "tally")

    def __init__(self) -> None:
        self.position = 0
        """Samples per channel since the start, paused and discarded ones included."""
        self.flowing = False
        """Whether audio is kept now."""
        self.has_media = False
        self.group_bytes = 1
        self.tally = Tally()

    def choose(self, media: MediaOffer | None) -> None:
        """Learn what was agreed."""
        self.has_media = media is not None
        self.group_bytes = 1 if media is None else media.group_bytes

    def drop(self, payload_bytes: int, reason: DropReason) -> None:
        """Count audio that is not kept. It does not move the clock."""
        self.tally.samples_dropped[reason] += payload_bytes // self.group_bytes

    def end_of(self, span: Span) -> int:
        """Where the clock would stand after a span; never before where it stands."""
        return max(self.position, span.start + span.samples)

    def jump(
        self, span: Span, kind: type[Resumed | Discarded], reason: GapReason
    ) -> list[ClockJumped | Resumed | Discarded]:
        """Move the clock over a span without audio, and tell it as gaps.

        A span that begins ahead of our clock leaves a stretch that nobody explained; it
        becomes a `ClockJumped` of its own (§8).
        """
        gaps: list[ClockJumped | Resumed | Discarded] = []
        if span.start > self.position:
            unreported = span.start - self.position
            gaps.append(ClockJumped(self.position, unreported, GapReason.UNREPORTED))
            self.position = span.start
        gap_samples = self.end_of(span) - self.position
        gaps.append(kind(self.position, gap_samples, reason))
        self.position += gap_samples
        return gaps


def latest_position(elapsed_seconds: float, lead_seconds: float) -> int:
    """How far a stream can honestly have come in a time, with a lead granted."""
    return int((elapsed_seconds + lead_seconds) * SAMPLE_RATE)
