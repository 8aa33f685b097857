"""Which worker process has which session: one table for all of them.

A worker is known by its generation, a number that is never used again. It holds a lock for as
long as it lives, so everybody sees at once when one has died: what it claimed is then free for
whoever takes it, and whoever started it clears away the rest.
"""

from __future__ import annotations

from typing import Final, Self

from earhook.errors import TooManyCalls
from earhook.ops.logging import get_limited_logger

from .shared_table import BUCKET_SLOTS, Place, SharedTable, TableKind

__all__ = ["Claims"]

_KIND: Final = TableKind("claims", b"earhook claims 1", "Q", lock_seconds=0.1)
_NOBODY: Final = 0
_READS: Final = 8
_LOG: Final = get_limited_logger(__name__)


class Claims:
    """The table as this process sees it; `earhook.hub.claims.SessionClaims` of a worker.

    Not for several threads. A process attaches once: when it closes any descriptor of the table's
    memory, it counts as dead.

    Attributes:
        generation: Of this worker; 0: this process is no worker, and claims nothing.
        full: Claims that found no slot.
        timeouts: Claims that could not be noted because another process held their bucket.
    """

    def __init__(self, table: SharedTable, generation: int) -> None:
        self.generation = generation
        self.full = 0
        self.timeouts = 0
        self._table = table
        self._held: dict[bytes, tuple[int, int]] = {}

    @classmethod
    def create(cls, capacity: int) -> Self:
        """Make a table for that many claims of all workers together."""
        return cls(SharedTable.create(_KIND, capacity), _NOBODY)

    @classmethod
    def attach(cls, descriptor: int, generation: int) -> Self:
        """Join a table as a worker.

        Args:
            descriptor: Of the table, which has it from then on.
            generation: Above 0; of no other worker, before or after.

        Raises:
            ValueError: That is no such table, or a worker of that generation lives.
        """
        table = SharedTable(_KIND, descriptor)
        if generation <= _NOBODY:
            raise ValueError(f"{generation} is no generation of a worker")
        table.live_as(generation)
        return cls(table, generation)

    @classmethod
    def join(cls, descriptor: int) -> Self:
        """Join a table as the process that clears it, which claims nothing itself.

        Raises:
            ValueError: That is no such table.
        """
        return cls(SharedTable(_KIND, descriptor), _NOBODY)

    def fileno(self) -> int:
        """The descriptor to hand to a worker; it is not inheritable as it is."""
        return self._table.fileno()

    @property
    def slots(self) -> int:
        """Claims that fit in at most."""
        return self._table.slots

    @property
    def count(self) -> int:
        """Claims of this worker."""
        return len(self._held)

    def is_living(self, generation: int) -> bool:
        """Whether a worker of that generation lives."""
        return generation == self.generation or self._table.lives(generation)

    def take(self, name: bytes) -> int | None:
        """Claim a name; see `SessionClaims`.

        Raises:
            TooManyCalls: See there.
        """
        if self.generation == _NOBODY:
            raise ValueError("only workers claim sessions")
        if name in self._held:
            return None
        place = self._table.place_of(name)
        with self._table.held(place.bucket) as is_held:
            if not is_held:
                self.timeouts += 1
                _LOG.error("claims.timeout", remedy="see which worker process stands still")
                raise TooManyCalls("the table of sessions is held by a process that stands still")
            return self._take(name, place)

    def owner(self, name: bytes) -> int | None:
        """The other worker that has it; see `SessionClaims`. No lock, so it waits for nobody."""
        place = self._table.place_of(name)
        for _ in range(_READS):
            slot = self._table.find(place)
            if slot is None:
                return None
            generation = int(self._table.numbers(place.bucket)[slot])
            # What was read belongs together if the name is still there: a slot gets another name
            # before it gets another owner.
            if self._table.find(place) == slot:
                return generation if self._has_other(generation) else None
        return None

    def give_back(self, name: bytes) -> None:
        """It is ours no longer; see `SessionClaims`. No lock: the slot was ours."""
        held = self._held.pop(name, None)
        if held is not None:
            self._table.write_number(*held, _NOBODY)

    def clear(self, generation: int) -> int:
        """Give back all that a worker had that has died; how much it was.

        Raises:
            ValueError: It lives.
        """
        if self.is_living(generation):
            raise ValueError(f"the worker of generation {generation} lives")
        cleared = 0
        for bucket in range(self._table.buckets):
            if generation not in self._table.numbers(bucket):
                continue
            with self._table.held(bucket) as is_held:
                if not is_held:
                    continue  # these are free for whoever wants them, all the same
                for slot, owner in enumerate(self._table.numbers(bucket)):
                    if owner == generation:
                        self._table.write_number(bucket, slot, _NOBODY)
                        cleared += 1
        return cleared

    def _take(self, name: bytes, place: Place) -> int | None:
        """Claim a name whose bucket is held."""
        owners = self._table.numbers(place.bucket)
        slot = self._table.find(place)
        if slot is not None and self._has_other(owners[slot]):
            return int(owners[slot])
        if slot is None:
            slot = self._free_slot(owners)
            if slot is None:
                self.full += 1
                _LOG.error("claims.full", slots=self.slots, remedy="this should not be: report it")
                raise TooManyCalls("the table of sessions is full")
            self._table.write_fingerprint(place, slot)
        self._table.write_number(place.bucket, slot, self.generation)
        self._held[name] = (place.bucket, slot)
        return None

    def _free_slot(self, owners: tuple[int, ...]) -> int | None:
        """A slot that nobody has, or whose owner has died."""
        if _NOBODY in owners:
            return owners.index(_NOBODY)
        dead = {owner for owner in set(owners) if not self.is_living(owner)}
        return next((slot for slot in range(BUCKET_SLOTS) if owners[slot] in dead), None)

    def _has_other(self, generation: int) -> bool:
        return generation not in {_NOBODY, self.generation} and self._table.lives(generation)
