"""A text stream that never makes its writer wait: a thread passes the lines on."""

from __future__ import annotations

import select
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["BackgroundStream"]

MAX_WAITING: Final = 4096
"""Lines that may wait for a reader of our output that has stopped reading."""


class BackgroundStream:
    """Looks like a text stream to `logging.StreamHandler`.

    Whoever reads our standard error (a pipe, a terminal) may stop reading; writing to it then
    blocks. Here only the thread blocks, lines beyond `MAX_WAITING` are lost and counted, and the
    event loop goes on.
    """

    def __init__(self, target: TextIO) -> None:
        self._target = target
        self._waiting: deque[str] = deque()
        self._changed = threading.Condition()
        self._writing = False
        self._failing = False
        self._ended = False
        self.lost_lines = 0
        self._told_lost_lines = 0
        self._thread = threading.Thread(target=self._pass_on, name="earhook-log", daemon=True)
        self._thread.start()

    def take_lost(self) -> int:
        """Lines lost since the last call that said so; 0 while nobody could read about them."""
        with self._changed:
            if self._failing or len(self._waiting) > MAX_WAITING // 2:
                return 0
            lost = self.lost_lines - self._told_lost_lines
            self._told_lost_lines = self.lost_lines
            return lost

    def isatty(self) -> bool:
        """Whether the target is a terminal."""
        return self._target.isatty()

    def write(self, text: str) -> int:
        """Take a line over; returns at once."""
        with self._changed:
            if len(self._waiting) >= MAX_WAITING:
                self.lost_lines += 1
            else:
                self._waiting.append(text)
                self._changed.notify_all()
        return len(text)

    def flush(self) -> None:
        """Do nothing: to wait for the target is what this class is there to avoid."""

    def settle(self, deadline_seconds: float) -> bool:
        """Wait until everything is written.

        Returns:
            Whether it was within the deadline.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._waiting and not self._writing, deadline_seconds
            )

    def end(self, deadline_seconds: float) -> bool:
        """Wait until everything is written, then end the thread.

        Returns:
            Whether everything was written within the deadline.
        """
        with self._changed:
            done = self.settle(deadline_seconds)
            self._ended = True
            self._changed.notify_all()
        return done

    def _next_lines(self) -> str:
        """Lines that the kernel takes in one piece (pipe(7)): others may write there, too."""
        lines: list[str] = []
        taken_bytes = 0
        while self._waiting:
            taken_bytes += len(self._waiting[0].encode(errors="replace"))
            if lines and taken_bytes > select.PIPE_BUF:
                break
            lines.append(self._waiting.popleft())
        return "".join(lines)

    def _pass_on(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    return
                text = self._next_lines()
                self._writing = True
            try:
                self._target.write(text)
                self._target.flush()
            except (OSError, ValueError):
                # Nobody reads us; only the metric can say so, until somebody does again.
                with self._changed:
                    self._failing = True
                    self.lost_lines += text.count("\n")
            else:
                self._failing = False
