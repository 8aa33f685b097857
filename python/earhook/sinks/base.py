"""The contract between the hub and every way out.

Order of what a sink is told about one call, always on the loop's thread: `attach` once, `publish`
any number of times, `ended` once. The sink then drains what is left and answers with exactly one
`call.settle(...)`. It may do its work on threads of its own. What consumers find out of a call may
still be published after `ended`, until `forget`.

What a sink may never do: wait in one of these calls, raise from them, or make anybody else wait.
It reads audio through readers of its own (`earhook.media.feed.Feed`); one that falls behind loses
its own oldest audio, counted and marked as a gap, and nobody else's.

The books of one call and sink balance at any moment, in samples per channel:
`received = forwarded + buffered + dropped`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import orjson

from earhook.ids import ConversationId, CorrelationId, KeyName, OrganizationId, SessionId
from earhook.media.feed import Books
from earhook.media.format import Channel, MediaFormat
from earhook.media.pipeline import Pipeline
from earhook.media.signal import Level, Stretch

__all__ = [
    "CallEvent",
    "CallFacts",
    "CallOutcome",
    "LiveCall",
    "Participant",
    "ProtocolEntry",
    "SignalView",
    "Sink",
    "SinkBooks",
    "SinkSnapshot",
    "Spectator",
]

PROTOCOL_LOG_ENTRIES = 512


@dataclass(frozen=True, slots=True)
class Participant:
    """The external party. Personal: never logged, never in a recording's sidecar."""

    participant_id: str
    ani: str
    ani_name: str
    dnis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What is known of a call when it opens. Ids are the peer's, checked to be UUIDs."""

    session_id: SessionId
    organization_id: OrganizationId
    conversation_id: ConversationId
    correlation_id: CorrelationId
    key_name: KeyName
    media: MediaFormat
    opened_wall_seconds: float
    door: Literal["media", "ingest"] = "media"
    """How it comes in: AudioHook over WebSocket, or HTTPS POST."""
    product: str | None = None
    """Of the peer that sends it: `monitor`, `transcription` or `connector`."""
    language: str | None = None
    participant: Participant | None = None
    input_variables: Mapping[str, str] = field(default_factory=dict)
    custom_config: bytes | None = None
    """JSON, as compact as it can be: it is kept for as long as the call lives."""

    def as_json(self, *, personal: bool) -> dict[str, Any]:
        """Values for `orjson.dumps`.

        Args:
            personal: Include the participant, the input variables and the custom
                configuration. Only the PCM stream's consumers get these.
        """
        facts: dict[str, Any] = {
            "session": self.session_id,
            "organization": self.organization_id,
            "conversation": self.conversation_id,
            "correlation": self.correlation_id,
            "key": self.key_name,
            "codec": self.media.codec,
            "rate": self.media.rate,
            "channels": [Channel(channel).word for channel in self.media.channels],
            "opened": self.opened_wall_seconds,
            "product": self.product,
            "language": self.language,
        }
        if personal:
            facts["participant"] = self.participant and {
                "id": self.participant.participant_id,
                "ani": self.participant.ani,
                "ani_name": self.participant.ani_name,
                "dnis": self.participant.dnis,
            }
            facts["input_variables"] = dict(self.input_variables)
            config = self.custom_config
            facts["custom_config"] = None if config is None else orjson.Fragment(config)
        return facts


@dataclass(frozen=True, slots=True)
class CallEvent:
    """Something that happened at a position: paused, resumed, dtmf, language.

    `personal` details go to those who may hear the call: consumers of the PCM stream, and whoever
    shows calls to people. They are never logged and never in a recording's sidecar.
    """

    kind: str
    position: int
    details: Mapping[str, Any] = field(default_factory=dict)
    personal: bool = False
    by: Literal["gateway", "consumer"] = "gateway"
    """Who says so: a consumer's word is its own."""


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """How a call ended, and what came in (samples per channel).

    `samples_in = written + sum(dropped.values())`; `written` is what reached the ring.
    """

    reason: str
    position: int
    samples_in: int
    written: int
    dropped: Mapping[str, int]
    frames: int
    duration_seconds: float

    def balances(self) -> bool:
        """Whether every sample that came in is accounted for."""
        return self.samples_in == self.written + sum(self.dropped.values())


