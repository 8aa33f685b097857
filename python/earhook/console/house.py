"""The console's source where it is in the same process: the board."""

from __future__ import annotations

from typing import Any

from earhook.sinks.board import Board
from earhook.sinks.board.audience import meters
from earhook.sinks.board.board import Known
from earhook.sinks.board.entry import Entry
from earhook.sinks.board.envelope import records
from earhook.sinks.board.state import NUMBER_BITS
from earhook.sinks.board.stream import Choice

from .source import Heard, Opened, Seen, Told, Wish

__all__ = ["HouseSource"]

MAX_HISTORY_LINES = 10_000
_NUMBER = (1 << NUMBER_BITS) - 1


class HouseSource:
    """Answers at once.

    Args:
        board: What is known.
        tag: Put above the number of each call, so that those of several workers differ.
    """

    def __init__(self, board: Board, tag: int = 0) -> None:
        self._board = board
        self.tag = tag

    def see(self, wish: Wish) -> Seen:
        """As `Source.look`."""
        board, tag = self._board, self.tag
        known = wish.cursor if isinstance(wish.cursor, Known) else None
        found = board.look(known, tag)
        watch = wish.watch
        if watch is not None:
            watch = [number & _NUMBER for number in watch if number & ~_NUMBER == tag]
        return Seen(
            cursor=found.known,
            reset=found.reset,
            added=found.added,
            removed=found.removed,
            states=found.states,
            meters=meters(board.entries(watch), tag),
            opened=self._opened(wish),
            live=found.live,
            losing=found.losing,
            has_more=found.has_more,
        )

    def in_full(self, session: str) -> dict[str, Any] | None:
        """As `Source.call`."""
        entry = self._board.find(session)
        return None if entry is None else self._board.in_full(entry)

    def lines(self, cursor: object, choice: Choice, *, history: bool) -> Told:
        """As `Source.tell`."""
        if cursor is None and history:
            lines, place, missed = self._board.history(choice, MAX_HISTORY_LINES)
        else:
            known = cursor if isinstance(cursor, int) else None
            lines, place, missed = self._board.facts.since(known, choice)
        return Told(place, lines, missed)

    def begin(self, session: str) -> tuple[str, dict[str, Any]] | None:
        """As `Source.listen`."""
        return self._board.listeners.begin(self._board.find(session))

    def take(self, name: str) -> Heard | None:
        """As `Source.hear`."""
        return self._board.listeners.take(name)

    def end(self, name: str) -> None:
        """As `Source.hang_up`."""
        self._board.listeners.end(name)

    async def look(self, wish: Wish) -> Seen:
        """As `see`."""
        return self.see(wish)

    async def call(self, session: str) -> dict[str, Any] | None:
        """As `in_full`."""
        return self.in_full(session)

    async def tell(self, cursor: object, choice: Choice, *, history: bool) -> Told:
        """As `lines`."""
        return self.lines(cursor, choice, history=history)

    async def listen(self, session: str) -> tuple[str, dict[str, Any]] | None:
        """As `begin`."""
        return self.begin(session)

    async def hear(self, name: str) -> Heard | None:
        """As `take`."""
        return self.take(name)

    async def hang_up(self, name: str) -> None:
        """As `end`."""
        self.end(name)

    def _opened(self, wish: Wish) -> Opened | None:
        entry = None if wish.session is None else self._board.find(wish.session)
        if entry is None:
            return None
        number = self.tag | entry.number
        known = wish.opened
        if known is None or known.number != number:
            known = Opened(number, 0, (), 0, 0, b"")
        self._board.audience.watch(entry)
        events, missed = entry.history.since(known.told)
        position, envelope = _drawn(entry, number, known.position)
        return Opened(number, entry.history.told, events, missed, position, envelope)


def _drawn(entry: Entry, number: int, since: int) -> tuple[int, bytes]:
    stretch = entry.envelope_since(since)
    return (0, b"") if stretch is None else (stretch.end, records(stretch, number))
