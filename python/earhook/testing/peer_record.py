"""What a peer remembers of its call: figures, the ladder of messages, what was really sent."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

__all__ = ["Ladder", "PeerRecord", "Rung", "Span"]

KEPT_ROUND_TRIPS = 4096


class Span(NamedTuple):
    """A stretch of stream time, in samples."""

    start: int
    samples: int


@dataclass(slots=True)
class Rung:
    """One message, or a run of binary frames.

    Attributes:
        seconds: Since the upgrade was answered.
        sender: `C` the peer, `S` the server.
        type: Message type, or `audio`.
        seq: The sender's number; None for audio.
        detail: What a person wants to see of it.
        frames: Binary frames in this run; 0 for a message.
        payload_bytes: Their bytes together.
    """

    seconds: float
    sender: Literal["C", "S"]
    type: str
    seq: int | None = None
    detail: str = ""
    frames: int = 0
    payload_bytes: int = 0


class Ladder:
    """The conversation in order, runs of frames folded into one rung each.

    Args:
        started: From when its times count.
        entries: Rungs that are kept; 0: nothing is noted at all.
    """

    __slots__ = ("_audio", "_keeps", "_rungs", "_started", "added")

    def __init__(self, started: float, entries: int) -> None:
        self._started = started
        self._keeps = entries > 0
        self._rungs: deque[Rung] = deque(maxlen=entries)
        self._audio: Rung | None = None
        self.added = 0
        """Rungs so far, also those that had to make room."""

    def begin(self, now: float) -> None:
        """Count time from here."""
        self._started = now

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """All that is kept, oldest first."""
        return tuple(self._rungs)

    def message(
        self, now: float, sender: Literal["C", "S"], kind: str, seq: int | None, detail: str
    ) -> None:
        """Add a text message."""
        if not self._keeps:
            return
        self._audio = None
        self._add(Rung(now - self._started, sender, kind, seq, detail))

    def frame(
        self, now: float, sender: Literal["C", "S"], payload_bytes: int, frames: int = 1
    ) -> None:
        """Add binary frames, to the run that is under way if it has the same sender."""
        if not self._keeps:
            return
        audio = self._audio
        if audio is None or audio.sender != sender:
            audio = self._audio = Rung(now - self._started, sender, "audio")
            self._add(audio)
        audio.frames += frames
        audio.payload_bytes += payload_bytes

    def _add(self, rung: Rung) -> None:
        self.added += 1
        self._rungs.append(rung)


@dataclass(slots=True)
class PeerRecord:
    """Figures of one call, as the peer saw it. Seconds unless the name says otherwise.

    Attributes:
        connect_seconds: From dialling to the answered upgrade, TLS included.
        opened_seconds: From `open` sent to `opened` received.
        closed_seconds: From `close` sent to `closed` received.
        round_trips: Ping to pong, most recent ones.
        last_frame_seconds: When the last frame left, on the monotonic clock.
        sent: Spans of stream time that went out as audio, merged, in order.
        withheld: Spans that did not, in order.
        objections: Rules that the server broke, as `code text`.
        limit_breaches: Server messages above the limits of AudioHook protocol §11.2.
        outcome: How the call ended: `completed`, `disconnected` (by the server), `error` (the
            peer objected), `lost` (the socket went first); empty while it lives.
        close_code: The server's WebSocket close code.
    """

    connect_seconds: float | None = None
    opened_seconds: float | None = None
    closed_seconds: float | None = None
    round_trips: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_ROUND_TRIPS))
    frames_sent: int = 0
    bytes_sent: int = 0
    last_frame_seconds: float = 0.0
    texts_sent: int = 0
    texts_received: int = 0
    sent: list[Span] = field(default_factory=list)
    withheld: list[Span] = field(default_factory=list)
    objections: list[str] = field(default_factory=list)
    limit_breaches: int = 0
    outcome: str = ""
    close_code: int | None = None
    disconnect_reason: str = ""
    disconnect_text: str = ""
    output_variables: dict[str, str] = field(default_factory=dict)
    playback_bytes: int = 0
    playback: bytearray = field(default_factory=bytearray, repr=False)

    @property
    def samples_sent(self) -> int:
        """Samples per channel that went out as audio."""
        return sum(span.samples for span in self.sent)

    @property
    def samples_withheld(self) -> int:
        """Samples per channel that the call lasted without audio being sent."""
        return sum(span.samples for span in self.withheld)

    def count_sent(self, start: int, samples: int) -> None:
        """Note a sent stretch."""
        _extend(self.sent, start, samples)

    def count_withheld(self, start: int, samples: int) -> None:
        """Note a stretch that passed without audio."""
        _extend(self.withheld, start, samples)


def _extend(spans: list[Span], start: int, samples: int) -> None:
    if samples <= 0:
        return
    if spans and spans[-1].start + spans[-1].samples == start:
        spans[-1] = Span(spans[-1].start, spans[-1].samples + samples)
    else:
        spans.append(Span(start, samples))
