"""Dead air of a live call up to now: the core sums up those that have ended."""

from __future__ import annotations

from earhook.media.signal import Summary
from earhook.sinks.base import CallEvent

__all__ = ["DeadAir"]


class DeadAir:
    """One call."""

    def __init__(self) -> None:
        self._ended_samples = 0
        """Of what we have been told the end of."""
        self._known_samples = 0
        """How long the one that goes on had been when we were told of it."""
        self._told_at: int | None = None
        """How much audio had been measured then; None: none goes on."""

    def note(self, event: CallEvent, measured_samples: int) -> None:
        """It begins, or has ended, with so much audio measured until now."""
        start = event.details["start"]
        if event.kind == "dead_air":
            self._known_samples = event.position - start
            self._told_at = measured_samples
        else:
            self._ended_samples += event.details["end"] - start
            self._told_at = None

    def put_into(self, summary: Summary) -> Summary:
        """Figures of this moment, with the dead air that goes on.

        A gap ends dead air: while it goes on, what is measured goes on with it.
        """
        is_over = summary.dead_air_samples > self._ended_samples
        if self._told_at is None or is_over:  # over, and nobody has told us yet
            return summary
        samples = self._known_samples + summary.samples - self._told_at
        return summary._replace(
            dead_air_samples=summary.dead_air_samples + samples,
            longest_dead_air_samples=max(summary.longest_dead_air_samples, samples),
        )
