"""Afterwards: do the books balance, and is every recording its source, sample for sample?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from earhook.media.wav import read_pcm
from earhook.sinks.base import LiveCall, SinkBooks
from earhook.testing.peer import CallPeer

from .hearing import Hearing
from .stage import Stage

__all__ = ["BookRow", "Finding", "books", "findings"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked."""

    holds: bool
    text: str


@dataclass(frozen=True, slots=True)
class BookRow:
    """The books of one call and one way out; `came_in` is what the socket brought."""

    call: int
    came_in: int
    sink: str
    books: SinkBooks

    @property
    def balances(self) -> bool:
        """Whether nothing is unaccounted for, and nothing was dropped or left over."""
        own = self.books
        complete = own.received == self.came_in and own.forwarded == own.received
        return own.balances() and complete


def books(stage: Stage) -> Iterator[BookRow]:
    """Every call and every sink."""
    for number, session in enumerate(stage.peers, start=1):
        live = stage.lives.get(session)
        if live is not None and live.outcome is not None:
            for sink, own in sorted(live.settled.items()):
                yield BookRow(number, live.outcome.samples_in, sink, own)
