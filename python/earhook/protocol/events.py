"""What a session tells its driver. Frozen values, taken with `Session.take_events`.

An event that moves the stream clock without audio is a `StreamGap`: the driver writes
`gap_samples` of silence knowledge with `gap_reason` into the pipeline and nothing else, and
then the session's and the pipeline's positions are equal again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from earhook.ids import ConversationId, CorrelationId, OrganizationId, SessionId

from .gaps import GapReason
from .messages import CloseReason, JsonObject, MediaOffer, Participant
from .settings import Product

__all__ = [
    "ClockJumped",
    "CloseRequested",
    "Discarded",
    "DtmfReceived",
    "Ending",
    "Event",
    "LanguageChanged",
    "Outcome",
    "Paused",
    "PausedBy",
    "PeerReportedError",
    "PlaybackCompleted",
    "PlaybackStarted",
    "ProbeAnswered",
    "Resumed",
    "SessionEnded",
    "SessionFacts",
    "SessionOpened",
    "StreamGap",
]


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What `open` said, and what we made of it. Personal fields stay out of `repr`."""

    session_id: SessionId
    organization_id: OrganizationId
    conversation_id: ConversationId
    correlation_id: CorrelationId
    product: Product
    """Never AUTO: where the operator did not say, told by what `open` carries."""
    media: MediaOffer | None
    """None: a session without audio."""
    participant: Participant
    language: str | None
    start_paused: bool
    custom_config: JsonObject | None = field(default=None, repr=False)
    input_variables: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """`opened` is among the replies: a call has begun."""

    facts: SessionFacts


@dataclass(frozen=True, slots=True)
class ProbeAnswered:
    """A connection test of an administrator. The only event of such a session."""

    organization_id: OrganizationId


class PausedBy(StrEnum):
    """Who holds the audio back, as far as the peer lets us know."""

    GATEWAY = "gateway"
    PEER = "peer"


@dataclass(frozen=True, slots=True)
class Paused:
    """Audio stopped. What arrives until `Resumed` is dropped and counted."""

    position: int
    by: PausedBy


@dataclass(frozen=True, slots=True)
class StreamGap:
    """The stream clock moved from `start` without audio. `gap_samples` may be 0."""

    start: int
    gap_samples: int
    gap_reason: GapReason

    @property
    def position(self) -> int:
        """Where the next sample goes."""
        return self.start + self.gap_samples


@dataclass(frozen=True, slots=True)
class Resumed(StreamGap):
    """Audio flows again after a pause."""


@dataclass(frozen=True, slots=True)
class Discarded(StreamGap):
    """The peer reported audio that it will never send."""


@dataclass(frozen=True, slots=True)
class ClockJumped(StreamGap):
    """The peer's clock is ahead of ours and it never said why."""


@dataclass(frozen=True, slots=True)
class LanguageChanged:
    """The language of the conversation changed."""

    language: str


@dataclass(frozen=True, slots=True)
class DtmfReceived:
    """The caller pressed a key. Keys may spell a card number: never logged."""

    digit: str = field(repr=False)
    position: int = 0


@dataclass(frozen=True, slots=True)
class PlaybackStarted:
    """The caller hears the first byte of a burst of our audio."""

    position: int


@dataclass(frozen=True, slots=True)
class PlaybackCompleted:
    """The peer has nothing of ours left to play."""

    position: int
    all_sent: bool
    """We had nothing left to send either: what we said has been heard."""


@dataclass(frozen=True, slots=True)
class PeerReportedError:
    """The peer complained. Its text stays inside; only the length leaves."""

    code: int
    text_characters: int


@dataclass(frozen=True, slots=True)
class CloseRequested:
    """The peer closes; no audio follows.

    With `awaits_results` the session holds `closed` back: submit what is left as
    `RelayEvent`, then `Finish`.
    """

    reason: CloseReason
    awaits_results: bool


class Ending(StrEnum):
    """How a session ended."""

    COMPLETED = "completed"
    """The peer closed and we confirmed."""
    DISCONNECTED = "disconnected"
    """We asked for the end."""
    REFUSED = "refused"
    """We did not accept `open`."""
    PEER_ERROR = "peer-error"
    """The peer closed because of an error that it saw."""
    VIOLATION = "violation"
    """The peer broke the protocol."""
    TIMED_OUT = "timed-out"
    """The peer fell silent."""
    LOST = "lost"
    """The socket went without a close."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a session ended and, in words of our own, why. Holds nothing personal."""

    ending: Ending
    detail: str
    position: int
    opened: bool
    """Whether `SessionOpened` came before."""


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The last event. The socket may stay until the peer hangs up or a timer does."""

    outcome: Outcome


Event: TypeAlias = (
    SessionOpened
    | ProbeAnswered
    | Paused
    | Resumed
    | Discarded
    | ClockJumped
    | LanguageChanged
    | DtmfReceived
    | PlaybackStarted
    | PlaybackCompleted
    | PeerReportedError
    | CloseRequested
    | SessionEnded
)
