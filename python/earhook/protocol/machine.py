"""The tables at work: inputs come in, acts happen, replies and events pile up to be taken."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, NamedTuple

from . import commands, events, messages
from .codec import encode_entity
from .entities import BARGE_IN
from .events import Ending, Event, Outcome
from .gaps import GapReason
from .messages import Channel, ClientMessage, CloseReason, ServerType, Span
from .opening import Identity, Opening, Parting
from .outbox import Outbox, Stamp
from .replies import AbortSocket, CloseSocket, Reply, SendAudio, SendText
from .settings import SessionSettings
from .states import MOVES, SENDS, Act, Input, State
from .stream import DropReason, Stream
from .timers import TIMERS, Timer, seconds_of

__all__ = ["JournalEntry", "Machine"]

JOURNAL_ENTRIES: Final = 64
RATE_EXCEEDED: Final = 429
DEFAULT_BACK_OFF_SECONDS: Final = 1.0
MAX_BACK_OFF_SECONDS: Final = 30.0

# The only close codes that the protocol leaves to us (§12).
NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002


class JournalEntry(NamedTuple):
    """One message of the protocol log. Nothing in it is personal or chosen by the peer."""

    seconds: float
    """Since the upgrade."""
    direction: str
    """`in` or `out`."""
    type: str


class Machine:
    """State, queues and acts of one session. `session.Session` is its only user."""

    def __init__(self, settings: SessionSettings, identity: Identity, now: float) -> None:
        self._settings = settings
        self._identity = identity
        self._session_id = identity.session_id
        self._events: list[Event] = []
        self._socket_reply: CloseSocket | AbortSocket | None = None
        self._paused_by: events.PausedBy | None = None
        self._is_probe = False
        self._is_open = False
        self._results_due = False
        self._cause = (Ending.LOST, "the socket was lost")
        self._is_blamed = False
        self._has_ended = False
        self._started_at = now
        self._entered_at = now
        self.state = State.CONNECTED
        self.stream = Stream()
        self.outbox = Outbox(settings.limits, now)
        self.clientseq = 0
        self.starts_paused = settings.start_paused
        self.product = settings.product
        self.channels: tuple[Channel, ...] = ()
        self.journal: deque[JournalEntry] = deque(maxlen=JOURNAL_ENTRIES)

    def apply(self, cause: Input, subject: object, now: float) -> None:
        """Do what the table says about an input; `subject` is what its act needs."""
        move = MOVES[cause][self.state]
        if move.state is not self.state:
            self._enter(move.state, now)
        self._ACTS[move.act](self, subject, now)

    @property
    def is_ending(self) -> bool:
        """Whether all that is left is to come to an end."""
        return self.state in (State.DISCONNECTING, State.CLOSING, State.CLOSED)

    def heard(self, message: ClientMessage) -> None:
        """Count a message whose envelope is right, and echo its spelling of the id."""
        self._session_id = message.session_id
        self.clientseq = max(self.clientseq, message.seq)

    def note_received(self, cause: Input, now: float) -> None:
        """Write a received message into the journal."""
        if cause is not Input.PING:
            self._note("in", cause.value, now)

    def timer_at(self, heard_at: float) -> float | None:
        """When the state's own timer runs out."""
        timer = TIMERS[self.state]
        if timer is None:
            return None
        since = heard_at if timer is Timer.IDLE else self._entered_at
        return since + seconds_of(timer, self._settings.timeouts)

    def deadline(self, heard_at: float) -> float | None:
        """When the timer runs out or a reply may go, whichever is first."""
        timer_at, wake_at = self.timer_at(heard_at), self.outbox.wake_at
        if timer_at is None or wake_at is None:
            return timer_at
        return min(timer_at, wake_at)

    def take_replies(self, now: float) -> list[Reply]:
        """Everything the driver must do now; closes once the last results are among it."""
        replies = self.outbox.take(self._stamp(), SENDS[self.state], now)
        if self.state is State.CLOSING:
            self._close_if_flushed(now)
            replies += self.outbox.take(self._stamp(), SENDS[self.state], now)
        for reply in replies:
            self._note_sent(reply, now)
        if self._socket_reply is not None:
            replies.append(self._socket_reply)
            self._socket_reply = None
        return replies

    def take_events(self) -> list[Event]:
        """Everything that happened since the last time."""
        taken, self._events = self._events, []
        return taken

    def _enter(self, state: State, now: float) -> None:
        self.state = state
        self._entered_at = now
        self._set_flowing()
        self.stream.tally.events_dropped += self.outbox.restrict(SENDS[state])

    def _set_flowing(self) -> None:
        keeps_audio = MOVES[Input.AUDIO][self.state].act is Act.KEEP
        self.stream.flowing = keeps_audio and self.stream.has_media

    def _stamp(self) -> Stamp:
        return Stamp(self._session_id, self.clientseq)

    def _note(self, direction: str, type_name: str, now: float) -> None:
        self.journal.append(JournalEntry(now - self._started_at, direction, type_name))

    def _note_sent(self, reply: Reply, now: float) -> None:
        match reply:
            case SendText():
                self.stream.tally.texts_out += 1
                if reply.type is not ServerType.PONG:
                    self._note("out", reply.type.value, now)
            case SendAudio():
                self.stream.tally.audio_out += 1

    def _emit(self, event: Event) -> None:
        # A connection test leaves no trace but the one that says so (§10).
        is_hidden = self._is_probe and not isinstance(event, events.ProbeAnswered)
        if not self._has_ended and not is_hidden:
            self._events.append(event)

    def _blame(self, ending: Ending, detail: str) -> None:
        """Remember why the session ends; the first cause is the cause."""
        if not self._is_blamed:
            self._is_blamed = True
            self._cause = (ending, detail)

    def _report_end(self) -> None:
        ending, detail = self._cause
        outcome = Outcome(ending, detail, self.stream.position, self._is_open)
        self._emit(events.SessionEnded(outcome))
        self._has_ended = True

    def _close_if_flushed(self, now: float) -> None:
        if not self._results_due and not self.outbox.events_wait:
            self.apply(Input.FLUSHED, None, now)

    # The acts, in the order of `states.Act`.

    def _ignore(self, subject: object, _now: float) -> None:
        if isinstance(subject, ClientMessage | Span):
            self.stream.tally.ignored += 1

    def _count(self, message: ClientMessage, _now: float) -> None:
        if isinstance(message.body, messages.Unusable):
            self.stream.tally.unusable += 1
        else:
            self.stream.tally.unknown_types += 1

    def _answer_open(self, opening: Opening, _now: float) -> None:
        self.outbox.post_first(opening.opened)
        facts = opening.facts
        if facts is None:
            self._is_probe = True
            self._emit(events.ProbeAnswered(self._identity.organization_id))
            return
        self._is_open = True
        self.product = facts.product
        if facts.media is not None:
            self.channels = facts.media.channels
            self.stream.choose(facts.media)
            self._set_flowing()
            self.outbox.playback.start(facts.media.group_bytes)
        self._emit(events.SessionOpened(facts))

    def _pong(self, message: ClientMessage, now: float) -> None:
        if not self.outbox.post_answer(messages.Pong(), message.seq):
            self.apply(Input.FLOOD, Parting.violation("too many unanswered messages"), now)

    def _note_pause(self, _message: ClientMessage, _now: float) -> None:
        by = events.PausedBy.GATEWAY if self.outbox.pause_held else events.PausedBy.PEER
        if by is not self._paused_by:
            self._paused_by = by
            self._emit(events.Paused(self.stream.position, by))

    def _resume_audio(self, span: Span, _now: float) -> None:
        self._paused_by = None
        for gap in self.stream.jump(span, events.Resumed, GapReason.PAUSED):
            self._emit(gap)

    def _jump(self, span: Span, _now: float) -> None:
        for gap in self.stream.jump(span, events.Discarded, GapReason.DISCARDED):
            self._emit(gap)

    def _update(self, message: ClientMessage, now: float) -> None:
        if not self.outbox.post_answer(messages.Updated(), message.seq):
            self.apply(Input.FLOOD, Parting.violation("too many unanswered messages"), now)
            return
        body = message.body
        if isinstance(body, messages.Update) and body.language is not None:
            self._emit(events.LanguageChanged(body.language))

    def _note_error(self, message: ClientMessage, now: float) -> None:
        body = message.body
        assert isinstance(body, messages.PeerErrorReport)
        self.stream.tally.count_error(body.code)
        self._emit(events.PeerReportedError(body.code, len(body.text)))
        if body.code == RATE_EXCEEDED:
            seconds = DEFAULT_BACK_OFF_SECONDS
            if body.retry_after_nanoseconds is not None:
                seconds = min(body.retry_after_nanoseconds / 1e9, MAX_BACK_OFF_SECONDS)
            self.outbox.back_off(now + seconds)

    def _forward(self, message: ClientMessage, _now: float) -> None:
        position = self.stream.position
        match message.body:
            case messages.Dtmf(digit):
                self._emit(events.DtmfReceived(digit, position))
            case messages.PlaybackStarted():
                self._emit(events.PlaybackStarted(position))
            case messages.PlaybackCompleted():
                all_sent = self.outbox.playback.waiting_bytes == 0
                self._emit(events.PlaybackCompleted(position, all_sent))

    def _keep(self, _payload_bytes: int, _now: float) -> None:
        """Nothing: `Session.receive_audio` does it where it costs least."""

    def _drop_paused(self, payload_bytes: int, _now: float) -> None:
        self.stream.drop(payload_bytes, DropReason.PAUSED)

    def _drop_late(self, payload_bytes: int, _now: float) -> None:
        self.stream.drop(payload_bytes, DropReason.LATE)

    def _remember(self, command: commands.Command, _now: float) -> None:
        self.starts_paused = isinstance(command, commands.Pause)

    def _queue_pause(self, command: commands.Command, _now: float) -> None:
        is_pause = isinstance(command, commands.Pause)
        self.outbox.post_pause(messages.Pause() if is_pause else messages.Resume())

    def _queue_event(self, entities: list[bytes], _now: float) -> None:
        self.outbox.post_entities(entities)

    def _queue_audio(self, audio: bytes, _now: float) -> None:
        self.outbox.playback.add(audio)

    def _barge_in(self, _command: commands.Command, _now: float) -> None:
        playback = self.outbox.playback
        playback.clear()
        # At most one a playback: without audio of ours at the peer there is nothing to drop.
        if playback.sent_since_barge_in:
            playback.sent_since_barge_in = False
            self.outbox.post_barge_in(encode_entity(BARGE_IN))

    def _disconnect(self, parting: Parting, _now: float) -> None:
        self._blame(parting.ending, parting.detail)
        self.outbox.post_first(
            messages.Disconnect(parting.reason, parting.info, parting.output_variables)
        )

    def _begin_close(self, message: ClientMessage, now: float) -> None:
        body = message.body
        assert isinstance(body, messages.Close)
        is_error = body.reason is CloseReason.ERROR
        ending = Ending.PEER_ERROR if is_error else Ending.COMPLETED
        self._blame(ending, f"the peer closed: {body.reason.value}")
        if self._is_open:
            self._results_due = self._settings.awaits_results
            self._emit(events.CloseRequested(body.reason, self._results_due))
        self._close_if_flushed(now)

    def _finish(self, _command: commands.Command, now: float) -> None:
        self._results_due = False
        self._close_if_flushed(now)

    def _send_closed(self, _subject: object, _now: float) -> None:
        self._blame(Ending.COMPLETED, "the peer closed before it opened")
        self.outbox.post_first(messages.Closed())
        self._report_end()

    def _hang_up(self, timer: Timer, _now: float) -> None:
        code, detail = _HANG_UPS[timer]
        self._blame(Ending.TIMED_OUT, detail)
        self._socket_reply = CloseSocket(code, detail)
        self._report_end()

    def _abort(self, parting: Parting, _now: float) -> None:
        self._blame(parting.ending, parting.detail)
        self._socket_reply = AbortSocket(parting.detail)
        self._report_end()

    def _end(self, _subject: object, _now: float) -> None:
        self._report_end()

    # Every act takes the subject that its inputs bring along, hence the Any.
    _ACTS: ClassVar[Mapping[Act, Callable[[Machine, Any, float], None]]] = {
        Act.IGNORE: _ignore,
        Act.COUNT: _count,
        Act.ANSWER_OPEN: _answer_open,
        Act.HOLD_PONG: _pong,
        Act.PONG: _pong,
        Act.NOTE_PAUSE: _note_pause,
        Act.RESUME_AUDIO: _resume_audio,
        Act.JUMP: _jump,
        Act.UPDATE: _update,
        Act.NOTE_ERROR: _note_error,
        Act.FORWARD: _forward,
        Act.KEEP: _keep,
        Act.DROP_PAUSED: _drop_paused,
        Act.DROP_LATE: _drop_late,
        Act.REMEMBER: _remember,
        Act.QUEUE_PAUSE: _queue_pause,
        Act.QUEUE_EVENT: _queue_event,
        Act.QUEUE_AUDIO: _queue_audio,
        Act.BARGE_IN: _barge_in,
        Act.DISCONNECT: _disconnect,
        Act.BEGIN_CLOSE: _begin_close,
        Act.FINISH: _finish,
        Act.SEND_CLOSED: _send_closed,
        Act.HANG_UP: _hang_up,
        Act.ABORT: _abort,
        Act.END: _end,
    }


_HANG_UPS: Final[Mapping[Timer, tuple[int, str]]] = {
    Timer.OPEN: (PROTOCOL_ERROR, "no open in time"),
    Timer.IDLE: (GOING_AWAY, "the peer fell silent"),
    Timer.DISCONNECT: (GOING_AWAY, "no close after disconnect"),
    Timer.LINGER: (NORMAL, "the peer did not hang up"),
}
