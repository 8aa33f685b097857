"""The Genesys side of one session as a value machine: no socket, no clock, no task.

Doors: `start`, `receive_text`, `receive_audio`, `receive_eof`, `take_frame`, `handle_timeout`, and
the wishes of whoever drives the call (`close`, `secure_pause`, …). After every call of a door,
take `take_texts()`, look at `finished` and `deadline`, before the next call.

It behaves as AudioHook protocol §13.2 describes the client, and objects to every rule a server
breaks: `peer_messages` says what a message may hold, the table `_REACTIONS` when it may come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, ClassVar, Final, TypeAlias

import orjson

from .peer_messages import (
    Envelope,
    Objection,
    ServerMessage,
    Terms,
    duration_of_samples,
    duration_of_seconds,
    encode_message,
    read_server_message,
    samples_of_duration,
)
from .peer_playback import PlaybackQueue, TokenBucket
from .peer_record import Ladder, PeerRecord
from .peer_setup import CallSetup, MediaChoice, PeerManners

__all__ = ["PeerSession", "PeerState"]

BINARY_LIMIT_BYTES: Final = 64_000
"""Largest binary message Genesys takes from a server (AudioHook protocol §9)."""


class PeerState(Enum):
    """Where the conversation stands."""

    PREPARING = "preparing"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSING_ERROR = "closing-error"
    CLOSED = "closed"
    DISCONNECTED = "disconnected"


_UNTIL_CLOSING: Final = frozenset({PeerState.PREPARING, PeerState.OPENING, PeerState.OPEN})
_Reaction: TypeAlias = "Callable[[PeerSession, ServerMessage, float], None]"
_Table: TypeAlias = dict[str, _Reaction]


class PeerSession:
    """One simulated call.

    Args:
        setup: What call it is.
        manners: Deadlines and strictness.
        frame_samples: Size of a whole frame, to which `discardTo` is rounded down.
        now: Monotonic seconds, as in every door.
    """

    def __init__(
        self, setup: CallSetup, manners: PeerManners, frame_samples: int, now: float
    ) -> None:
        self.setup = setup
        self.state = PeerState.PREPARING
        self.position = 0
        """Samples per channel since the stream began, paused and discarded ones included."""
        self.media: MediaChoice | None = None
        """The accepted offer; None before `opened`, and when the server wants no audio."""
        self.record = PeerRecord()
        self.ladder = Ladder(now, manners.ladder_entries)
        self.server_paused = False
        self.client_paused = False
        self._manners = manners
        self._frame_samples = frame_samples
        self._paused_at = 0
        self._texts: list[bytes] = []
        self._seq = 0
        self._server_seq = 0
        self._clientseq = 0
        self._updates_unanswered = 0
        self._offers = [offer.as_json() for offer in setup.offers]
        self._open_sent = now
        self._close_sent = now
        self._open_due: float | None = None
        self._close_due: float | None = None
        self._pings = _PingCycle(manners)
        self._playback = PlaybackQueue(8000)
        self._buckets = {
            "text": TokenBucket(5.0, 25, now),
            "binary": TokenBucket(5.0, 25, now),
            "pause": TokenBucket(2.0, 4, now),
            "resume": TokenBucket(2.0, 4, now),
        }

    @property
    def flowing(self) -> bool:
        """Whether audio taken from the source now goes out."""
        return self.media is not None and not self.server_paused and not self.client_paused

    @property
    def finished(self) -> bool:
        """Whether the peer is done and its socket is to be closed."""
        return self.state is PeerState.CLOSED or self.state is PeerState.DISCONNECTED

    @property
    def deadline(self) -> float | None:
        """When `handle_timeout` is due next."""
        first = self._pings.due
        for due in (self._open_due, self._close_due, self._playback.ends):
            if due is not None and (first is None or due < first):
                first = due
        return first

    def take_texts(self) -> list[bytes]:
        """Text messages to send now, in this order."""
        texts, self._texts = self._texts, []
        return texts

    # -- what comes from the wire

    def start(self, now: float) -> None:
        """The upgrade was answered: send `open`."""
        self.ladder.begin(now)
        self._open_sent = now
        self._open_due = now + self._manners.open_seconds
        self.state = PeerState.OPENING
        self._send("open", self.setup.open_parameters(), now)

    def receive_text(self, text: bytes, now: float) -> None:
        """One text message of the server."""
        self.record.texts_received += 1
        if self.finished:
            self.record.objections.append("409 message after closed")
        elif self.state is PeerState.CLOSING_ERROR:
            self._await_closed(text, now)
        else:
            try:
                self._limit("text", now)
                self._react(read_server_message(text, self._terms()), now)
            except Objection as objection:
                self._object(objection, now)

    def receive_audio(self, payload: bytes, now: float) -> None:
        """One binary message of the server: audio to play to the caller."""
        if self.state in {PeerState.CLOSING, PeerState.CLOSING_ERROR} or self.finished:
            return
        self.ladder.frame(now, "S", len(payload))
        try:
            self._check_audio(payload, now)
        except Objection as objection:
            self._object(objection, now)
            return
        self.record.playback_bytes += len(payload)
        if self._manners.keeps_playback:
            self.record.playback += payload
        if payload and self._playback.queue(len(payload), now):
            self._send("playback_started", {}, now)

    def receive_eof(self, now: float) -> None:
        """The socket is gone."""
        del now
        if self.state is not PeerState.CLOSED and self.record.outcome != "error":
            self.record.outcome = "lost"
        self.state = PeerState.DISCONNECTED
        self._stop_timers()

    def handle_timeout(self, now: float) -> None:
        """A deadline has passed. Harmless when called early."""
        if self._open_due is not None and now >= self._open_due:
            self._object(Objection(408, "Timed out waiting for opened response"), now)
        if self._close_due is not None and now >= self._close_due:
            self._give_up_close(now)
        if self._pings.due is not None and now >= self._pings.due:
            self._ping(now)
        if self._playback.ran_empty(now):
            self._send("playback_completed", {}, now)

    # -- what comes from the source and from whoever drives the call

    def take_frame(self, samples: int, payload_bytes: int, now: float) -> bool:
        """Time has moved on by `samples`: True when these go out as a binary frame now."""
        if self.state is not PeerState.OPEN:
            return False
        if not self.flowing:
            self.record.count_withheld(self.position, samples)
            self.position += samples
            return False
        self.take_run(1, samples, payload_bytes, now)
        return True

    def take_run(self, frames: int, samples: int, payload_bytes: int, now: float) -> None:
        """Time has moved on by `samples`, which went out in so many frames, the last one at `now`.

        For whoever sends so much that a step for each frame is too dear. Nothing else may have
        happened to the session since the first of them, and `flowing` was true.
        """
        self.record.count_sent(self.position, samples)
        self.position += samples
        self.record.frames_sent += frames
        self.record.bytes_sent += payload_bytes
        self.record.last_frame_seconds = now
        self.ladder.frame(now, "C", payload_bytes, frames)

    def close(self, now: float, reason: str = "end") -> None:
        """End the call; `closed` is awaited. Nothing happens when it is ending already."""
        if self.state not in {PeerState.OPENING, PeerState.OPEN}:
            return
        failed = reason == "error"
        self.state = PeerState.CLOSING_ERROR if failed else PeerState.CLOSING
        self.record.outcome = {"end": "completed", "disconnect": "disconnected"}.get(reason, reason)
        self._stop_timers()
        self._close_sent = now
        self._close_due = now + self._manners.close_seconds
        self._send("close", {"reason": reason}, now)

    def secure_pause(self, now: float) -> None:
        """The agent's secure pause: audio stops, and the server cannot resume it.

        Before `opened` it is a wish: the stream then begins paused, and no audio goes out first.
        """
        if self.client_paused or self.state not in _UNTIL_CLOSING:
            return
        self.client_paused = True
        if self.state is PeerState.OPEN and not self.server_paused:
            self._paused_at = self.position
            self._send("paused", {}, now)

    def secure_resume(self, now: float) -> None:
        """The end of the agent's secure pause."""
        if not self.client_paused or self.state not in _UNTIL_CLOSING:
            return
        self.client_paused = False
        if self.state is PeerState.OPEN and not self.server_paused:
            self._resumed(now)

    def discard(self, samples: int, now: float) -> None:
        """Lose audio of the source and say so."""
        if self.state is not PeerState.OPEN or not self.flowing:
            return
        start = self.position
        self.position += samples
        self.record.count_withheld(start, samples)
        self._send_span("discarded", start, samples, now)

    def update(self, language: str, now: float) -> None:
        """The language of the conversation changed."""
        if self.state is PeerState.OPEN:
            self._updates_unanswered += 1
            self._send("update", {"language": language}, now)

    def press(self, digit: str, now: float) -> None:
        """The caller pressed a key (Audio Connector)."""
        if self.state is PeerState.OPEN:
            self._send("dtmf", {"digit": digit}, now)

    def report_error(self, code: int, text: str, now: float, *, fatal: bool = False) -> None:
        """Send `error`, and end the call over it when `fatal`."""
        self._send("error", {"code": code, "message": text}, now)
        if fatal:
            self.close(now, "error")

    # -- reactions to messages

    def _react(self, message: ServerMessage, now: float) -> None:
        self._server_seq = message.seq
        self._clientseq = message.clientseq
        detail = _detail(message)
        self.ladder.message(now, "S", message.type, message.seq, detail)
        reaction = self._REACTIONS[self.state].get(message.type, PeerSession._out_of_place)
        reaction(self, message, now)

    def _opened(self, message: ServerMessage, now: float) -> None:
        self.record.opened_seconds = now - self._open_sent
        self._open_due = None
        self.state = PeerState.OPEN
        media = message.parameters["media"]
        self.media = self.setup.offers[self._offers.index(media[0])] if media else None
        self._pings.begin(now)
        if self.setup.is_probe:
            self.close(now)
            return
        # An agent's pause from before the stream begins when all else of `opened` is done.
        is_paused, self.client_paused = self.client_paused, False
        if "discardTo" in message.parameters:
            wanted = samples_of_duration(message.parameters["discardTo"])
            self.discard(wanted - wanted % self._frame_samples, now)
        if message.parameters.get("startPaused"):
            self.server_paused = True
            self._paused_at = self.position
            self._send("paused", {}, now)
        if is_paused:
            self.secure_pause(now)

    def _pong(self, message: ServerMessage, now: float) -> None:
        round_trip = self._pings.answer(message.clientseq, now)
        self.record.round_trips.append(round_trip)
        if self.state is PeerState.OPEN and self._pings.second_is_due:
            self._ping(now)

    def _late_pong(self, message: ServerMessage, now: float) -> None:
        if self._pings.outstanding_seq == message.clientseq:
            self.record.round_trips.append(self._pings.answer(message.clientseq, now))

    def _pause(self, _message: ServerMessage, now: float) -> None:
        self._limit("pause", now)
        if not (self.server_paused or self.client_paused):
            self._paused_at = self.position
        self.server_paused = True
        self._send("paused", {}, now)

    def _resume(self, _message: ServerMessage, now: float) -> None:
        self._limit("resume", now)
        was_paused = self.server_paused
        self.server_paused = False
        if self.client_paused:
            self._send("paused", {}, now)
            return
        if not was_paused:
            self._paused_at = self.position
        self._resumed(now)

    def _event(self, message: ServerMessage, now: float) -> None:
        if self._manners.refuses_events:
            raise Objection(400, "event messages are not allowed")
        kinds = [entity["type"] for entity in message.parameters["entities"]]
        if "barge_in" in kinds and self.setup.product != "audio-connector":
            raise Objection(400, "barge_in without playback", fatal=False)
        if "barge_in" in kinds:
            self._playback.flush(now)
            if self._playback.ran_empty(now):
                self._send("playback_completed", {}, now)

    def _updated(self, _message: ServerMessage, _now: float) -> None:
        if not self._updates_unanswered:
            raise Objection(409, "updated without update", fatal=False)
        self._updates_unanswered -= 1

    def _disconnect(self, message: ServerMessage, now: float) -> None:
        self._note_disconnect(message, now)
        self.close(now, "disconnect")

    def _note_disconnect(self, message: ServerMessage, _now: float) -> None:
        if self.record.disconnect_reason:
            raise Objection(409, "second disconnect", fatal=False)
        self.record.disconnect_reason = message.parameters["reason"]
        self.record.disconnect_text = message.parameters.get("info", "")
        self.record.output_variables = dict(message.parameters.get("outputVariables", {}))

    def _reconnect(self, _message: ServerMessage, _now: float) -> None:
        raise Objection(400, "reconnect is not to be sent", fatal=False)

    def _closed(self, _message: ServerMessage, now: float) -> None:
        self.record.closed_seconds = now - self._close_sent
        self.state = PeerState.CLOSED
        self._stop_timers()

    def _tolerate(self, _message: ServerMessage, _now: float) -> None:
        """It crossed our `close` on the wire."""

    def _out_of_place(self, message: ServerMessage, _now: float) -> None:
        raise Objection(409, f"{message.type} in state {self.state.value}")

    _OPENING: ClassVar[_Table] = {"opened": _opened, "disconnect": _disconnect}
    _OPEN: ClassVar[_Table] = {
        "pong": _pong,
        "pause": _pause,
        "resume": _resume,
        "event": _event,
        "updated": _updated,
        "disconnect": _disconnect,
        "reconnect": _reconnect,
    }
    _CLOSING: ClassVar[_Table] = {
        "closed": _closed,
        "pong": _late_pong,
        "disconnect": _note_disconnect,
        "opened": _tolerate,
        "pause": _tolerate,
        "resume": _tolerate,
        "event": _tolerate,
        "updated": _tolerate,
    }
    _REACTIONS: ClassVar[dict[PeerState, _Table]] = {
        PeerState.PREPARING: {},
        PeerState.OPENING: _OPENING,
        PeerState.OPEN: _OPEN,
        PeerState.CLOSING: _CLOSING,
    }

    def _await_closed(self, text: bytes, now: float) -> None:
        # The numbers may be poisoned by what went wrong; only the type counts from here on.
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            return
        if isinstance(message, dict) and message.get("type") == "closed":
            self.ladder.message(now, "S", "closed", message.get("seq"), "")
            self._closed(ServerMessage("closed", 0, 0, {}), now)

    # -- rules and limits

    def _terms(self) -> Terms:
        return Terms(
            session_id=self.setup.session_id,
            last_server_seq=self._server_seq,
            last_clientseq=self._clientseq,
            last_client_seq=self._seq,
            offers=self._offers,
            selected_channels=len(self.media.channels) if self.media else 0,
            asked_languages=self.setup.asks_languages,
            takes_variables=self.setup.product == "audio-connector",
        )

    def _check_audio(self, payload: bytes, now: float) -> None:
        if self.setup.product != "audio-connector":
            raise Objection(415, "binary message on a session that plays nothing")
        if self.state is not PeerState.OPEN or self.media is None:
            raise Objection(409, "audio before opened, or without media")
        if len(payload) > BINARY_LIMIT_BYTES:
            raise Objection(413, f"binary message of {len(payload)} bytes")
        self._limit("binary", now)

    def _limit(self, kind: str, now: float) -> None:
        if self._buckets[kind].take(now):
            return
        self.record.limit_breaches += 1
        if self._manners.limit_breach == "end":
            raise Objection(429, f"rate limit of {kind} messages")
        if self._manners.limit_breach == "error":
            parameters = {
                "code": 429,
                "message": f"rate limit of {kind} messages",
                "retryAfter": "PT1.0S",
            }
            self._send("error", parameters, now)

    def _object(self, objection: Objection, now: float) -> None:
        self.record.objections.append(f"{objection.code} {objection.text}")
        if self.state in {PeerState.OPENING, PeerState.OPEN}:
            self.report_error(objection.code, objection.text, now, fatal=objection.fatal)
        elif self.state is PeerState.CLOSING and objection.fatal:
            self.state = PeerState.CLOSING_ERROR
            self.record.outcome = "error"
            self._send("error", {"code": objection.code, "message": objection.text}, now)

    # -- sending

    def _ping(self, now: float) -> None:
        if self._pings.outstanding_seq is not None:
            self._object(Objection(408, "no pong before the next ping"), now)
            return
        rtt = self._pings.last_round_trip
        self._send("ping", {} if rtt is None else {"rtt": duration_of_seconds(rtt)}, now)
        self._pings.sent(self._seq, now)

    def _resumed(self, now: float) -> None:
        self._send_span("resumed", self._paused_at, self.position - self._paused_at, now)

    def _send_span(self, kind: str, start: int, samples: int, now: float) -> None:
        span = {"start": duration_of_samples(start), "discarded": duration_of_samples(samples)}
        self._send(kind, span, now)

    def _send(self, kind: str, parameters: Mapping[str, Any], now: float) -> None:
        self._seq += 1
        self.record.texts_sent += 1
        envelope = Envelope(self.setup.session_id, self._seq, self.position, self._server_seq)
        self._texts.append(encode_message(kind, parameters, envelope))
        self.ladder.message(now, "C", kind, self._seq, _sent_detail(kind, parameters, self))

    def _give_up_close(self, now: float) -> None:
        self._close_due = None
        self.record.objections.append("408 Timed out waiting for closed response")
        self.record.outcome = "error"
        self._send("error", {"code": 408, "message": "Timed out waiting for closed response"}, now)
        self.state = PeerState.CLOSED

    def _stop_timers(self) -> None:
        self._open_due = None
        self._close_due = None
        self._pings.due = None
        self._playback.ends = None


