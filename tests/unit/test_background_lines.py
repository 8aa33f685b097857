"""Log lines behind a reader that has stopped reading: nobody waits, losses are counted."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from earhook.ops.background import MAX_WAITING, BackgroundStream


class ShutPipe(io.StringIO):
    """A pipe that takes nothing until somebody opens it."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = threading.Event()
        self.reached = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        self.opened.wait(10.0)
        return super().write(text)


class Moody(io.StringIO):
    """A target that can be broken and mended: a file on a full disk."""

    def __init__(self) -> None:
        super().__init__()
        self.is_broken = False
        self.tried = threading.Event()

    def write(self, text: str) -> int:
        self.tried.set()
        if self.is_broken:
            raise OSError
        return super().write(text)


def wait_until(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Ask again until it holds or time is over."""
    due = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > due:
            return False
        os.sched_yield()
    return True


def test_lines_arrive_in_order_and_the_end_waits_for_them() -> None:
    target = io.StringIO()
    stream = BackgroundStream(target)
    for number in range(1000):
        stream.write(f"{number}\n")
    assert stream.end(5.0)
    assert target.getvalue().split() == [str(number) for number in range(1000)]


def test_lines_can_be_waited_for_and_it_goes_on() -> None:
    target = ShutPipe()
    stream = BackgroundStream(target)
    stream.write("first\n")
    assert target.reached.wait(10.0)
    assert not stream.settle(0.01), "it is being written"
    target.opened.set()
    assert stream.settle(10.0)
    assert target.getvalue() == "first\n"
    stream.write("second\n")
    assert stream.end(10.0)
    assert target.getvalue() == "first\nsecond\n"


def test_a_reader_that_has_stopped_costs_lines_and_no_time() -> None:
    target = ShutPipe()
    stream = BackgroundStream(target)
    stream.write("first\n")
    assert target.reached.wait(5.0)
    for _ in range(MAX_WAITING + 7):
        stream.write("x\n")
    assert stream.lost_lines == 7
    assert not stream.end(0.0)
    target.opened.set()
    assert stream.end(5.0)
    assert len(target.getvalue().splitlines()) == MAX_WAITING + 1


def test_a_reader_that_has_gone_breaks_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as target:
        stream = BackgroundStream(target)
        stream.write("to nobody\n")
        assert stream.end(5.0)
        _discard(target)


def _discard(target: Any) -> None:
    """Point a broken stream at nothing, so that closing it does not write again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), target.fileno())


def test_lines_to_nobody_are_counted_and_told_when_somebody_reads_again() -> None:
    target = Moody()
    stream = BackgroundStream(target)
    target.is_broken = True
    stream.write("one\n")
    assert target.tried.wait(5.0)
    assert wait_until(lambda: stream.lost_lines == 1)
    assert stream.take_lost() == 0  # nobody would read about it
    target.is_broken = False
    stream.write("two\n")
    assert wait_until(lambda: target.getvalue() == "two\n" and stream.take_lost() == 1)
    assert stream.take_lost() == 0
    assert stream.end(5.0)
