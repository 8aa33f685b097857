"""What the driver must do for a session, in the order given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from .messages import ServerType

__all__ = ["AbortSocket", "CloseSocket", "Reply", "SendAudio", "SendText"]


@dataclass(frozen=True, slots=True)
class SendText:
    """Send one text frame. It is numbered, so it must be sent."""

    payload: bytes = field(repr=False)
    type: ServerType


@dataclass(frozen=True, slots=True)
class SendAudio:
    """Send one binary frame."""

    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CloseSocket:
    """Close the WebSocket; nothing follows. `reason` is our own words, for the log."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class AbortSocket:
    """Drop the connection without a word; the peer is past talking to."""

    reason: str


Reply: TypeAlias = SendText | SendAudio | CloseSocket | AbortSocket
