"""What one process has, and what all of them have, where a limit holds for the sum.

With one process there is nobody else: then every question is answered with 0, at no cost. With
several, what is taken is on the board before anybody else counts, and what has ended is off it
within a tenth of a second: so a limit is never passed, and a place is free again soon.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import orjson

from .board import Counts

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from earhook.ids import KeyName
    from earhook.ingest.credentials import Party

    from .board import Seat

__all__ = ["Alone", "Elsewhere", "Present", "SharedCalls"]

TICK_SECONDS: Final = 0.1


class Elsewhere:
    """The calls of one door that other processes have: none, where there is no other."""

    def held(self) -> AbstractContextManager[Any]:
        """Keep every other process from counting, to count and to take in one step."""
        return _NOTHING_HELD

    @property
    def calls(self) -> int:
        """What counts as calls."""
        return 0

    @property
    def probes(self) -> int:
        """What was let in as probes only."""
        return 0

    def take(self, calls: int) -> None:
        """Say that this process has so many calls from now on."""

    def take_probe(self, probes: int) -> None:
        """The same of what was let in as probes."""


class Alone:
    """For a gateway of one process."""

    def start(self, present: Present) -> None:
        """There is nobody to be told."""

    def stop(self) -> None:
        """There was nobody to be told."""

    def at(self, _door: Literal["media", "ingest"]) -> Elsewhere:
        """What others have at a door: nothing."""
        return Elsewhere()

    def has_room(self, _key: KeyName, own: int, cap: int | None) -> bool:
        """Whether a key may have one more call, where it has `own`."""
        return cap is None or own < cap


class Present(NamedTuple):
    """What this process has now, told by those who know.

    Attributes:
        counts: What is held against limits.
        live: Calls that are live.
        of_key: Calls of one key at the media port.
        of_sender: Calls of one credential, or of one party, at the ingest.
    """

    counts: Callable[[], Counts]
    live: Callable[[], int]
    of_key: Callable[[KeyName], int]
    of_sender: Callable[[Party | KeyName], int]


class SharedCalls:
    """For one worker of several; it is also what the ingest asks about a sender (`Others`).

    A door takes before it lets in. If what was taken then comes to nothing, that is seen as soon
    as the loop turns, so nobody can keep places that are not used.

    Args:
        seat: Our row.
        loop: The running loop; everything happens on its thread.
    """

    def __init__(self, seat: Seat, loop: asyncio.AbstractEventLoop) -> None:
        self._seat = seat
        self._loop = loop
        self._present: Present | None = None
        self._written = Counts()
        self._names: dict[bytes, tuple[Callable[[], int], int]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._will_publish = False

    def start(self, present: Present) -> None:
        """Publish what there is, from now on."""
        self._present = present
        self._tick()

    def stop(self) -> None:
        """Cease to; the row says what there is at this moment."""
        self.publish()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._present = None

    def held(self) -> AbstractContextManager[Any]:
        """As `Elsewhere.held`."""
        return self._seat.held()

    def at(self, door: Literal["media", "ingest"]) -> Elsewhere:
        """What others have at a door."""
        return _ElsewhereAt(self, door)

    def others(self) -> Counts:
        """What all others have."""
        return self._seat.others()

    def take(self, **counts: int) -> None:
        """Say that this process has so many from now on."""
        self._write(self._written._replace(**counts))
        self._publish_soon()

    def has_room(self, key: KeyName, own: int, cap: int | None) -> bool:
        """Whether a key may have one more call at the media port; if so, it is taken.

        Args:
            key: Which.
            own: What it has in this process.
            cap: What it may have in all of them together; None: no number was set.
        """
        name, present = _name("media", key), self._present
        with self.held():
            if present is not None:
                self._take_named(name, own + 1, lambda: present.of_key(key))
            # Whether the lock was had or not: `Admissions.judge` says why in this order.
            has_room = cap is None or own + self._seat.others_named(name) < cap
            if not has_room and present is not None:
                self._take_named(name, own, lambda: present.of_key(key))
        return has_room

    def of_sender(self, whose: Party | KeyName) -> int:
        """What others have of a credential, or of a party, at the ingest."""
        return self._seat.others_named(_name("ingest", whose))

    def take_of_sender(self, whose: Party | KeyName, calls: int) -> None:
        """Say that this process has so many of these from now on."""
        present = self._present
        if present is not None:
            self._take_named(_name("ingest", whose), calls, lambda: present.of_sender(whose))

    def publish(self) -> None:
        """Bring the row in line with what there is."""
        self._will_publish = False
        present = self._present
        if present is None:
            return
        self._write(present.counts())
        self._seat.write_live(present.live())
        for name, (count, written) in list(self._names.items()):
            calls = count()
            if calls != written:
                self._seat.write_named(name, calls)
                self._names[name] = (count, calls)
            if not calls:
                del self._names[name]

    def _take_named(self, name: bytes, calls: int, count: Callable[[], int]) -> None:
        self._seat.write_named(name, calls)
        self._names[name] = (count, calls)
        self._publish_soon()

    def _write(self, counts: Counts) -> None:
        if counts != self._written:
            self._seat.write(counts)
            self._written = counts

    def _publish_soon(self) -> None:
        if not self._will_publish and self._present is not None:
            self._will_publish = True
            self._loop.call_soon(self.publish)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)
        self.publish()


class _ElsewhereAt(Elsewhere):
    def __init__(self, shared: SharedCalls, door: Literal["media", "ingest"]) -> None:
        self._shared = shared
        self._door = door

    def held(self) -> AbstractContextManager[Any]:
        return self._shared.held()

    @property
    def calls(self) -> int:
        others = self._shared.others()
        return others.media if self._door == "media" else others.ingest

    @property
    def probes(self) -> int:
        return self._shared.others().probes

    def take(self, calls: int) -> None:
        self._shared.take(**{self._door: calls})

    def take_probe(self, probes: int) -> None:
        self._shared.take(probes=probes)


def _name(door: str, whose: Party | KeyName) -> bytes:
    """One text for each credential or party of a door, and never the same for two."""
    if isinstance(whose, tuple):
        name, organizations = whose
        return orjson.dumps([door, name, sorted(organizations)])
    return orjson.dumps([door, whose])


_NOTHING_HELD: Final = nullcontext()
