"""What the media port counts: plain ints on the way, plain values when somebody asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from earhook.edge.tally import EdgeTally
from earhook.errors import DuplicateSession, EarhookError, TooManyCalls
from earhook.ops.histogram import Histogram

if TYPE_CHECKING:
    from earhook.hub.books import LiveBooks
    from earhook.media.format import MediaFormat
    from earhook.media.pipeline import Pipeline
    from earhook.protocol.stream import Tally

__all__ = ["Broken", "NoCall", "TransportSnapshot", "TransportTally"]


class Broken(StrEnum):
    """The rule that cost a connection. Fixed words, so that metrics stay few."""

    FRAMING = "framing"
    """The parser could not read a frame, or a reserved bit was set."""
    SEQUENCE = "sequence"
    """Fragments interleaved, or a continuation of nothing."""
    TEXT = "text"
    """Text that is not UTF-8."""
    CLOSE_CODE = "close-code"
    TOO_LARGE = "too-large"
    FRAGMENTS = "fragments"
    FRAME_RATE = "frame-rate"
    CONTROL_RATE = "control-rate"
    UNSENT = "unsent"
    """The peer does not read what it asks for."""
    EARLY_BYTES = "early-bytes"
    """A flood behind an upgrade request that was not answered yet."""
    FAULT = "fault"
    """A defect of ours; the connection is ended, the others go on."""


class NoCall(StrEnum):
    """Why a session that was opened, or one that could have been, became no call."""

    NO_ROOM = "no-room"
    """The memory of all rings is given away."""
    DUPLICATE_SESSION = "duplicate-session"
    NO_PROBE = "no-probe"
    """It was let in while new calls were refused, in case it is a connection test."""
    SENDER_CALLS = "sender-calls"
    """Its key has as many calls as it may have: it was not let in."""

    @classmethod
    def of(cls, error: EarhookError) -> NoCall:
        """The word for what opening a call raised."""
        if isinstance(error, TooManyCalls):
            return cls.NO_PROBE
        return cls.DUPLICATE_SESSION if isinstance(error, DuplicateSession) else cls.NO_ROOM


@dataclass(slots=True)
class TransportTally(EdgeTally):
    """The counters of one media port. Written on the loop's thread only."""

    upgrades: int = 0
    unauthorized_sessions: int = 0
    probes: int = 0
    faults: int = 0
    responses: Counter[int] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    request_faults: Counter[str] = field(default_factory=Counter)
    frames: Counter[str] = field(default_factory=Counter)
    audio_bytes: Counter[str] = field(default_factory=Counter)
    calls_refused: Counter[str] = field(default_factory=Counter)
    signature_age: Histogram = field(default_factory=Histogram)
    opened_latency: Histogram = field(default_factory=Histogram)

    def count_closed(self, media: MediaFormat, pipeline: Pipeline, tally: Tally) -> None:
        """Take over the frames of a call that ends."""
        self.frames[media.codec] += pipeline.frames
        self.audio_bytes[media.codec] += tally.samples_in * media.bytes_per_group


@dataclass(frozen=True, slots=True)
class TransportSnapshot:
    """The media port as plain values, at one moment.

    Attributes:
        connections: Open WebSockets, probes and refused sessions included.
        unproven: Connections that have not shown a valid key yet.
        accepted: TCP connections accepted so far.
        accept_errors: Times that accept failed, as it does when file descriptors run out.
        handshakes_failed: TLS handshakes that failed, health checks that only connect included.
        upgrades: Requests answered with 101.
        unauthorized_sessions: Of these, those that are refused in-band.
        probes: Connection tests answered.
        faults: Exceptions of ours that ended one connection. Anything but 0 is a defect.
        closed_early: Connections that never became a WebSocket, by `Closing`.
        responses: Answers other than 101, by status.
        refusals: Failed authentications by reason; never shown to a peer.
        broken: Connections ended because a frame rule was broken, by `Broken`.
        request_faults: Malformed requests by rule.
        calls_refused: Sessions that became no call, by `NoCall`.
        frames: Audio frames that reached a ring, by codec.
        audio_bytes: Audio bytes received in calls, by codec.
        live: The books of the calls that are live.
        signature_age: `now - created` of signatures, in seconds.
        opened_latency: From `open` read to `opened` written, in seconds.
    """

    connections: int
    unproven: int
    accepted: int
    accept_errors: int
    handshakes_failed: int
    upgrades: int
    unauthorized_sessions: int
    probes: int
    faults: int
    closed_early: Mapping[str, int]
    responses: Mapping[int, int]
    refusals: Mapping[str, int]
    broken: Mapping[str, int]
    request_faults: Mapping[str, int]
    calls_refused: Mapping[str, int]
    frames: Mapping[str, int]
    audio_bytes: Mapping[str, int]
    live: LiveBooks
    signature_age: Histogram
    opened_latency: Histogram

    @property
    def refused(self) -> Mapping[str, int]:
        """Connections closed before or at the upgrade, by one word each."""
        words = Counter(self.closed_early)
        words.update({str(status): n for status, n in self.responses.items() if status != 200})
        return words
