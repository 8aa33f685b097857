"""What a plan consists of, and what becomes of each part of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

__all__ = ["Action", "Change", "FieldChange", "Kind", "Outcome", "Plan"]


class Kind(StrEnum):
    """What is changed."""

    INTEGRATION = "integration"
    AUDIOHOOK = "audiohook"
    QUEUE = "queue"


class Action(StrEnum):
    """What is done with it."""

    CREATE = "create"
    """Make it, disabled."""
    CHANGE = "change"
    ENABLE = "enable"
    """Test the endpoint, switch it on, see what the platform says."""
    PROBE = "probe"
    """The same with one that is switched on already: the platform looks again."""
    DISABLE = "disable"
    DELETE = "delete"
    MONITOR = "monitor"
    """Turn the switch of a queue on."""


class FieldChange(NamedTuple):
    """One field; never shows a secret."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to do.

    Attributes:
        action: What.
        kind: With what kind of thing.
        name: Its name; of a queue its id.
        id: Its id; empty: it is yet to be made.
        fields: What becomes of its fields.
        why: Why, where that is not plain.
    """

    action: Action
    kind: Kind
    name: str
    id: str = ""
    fields: tuple[FieldChange, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything to do, in order.

    Attributes:
        changes: What to do; empty: all is as wanted.
        left_alone: What is there and not described, by name.
    """

    changes: tuple[Change, ...]
    left_alone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a change.

    Attributes:
        change: The change, with the id of what was made.
        is_done: Whether it is as wanted now.
        text: What was reported, or why it is not done.
    """

    change: Change
    is_done: bool
    text: str = ""
