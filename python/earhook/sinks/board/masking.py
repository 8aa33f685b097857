"""What people are shown of what is personal. Pure.

Whoever is shown a call may know that a key was pressed, not which one; and that somebody called,
not from which number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from earhook.sinks.base import CallEvent, Participant

__all__ = ["MASK", "masked_details", "masked_name", "masked_number", "masked_participant"]

MASK: Final = "•"


def masked_number(number: str) -> str:
    """A telephone number with its last two digits; nothing of what is too short to hide in."""
    found = _SCHEME.sub("", number.strip())
    found = found.partition("@")[0].partition(";")[0]
    digits = [character for character in found if character.isdigit()]
    if not digits:
        return MASK * 4 if found else ""
    shown = "".join(digits[-2:]) if len(digits) >= 7 else ""
    hidden = min(len(digits) - len(shown), 13)
    return ("+" if found.startswith("+") else "") + MASK * hidden + shown


def masked_name(name: str) -> str:
    """The first letter of a name."""
    name = name.strip()
    return f"{name[0]}{MASK * 4}" if name and name[0].isalpha() else MASK * 4 if name else ""


def masked_participant(participant: Participant | None) -> dict[str, str] | None:
    """The external party as it is shown."""
    if participant is None:
        return None
    return {
        "ani": masked_number(participant.ani),
        "ani_name": masked_name(participant.ani_name),
        "dnis": masked_number(participant.dnis),
    }


def masked_details(event: CallEvent) -> Mapping[str, Any]:
    """The details of an event as they are shown."""
    details = event.details
    if event.kind == "dtmf":
        return {**details, "digit": MASK}
    if not event.personal:
        return details
    return {key: _masked(key, value, _DEPTH) for key, value in details.items()}


def _masked(key: str, value: Any, depth: int) -> Any:  # noqa: ANN401 - whatever JSON says
    if isinstance(value, str):
        return value if key in _NAMES else _DIGITS.sub(MASK, value)
    if depth and isinstance(value, list | tuple):
        return [_masked("", item, depth - 1) for item in value]
    if depth and isinstance(value, dict):
        return {inner: _masked(inner, item, depth - 1) for inner, item in value.items()}
    return value if isinstance(value, int | float | None) else MASK


_NAMES: Final = frozenset({"segment", "rule", "engine", "language"})
"""Ids and words of ours, which may hold digits."""
_DEPTH: Final = 4
_SCHEME: Final = re.compile(r"^(?:tel|sips?):", re.IGNORECASE)
_DIGITS: Final = re.compile(r"\d(?:[ .\-/]?\d){3,}")