class _PingCycle:
    """When pings are due: 1 s after `opened`, again at once with `rtt`, then every 5 s (§11.1)."""

    __slots__ = (
        "_first_seconds",
        "_interval_seconds",
        "_pongs",
        "_sent_at",
        "due",
        "last_round_trip",
        "outstanding_seq",
        "second_is_due",
    )

    def __init__(self, manners: PeerManners) -> None:
        self._first_seconds = manners.first_ping_seconds
        self._interval_seconds = manners.ping_seconds
        self._sent_at = 0.0
        self._pongs = 0
        self.due: float | None = None
        self.outstanding_seq: int | None = None
        self.last_round_trip: float | None = None
        self.second_is_due = False

    def begin(self, now: float) -> None:
        self.due = now + self._first_seconds

    def sent(self, seq: int, now: float) -> None:
        self.outstanding_seq = seq
        self._sent_at = now
        # The immediate second ping leaves the schedule alone: it counts from the first one.
        if self.second_is_due:
            self.second_is_due = False
        elif self.due is not None:
            self.due += self._interval_seconds

    def answer(self, clientseq: int, now: float) -> float:
        if self.outstanding_seq is None:
            raise Objection(409, "pong without ping", fatal=False)
        if self.outstanding_seq != clientseq:
            expected = self.outstanding_seq
            raise Objection(400, f"pong answers {clientseq}, ping was {expected}", fatal=False)
        self.outstanding_seq = None
        self.last_round_trip = now - self._sent_at
        self._pongs += 1
        self.second_is_due = self._pongs == 1
        return self.last_round_trip


