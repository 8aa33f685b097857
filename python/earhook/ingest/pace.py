"""When a peer is too slow: a deadline for each state of a connection. Pure; time is an argument.

A rate is looked at window by window, so that a trickle ends two windows after it began at the
latest; time in which we do not read counts for nobody.
"""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import TYPE_CHECKING

from .tally import Slow

if TYPE_CHECKING:
    from .settings import IngestLimits

__all__ = ["Pace"]


class _State(Enum):
    SILENT = auto()
    KEEP_ALIVE = auto()
    HEAD = auto()
    BODY = auto()
    STREAM = auto()
    OURS = auto()
    """It is our turn, or the peer's to read."""


class Pace:
    """The deadlines of one connection.

    Attributes:
        deadline: When to ask `judge`; it may then lie later, and never earlier without a call.
    """

    __slots__ = (
        "_body_due",
        "_idle_since",
        "_last_byte",
        "_limits",
        "_state",
        "_window_bytes",
        "_window_ends",
        "deadline",
    )

    def __init__(self, limits: IngestLimits, now: float) -> None:
        self._limits = limits
        self._state = _State.SILENT
        self.deadline = now + limits.head_seconds
        self._last_byte = now
        self._idle_since = now
        self._body_due = math.inf
        self._window_ends = math.inf
        self._window_bytes = 0

    def await_request(self, now: float, seconds: float) -> None:
        """The last request is done with; another may come within that time."""
        self._state = _State.KEEP_ALIVE
        self._idle_since = now
        self.deadline = now + seconds

    def idle_seconds(self, now: float) -> float:
        """How long a connection has been between two requests; 0 where it is not."""
        return now - self._idle_since if self._state is _State.KEEP_ALIVE else 0.0

    def begin_head(self, now: float) -> None:
        """A head has begun and is not whole. Repeating it changes nothing."""
        if self._state is _State.SILENT:
            self._state = _State.HEAD  # in the time that the connection has for its first one
        elif self._state is not _State.HEAD:
            self._state = _State.HEAD
            self.deadline = now + self._limits.head_seconds

    def begin_body(self, now: float, *, is_stream: bool) -> None:
        """A body has begun and is not whole; a stream is one of unknown length."""
        limits = self._limits
        self._state = _State.STREAM if is_stream else _State.BODY
        self._body_due = math.inf if is_stream else now + limits.body_seconds
        self._last_byte = now
        self._open_window(now)

    def count(self, received_bytes: int, now: float) -> None:
        """Bytes of the body have come, framing included."""
        self._window_bytes += received_bytes
        self._last_byte = now

    def begin_answer(self) -> None:
        """The body is whole: the peer owes us nothing."""
        self._state = _State.OURS
        self.deadline = math.inf

    def begin_writing(self, now: float) -> None:
        """The peer's buffer is full of answers."""
        self._state = _State.OURS
        self.deadline = now + self._limits.answer_seconds

    def forgive(self, now: float) -> None:
        """We begin to read again after a pause of ours: what was not read was not slow."""
        if self._state in {_State.BODY, _State.STREAM}:
            self._body_due += now - self._last_byte if self._state is _State.BODY else 0
            self._last_byte = now
            self._open_window(now)

    def judge(self, now: float) -> Slow | None:
        """What the peer was too slow in; None if nothing, and then `deadline` is a new one."""
        if now < self.deadline:
            return None
        if self._state in {_State.BODY, _State.STREAM}:
            return self._judge_body(now)
        return _SLOW[self._state]

    def _judge_body(self, now: float) -> Slow | None:
        limits = self._limits
        is_stream = self._state is _State.STREAM
        if now >= self._body_due:
            return Slow.BODY
        if is_stream and now - self._last_byte >= limits.stream_idle_seconds:
            return Slow.STREAM_IDLE
        if now >= self._window_ends:
            if self._window_bytes < self._window_least:
                return Slow.STREAM_RATE if is_stream else Slow.BODY
            self._open_window(now)
        else:
            self._set_deadline()
        return None

    def _open_window(self, now: float) -> None:
        self._window_bytes = 0
        self._window_ends = now + self._window_seconds
        self._set_deadline()

    def _set_deadline(self) -> None:
        self.deadline = min(self._body_due, self._window_ends)
        if self._state is _State.STREAM:
            idle_at = self._last_byte + self._limits.stream_idle_seconds
            self.deadline = min(self.deadline, idle_at)

    @property
    def _window_seconds(self) -> float:
        limits = self._limits
        is_stream = self._state is _State.STREAM
        return limits.stream_window_seconds if is_stream else limits.body_window_seconds

    @property
    def _window_least(self) -> float:
        limits = self._limits
        is_stream = self._state is _State.STREAM
        rate = limits.stream_bytes_per_second if is_stream else limits.body_bytes_per_second
        return rate * self._window_seconds


_SLOW = {
    _State.SILENT: Slow.SILENT,
    _State.KEEP_ALIVE: Slow.KEEP_ALIVE,
    _State.HEAD: Slow.HEAD,
    _State.OURS: Slow.ANSWER,
}
