"""What every worker process has live, for all of them to see: a row for each of them.

The board is a piece of anonymous memory behind a file descriptor. The parent makes it, enters
every worker it starts, and takes the row away when that one is dead. A row is written by its
worker alone and read by everybody, without asking: so a limit can hold for the sum of them, and
what a dead worker had is known.

Everything that is read as one thing is one word of eight bytes, written in one piece. A row is
never half old and half new, and nothing has to be repaired when a worker dies while it writes.

To count and to take in one step (`held`), a record lock of the kernel is held for microseconds;
it lets go when its owner dies, however it dies.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
import sys
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from hashlib import blake2b
from typing import Final, NamedTuple, Self

from earhook.clock import SystemClock
from earhook.errors import CapacityError

__all__ = ["Board", "Counts", "Row", "Seat"]

LOCK_SECONDS: Final = 0.02
"""Whoever holds the lock longer has been stopped in that very moment, and must not stop us too."""
LOCK_REST_SECONDS: Final = 1.0
"""How long we then do without it."""


class Counts(NamedTuple):
    """What is held against limits of calls: `media` and `probes` at the media port."""

    media: int = 0
    probes: int = 0
    ingest: int = 0


class Row(NamedTuple):
    """One worker, as it is known on the board.

    Attributes:
        slot: Its place among the workers.
        generation: Its number, which no other worker ever had.
        counts: What is held against limits.
        live: Calls that are live.
    """

    slot: int
    generation: int
    counts: Counts
    live: int


class Board:
    """The board as this process sees it. Not for several threads.

    `Board.create` makes one, `Board.attach` joins one by its descriptor.
    """

    def __init__(self, descriptor: int) -> None:
        self._memory = _Memory(descriptor)
        self._descriptor = descriptor
        self._does_without_until = 0.0
        # Closing any descriptor of a file gives up this process' locks on it, so there is one,
        # closed when the board goes.
        weakref.finalize(self, os.close, descriptor)

    @classmethod
    def create(cls, rows: int = 256) -> Self:
        """Make a board for that many processes at once, those that drain included."""
        descriptor = os.memfd_create("earhook-board", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.truncate(descriptor, _size_in_bytes(rows))
            # No process that has it can pull the memory away from under another one.
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
            head = _MAGIC + secrets.token_bytes(_KEY_BYTES) + rows.to_bytes(8, sys.byteorder)
            os.pwrite(descriptor, head, 0)
            return cls(descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def attach(cls, descriptor: int) -> Self:
        """Join a board by a descriptor of it, which is the board's from then on.

        Raises:
            ValueError: It is something else; the descriptor is still the caller's.
        """
        return cls(descriptor)

    def fileno(self) -> int:
        """The descriptor to hand to a worker; it is not inheritable as it is."""
        return self._descriptor

    def enter(self, slot: int, generation: int) -> None:
        """Give a worker a row, before it starts. Only for the parent.

        Raises:
            CapacityError: Every row is taken.
        """
        memory = self._memory
        if not 0 <= slot <= _MAX_SLOT or not 0 < generation <= _MAX_GENERATION:
            raise ValueError(f"slot {slot} or generation {generation} is out of range")
        for number in range(memory.rows):
            if not memory.identity(number):
                memory.take(number, slot << _GENERATION_BITS | generation)
                return
        raise CapacityError(f"{memory.rows} workers live or drain: no row is left on the board")

    def leave(self, generation: int) -> Row | None:
        """Take the row of a worker that is dead, and say what was on it. Only for the parent.

        A process that still runs would go on writing into the row of its successor.
        """
        number = self._memory.find(generation)
        if number is None:
            return None
        row = self._memory.row(number)
        self._memory.free(number)
        return row

    def row(self, generation: int) -> Row | None:
        """What is known of a worker; None where it has no row."""
        number = self._memory.find(generation)
        return None if number is None else self._memory.row(number)

    def rows(self) -> list[Row]:
        """Every worker that has a row."""
        return [self._memory.row(number) for number in self._memory.taken()]

    def seat(self, generation: int) -> Seat:
        """The row of this process, to write to.

        Raises:
            ValueError: The parent has not entered it.
        """
        number = self._memory.find(generation)
        if number is None:
            raise ValueError(f"worker {generation} has no row on the board")
        return Seat(self, self._memory, number)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the board against every other process, to count and to take in one step.

        Where a process was stopped while it held the lock, it is done without. Whoever takes
        first and then counts, and gives back what was too much, never passes a limit even so.
        """
        if not self._lock():
            yield
            return
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, 0)

    def _lock(self) -> bool:
        due: float | None = None
        while not self._try_lock():
            now = SystemClock.monotonic_seconds()
            if now < self._does_without_until:
                return False
            due = due or now + LOCK_SECONDS
            if now >= due:
                self._does_without_until = now + LOCK_REST_SECONDS
                return False
            os.sched_yield()
        return True

    def _try_lock(self) -> bool:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)
        except OSError:
            return False
        return True


