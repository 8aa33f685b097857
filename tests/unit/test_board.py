"""The board: rows that are never torn, limits that hold for the sum, and owners that die."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earhook.clock import SystemClock
from earhook.control import board as board_module
from earhook.control.board import Board, Counts
from earhook.errors import CapacityError

COUNTS = st.builds(
    Counts,
    st.integers(0, (1 << 24) - 1),
    st.integers(0, (1 << 16) - 1),
    st.integers(0, (1 << 24) - 1),
)


@given(st.dictionaries(st.integers(1, 1 << 40), COUNTS, max_size=8), st.data())
def test_what_a_worker_writes_is_what_everybody_reads(
    written: dict[int, Counts], more: st.DataObject
) -> None:
    board = Board.create(rows=8)
    for slot, generation in enumerate(written):
        board.enter(slot, generation)
    seats = {generation: board.seat(generation) for generation in written}
    for generation, counts in written.items():
        seats[generation].write(counts)
        seats[generation].write_live(sum(counts))
    seen = {row.generation: (row.slot, row.counts, row.live) for row in board.rows()}
    assert seen == {
        generation: (slot, counts, sum(counts))
        for slot, (generation, counts) in enumerate(written.items())
    }
    for generation, seat in seats.items():
        others = [counts for other, counts in written.items() if other != generation]
        assert seat.others() == Counts(*(sum(column) for column in zip(*others, strict=True)))
    if written:
        dead = more.draw(st.sampled_from(sorted(written)))
        row = board.leave(dead)
        assert row is not None
        assert row.counts == written[dead]
        assert board.row(dead) is None
        assert board.leave(dead) is None


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40)), max_size=300))
def test_names_are_counted_as_a_table_of_them_would(writes: list[tuple[int, int]]) -> None:
    board = Board.create(rows=2)
    board.enter(0, 1)
    board.enter(1, 2)
    seats, expected = (board.seat(1), board.seat(2)), (Counter[bytes](), Counter[bytes]())
    for number, (name, calls) in enumerate(writes):
        text = b"%d" % name
        seats[number % 2].write_named(text, calls)
        expected[number % 2][text] = calls
    for name in range(61):
        text = b"%d" % name
        assert seats[0].others_named(text) == expected[1][text]
        assert seats[1].others_named(text) == expected[0][text]


def test_two_thousand_names_fit_and_a_successor_inherits_none() -> None:
    board = Board.create(rows=2)
    board.enter(0, 1)
    board.enter(1, 2)
    first, second = board.seat(1), board.seat(2)
    for name in range(2000):
        first.write_named(b"%d" % name, name + 1)
    assert [second.others_named(b"%d" % name) for name in range(2000)] == list(range(1, 2001))
    board.leave(1)
    assert second.others_named(b"7") == 0
    board.enter(0, 3)
    assert second.others_named(b"7") == 0
    assert second.others() == Counts()


def test_names_beyond_the_table_do_no_harm() -> None:
    board = Board.create(rows=2)
    board.enter(0, 1)
    board.enter(1, 2)
    first, second = board.seat(1), board.seat(2)
    for name in range(6000):
        first.write_named(b"%d" % name, 3)
    assert {second.others_named(b"%d" % name) for name in range(6000)} == {0, 3}
    for name in range(6000):
        first.write_named(b"%d" % name, 0)
    assert {second.others_named(b"%d" % name) for name in range(6000)} == {0}


def test_rows_have_an_end() -> None:
    board = Board.create(rows=2)
    board.enter(0, 1)
    board.enter(1, 2)
    with pytest.raises(CapacityError):
        board.enter(0, 3)
    board.leave(1)
    board.enter(0, 3)
    with pytest.raises(ValueError, match="no row"):
        board.seat(1)


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"earhook board  1" + b"\0" * 48])
def test_something_else_is_no_board(content: bytes) -> None:
    descriptor = os.memfd_create("something else")
    try:
        os.write(descriptor, content)
        with pytest.raises(ValueError):  # noqa: PT011 - an empty file has the system's words
            Board.attach(descriptor)
    finally:
        os.close(descriptor)


def test_a_row_is_never_read_torn() -> None:
    board = Board.create(rows=2)
    board.enter(0, 7)
    with running(board, TEAR) as worker:
        counts, seen = {row.counts for row in board.rows()}, 0
        due = SystemClock.monotonic_seconds() + 0.4
        while SystemClock.monotonic_seconds() < due:
            counts.add(board.rows()[0].counts)
            seen += 1
        assert worker.poll() is None
    assert len(counts) > 10
    assert seen > 100
    # One number in three fields: a mixture of two writes would not be one.
    assert all(media == probes == ingest for media, probes, ingest in counts)


@pytest.mark.parametrize("is_locked_out", [False, True], ids=["with the lock", "without"])
def test_who_takes_first_and_then_counts_never_passes_a_limit(*, is_locked_out: bool) -> None:
    limit, board = 2000, Board.create(rows=8)
    for number in range(4):
        board.enter(number, number + 1)
    with ExitStack() as stack:
        if is_locked_out:
            # The others do without, each of them after it has waited once.
            stack.enter_context(running(board, HOLD))
        for number in range(3):
            stack.enter_context(running(board, TAKE, str(number + 1), str(limit)))
        due = SystemClock.monotonic_seconds() + 20.0
        while sum(row.live for row in board.rows()) < limit:
            assert SystemClock.monotonic_seconds() < due
        stack.enter_context(running(board, "print('ready', flush=True)"))  # and a moment more
        assert sum(row.live for row in board.rows()) == limit


def test_a_lock_goes_with_its_owner() -> None:
    board = Board.create(rows=2)
    board.enter(0, 1)
    with running(board, HOLD) as worker:
        began = SystemClock.monotonic_seconds()
        with board.held():
            pass
        waited = SystemClock.monotonic_seconds() - began
        assert waited >= board_module.LOCK_SECONDS
        # It has been found stopped: nobody waits for it each time.
        with board.held():
            pass
        assert SystemClock.monotonic_seconds() - began - waited < board_module.LOCK_SECONDS
        worker.kill()
        worker.wait(5)
        with board.held():
            fcntl.lockf(board.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)


BEGIN = """
import random, sys, time
from earhook.control.board import Board, Counts
board = Board.attach(int(sys.argv[1]))
"""
TEAR = """
seat = board.seat(7)
print("ready", flush=True)
while True:
    number = random.randrange(1 << 16)
    seat.write(Counts(number, number, number))
"""
TAKE = """
seat, limit, own = board.seat(int(sys.argv[2])), int(sys.argv[3]), 0
print("ready", flush=True)
while True:
    with seat.held():
        seat.write(Counts(media=own + 1))
        if own + seat.others().media < limit:
            own += 1
            seat.write_live(own)
        else:
            seat.write(Counts(media=own))
"""
HOLD = """
with board.held():
    print("ready", flush=True)
    time.sleep(60)
"""


@contextmanager
def running(board: Board, program: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process with the board, that has said it is ready."""
    number = board.fileno()
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN + program, str(number), *arguments],
        stdout=subprocess.PIPE,
        pass_fds=[number],
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