def _detail(message: ServerMessage) -> str:
    parameters = message.parameters
    if message.type == "opened":
        media = parameters["media"]
        words = [f"{media[0]['format']} {'+'.join(media[0]['channels'])}" if media else "no audio"]
        words += [f"discardTo {parameters['discardTo']}"] if "discardTo" in parameters else []
        words += ["startPaused"] if parameters.get("startPaused") else []
        return ", ".join(words)
    if message.type == "disconnect":
        return ": ".join(filter(None, (parameters["reason"], parameters.get("info"))))
    if message.type == "event":
        return ", ".join(entity["type"] for entity in parameters["entities"])
    return f"answers {message.clientseq}" if message.type == "pong" else ""


def _sent_detail(kind: str, parameters: Mapping[str, Any], session: PeerSession) -> str:
    if kind == "open":
        offers = ["+".join(offer["channels"]) for offer in parameters["media"]]
        return f"{'probe, ' if session.setup.is_probe else ''}offers {', '.join(offers)}"
    shown = {"error": "message", "close": "reason", "dtmf": "digit"}
    if kind == "ping" and "rtt" in parameters:
        return f"rtt {float(parameters['rtt'][2:-1]) * 1000:.2f} ms"
    if kind in {"resumed", "discarded"}:
        return f"{parameters['discarded']} from {parameters['start']}"
    if kind == "update":
        return str(parameters["language"])
    return str(parameters.get(shown.get(kind, ""), ""))
