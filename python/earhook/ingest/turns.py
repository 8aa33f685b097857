"""One at a time, in the order of their numbers: blocks of a call that are under way together.

A sender may use several connections, so a block can be read completely before the one that
precedes it. It then waits for that one, and for nothing else.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Turn", "Turns"]


@dataclass(slots=True, eq=False)
class Turn:
    """A block that is under way.

    Attributes:
        turns: Whose turn it is.
        number: Of the block; None: it has none, and waits only while another is taken.
    """

    turns: Turns
    number: int | None

    def __enter__(self) -> Self:
        self.turns.arrive(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.turns.leave(self)


class Turns:
    """Whose turn it is among the blocks of one call. On the loop's thread only."""

    def __init__(self) -> None:
        self._present: list[Turn] = []
        self._waiting: dict[Turn, asyncio.Future[None]] = {}
        self._taking: Turn | None = None

    @property
    def present(self) -> int:
        """Blocks under way."""
        return len(self._present)

    def turn(self, number: int | None) -> Turn:
        """A block that comes: `with turns.turn(number) as turn:` around all of its life."""
        return Turn(self, number)

    async def wait(self, turn: Turn) -> None:
        """Wait until no other block is taken, and none with a lower number is under way."""
        if self._may_go(turn):
            self._taking = turn
            return
        going = asyncio.get_running_loop().create_future()
        self._waiting[turn] = going
        try:
            await going
        finally:
            self._waiting.pop(turn, None)

    def arrive(self, turn: Turn) -> None:
        """A block's head has come."""
        self._present.append(turn)

    def leave(self, turn: Turn) -> None:
        """A block is done, taken or not: let the next one go."""
        self._present.remove(turn)
        if self._taking is turn:
            self._taking = None
        if self._taking is not None:
            return
        # Only the lowest of those that wait can go; however many there are, they are looked at
        # once. Blocks without a number wait for nothing else, and go first.
        ready = [each for each, going in self._waiting.items() if not going.done()]
        if not ready:
            return
        first = min(ready, key=lambda each: -1 if each.number is None else each.number)
        if self._may_go(first):
            self._taking = first
            self._waiting[first].set_result(None)

    def _may_go(self, turn: Turn) -> bool:
        if self._taking is not None:
            return False
        own = turn.number
        if own is None:
            return True
        return all(other.number is None or other.number >= own for other in self._present)
