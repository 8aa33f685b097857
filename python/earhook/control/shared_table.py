"""A table that several processes share: fingerprints of texts, and a number beside each.

The table is a piece of anonymous memory behind a file descriptor. Who starts workers hands them
the descriptor; whoever has it sees the same table. It is divided into buckets of a few dozen
slots, and a fingerprint belongs to one bucket. A bucket is locked while it is changed, with a
record lock of the kernel, which lets go of it when its owner dies, however it dies.

Nothing has to be repaired after such a death: a slot counts from the moment its number is
written, which is the last thing that is written, in one piece.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
import struct
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, Final, NamedTuple, Self

from earhook.clock import SystemClock

__all__ = ["Place", "SharedTable", "TableKind"]

FINGERPRINT_BYTES: Final = 16
BUCKET_SLOTS: Final = 64
_HEADER: Final = struct.Struct("=16s32sQ")
"""What it is, the key of its fingerprints, the number of buckets."""
_HEADER_BYTES: Final = 64
_FINGERPRINTS_BYTES: Final = FINGERPRINT_BYTES * BUCKET_SLOTS
_NUMBER_BYTES: Final = 8
_BUCKET_BYTES: Final = _FINGERPRINTS_BYTES + _NUMBER_BYTES * BUCKET_SLOTS
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class TableKind(NamedTuple):
    """What a table is for.

    Attributes:
        name: Of the memory, for whoever looks at the process.
        magic: What its memory begins with, 16 bytes.
        number: How a number is kept: a letter of `struct` that stands for eight bytes.
        lock_seconds: How long a bucket is waited for. It is held for microseconds, and for some
            milliseconds where the machine has more to do than it can. Whoever holds it longer has
            been stopped, and must not stop us too.
    """

    name: str
    magic: bytes
    number: str
    lock_seconds: float


class Place(NamedTuple):
    """Where a text belongs: its bucket, and its fingerprint."""

    bucket: int
    fingerprint: bytes


class SharedTable:
    """The table as this process sees it. Not for several threads.

    `SharedTable.create` makes a table, `SharedTable(kind, descriptor)` joins one. A process has a
    table once: closing any descriptor of a file gives up all locks that its process has on it.

    Attributes:
        buckets: How many there are.
    """

    def __init__(self, kind: TableKind, descriptor: int) -> None:
        """Join a table by a descriptor of it, which is the table's from then on.

        Raises:
            ValueError: It is something else.
        """
        # All pages now: later, as they are first used, would look like a leak.
        self._memory = mmap.mmap(descriptor, 0, mmap.MAP_SHARED | mmap.MAP_POPULATE)
        magic, key, buckets = _HEADER.unpack_from(self._memory)
        if magic != kind.magic or len(self._memory) != _HEADER_BYTES + buckets * _BUCKET_BYTES:
            self._memory.close()
            raise ValueError(f"that descriptor is no {kind.name} table")
        self.buckets = int(buckets)
        self._descriptor = descriptor
        self._key = key
        self._lock_seconds = kind.lock_seconds
        self._number = struct.Struct(f"@{kind.number}")
        self._numbers = struct.Struct(f"@{BUCKET_SLOTS}{kind.number}")
        weakref.finalize(self, os.close, descriptor)

    @classmethod
    def create(cls, kind: TableKind, capacity: int) -> Self:
        """Make a table with twice as many slots as it is meant to keep.

        With half of the slots in use, no bucket is full: fingerprints are spread by a hash that
        nobody outside can compute.
        """
        buckets = max(1, -(-2 * capacity // BUCKET_SLOTS))
        flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
        descriptor = os.memfd_create(f"earhook-{kind.name}", flags)
        try:
            os.truncate(descriptor, _HEADER_BYTES + buckets * _BUCKET_BYTES)
            # No process that has it can pull the memory away from under another one.
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
            os.pwrite(descriptor, _HEADER.pack(kind.magic, secrets.token_bytes(32), buckets), 0)
            return cls(kind, descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    def fileno(self) -> int:
        """The descriptor to hand to a worker; it is not inheritable as it is."""
        return self._descriptor

    @property
    def slots(self) -> int:
        """Fingerprints that fit in at most."""
        return self.buckets * BUCKET_SLOTS

    def place_of(self, text: bytes) -> Place:
        """Where a text belongs; only a fingerprint of it is ever kept."""
        fingerprint = blake2b(text, key=self._key, digest_size=FINGERPRINT_BYTES).digest()
        return Place(int.from_bytes(fingerprint[:8], "little") % self.buckets, fingerprint)

    # A bucket. What is written, is written by who holds it.

    def find(self, place: Place) -> int | None:
        """The slot with that fingerprint, whatever its number is."""
        start = self._start(place.bucket)
        end = start + _FINGERPRINTS_BYTES
        found = self._memory.find(place.fingerprint, start, end)
        while found >= 0:
            slot, offset = divmod(found - start, FINGERPRINT_BYTES)
            if offset == 0:
                return slot
            found = self._memory.find(place.fingerprint, found + 1, end)
        return None

    def numbers(self, bucket: int) -> tuple[Any, ...]:
        """The numbers of a bucket, slot by slot; 0 where nothing was ever written."""
        return self._numbers.unpack_from(self._memory, self._start(bucket) + _FINGERPRINTS_BYTES)

    def write_fingerprint(self, place: Place, slot: int) -> None:
        """Put a fingerprint into a slot whose number says that nobody needs it."""
        start = self._start(place.bucket) + slot * FINGERPRINT_BYTES
        self._memory[start : start + FINGERPRINT_BYTES] = place.fingerprint

    def write_number(self, bucket: int, slot: int, number: float) -> None:
        """Write the number of a slot, in one piece: from now on it counts."""
        start = self._start(bucket) + _FINGERPRINTS_BYTES + slot * _NUMBER_BYTES
        self._number.pack_into(self._memory, start, number)

    @contextmanager
    def held(self, bucket: int) -> Iterator[bool]:
        """Hold a bucket against every other process; False if it cannot be had soon."""
        if not self._lock(bucket):
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, bucket)

    # A sign of life.

    def live_as(self, number: int) -> None:
        """Hold a number until this process ends, however it ends; nobody has to be told.

        Raises:
            ValueError: Another process lives as that number.
        """
        if not self._try_lock(_LIVES + number):
            raise ValueError(f"another process lives as {number} already")

    def lives(self, number: int) -> bool:
        """Whether another process lives as that number; of its own, a process has to know."""
        asked = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _LIVES + number, 1, 0)
        answer = fcntl.fcntl(self._descriptor, fcntl.F_GETLK, asked)
        return bool(_LOCK.unpack(answer)[0] != fcntl.F_UNLCK)

    def _start(self, bucket: int) -> int:
        return _HEADER_BYTES + bucket * _BUCKET_BYTES

    def _lock(self, bucket: int) -> bool:
        due: float | None = None
        while not self._try_lock(bucket):
            now = SystemClock.monotonic_seconds()
            due = due or now + self._lock_seconds
            if now >= due:
                return False
            os.sched_yield()
        return True

    def _try_lock(self, offset: int) -> bool:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
        except OSError:
            return False
        return True


_LIVES: Final = 1 << 40
"""Where the locks of the living begin: far behind those of the buckets, and of the memory."""
_LOCK: Final = struct.Struct("@hhqqi0q")
"""`struct flock` of fcntl(2), on 64-bit Linux."""
