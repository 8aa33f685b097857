"""Fingerprints of what was used already: one table for all worker processes.

The table is a piece of anonymous memory behind a file descriptor. Who starts workers hands them
the descriptor; whoever has it sees the same table. It is divided into buckets of a few dozen
slots, and a fingerprint belongs to one bucket. A bucket is locked while it is looked at, with a
record lock of the kernel, which lets go of it when its owner dies, however it dies.

Nothing has to be repaired after such a death: a slot counts from the moment its expiry is
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
from enum import Enum, auto
from hashlib import blake2b
from typing import Final, Self

from earhook.clock import SystemClock

__all__ = ["FINGERPRINT_BYTES", "Remembered", "ReplayStore"]

FINGERPRINT_BYTES: Final = 16
BUCKET_SLOTS: Final = 64
LOCK_SECONDS: Final = 0.02
"""A bucket is held for microseconds. Whoever holds it longer has been stopped, and must not
stop us too."""

_MAGIC: Final = b"earhook replay 1"
_HEADER: Final = struct.Struct("=16s32sQ")
"""What it is, the key of its fingerprints, the number of buckets."""
_HEADER_BYTES: Final = 64
_EXPIRY: Final = struct.Struct("@d")
_EXPIRIES: Final = struct.Struct(f"@{BUCKET_SLOTS}d")
_FINGERPRINTS_BYTES: Final = FINGERPRINT_BYTES * BUCKET_SLOTS
_BUCKET_BYTES: Final = _FINGERPRINTS_BYTES + _EXPIRIES.size
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_SAMPLED_BUCKETS: Final = 64


class Remembered(Enum):
    """What came of remembering a fingerprint."""

    NEW = auto()
    REPEATED = auto()
    FULL = auto()
    """There is no slot left whose time is over."""
    BUSY = auto()
    """Another process has held the bucket for too long."""


class ReplayStore:
    """The table as this process sees it. Not for several threads.

    `ReplayStore.create` makes a table, `ReplayStore.attach` joins one by its descriptor.
    """

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, 0)
        magic, key, buckets = _HEADER.unpack_from(self._memory)
        if magic != _MAGIC or len(self._memory) != _HEADER_BYTES + buckets * _BUCKET_BYTES:
            self._memory.close()
            raise ValueError("that descriptor is no replay table")
        self._descriptor = descriptor
        self._key = key
        self._buckets = int(buckets)
        # Closing any descriptor of a file gives up this process' locks on it, so there is one,
        # closed when the store goes.
        weakref.finalize(self, os.close, descriptor)

    @classmethod
    def create(cls, capacity: int) -> Self:
        """Make a table with twice as many slots as it is meant to remember.

        With half of the slots in use, no bucket is full: fingerprints are spread by a hash that
        nobody outside can compute.
        """
        buckets = max(1, -(-2 * capacity // BUCKET_SLOTS))
        descriptor = os.memfd_create("earhook-replay", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.truncate(descriptor, _HEADER_BYTES + buckets * _BUCKET_BYTES)
            # No process that has it can pull the memory away from under another one.
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
            os.pwrite(descriptor, _HEADER.pack(_MAGIC, secrets.token_bytes(32), buckets), 0)
            return cls(descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def attach(cls, descriptor: int) -> Self:
        """Join a table by a descriptor of it, which is the store's from then on.

        Raises:
            ValueError: It is something else.
        """
        return cls(descriptor)

    def fileno(self) -> int:
        """The descriptor to hand to a worker; it is not inheritable as it is."""
        return self._descriptor

    @property
    def slots(self) -> int:
        """Fingerprints that fit in at most."""
        return self._buckets * BUCKET_SLOTS

    def living(self, now: float) -> int:
        """Slots in use: counted in a small table, estimated from a sample in a large one."""
        step = max(1, self._buckets // _SAMPLED_BUCKETS)
        sampled = range(0, self._buckets, step)
        found = sum(sum(expiry >= now for expiry in self._expiries(bucket)) for bucket in sampled)
        return round(found * self._buckets / len(sampled))

    def remember(self, text: bytes, now: float, until: float) -> Remembered:
        """Remember a text, unless it is remembered already.

        Args:
            text: What is to be known again; only a fingerprint of it is kept.
            now: Seconds, above 0, of the clock that all processes share.
            until: The last moment at which the text has to be known.
        """
        fingerprint = blake2b(text, key=self._key, digest_size=FINGERPRINT_BYTES).digest()
        bucket = int.from_bytes(fingerprint[:8], "little") % self._buckets
        with self._held(bucket) as is_held:
            if not is_held:
                return Remembered.BUSY
            return self._remember(bucket, fingerprint, now, until)

    def _remember(self, bucket: int, fingerprint: bytes, now: float, until: float) -> Remembered:
        expiries = self._expiries(bucket)
        slot = self._find(bucket, fingerprint)
        if slot is None:
            slot = expiries.index(min(expiries))
            if expiries[slot] >= now:
                return Remembered.FULL
            place = self._place(bucket) + slot * FINGERPRINT_BYTES
            self._memory[place : place + FINGERPRINT_BYTES] = fingerprint
        elif expiries[slot] >= now:
            return Remembered.REPEATED
        place = self._place(bucket) + _FINGERPRINTS_BYTES + slot * _EXPIRY.size
        _EXPIRY.pack_into(self._memory, place, until)
        return Remembered.NEW

    def _find(self, bucket: int, fingerprint: bytes) -> int | None:
        """The slot with that fingerprint, whether its time is over or not."""
        start = self._place(bucket)
        end = start + _FINGERPRINTS_BYTES
        found = self._memory.find(fingerprint, start, end)
        while found >= 0:
            slot, offset = divmod(found - start, FINGERPRINT_BYTES)
            if offset == 0:
                return slot
            found = self._memory.find(fingerprint, found + 1, end)
        return None

    def _expiries(self, bucket: int) -> tuple[float, ...]:
        return _EXPIRIES.unpack_from(self._memory, self._place(bucket) + _FINGERPRINTS_BYTES)

    def _place(self, bucket: int) -> int:
        return _HEADER_BYTES + bucket * _BUCKET_BYTES

    @contextmanager
    def _held(self, bucket: int) -> Iterator[bool]:
        """Hold a bucket against every other process; False if it cannot be had soon."""
        if not self._lock(bucket):
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, bucket)

    def _lock(self, bucket: int) -> bool:
        due: float | None = None
        while not self._try_lock(bucket):
            now = SystemClock.monotonic_seconds()
            due = due or now + LOCK_SECONDS
            if now >= due:
                return False
            os.sched_yield()
        return True

    def _try_lock(self, bucket: int) -> bool:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, bucket)
        except OSError:
            return False
        return True
