"""What the house may wish of a session, through its one door `Session.submit`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from .entities import Transcript
from .messages import DisconnectReason, Entity

__all__ = [
    "BargeIn",
    "Command",
    "Disconnect",
    "Drain",
    "Finish",
    "Pause",
    "Play",
    "RelayEvent",
    "Resume",
]


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop the audio. Before `open` it becomes `startPaused`."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Take our pause back; the peer's own pause stays."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End the session. Submitted twice, the second does nothing."""

    reason: DisconnectReason = DisconnectReason.COMPLETED
    info: str | None = None
    """Shown to administrators of the peer: nothing personal, no secret."""
    output_variables: Mapping[str, str] | None = field(default=None, repr=False)
    """Handed back to the flow; Audio Connector only."""


@dataclass(frozen=True, slots=True)
class Drain:
    """End the session because the gateway stops."""


@dataclass(frozen=True, slots=True)
class RelayEvent:
    """Send entities in an `event`. Entities go as they are, transcripts in wire form."""

    entities: tuple[Entity | Transcript, ...]


@dataclass(frozen=True, slots=True)
class Play:
    """Let the caller hear audio, in the negotiated codec. Audio Connector only."""

    audio: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class BargeIn:
    """The caller spoke: drop what we have queued and what the peer has buffered."""


@dataclass(frozen=True, slots=True)
class Finish:
    """No results follow: `closed` may go out. Says something after `CloseRequested` only."""


Command: TypeAlias = Pause | Resume | Disconnect | Drain | RelayEvent | Play | BargeIn | Finish
