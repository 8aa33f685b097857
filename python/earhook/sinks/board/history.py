"""What happened in one call, as it is shown: encoded once, and not kept for ever."""

from __future__ import annotations

from collections import deque
from typing import Final

import orjson

from earhook.sinks.base import CallEvent

from .masking import masked_details

__all__ = ["MAX_FACTS", "MAX_FACTS_BYTES", "History", "encoded"]

MAX_FACTS: Final = 256
MAX_FACTS_BYTES: Final = 64 << 10
LEAST_BYTES: Final = 4 << 10


class History:
    """The newest facts of a call, as JSON.

    Attributes:
        told: How many there were in all.
        kept_bytes: What those that are kept take.
    """

    __slots__ = ("_facts", "kept_bytes", "told")

    def __init__(self) -> None:
        self._facts: deque[bytes] = deque()
        self.told = 0
        self.kept_bytes = 0

    def add(self, event: CallEvent, wall_seconds: float, room_bytes: int) -> bytes:
        """Keep an event; give it as JSON. The oldest go when there is no room.

        Args:
            event: What happened.
            wall_seconds: When it became known.
            room_bytes: What all of them may take, within limits.
        """
        fact = encoded(event, round(wall_seconds, 3))
        self._facts.append(fact)
        self.told += 1
        self.kept_bytes += len(fact)
        room_bytes = min(MAX_FACTS_BYTES, max(LEAST_BYTES, room_bytes))
        facts = self._facts
        while len(facts) > MAX_FACTS or (self.kept_bytes > room_bytes and len(facts) > 1):
            self.kept_bytes -= len(facts.popleft())
        return fact

    def since(self, seen: int) -> tuple[list[bytes], int]:
        """What came after the first `seen` facts, and how many of it are no longer there."""
        new = max(0, self.told - seen)
        missed = max(0, new - len(self._facts))
        count = new - missed
        start = len(self._facts) - count
        return [self._facts[index] for index in range(start, len(self._facts))], missed


def encoded(event: CallEvent, wall_seconds: float) -> bytes:
    """An event as JSON, with what is personal masked."""
    fact = {
        "type": event.kind,
        "position": event.position,
        "time": wall_seconds,
        "details": masked_details(event),
    }
    try:
        return orjson.dumps(fact)
    except orjson.JSONEncodeError:
        # Half a surrogate pair, for instance: nothing that a page could show either.
        return orjson.dumps({**fact, "details": {}})
