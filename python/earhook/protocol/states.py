"""The tables of a session: what each input does in each state, and what may be sent when.

Everything about transitions lives here, as data. `session.py` asks the tables and does what
they say; the exhaustive tests and the drawing in the docs read the same tables. What cannot
be a table (is this `open` acceptable, is this frame whole, are results pending) is decided
beside them and enters as one input or another.

Theory of operation. The peer leads: it opens, and it closes. We answer `open` from memory,
so there is no state between `open` and `opened`. Of the two pauses only the peer's word
counts: PAUSED means that it said `paused`, whoever wished it. When we want the end we ask
once (DISCONNECTING) and wait for `close`. CLOSING exists for results that still have to go
out. After `closed` nothing is said any more (AudioHook protocol §13).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from .messages import ServerType

__all__ = ["MOVES", "SENDS", "Act", "Input", "Move", "Sendable", "State"]


class State(StrEnum):
    """Where a session stands."""

    CONNECTED = "connected"
    """The socket is up; `open` has not come."""
    ACTIVE = "active"
    """`opened` was answered; audio flows."""
    PAUSED = "paused"
    """The peer said that audio stopped."""
    DISCONNECTING = "disconnecting"
    """We asked the peer to close."""
    CLOSING = "closing"
    """The peer closes; results may still go out."""
    CLOSED = "closed"
    """`closed` was answered; the peer hangs up."""
    DEAD = "dead"
    """There is no socket any more, or there will be none in a moment."""


class Input(StrEnum):
    """Everything that can happen to a session."""

    # What the peer says.
    OPEN = "open"
    """An `open` that we accept."""
    OPEN_REFUSED = "open, refused"
    PING = "ping"
    CLOSE = "close"
    PAUSED = "paused"
    RESUMED = "resumed"
    DISCARDED = "discarded"
    UPDATE = "update"
    ERROR = "error"
    DTMF = "dtmf"
    PLAYBACK_STARTED = "playback_started"
    PLAYBACK_COMPLETED = "playback_completed"
    UNKNOWN = "unknown"
    """A type we do not know, or one whose parameters are unusable."""
    AUDIO = "audio"
    VIOLATION = "violation"
    """Text or audio that breaks the protocol for good."""
    FLOOD = "flood"
    """More questions than we may answer."""
    EOF = "socket lost"
    # What time does.
    TIMER = "timer"
    """The one timer of the state ran out (`timers.py`)."""
    # What the house wishes.
    WANT_PAUSE = "want pause"
    WANT_RESUME = "want resume"
    WANT_EVENT = "want event"
    WANT_PLAY = "want play"
    WANT_BARGE_IN = "want barge-in"
    WANT_DISCONNECT = "want disconnect"
    WANT_FINISH = "want finish"
    FLUSHED = "flushed"
    """Results are complete and sent."""


class Act(StrEnum):
    """What a session does at a move. Each is one method of one sentence."""

    IGNORE = "ignore"
    COUNT = "count"
    REFUSE = "refuse"
    """Tell the submitter that the state forbids it."""
    ANSWER_OPEN = "send opened"
    HOLD_PONG = "hold pong"
    PONG = "send pong"
    NOTE_PAUSE = "stop audio"
    RESUME_AUDIO = "clock jump, audio"
    JUMP = "clock jump"
    UPDATE = "send updated"
    NOTE_ERROR = "note error"
    FORWARD = "forward"
    KEEP = "keep audio"
    DROP_PAUSED = "drop audio (paused)"
    DROP_LATE = "drop audio (late)"
    REMEMBER = "remember for opened"
    QUEUE_PAUSE = "send pause or resume"
    QUEUE_EVENT = "send event"
    QUEUE_AUDIO = "send audio"
    BARGE_IN = "send barge_in"
    DISCONNECT = "send disconnect"
    BEGIN_CLOSE = "flush results"
    FINISH = "expect no results"
    SEND_CLOSED = "send closed"
    HANG_UP = "close socket"
    ABORT = "abort socket"
    END = "end"


class Move(NamedTuple):
    """What an input does in a state, and the state after it."""

    act: Act
    state: State


AUDIO: Final = "audio"
Sendable = ServerType | str
"""A message type, or AUDIO for a binary frame."""


def _row(**cells: tuple[Act, State] | Act) -> Mapping[State, Move]:
    """One input's row. A bare act stays in its state; what is not named is ignored."""
    row = {state: Move(Act.IGNORE, state) for state in State}
    for name, cell in cells.items():
        state = State(name)
        row[state] = Move(cell, state) if isinstance(cell, Act) else Move(*cell)
    return row


def _live(act: Act | tuple[Act, State]) -> dict[str, tuple[Act, State] | Act]:
    return {"active": act, "paused": act}


_ENDING: Final = (Act.END, State.DEAD)
_DISCONNECT: Final = (Act.DISCONNECT, State.DISCONNECTING)
_HANG_UP: Final = (Act.HANG_UP, State.DEAD)
_CLOSE: Final = (Act.BEGIN_CLOSE, State.CLOSING)
_REFUSED: Final = dict.fromkeys(
    ("connected", "disconnecting", "closing", "closed", "dead"), Act.REFUSE
)

