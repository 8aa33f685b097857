"""What the process does to itself before it serves."""

from __future__ import annotations

import gc
import os
import resource
import sys
from typing import Final

from earhook.ops.logging import get_logger

__all__ = [
    "collect_rarely",
    "harden",
    "keep_standard_streams",
    "raise_open_files",
    "warn_open_files",
]

_LOG: Final = get_logger(__name__)
_COLLECT_AFTER: Final = (1_000, 20, 50)
"""Objects that have come and not gone; collections of the young; and of those that outlived one."""


def keep_standard_streams() -> None:
    """Give descriptors 0, 1 and 2 something to be, where a supervisor has closed them.

    Otherwise the next socket gets such a number, and what a library writes there goes to a peer.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is taken, and those below are in use by now.
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for good


def harden() -> None:
    """Leave no core file: it would hold audio and secrets."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def collect_rarely() -> None:
    """Do not stop for a heap that is as old as its calls. To be called when it is started up.

    A collection of everything takes a tenth of a second with 2,000 calls, and by default each
    quarter more of calls brings one. There is nothing in it to be found: what a call leaves is
    freed by its references alone. What is there now is never looked at again; what is young is
    still looked at, and all the rest when a million objects have come and not gone.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


def raise_open_files() -> None:
    """Take as many open files as the user may have; the default is meant for shells."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        _LOG.warning("process.open_files", limit=soft, reason=type(error).__name__)


def warn_open_files(needed: int) -> None:
    """Write a line if a full gateway would run out of open files.

    Args:
        needed: How many it may have open at once.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < needed:
        remedy = f"LimitNOFILE={needed} or ulimit -n {needed}, or lower max_calls"
        _LOG.warning("process.few_open_files", limit=limit, needed=needed, remedy=remedy)
