"""How the gateway starts, serves, drains and stops: a table, a deadline, and actions to take.

Pure: time is an argument. The law of the doors: after every call that changes the lifecycle, take
its actions and its deadline before the next call.

    starting ──started──> serving ──stop──> draining ──calls gone──> stopping ──flushed──> stopped
                                               │  └─time over─> disconnecting ──┘   │
                                               └────────── stop again ──> ending <──┘
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .settings import DrainSettings

__all__ = ["TRANSITIONS", "Action", "Input", "Lifecycle", "Stage"]


class Stage(StrEnum):
    """Where the gateway is."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    """No new calls; live ones go on to their natural end."""
    DISCONNECTING = "disconnecting"
    """The grace is over: live calls are told to end, a few at a time."""
    STOPPING = "stopping"
    """No calls; sinks write what they hold."""
    ENDING = "ending"
    """Asked twice: everything is cut, buffers are flushed, within two seconds."""
    STOPPED = "stopped"


class Input(Enum):
    """What can happen to it."""

    STARTED = "started"
    """Every room is open."""
    STOP = "stop"
    """Somebody asks the gateway to stop."""
    INTERRUPT = "interrupt"
    """Somebody at a terminal asks it to stop, and waits for the prompt."""
    CALLS_GONE = "calls gone"
    """No connection is left."""
    TIME_OVER = "time over"
    """The deadline of the stage has passed."""
    FLUSHED = "flushed"
    """Every sink has stopped."""


class Action(Enum):
    """What the owner does when a stage is entered."""

    REFUSE_CALLS = "refuse calls"
    DISCONNECT_CALLS = "disconnect calls"
    STOP_SINKS = "stop sinks"
    CUT_CALLS = "cut calls"


TRANSITIONS: Final[Mapping[tuple[Stage, Input], Stage]] = {
    (Stage.STARTING, Input.STARTED): Stage.SERVING,
    (Stage.STARTING, Input.STOP): Stage.STOPPING,
    (Stage.STARTING, Input.INTERRUPT): Stage.STOPPING,
    (Stage.SERVING, Input.STOP): Stage.DRAINING,
    (Stage.SERVING, Input.INTERRUPT): Stage.DRAINING,
    (Stage.DRAINING, Input.CALLS_GONE): Stage.STOPPING,
    (Stage.DRAINING, Input.TIME_OVER): Stage.DISCONNECTING,
    (Stage.DRAINING, Input.STOP): Stage.ENDING,
    (Stage.DRAINING, Input.INTERRUPT): Stage.ENDING,
    (Stage.DISCONNECTING, Input.CALLS_GONE): Stage.STOPPING,
    (Stage.DISCONNECTING, Input.TIME_OVER): Stage.ENDING,
    (Stage.DISCONNECTING, Input.STOP): Stage.ENDING,
    (Stage.DISCONNECTING, Input.INTERRUPT): Stage.ENDING,
    (Stage.STOPPING, Input.FLUSHED): Stage.STOPPED,
    (Stage.STOPPING, Input.TIME_OVER): Stage.ENDING,
    (Stage.STOPPING, Input.STOP): Stage.ENDING,
    (Stage.STOPPING, Input.INTERRUPT): Stage.ENDING,
    (Stage.ENDING, Input.FLUSHED): Stage.STOPPED,
    (Stage.ENDING, Input.TIME_OVER): Stage.STOPPED,
}
"""What is not in the table changes nothing."""

_ON_ENTRY: Final[Mapping[Stage, tuple[Action, ...]]] = {
    Stage.DRAINING: (Action.REFUSE_CALLS,),
    Stage.DISCONNECTING: (Action.DISCONNECT_CALLS,),
    Stage.STOPPING: (Action.REFUSE_CALLS, Action.STOP_SINKS),
    Stage.ENDING: (Action.REFUSE_CALLS, Action.CUT_CALLS, Action.STOP_SINKS),
}

CLOSE_SECONDS: Final = 10.0
"""What the last disconnected peer gets to answer before it is cut."""
END_SECONDS: Final = 1.8
"""A second request to stop ends the process within two seconds; the rest is for the interpreter."""
TERMINAL_GRACE_SECONDS: Final = 3.0


class Lifecycle:
    """The machine over `TRANSITIONS`.

    Attributes:
        stage: Where the gateway is.
        deadline: When `handle_timeout` is due, in monotonic seconds; None for never.
    """

    def __init__(self, settings: DrainSettings) -> None:
        self._settings = settings
        self._actions: list[Action] = []
        self.stage = Stage.STARTING
        self.deadline: float | None = None

    @property
    def accepting(self) -> bool:
        """Whether new calls may be admitted."""
        return self.stage is Stage.SERVING

    def receive(self, happened: Input, now: float) -> None:
        """Something has happened."""
        following = TRANSITIONS.get((self.stage, happened))
        if following is None:
            return
        self.stage = following
        seconds = self._seconds_in(following, happened)
        self.deadline = None if seconds is None else now + seconds
        self._actions.extend(_ON_ENTRY.get(following, ()))

    def handle_timeout(self, now: float) -> None:
        """To be called at `deadline`; earlier calls change nothing."""
        if self.deadline is not None and now >= self.deadline:
            self.receive(Input.TIME_OVER, now)

    def take_actions(self) -> list[Action]:
        """What is to be done now, in order; each action is handed out once."""
        actions, self._actions = self._actions, []
        return actions

    def _seconds_in(self, stage: Stage, happened: Input) -> float | None:
        if stage is Stage.DRAINING and happened is Input.INTERRUPT:
            return min(TERMINAL_GRACE_SECONDS, self._settings.grace_seconds)
        return {
            Stage.DRAINING: self._settings.grace_seconds,
            Stage.DISCONNECTING: self._settings.disconnect_seconds + CLOSE_SECONDS,
            Stage.STOPPING: self._settings.flush_seconds,
            Stage.ENDING: END_SECONDS,
        }.get(stage)
