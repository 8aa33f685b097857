"""What happened in one call, as it is shown: encoded once, and not kept for ever."""

from __future__ import annotations

from itertools import takewhile
from typing import Final

import orjson

from earhook.sinks.base import CallEvent

from .masking import masked_details

__all__ = ["MAX_FACTS", "MAX_FACTS_BYTES", "History", "encoded"]

MAX_FACTS: Final = 256
MAX_FACTS_BYTES: Final = 64 << 10
LEAST_BYTES: Final = 4 << 10
MAX_UNFINISHED: Final = 8
"""Utterances that are being said at a time: two, if all is well."""


class History:
    """The newest facts of a call, as JSON.

    Of an utterance that is still being said, only its newest form is kept: a recogniser repeats it
    twice a second, and nothing else would be left.

    Attributes:
        told: How many there were in all.
        kept_bytes: What those that are kept take.
    """

    __slots__ = ("_evicted", "_facts", "_unfinished", "kept_bytes", "told")

    def __init__(self) -> None:
        self._facts: dict[int, bytes] = {}
        self._unfinished: dict[object, int] = {}
        self._evicted = 0
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
        self.told += 1
        if event.kind == "transcript":
            self._replace(event)
        self._facts[self.told] = fact
        self.kept_bytes += len(fact)
        room_bytes = min(MAX_FACTS_BYTES, max(LEAST_BYTES, room_bytes))
        while len(self._facts) > MAX_FACTS or (
            self.kept_bytes > room_bytes and len(self._facts) > 1
        ):
            self._evicted = next(iter(self._facts))
            self._remove(self._evicted)
        return fact

    def since(self, seen: int) -> tuple[list[bytes], int]:
        """What came after the first `seen` facts, and how many of it had to go."""
        newest = takewhile(lambda number: number > seen, reversed(self._facts))
        facts = [self._facts[number] for number in newest]
        facts.reverse()
        return facts, max(0, self._evicted - seen)

    def _replace(self, event: CallEvent) -> None:
        """Forget what an utterance was before."""
        segment = event.details.get("segment")
        if not isinstance(segment, str):
            return
        number = self._unfinished.pop(segment, None)
        if number is not None:
            self._remove(number)
        if event.details.get("final") is not True:
            self._unfinished[segment] = self.told
            if len(self._unfinished) > MAX_UNFINISHED:
                del self._unfinished[next(iter(self._unfinished))]

    def _remove(self, number: int) -> None:
        self.kept_bytes -= len(self._facts.pop(number, b""))


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
