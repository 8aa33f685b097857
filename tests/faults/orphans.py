"""Processes that a story has started, and those that they have: none of them outlives it."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["descendants", "no_orphans"]

_SET_CHILD_SUBREAPER = 36
"""prctl(2): whose parent ends becomes our child."""


@contextmanager
def no_orphans() -> Iterator[None]:
    """Kill whatever descends from this process at the end of the block, however it ends.

    Ctrl-C is not heard meanwhile. To be used where no child of this process is from before.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    try:
        yield
    finally:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            while found := descendants(os.getpid()):
                for pid in found:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                with suppress(ChildProcessError):
                    os.waitpid(-1, 0)
        finally:
            signal.signal(signal.SIGINT, before)


def descendants(pid: int) -> list[int]:
    """Children, their children, and so on; those that nobody has waited for included."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(OSError):
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found