class Seat:
    """The row of one process, to write to, and what it sees of the others'.

    Names (of credentials, of parties) are kept as fingerprints that nobody outside can compute,
    so that a number can hold for what all workers have of one. Of more than some two thousand at
    once in one worker, some are not kept: for them the number holds in each worker by itself.
    """

    def __init__(self, board: Board, memory: _Memory, number: int) -> None:
        self._board = board
        self._memory = memory
        self._number = number

    def held(self) -> AbstractContextManager[None]:
        """As `Board.held`."""
        return self._board.held()

    def write(self, counts: Counts) -> None:
        """Say what this process has, in one piece."""
        self._memory.write_counts(self._number, counts)

    def write_live(self, calls: int) -> None:
        """Say how many calls are live in it."""
        self._memory.write_live(self._number, calls)

    def write_named(self, name: bytes, calls: int) -> None:
        """Say how many calls of a name it has."""
        memory, fingerprint = self._memory, self._memory.fingerprint(name)
        free: int | None = None
        for word in memory.places(self._number, fingerprint):
            value = memory.words[word]
            if value >> _CALLS_BITS == fingerprint:
                memory.words[word] = fingerprint << _CALLS_BITS | min(calls, _MAX_CALLS)
                return
            if free is None and not value & _MAX_CALLS:
                free = word
            if not value:
                break
        if free is not None and calls:
            memory.words[free] = fingerprint << _CALLS_BITS | min(calls, _MAX_CALLS)

    def others(self) -> Counts:
        """What all other processes have together."""
        found = [self._memory.row(number).counts for number in self._elsewhere()]
        return Counts(*map(sum, zip(*found, strict=True))) if found else Counts()

    def others_named(self, name: bytes) -> int:
        """What all other processes have of a name."""
        fingerprint = self._memory.fingerprint(name)
        return sum(self._memory.named(number, fingerprint) for number in self._elsewhere())

    def _elsewhere(self) -> Iterator[int]:
        return (number for number in self._memory.taken() if number != self._number)


