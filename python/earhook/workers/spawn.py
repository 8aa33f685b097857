"""Starting a process that has one end of a channel, and noticing when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Final

__all__ = ["CHANNEL_DESCRIPTOR", "Process", "spawn_module"]

CHANNEL_DESCRIPTOR: Final = 3
"""Where a process that was started here finds its end of the channel."""


class Process:
    """A child of this process, watched until it ends.

    It may have been started by what this process was before it executed another program.

    Args:
        pid: Its number. It has not been waited for.
        on_exit: Called once, on the loop's thread, with its exit code; negative: the signal.

    Raises:
        OSError: There is no descriptor left to watch it with. It has been killed.
    """

    def __init__(self, pid: int, on_exit: Callable[[int], None]) -> None:
        self.pid = pid
        self._on_exit = on_exit
        self._loop = asyncio.get_running_loop()
        try:
            self._descriptor = os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        self._loop.add_reader(self._descriptor, self._look)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens where it has ended."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(ProcessLookupError):
            # By descriptor: the number may belong to somebody else by now.
            signal.pidfd_send_signal(self._descriptor, number)

    def resident_bytes(self) -> int:
        """Its resident memory; 0 where it cannot be read."""
        try:
            with open(f"/proc/{self.pid}/statm", "rb") as statm:  # noqa: PTH123 - read often
                return int(statm.read().split()[1]) * _PAGE_BYTES
        except (OSError, IndexError, ValueError):
            return 0

    def _look(self) -> None:
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
            self._on_exit(os.waitstatus_to_exitcode(status))


def spawn_module(module: str, end: socket.socket, arguments: Sequence[str] = ()) -> int:
    """Start a module of this program as a process of its own.

    Args:
        module: Its name.
        end: The new process's end of a channel, found there as `CHANNEL_DESCRIPTOR`. Ours stays
            open, for the caller to close. Nothing else is inherited but the standard streams.
        arguments: Further ones.

    Returns:
        Its process number.

    Raises:
        OSError: There is no room for another process.
    """
    # -P: what lies in the working directory is not ours.
    command = [sys.executable, "-P", "-m", module, *arguments]
    return os.posix_spawn(
        sys.executable,
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, end.fileno(), CHANNEL_DESCRIPTOR)],
        setsigmask=(),
        setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGPIPE),
    )


_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
