"""When the taking of a body is given up, though not all of it was taken. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .refusal import Word

__all__ = ["TakingBound", "TakingStopped"]


class TakingStopped(Exception):
    """No more of a body is taken; what was taken stays. It never leaves the room.

    Attributes:
        word: Why.
    """

    def __init__(self, word: Word) -> None:
        super().__init__(word)
        self.word = word


@dataclass(frozen=True, slots=True)
class TakingBound:
    """How far one body, or one piece of a stream, is taken.

    Attributes:
        end_position: Of the call, in its samples: beyond it is too much for one body.
        is_gone: Whether nobody is left to read the answer.
        is_stream: Whether it is a piece of a stream. What came of one before its peer left is
            live audio and is taken, unless it is too much; of one that stays, all is.
    """

    end_position: int
    is_gone: Callable[[], bool]
    is_stream: bool = False

    def check(self, position: int, *, must_wait: bool) -> None:
        """Ask before more is decoded.

        Args:
            position: Of the call, now.
            must_wait: Whether its sender is too fast. Who has gone is not waited for.

        Raises:
            TakingStopped: It ends here.
        """
        is_too_much = position >= self.end_position
        if (is_too_much if self.is_stream else must_wait) and self.is_gone():
            raise TakingStopped(Word.CUT)
        if is_too_much and not self.is_stream:
            raise TakingStopped(Word.TOO_MUCH)
