"""Every message of AudioHook version 2, both directions, all three products.

Values only: frozen, slotted, without behaviour beyond what they are. Positions and spans are
whole samples per channel. Personal fields stay out of `repr`, so no log or traceback shows
them. The clauses are those of AudioHook protocol §5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from earhook.ids import NIL_UUID, ConversationId, OrganizationId, SessionId, same_uuid

from .position import SAMPLE_RATE

__all__ = [
    "SERVER_TYPES",
    "Channel",
    "ClientBody",
    "ClientMessage",
    "ClientType",
    "Close",
    "CloseReason",
    "Closed",
    "Codec",
    "ContinuedSession",
    "Discarded",
    "Disconnect",
    "DisconnectReason",
    "Dtmf",
    "Entity",
    "EventBatch",
    "JsonObject",
    "JsonValue",
    "MediaOffer",
    "Open",
    "Opened",
    "Participant",
    "Pause",
    "Paused",
    "PeerErrorReport",
    "Ping",
    "PlaybackCompleted",
    "PlaybackStarted",
    "Pong",
    "Reconnect",
    "Resume",
    "Resumed",
    "ServerBody",
    "ServerType",
    "Span",
    "Unknown",
    "Unusable",
    "Update",
    "Updated",
]

JsonValue: TypeAlias = (
    "str | int | float | bool | Mapping[str, JsonValue] | Sequence[JsonValue] | None"
)
JsonObject: TypeAlias = Mapping[str, JsonValue]


class ClientType(StrEnum):
    """What the peer may send (§5.1)."""

    OPEN = "open"
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


class ServerType(StrEnum):
    """What we may send (§5.1). `reconnect` exists and is never sent (§5.12)."""

    OPENED = "opened"
    PONG = "pong"
    CLOSED = "closed"
    PAUSE = "pause"
    RESUME = "resume"
    UPDATED = "updated"
    EVENT = "event"
    DISCONNECT = "disconnect"
    RECONNECT = "reconnect"


class Channel(StrEnum):
    """Who speaks: the customer's side or the agent's."""

    EXTERNAL = "external"
    INTERNAL = "internal"

    @property
    def number(self) -> int:
        """The canonical channel number of the house: 0 external, 1 internal."""
        return 0 if self is Channel.EXTERNAL else 1


class Codec(StrEnum):
    """Formats of the schema. Only PCMU has been seen offered."""

    PCMU = "PCMU"
    L16 = "L16"

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample of one channel."""
        return 1 if self is Codec.PCMU else 2


class CloseReason(StrEnum):
    """Why the peer ends the session (§5.5)."""

    END = "end"
    ERROR = "error"
    DISCONNECT = "disconnect"
    RECONNECT = "reconnect"
    OTHER = "other"
    """Not of the protocol: what we make of a reason that we do not know."""


class DisconnectReason(StrEnum):
    """Why we end the session (§5.7); nothing else is allowed."""

    COMPLETED = "completed"
    UNAUTHORIZED = "unauthorized"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class MediaOffer:
    """One way to send the audio. `channels` is the interleave order (§5.2, §7)."""

    codec: Codec
    channels: tuple[Channel, ...]
    rate: int = SAMPLE_RATE

    @property
    def group_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.codec.sample_bytes * len(self.channels)

    @property
    def channel_numbers(self) -> tuple[int, ...]:
        """Canonical channel numbers in interleave order."""
        return tuple(channel.number for channel in self.channels)


@dataclass(frozen=True, slots=True)
class Participant:
    """The external participant; every text may be empty and all of it is personal."""

    id: str
    ani: str = field(repr=False)
    ani_name: str = field(repr=False)
    dnis: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ContinuedSession:
    """An earlier session of the same stream; dormant in practice."""

    id: SessionId
    serverseq: int
    clientseq: int


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of stream time without audio."""

    start: int
    samples: int


@dataclass(frozen=True, slots=True)
class Open:
    """Always the peer's first message (§5.2). `offers` leaves out what we cannot read."""

    organization_id: OrganizationId
    conversation_id: ConversationId
    participant: Participant
    offers: tuple[MediaOffer, ...]
    language: str | None = None
    wants_languages: bool = False
    continued_sessions: tuple[ContinuedSession, ...] = ()
    custom_config: JsonObject | None = field(default=None, repr=False)
    input_variables: Mapping[str, str] | None = field(default=None, repr=False)

    @property
    def is_probe(self) -> bool:
        """Whether an administrator's connection test sent this (§10)."""
        return same_uuid(self.conversation_id, NIL_UUID)