class _Memory:
    """Where everything is, as words of eight bytes.

    The head: what it is, the key of the fingerprints, the number of rows, and how many of them
    were ever taken. Then the rows; then, for each row, a hash table of names: the upper bits of
    a word are the fingerprint, the lower ones the calls. 0 was never used and ends a search;
    no calls is free to be used again.
    """

    def __init__(self, descriptor: int) -> None:
        memory = mmap.mmap(descriptor, 0)
        self.words = memoryview(memory).cast("Q")
        self.rows = self.words[_ROWS_WORD] if len(self.words) > _ROWS_FROM else 0
        fits = self.rows > 0 and len(memory) == _size_in_bytes(self.rows)
        if memory[: len(_MAGIC)] != _MAGIC or not fits:
            self.words.release()
            memory.close()
            raise ValueError("that descriptor is no board of calls")
        self._key = bytes(memory[len(_MAGIC) : len(_MAGIC) + _KEY_BYTES])

    def identity(self, number: int) -> int:
        return self.words[_ROWS_FROM + number * _ROW_WORDS]

    def taken(self) -> list[int]:
        reach = self.words[_REACH_WORD]
        end = _ROWS_FROM + reach * _ROW_WORDS
        identities = self.words[_ROWS_FROM:end:_ROW_WORDS].tolist()
        return [number for number, identity in enumerate(identities) if identity]

    def find(self, generation: int) -> int | None:
        for number in self.taken():
            if self.identity(number) & _MAX_GENERATION == generation:
                return number
        return None

    def take(self, number: int, identity: int) -> None:
        """Empty a row, then give it to somebody."""
        place, names = _ROWS_FROM + number * _ROW_WORDS, self._names_from(number)
        for word in range(names, names + _NAMES):
            if self.words[word]:
                self.words[word] = 0
        self.words[place + 1] = self.words[place + 2] = 0
        # Rows are taken from the front, so this is as far as anybody has to look.
        self.words[_REACH_WORD] = max(self.words[_REACH_WORD], number + 1)
        self.words[place] = identity

    def free(self, number: int) -> None:
        self.words[_ROWS_FROM + number * _ROW_WORDS] = 0

    def row(self, number: int) -> Row:
        place = _ROWS_FROM + number * _ROW_WORDS
        identity, counts, live = (self.words[word] for word in range(place, place + 3))
        slot, generation = identity >> _GENERATION_BITS, identity & _MAX_GENERATION
        return Row(slot, generation, _unpacked(counts), live)

    def write_counts(self, number: int, counts: Counts) -> None:
        self.words[_ROWS_FROM + number * _ROW_WORDS + 1] = _packed(counts)

    def write_live(self, number: int, calls: int) -> None:
        self.words[_ROWS_FROM + number * _ROW_WORDS + 2] = calls

    def fingerprint(self, name: bytes) -> int:
        """Of `_FINGERPRINT_BITS`, never 0."""
        digest = blake2b(name, key=self._key, digest_size=8).digest()
        return int.from_bytes(digest, "little") % _MAX_FINGERPRINT + 1

    def places(self, number: int, fingerprint: int) -> Iterator[int]:
        """Where a name can be in the table of a row, in the order in which it is looked for."""
        names = self._names_from(number)
        return (names + (fingerprint + step) % _NAMES for step in range(_STEPS))

    def named(self, number: int, fingerprint: int) -> int:
        for word in self.places(number, fingerprint):
            value = self.words[word]
            if value >> _CALLS_BITS == fingerprint:
                return value & _MAX_CALLS
            if not value:
                break
        return 0

    def _names_from(self, number: int) -> int:
        return _ROWS_FROM + self.rows * _ROW_WORDS + number * _NAMES


def _size_in_bytes(rows: int) -> int:
    return 8 * (_ROWS_FROM + rows * (_ROW_WORDS + _NAMES))


def _packed(counts: Counts) -> int:
    """All of it in one word; what does not fit is as much as fits."""
    media, probes, ingest = (
        min(count, (1 << bits) - 1) for count, bits in zip(counts, _COUNT_BITS, strict=True)
    )
    return (media << _COUNT_BITS[1] | probes) << _COUNT_BITS[2] | ingest


def _unpacked(word: int) -> Counts:
    _, probes_bits, ingest_bits = _COUNT_BITS
    media, rest = word >> probes_bits + ingest_bits, word & (1 << probes_bits + ingest_bits) - 1
    return Counts(media, rest >> ingest_bits, rest & (1 << ingest_bits) - 1)


_MAGIC: Final = b"earhook board  1"
_KEY_BYTES: Final = 32
_ROWS_WORD: Final = 6
_REACH_WORD: Final = 7
_ROWS_FROM: Final = 8
_ROW_WORDS: Final = 4
"""Who, what counts, how many calls; and one to spare."""
_COUNT_BITS: Final = (24, 16, 24)
_GENERATION_BITS: Final = 48
_MAX_GENERATION: Final = (1 << _GENERATION_BITS) - 1
_MAX_SLOT: Final = (1 << 16) - 1
_CALLS_BITS: Final = 20
_MAX_CALLS: Final = (1 << _CALLS_BITS) - 1
_MAX_FINGERPRINT: Final = (1 << 64 - _CALLS_BITS) - 1
_NAMES: Final = 4096
_STEPS: Final = 64
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
