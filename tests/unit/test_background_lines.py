"""Log lines behind a reader that has stopped reading: nobody waits, losses are counted."""

from __future__ import annotations

import io
import os
import threading
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


def test_lines_arrive_in_order_and_the_end_waits_for_them() -> None:
    target = io.StringIO()
    stream = BackgroundStream(target)
    for number in range(1000):
        stream.write(f"{number}\n")
    assert stream.end(5.0)
    assert target.getvalue().split() == [str(number) for number in range(1000)]


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
