"""Run by `test_faults` in an interpreter of its own, with a core that can fail on purpose."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import socket
import struct
import sys
from typing import Any

import pytest


def load_core(path: str) -> Any:
    """Load the extension of a path in the place of the installed one."""
    loader = importlib.machinery.ExtensionFileLoader("earhook._core", path)
    spec = importlib.util.spec_from_loader("earhook._core", loader)
    assert spec is not None
    core = importlib.util.module_from_spec(spec)
    sys.modules["earhook._core"] = core
    loader.exec_module(core)
    return core


def open_calls(core: Any, feed: Any) -> list[Any]:
    """Three calls with a sample each, attached as 1, 2 and 3."""
    budget = core.Budget(1 << 20)
    calls = []
    for number in (1, 2, 3):
        call = core.Pipeline(budget, codec="L16", channels=(0,), capacity_samples=100)
        feed.attach(number, call, channels=(0,))
        call.push(struct.pack("<h", number))
        calls.append(call)
    return calls


def fail_in_push(core: Any) -> None:
    """The push raises, the call ends with what it had, the other calls go on."""
    from earhook.errors import CoreFault

    feed = core.Feed()
    calls = open_calls(core, feed)
    with pytest.raises(CoreFault, match="decoding a frame"):
        core.fail_in_push(calls[1])
    assert [call.ended for call in calls] == [False, True, False]
    assert calls[1].push(b"\0\0") == 0
    assert calls[0].push(b"\0\0") == 1
    assert [block[0] for block in feed.drain_blocks(1 << 20)] == [1, 2, 3]
    assert feed.finished() == [2]


def fail_in_drain(core: Any) -> None:
    """The drain serves the other calls, and says which one it has ended."""
    from earhook.errors import CoreFault

    feed, other = core.Feed(), core.Feed()
    calls = open_calls(core, feed)
    other.attach(1, calls[1], channels=(0,))
    reported: list[Any] = []
    sys.unraisablehook = reported.append
    assert core.fail_in_drain(feed, 2) == [1, 3]
    assert [type(it.exc_value) for it in reported] == [CoreFault]
    assert feed.finished() == [2]
    assert [call.ended for call in calls] == [False, True, False]
    books = feed.books(2)
    assert (books.received, books.forwarded, books.buffered) == (1, 0, 0)
    assert books.dropped == {"overrun": 0, "detached": 0, "fault": 1}
    calls[0].push(b"\1\0")
    assert feed.drain_blocks(1 << 20) == [(1, 1, 0, 0, b"\1\0")]
    assert other.drain_blocks(1 << 20) == [(1, 0, 0, 0, b"\2\0")]
    assert other.finished() == [1]


class Listener:
    """Owner and listener of a line, of which some calls panic."""

    def __init__(self, core: Any, failing: tuple[str, ...] = ()) -> None:
        self.core = core
        self.failing = failing
        self.told: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def tell(*_said: Any) -> None:
            self.told.append(name)
            if name in self.failing:
                self.core.fail()

        return tell


def fail_in_line(core: Any) -> None:
    """The line ends, the others of the same turn go on, and so does the next turn."""
    reported: list[Any] = []
    sys.unraisablehook = reported.append
    board = core.Switchboard()
    outlet = socket.socket(fileno=board.take_outlet())
    # The second cannot even be ended in an orderly way.
    listeners = [
        Listener(core, ("hear_text",)),
        Listener(core, ("hear_text", "abort")),
        Listener(core),
    ]
    far_ends = []
    for listener in listeners:
        far, near = socket.socketpair()
        socket.send_fds(outlet, [b"\0"], [near.fileno()])
        near.close()
        line = board.admit(listener)
        line.pass_frames(listener, (65_536, 64, 200, 10))
        far_ends.append((far, line))
    for turn in (1, 2):
        for far, _ in far_ends[0 if turn == 1 else 2 :]:
            far.sendall(b"\x81\x80\0\0\0\0")
        board.serve(float(turn))
    assert [listener.told for listener in listeners] == [
        ["hear_text", "abort"],
        ["hear_text", "abort"],
        ["hear_text", "hear_text"],
    ]
    assert far_ends[1][0].recv(1) == b"", "hung up, since nobody else did it"
    assert len(reported) == 3


if __name__ == "__main__":
    provoked = load_core(sys.argv[1])
    fail_in_push(provoked)
    fail_in_drain(provoked)
    fail_in_line(provoked)
    sys.stdout.write("push drain line\n")