class ProtocolEntry(NamedTuple):
    """One message that crossed the wire, without its content."""

    seconds: float
    direction: Literal["in", "out"]
    kind: str


@dataclass(slots=True)
class SinkBooks:
    """The books of one sink, for one call or for all. Samples per channel.

    A sink with several readers of one call adds their books up. What was gone before a reader came
    is `late`: it is no part of `received`, and nobody has lost it.
    """

    received: int = 0
    forwarded: int = 0
    buffered: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    late: int = 0

    def merge(self, other: SinkBooks | Books) -> None:
        """Add all of `other`: of another sink or call, or those of one reader."""
        self.received += other.received
        self.forwarded += other.forwarded
        self.buffered += other.buffered
        self.late += other.late
        for reason, samples in other.dropped.items():
            if samples:
                self.dropped[reason] = self.dropped.get(reason, 0) + samples

    def balances(self) -> bool:
        """The conservation law."""
        return self.received == self.forwarded + self.buffered + sum(self.dropped.values())

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON and logs; `late` where there is any."""
        return {
            "received": self.received,
            "forwarded": self.forwarded,
            "buffered": self.buffered,
            "dropped": dict(self.dropped),
            **({"late": self.late} if self.late else {}),
        }


class SignalView(Protocol):
    """What a call sounds like, for whoever shows it. On the loop's thread."""

    @property
    def is_dead_air(self) -> bool:
        """Whether there is dead air now."""
        ...

    @property
    def one_way(self) -> str | None:
        """The channel that is silent now while the other speaks."""
        ...

    def levels(self) -> Sequence[Level]:
        """How loud each channel is now, and whether somebody speaks; nothing of an ended call."""
        ...

    def summary(self) -> Mapping[str, Any] | None:
        """The call in figures so far, as in its `signal` event."""
        ...

    def envelope(self, since: int) -> Stretch | None:
        """How loud it has been from its beginning on, in all points that end behind a position.

        None: nobody knows any more.
        """
        ...

    def as_json(self) -> dict[str, Any]:
        """All of it as the API shows it."""
        ...