MOVES: Final[Mapping[Input, Mapping[State, Move]]] = {
    Input.OPEN: _row(connected=(Act.ANSWER_OPEN, State.ACTIVE)),
    Input.OPEN_REFUSED: _row(connected=_DISCONNECT),
    Input.PING: _row(
        connected=Act.HOLD_PONG,
        **_live(Act.PONG),
        disconnecting=Act.PONG,
        closing=Act.PONG,
    ),
    Input.CLOSE: _row(
        connected=(Act.SEND_CLOSED, State.CLOSED), **_live(_CLOSE), disconnecting=_CLOSE
    ),
    Input.PAUSED: _row(**_live((Act.NOTE_PAUSE, State.PAUSED))),
    Input.RESUMED: _row(**_live((Act.RESUME_AUDIO, State.ACTIVE))),
    Input.DISCARDED: _row(**_live(Act.JUMP)),
    Input.UPDATE: _row(**_live(Act.UPDATE)),
    Input.ERROR: _row(
        connected=Act.NOTE_ERROR,
        **_live(Act.NOTE_ERROR),
        disconnecting=Act.NOTE_ERROR,
        closing=Act.NOTE_ERROR,
        closed=Act.NOTE_ERROR,
    ),
    Input.DTMF: _row(**_live(Act.FORWARD)),
    Input.PLAYBACK_STARTED: _row(**_live(Act.FORWARD)),
    Input.PLAYBACK_COMPLETED: _row(**_live(Act.FORWARD)),
    Input.UNKNOWN: _row(
        connected=Act.COUNT,
        **_live(Act.COUNT),
        disconnecting=Act.COUNT,
        closing=Act.COUNT,
        closed=Act.COUNT,
    ),
    Input.AUDIO: _row(
        connected=_DISCONNECT,
        active=Act.KEEP,
        paused=Act.DROP_PAUSED,
        disconnecting=Act.DROP_LATE,
        closing=Act.DROP_LATE,
        closed=Act.DROP_LATE,
        dead=Act.DROP_LATE,
    ),
    Input.VIOLATION: _row(connected=_DISCONNECT, **_live(_DISCONNECT)),
    Input.FLOOD: _row(
        connected=_DISCONNECT,
        **_live(_DISCONNECT),
        disconnecting=(Act.ABORT, State.DEAD),
        closing=(Act.ABORT, State.DEAD),
    ),
    Input.EOF: _row(
        connected=_ENDING,
        **_live(_ENDING),
        disconnecting=_ENDING,
        closing=_ENDING,
        closed=_ENDING,
    ),
    Input.TIMER: _row(
        connected=_HANG_UP,
        **_live(_HANG_UP),
        disconnecting=_HANG_UP,
        closing=(Act.SEND_CLOSED, State.CLOSED),
        closed=_HANG_UP,
    ),
    Input.WANT_PAUSE: _row(**{**_REFUSED, "connected": Act.REMEMBER}, **_live(Act.QUEUE_PAUSE)),
    Input.WANT_RESUME: _row(**{**_REFUSED, "connected": Act.REMEMBER}, **_live(Act.QUEUE_PAUSE)),
    Input.WANT_EVENT: _row(
        connected=Act.REFUSE,
        **_live(Act.QUEUE_EVENT),
        disconnecting=Act.QUEUE_EVENT,
        closing=Act.QUEUE_EVENT,
        closed=Act.REFUSE,
        dead=Act.REFUSE,
    ),
    Input.WANT_PLAY: _row(**_REFUSED, **_live(Act.QUEUE_AUDIO)),
    Input.WANT_BARGE_IN: _row(**_REFUSED, **_live(Act.BARGE_IN)),
    Input.WANT_DISCONNECT: _row(connected=_DISCONNECT, **_live(_DISCONNECT)),
    Input.WANT_FINISH: _row(closing=Act.FINISH),
    Input.FLUSHED: _row(closing=(Act.SEND_CLOSED, State.CLOSED)),
}
"""Input x state -> act and next state. Complete: every pair is there."""

_IN_CALL: Final[frozenset[Sendable]] = frozenset(
    {
        ServerType.OPENED,
        ServerType.PONG,
        ServerType.UPDATED,
        ServerType.PAUSE,
        ServerType.RESUME,
        ServerType.EVENT,
        AUDIO,
    }
)

SENDS: Final[Mapping[State, frozenset[Sendable]]] = {
    State.CONNECTED: frozenset(),
    State.ACTIVE: _IN_CALL,
    State.PAUSED: _IN_CALL,
    State.DISCONNECTING: frozenset({ServerType.DISCONNECT, ServerType.PONG}),
    State.CLOSING: frozenset({ServerType.PONG, ServerType.EVENT}),
    State.CLOSED: frozenset({ServerType.CLOSED}),
    State.DEAD: frozenset(),
}
"""What may be sent in a state. Events that wait while DISCONNECTING go out in CLOSING;
everything else that is not allowed any more is dropped before it gets a number."""