@dataclass(frozen=True, slots=True)
class Ping:
    """To be answered by `pong` at once (§5.4)."""

    rtt_nanoseconds: int | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """The peer ends the session (§5.5)."""

    reason: CloseReason


@dataclass(frozen=True, slots=True)
class Paused:
    """Audio stopped at the envelope's position (§8)."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """Audio flows again. `span` is None when the peer's own figures were unusable."""

    span: Span | None


@dataclass(frozen=True, slots=True)
class Discarded:
    """Audio that will never be sent (§8)."""

    span: Span


@dataclass(frozen=True, slots=True)
class Update:
    """The language of the conversation changed (§5.8)."""

    language: str | None


@dataclass(frozen=True, slots=True)
class PeerErrorReport:
    """The peer complains (§5.9); never answered. `text` may hold anything."""

    code: int
    text: str = field(repr=False)
    retry_after_nanoseconds: int | None = None


@dataclass(frozen=True, slots=True)
class Dtmf:
    """One key press of the caller (§5.10)."""

    digit: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PlaybackStarted:
    """The first byte of a burst of our audio is being played (§5.11)."""


@dataclass(frozen=True, slots=True)
class PlaybackCompleted:
    """The peer's playback queue ran empty (§5.11)."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A type we do not know: counted and ignored (§12)."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """A known type whose parameters say nothing we can use: counted and ignored (§12)."""

    type: ClientType


ClientBody: TypeAlias = (
    Open
    | Ping
    | Close
    | Paused
    | Resumed
    | Discarded
    | Update
    | PeerErrorReport
    | Dtmf
    | PlaybackStarted
    | PlaybackCompleted
    | Unknown
    | Unusable
)


@dataclass(frozen=True, slots=True)
class ClientMessage:
    """Envelope and body of a message from the peer (§4.1)."""

    session_id: SessionId
    seq: int
    serverseq: int
    position: int
    body: ClientBody


@dataclass(frozen=True, slots=True)
class Opened:
    """Our first message (§5.3). `media` None is the empty list: no audio wanted."""

    media: MediaOffer | None
    start_paused: bool = False
    discard_to: int | None = None
    supported_languages: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Pong:
    """Answers a ping."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Our last message."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Ask the peer to stop sending."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Take our pause back."""


@dataclass(frozen=True, slots=True)
class Updated:
    """Answers `update`."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Ask the peer to close; once a session (§5.7). `info` is shown to administrators."""

    reason: DisconnectReason
    info: str | None = None
    output_variables: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Dormant; here so that a peer can read it. We never send it (§5.12)."""

    info: str | None = None


@dataclass(frozen=True, slots=True)
class Entity:
    """One thing said in an `event`, as it goes over the wire (§6)."""

    type: str
    data: JsonValue = field(repr=False)


@dataclass(frozen=True, slots=True)
class EventBatch:
    """One or more entities in one message (§5.13)."""

    entities: tuple[Entity, ...]


ServerBody: TypeAlias = (
    Opened | Pong | Closed | Pause | Resume | Updated | Disconnect | Reconnect | EventBatch
)


SERVER_TYPES: Final[Mapping[type[ServerBody], ServerType]] = {
    Opened: ServerType.OPENED,
    Pong: ServerType.PONG,
    Closed: ServerType.CLOSED,
    Pause: ServerType.PAUSE,
    Resume: ServerType.RESUME,
    Updated: ServerType.UPDATED,
    Disconnect: ServerType.DISCONNECT,
    Reconnect: ServerType.RECONNECT,
    EventBatch: ServerType.EVENT,
}