class LiveCall:
    """A call as sinks see it: facts, the pipeline to attach readers to, and one answer to give.

    The pipeline outlives the call for as long as a reader is attached to it.

    Attributes:
        outcome: None while it is live.
        suspicion: What its audio probably is, where it plainly is not what was announced.
        signal: What it sounds like, while it is live and after; None where nobody measures.
        delay_seconds: How long its last audio was on its way; None where nobody tells.
        read_protocol: Gives the messages that have crossed the wire so far, while it is live.
    """

    __slots__ = (
        "_on_settled",
        "_settled",
        "_sinks",
        "delay_seconds",
        "facts",
        "outcome",
        "pipeline",
        "protocol_log",
        "read_protocol",
        "signal",
        "suspicion",
    )

    def __init__(
        self,
        facts: CallFacts,
        pipeline: Pipeline,
        sinks: frozenset[str],
        on_settled: Callable[[LiveCall], None],
    ) -> None:
        self.facts = facts
        self.pipeline = pipeline
        self.outcome: CallOutcome | None = None
        self.suspicion: str | None = None
        self.signal: SignalView | None = None
        self.delay_seconds: float | None = None
        self.protocol_log: deque[ProtocolEntry] = deque(maxlen=PROTOCOL_LOG_ENTRIES)
        self.read_protocol: Callable[[], Iterable[ProtocolEntry]] | None = None
        self._sinks = sinks
        self._settled: dict[str, SinkBooks] = {}
        self._on_settled = on_settled

    @property
    def settled(self) -> Mapping[str, SinkBooks]:
        """The final books of every sink that has answered."""
        return self._settled

    @property
    def unsettled(self) -> frozenset[str]:
        """Names of the sinks that still owe an answer."""
        return self._sinks - self._settled.keys()

    def as_json(self) -> dict[str, Any]:
        """How it stands, as values for `orjson.dumps`; nothing personal."""
        pipeline = self.pipeline
        return {
            "delay_seconds": self.delay_seconds,
            "suspicion": self.suspicion,
            "signal": None if self.signal is None else self.signal.as_json(),
            "position": pipeline.position,
            "written": pipeline.written_samples,
            # Of the ingest nothing comes in frames.
            "frames": pipeline.frames if self.facts.door == "media" else None,
            "gaps": len(pipeline.gaps()),
            "levels": {
                Channel(channel).word: {"peak": peak, "rms": round(rms, 1)}
                for channel, peak, rms in pipeline.levels()
            },
        }

    def settle(self, sink_name: str, books: SinkBooks) -> None:
        """Hand in a sink's final books of this call; only on the loop's thread, only once.

        Args:
            sink_name: The name the sink was configured with.
            books: Final; `buffered` is 0 unless the sink gave up.
        """
        if sink_name in self._settled or sink_name not in self._sinks:
            return
        self._settled[sink_name] = books
        if self.outcome is not None and not self.unsettled:
            self._on_settled(self)


@dataclass(frozen=True, slots=True)
class SinkSnapshot:
    """How a sink is doing, as plain values.

    `books` covers all calls so far, ended ones included. `healthy` False shows in readiness;
    `detail` then says what, where and what to do. `counters` only grow, `gauges` come and go.
    """

    name: str
    kind: str
    healthy: bool
    detail: str
    books: SinkBooks
    calls: int
    counters: Mapping[str, int] = field(default_factory=dict)
    gauges: Mapping[str, int] = field(default_factory=dict)
    subscribers: tuple[Mapping[str, Any], ...] = ()


class Sink(Protocol):
    """One way out of the gateway. See the module's text for the order of calls."""

    @property
    def name(self) -> str:
        """Unique among the sinks of a gateway; labels metrics and logs."""
        ...

    @property
    def kind(self) -> str:
        """The `kind` of its configuration table."""
        ...

    async def start(self) -> None:
        """Open what the sink needs. Raises `OperatorError` where it cannot work at all."""
        ...

    def attach(self, call: LiveCall) -> None:
        """A call has opened; nothing of its audio is lost yet (position 0 is in the ring)."""
        ...

    def publish(self, call: LiveCall, event: CallEvent) -> None:
        """Something happened in a call that was attached."""
        ...

    def ended(self, call: LiveCall) -> None:
        """`call.outcome` is set and its pipeline has ended: drain, then `call.settle(...)`."""
        ...

    def forget(self, call: LiveCall) -> None:
        """An ended call can no longer be resumed by a consumer: drop every reference to it."""
        ...

    async def stop(self, deadline_seconds: float) -> None:
        """Flush and close within the deadline; afterwards no call is attached any more."""
        ...

    def snapshot(self) -> SinkSnapshot:
        """Plain values, cheap, callable at any time on the loop's thread."""
        ...


class Spectator(Protocol):
    """Somebody in the house who is told what sinks are told, and owes no books. See `Sink`."""

    def attach(self, call: LiveCall) -> None:
        """A call has opened."""
        ...

    def publish(self, call: LiveCall, event: CallEvent) -> None:
        """Something happened in a call that was attached."""
        ...

    def ended(self, call: LiveCall) -> None:
        """`call.outcome` is set; its sinks still drain."""
        ...

    def forget(self, call: LiveCall) -> None:
        """Drop every reference to it."""
        ...
