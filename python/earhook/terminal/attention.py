"""What is the matter with a call, in the words of the console's `attention.js`. Pure.

How much of it there is, the gateway works out (docs/reference/console-feed.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from .live_list import State

__all__ = ["Reason", "needs_a_look", "reasons_of"]

UNHAPPY: Final = -0.2
_GRAVE, _BAD = "bold red", "yellow"


class Reason(NamedTuple):
    """Why a call is where it is in the list."""

    words: str
    style: str
    holds: Callable[[State], bool]

    @property
    def is_grave(self) -> bool:
        """Whether somebody should look at the call for it."""
        return self.style not in ("", "dim")


def reasons_of(state: State) -> tuple[Reason, ...]:
    """The gravest first; never empty."""
    if "ended" in state.flags:
        return (ENDED,)
    return tuple(reason for reason in REASONS if reason.holds(state)) or (IN_ORDER,)


def needs_a_look(state: State) -> bool:
    """Whether an operator should look at the call: its gravest reason stands in yellow or red."""
    return reasons_of(state)[0].is_grave


def _flag(flag: str, words: str, style: str) -> Reason:
    return Reason(words, style, lambda state: flag in state.flags)


def _worst_hit(severity: str, words: str, style: str) -> Reason:
    return Reason(words, style, lambda state: state.severity == severity)


def _is_unhappy(state: State) -> bool:
    return state.sentiment_external is not None and state.sentiment_external < UNHAPPY


REASONS: Final = (
    _flag("dropping", "dropping audio", "bold white on red"),
    _worst_hit("critical", "critical hit", _GRAVE),
    _flag("one_way", "one-way audio", _GRAVE),
    _flag("pause_left", "paused by nobody who is there", _GRAVE),
    _worst_hit("warning", "rule hit", _BAD),
    _flag("dead_air", "dead air", _BAD),
    _flag("suspect", "wrong format?", _BAD),
    _flag("talk_over", "talk-over", _BAD),
    Reason("unhappy", _BAD, _is_unhappy),
    _flag("clipping", "clipping", _BAD),
    _worst_hit("info", "note", ""),
    _flag("paused", "paused", ""),
)
"""The gravest first."""
ENDED: Final = Reason("ended", "dim", lambda _: True)
IN_ORDER: Final = Reason("in order", "dim", lambda _: True)
