"""Sinks to test with: one that keeps all it gets, and one that never does anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Final

from earhook.media.feed import Books, Feed
from earhook.media.gaps import Gap, GapReason
from earhook.sinks.base import CallEvent, LiveCall, SinkBooks, SinkSnapshot

__all__ = ["CollectedCall", "CollectingSink", "StallingSink"]


@dataclass(slots=True)
class CollectedCall:
    """What has come of one call.

    Attributes:
        audio: Interleaved 16-bit PCM, the customer first, without what lies in gaps.
        gaps: In their order; overruns of the sink itself among them.
        events: As published.
        position: The next position to come.
    """

    audio: bytearray = field(default_factory=bytearray)
    gaps: list[Gap] = field(default_factory=list)
    events: list[CallEvent] = field(default_factory=list)
    position: int = 0

    def channel(self, channel: int) -> bytes:
        """16-bit PCM of one channel, without what lies in gaps."""
        lanes = memoryview(self.audio).cast("h")
        return bytes(lanes[channel::2])


class CollectingSink:
    """Keeps everything in memory, by session id. It drains on `collect` and when a call ends."""

    kind: Final = "collecting"

    def __init__(self, name: str = "collecting") -> None:
        self.name: Final = name
        self.calls: dict[str, CollectedCall] = {}
        self._feed = Feed()
        self._numbers = count(1)
        self._live: dict[int, LiveCall] = {}
        self._settled = SinkBooks()

    async def start(self) -> None:
        """Nothing to open."""

    def attach(self, call: LiveCall) -> None:
        """Begin to collect a call."""
        number = next(self._numbers)
        self._live[number] = call
        self.calls[call.facts.session_id] = CollectedCall()
        self._feed.attach(number, call.pipeline)

    def publish(self, call: LiveCall, event: CallEvent) -> None:
        """Keep an event."""
        self.calls[call.facts.session_id].events.append(event)

    def ended(self, call: LiveCall) -> None:
        """Collect the rest of a call and settle it."""
        self.collect()
        for number in [number for number, live in self._live.items() if live is call]:
            self._settle(number)

    def forget(self, call: LiveCall) -> None:
        """Nothing is kept of an ended call but what was collected."""

    async def stop(self, deadline_seconds: float) -> None:
        """Collect the rest of every call and settle it."""
        self.collect()
        for number in list(self._live):
            self._settle(number)

    def snapshot(self) -> SinkSnapshot:
        """The books of all calls so far."""
        books = SinkBooks()
        books.merge(self._settled)
        for number in self._live:
            _add(books, self._feed.books(number))
        return SinkSnapshot(self.name, self.kind, True, "", books, len(self._live))

    def collect(self) -> None:
        """Take over what all calls have."""
        while blocks := self._feed.drain_blocks(1 << 20):
            for number, position, samples, reason, audio in blocks:
                call = self.calls[self._live[number].facts.session_id]
                if audio:
                    call.audio += audio
                    call.position = position + len(audio) // 4
                else:
                    call.gaps.append(Gap(position, samples, GapReason(reason)))
                    call.position = position + samples

    def _settle(self, number: int) -> None:
        call = self._live.pop(number)
        books = SinkBooks()
        _add(books, self._feed.detach(number))
        self._settled.merge(books)
        call.settle(self.name, books)


class StallingSink:
    """Attaches to every call and never reads, as a consumer does that hangs.

    It never settles a call by itself; `stop` does. `told` notes what the hub has said.
    """

    kind: Final = "stalling"

    def __init__(self, name: str = "stalling") -> None:
        self.name: Final = name
        self.told: list[str] = []
        self._feed = Feed()
        self._numbers: dict[LiveCall, int] = {}
        self._settled = SinkBooks()

    async def start(self) -> None:
        """Nothing to open."""

    def attach(self, call: LiveCall) -> None:
        """Take a reader, and never read."""
        self.told.append("attach")
        self._numbers[call] = len(self._numbers) + 1
        self._feed.attach(self._numbers[call], call.pipeline)

    def publish(self, call: LiveCall, event: CallEvent) -> None:
        """Note it."""
        self.told.append(event.kind)

    def ended(self, call: LiveCall) -> None:
        """Note it, and do not settle."""
        self.told.append("ended")

    def forget(self, call: LiveCall) -> None:
        """Note it."""
        self.told.append("forget")

    async def stop(self, deadline_seconds: float) -> None:
        """Give up every call, with all of its audio dropped."""
        for call, number in self._numbers.items():
            books = SinkBooks()
            _add(books, self._feed.detach(number))
            self._settled.merge(books)
            call.settle(self.name, books)
        self._numbers.clear()

    def snapshot(self) -> SinkSnapshot:
        """The books: everything is buffered or dropped."""
        books = SinkBooks()
        books.merge(self._settled)
        for number in self._numbers.values():
            _add(books, self._feed.books(number))
        return SinkSnapshot(self.name, self.kind, True, "", books, len(self._numbers))


def _add(books: SinkBooks, reader: Books) -> None:
    books.merge(reader)
