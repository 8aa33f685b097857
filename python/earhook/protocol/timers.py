"""The named timers. Every state has exactly one, started on entry, so a table holds them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from .settings import Timeouts
from .states import State

__all__ = ["TIMERS", "Timer", "seconds_of"]


class Timer(StrEnum):
    """What is being waited for, and why not for ever (AudioHook protocol §11.1)."""

    OPEN = "open"
    """The peer dialled, so it should say `open` at once."""
    IDLE = "idle"
    """Pings come every few seconds; silence beyond that means the peer is gone. Measured
    from the last frame, not from entry."""
    DISCONNECT = "disconnect"
    """We asked for `close`; a peer that never sends it is cut off."""
    FLUSH = "flush"
    """Results may go out before `closed`, but the peer waits only ten seconds for it."""
    LINGER = "linger"
    """The peer hangs up after `closed`; if it does not, we do."""


TIMERS: Final[Mapping[State, Timer | None]] = {
    State.CONNECTED: Timer.OPEN,
    State.ACTIVE: Timer.IDLE,
    State.PAUSED: Timer.IDLE,
    State.DISCONNECTING: Timer.DISCONNECT,
    State.CLOSING: Timer.FLUSH,
    State.CLOSED: Timer.LINGER,
    State.DEAD: None,
}


def seconds_of(timer: Timer, timeouts: Timeouts) -> float:
    """How long a timer runs."""
    match timer:
        case Timer.OPEN:
            return timeouts.open_seconds
        case Timer.IDLE:
            return timeouts.idle_seconds
        case Timer.DISCONNECT:
            return timeouts.disconnect_seconds
        case Timer.FLUSH:
            return timeouts.flush_seconds
        case Timer.LINGER:
            return timeouts.close_seconds
