"""Which consumer has paused a call, so that a pause that nobody will take back is told of.

It is left as it is: nobody knows whether what is said now may be heard. But it must be seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from earhook.sinks.base import CallEvent, LiveCall

__all__ = ["LEFT_SECONDS", "PauseWatch"]

LEFT_SECONDS: Final = 10.0
"""Whoever comes back and takes the pause back within that time is no news."""
GATEWAY: Final = "gateway"
"""Who pauses, in the event, where a consumer asked for it."""


@dataclass(slots=True)
class _Pause:
    """One that was asked for and not taken back.

    Attributes:
        consumer: Who asked, as long as its connection is there.
        call: Once it is carried out.
        due: When its consumer is gone.
    """

    consumer: object | None
    call: LiveCall | None = None
    due: asyncio.TimerHandle | None = None

    def forget_due(self) -> None:
        if self.due is not None:
            self.due.cancel()
            self.due = None


class PauseWatch:
    """The pauses of one sink. On the loop's thread.

    Args:
        tell: Told of a call that is still paused `LEFT_SECONDS` after its consumer has gone.
    """

    def __init__(self, tell: Callable[[LiveCall], None]) -> None:
        self._tell = tell
        self._pauses: dict[str, _Pause] = {}

    def asked(self, session: str, consumer: object) -> None:
        """A consumer has paused a call; if another one had, it is this one's affair now."""
        pause = self._pauses.setdefault(session.lower(), _Pause(consumer))
        pause.consumer = consumer
        pause.forget_due()

    def taken_back(self, session: str) -> None:
        """Some consumer has resumed it."""
        pause = self._pauses.pop(session.lower(), None)
        if pause is not None:
            pause.forget_due()

    def note(self, call: LiveCall, event: CallEvent) -> None:
        """Something has happened in a call."""
        pause = self._pauses.get(call.facts.session_id.lower())
        if pause is None:
            return
        if event.kind == "paused" and event.details.get("by") == GATEWAY:
            pause.call = call
            self._begin(pause)
        elif event.kind == "resumed" and pause.call is not None:
            self.forget(call)

    def gone(self, consumer: object) -> None:
        """A connection is closed."""
        for pause in self._pauses.values():
            if pause.consumer is consumer:
                pause.consumer = None
                self._begin(pause)

    def forget(self, call: LiveCall) -> None:
        """It has ended, or goes on."""
        self.taken_back(call.facts.session_id)

    def stop(self) -> None:
        """Tell nothing more."""
        for pause in self._pauses.values():
            pause.forget_due()
        self._pauses.clear()

    def _begin(self, pause: _Pause) -> None:
        if pause.consumer is None and pause.call is not None and pause.due is None:
            loop = asyncio.get_running_loop()
            pause.due = loop.call_later(LEFT_SECONDS, self._tell, pause.call)
