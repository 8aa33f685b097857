"""What a load came to: counters, failures by kind, latencies. Adds up over processes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Final, Self

from .histograms import Latency

__all__ = ["LATENCIES", "Counts", "Recent", "Tally"]

LATENCIES: Final = {
    "connect": "from when a call was due until its upgrade was answered, TLS included",
    "opened": "from `open` sent until `opened` came; over HTTPS until the first answer",
    "pong": "from when a ping was due until its pong came",
    "block": "over HTTPS in blocks: from when a block was due until it was answered",
    "close": "from when a call was due to hang up until `closed` came, or the last answer",
    "lateness": "of the generator: from when frames were due until it got to them",
}
FAILURE_KINDS: Final = 64
"""Kinds of failure that are told apart; the texts of foreign servers shall not grow for ever."""


@dataclass(slots=True)
class Counts:
    """Plain counters of one process. Samples are counted per channel.

    Attributes:
        due: Calls that were due.
        answered: Calls whose connection came about.
        resumed: Those of them that resumed a TLS session.
        opened: Calls that the server opened.
        completed: Calls that went as they should, those broken off on purpose included.
        failed: Calls that did not; `Tally.failures` says why.
        broken_off: Calls whose connection was broken off on purpose.
        probes: Calls that were connection tests.
        live: Calls that are open now.
        frames: Binary frames, chunks or blocks sent.
        octets: Their payload.
        samples: Audio in them.
        held_frames: Sent while the socket took no more: the server read too slowly.
        objections: Rules of the protocol that the server broke.
        processor_seconds: CPU time of the generator.
    """

    due: int = 0
    answered: int = 0
    resumed: int = 0
    opened: int = 0
    completed: int = 0
    failed: int = 0
    broken_off: int = 0
    probes: int = 0
    live: int = 0
    frames: int = 0
    octets: int = 0
    samples: int = 0
    held_frames: int = 0
    objections: int = 0
    processor_seconds: float = 0.0

    def add(self, other: Counts) -> None:
        """Add each counter."""
        for own in fields(self):
            setattr(self, own.name, getattr(self, own.name) + getattr(other, own.name))


@dataclass(slots=True)
class Recent:
    """A latency within the last second or so."""

    count: int = 0
    total_seconds: float = 0.0
    worst_seconds: float = 0.0

    def add(self, other: Recent) -> None:
        """Count all that the other one counted."""
        self.count += other.count
        self.total_seconds += other.total_seconds
        self.worst_seconds = max(self.worst_seconds, other.worst_seconds)


@dataclass(slots=True)
class Tally:
    """All figures of one process, or of several.

    Attributes:
        failures: Calls that failed, by kind.
        objections: Rules that the server broke, by rule.
        busiest: The largest share of a core that one generator process used within a second.
        starved: The largest share of a second that one waited for a core that others had.
        recent: Latencies since the last look, for whoever watches.
    """

    counts: Counts = field(default_factory=Counts)
    failures: Counter[str] = field(default_factory=Counter)
    objections: Counter[str] = field(default_factory=Counter)
    latencies: dict[str, Latency] = field(
        default_factory=lambda: {name: Latency() for name in LATENCIES}
    )
    busiest: float = 0.0
    starved: float = 0.0
    recent: dict[str, Recent] = field(default_factory=dict)

    def note(self, name: str, seconds: float) -> None:
        """A latency was measured."""
        self.latencies[name].record(seconds)
        recent = self.recent.get(name)
        if recent is None:
            recent = self.recent[name] = Recent()
        recent.count += 1
        recent.total_seconds += seconds
        recent.worst_seconds = max(recent.worst_seconds, seconds)

    def take_recent(self) -> dict[str, Recent]:
        """What was measured since this was asked last."""
        taken, self.recent = self.recent, {}
        return taken

    def fail(self, kind: str) -> None:
        """A call failed."""
        self.counts.failed += 1
        self.failures[_bounded(self.failures, kind)] += 1

    def object(self, rule: str) -> None:
        """The server broke a rule."""
        self.counts.objections += 1
        self.objections[_bounded(self.objections, rule)] += 1

    def add(self, other: Self) -> None:
        """Add all of another process."""
        self.counts.add(other.counts)
        self.failures.update(other.failures)
        self.objections.update(other.objections)
        self.busiest = max(self.busiest, other.busiest)
        self.starved = max(self.starved, other.starved)
        for name, latency in other.latencies.items():
            self.latencies[name].add(latency)


def _bounded(kinds: Counter[str], kind: str) -> str:
    return kind if kind in kinds or len(kinds) < FAILURE_KINDS else "others"
