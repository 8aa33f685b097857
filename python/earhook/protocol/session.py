"""The doors of a session: one AudioHook connection, as a value.

Law of the doors: *after every call that changes the session, take its replies, its events
and its next deadline, in this order, before the next call.*

A `receive_audio` that answers True moves the clock and nothing else: nothing is to be taken.
What the inputs then do is `machine.py`; which are legal when is `states.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

from earhook.errors import CommandRefused, ProtocolViolation
from earhook.ids import same_uuid

from . import commands, messages
from .codec import decode_client
from .events import Event
from .machine import JournalEntry, Machine
from .messages import ClientMessage, Span
from .opening import Identity, Opening, Parting, judge_open
from .replies import Reply
from .settings import SessionSettings
from .states import MOVES, Act, Input, State
from .stream import DropReason, Tally, latest_position
from .timers import TIMERS
from .wishes import check_audio, encode_entities, parting_of

__all__ = ["Identity", "JournalEntry", "Session"]


class Session:
    """One session, from the upgrade to the end of the socket.

    Args:
        settings: What the operator decided.
        identity: What the upgrade request said and whether it was believed.
        now: Monotonic seconds, as in every other call.
    """

    __slots__ = (
        "_heard_at",
        "_identity",
        "_machine",
        "_settings",
        "_started_at",
        "_stream",
        "_unmanaged_frames",
    )

    def __init__(self, settings: SessionSettings, identity: Identity, now: float) -> None:
        self._settings = settings
        self._identity = identity
        self._machine = Machine(settings, identity, now)
        self._stream = self._machine.stream
        self._started_at = now
        self._heard_at = now
        self._unmanaged_frames = 0

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._machine.state

    @property
    def position(self) -> int:
        """Samples per channel since the stream began, paused and discarded ones included."""
        return self._stream.position

    @property
    def tally(self) -> Tally:
        """Counters, to be read at any time."""
        return self._stream.tally

    @property
    def journal(self) -> deque[JournalEntry]:
        """The latest messages both ways, without pings and pongs; bounded."""
        return self._machine.journal

    @property
    def deadline(self) -> float | None:
        """When `handle_timeout` is due; None when nothing is awaited.

        Whatever is heard moves an idle deadline away without saying so: a timer that fires
        for an old one costs a call and no more.
        """
        return self._machine.deadline(self._heard_at)

    def receive_text(self, text: bytes | bytearray | memoryview, now: float) -> None:
        """Take one text frame. Nothing that a peer sends raises; `text` is not kept."""
        machine = self._machine
        if machine.state is State.DEAD:
            return
        self._heard_at = now
        self.tally.texts_in += 1
        try:
            message = decode_client(text)
            self._check_envelope(message)
        except ProtocolViolation as violation:
            machine.apply(Input.VIOLATION, Parting.violation(str(violation)), now)
            return
        machine.heard(message)
        self._read(message, now)

    def receive_audio(self, payload_bytes: int, now: float) -> bool:
        """Take the length of one binary frame; say whether its audio is to be kept.

        True: push the frame, whole, to the pipeline; the clock has moved. False: drop it; it
        is counted, and the session may have changed.
        """
        self._heard_at = now
        stream = self._stream
        if stream.flowing:
            samples, rest = divmod(payload_bytes, stream.group_bytes)
            if not rest:
                stream.position += samples
                stream.tally.samples_kept += samples
                return True
        self._refuse_audio(payload_bytes, now)
        return False

    @property
    def audio_group_bytes(self) -> int:
        """Bytes of a sample group while audio is kept, else 0.

        While it is not 0, a driver may count binary frames of whole groups itself, without asking
        for each: see `receive_audio_span`.
        """
        stream = self._stream
        return stream.group_bytes if stream.flowing else 0

    def receive_audio_span(self, samples: int, heard_at: float) -> None:
        """Take audio that came since the last call of this session, and was kept.

        Args:
            samples: Of each channel, in whole frames, all of which came while
                `audio_group_bytes` was what it is.
            heard_at: When the last of them came.
        """
        self._heard_at = heard_at
        self._stream.position += samples
        self._stream.tally.samples_kept += samples

    def receive_eof(self, now: float) -> None:
        """Learn that the socket is gone, whoever ended it."""
        self._machine.apply(Input.EOF, None, now)

    def handle_timeout(self, now: float) -> None:
        """Let time pass: call it at `deadline`; earlier or again does no harm."""
        timer_at = self._machine.timer_at(self._heard_at)
        if timer_at is not None and now >= timer_at:
            self._machine.apply(Input.TIMER, TIMERS[self.state], now)

    def submit(self, command: commands.Command, now: float) -> None:
        """Wish something of the session.

        Raises:
            CommandRefused: The state, the product or a limit forbids it; nothing changed.
        """
        cause = _WISHES[type(command)]
        state = self._machine.state
        if MOVES[cause][state].act is Act.REFUSE:
            raise CommandRefused(f"{cause.value}: the session is {state.value}")
        self._machine.apply(cause, self._subject_of(command), now)

    def take_replies(self, now: float) -> list[Reply]:
        """Hand out what the driver must do now, in order. Numbers are given here."""
        return self._machine.take_replies(now)

    def take_events(self) -> list[Event]:
        """Hand out what happened, in order."""
        return self._machine.take_events()

    def _check_envelope(self, message: ClientMessage) -> None:
        """Check id and numbers before anything is counted (AudioHook protocol §4.2)."""
        machine = self._machine
        if not same_uuid(message.session_id, self._identity.session_id):
            raise ProtocolViolation("session identifier mismatch")
        if message.serverseq > machine.outbox.seq:
            raise ProtocolViolation("invalid serverseq value")
        # After our `disconnect` the peer counts on from a message that we did not count;
        # its `close` must be heard all the same.
        if message.seq != machine.clientseq + 1 and not machine.is_ending:
            raise ProtocolViolation("invalid seq value")

    def _read(self, message: ClientMessage, now: float) -> None:
        cause = _INPUTS[type(message.body)]
        self._machine.note_received(cause, now)
        match message.body:
            case messages.Open() if self.state is State.CONNECTED:
                self._judge_open(message.body, now)
            case messages.Resumed() | messages.Discarded():
                self._read_span(cause, message, now)
            case _:
                self._machine.apply(cause, message, now)

    def _judge_open(self, body: messages.Open, now: float) -> None:
        starts_paused = self._machine.starts_paused
        judged = judge_open(body, self._identity, self._settings, start_paused=starts_paused)
        cause = Input.OPEN if isinstance(judged, Opening) else Input.OPEN_REFUSED
        self._machine.apply(cause, judged, now)

    def _read_span(self, cause: Input, message: ClientMessage, now: float) -> None:
        body = message.body
        assert isinstance(body, messages.Resumed | messages.Discarded)
        # `resumed` without usable figures: its envelope says where the stream goes on (§8).
        span = body.span or Span(self.position, max(0, message.position - self.position))
        elapsed_seconds = now - self._started_at
        latest = latest_position(elapsed_seconds, self._settings.clock_lead_seconds)
        if self._stream.end_of(span) > latest:
            rule = "the stream time is ahead of the clock"
            self._machine.apply(Input.VIOLATION, Parting.violation(rule), now)
        else:
            self._machine.apply(cause, span, now)

    def _refuse_audio(self, payload_bytes: int, now: float) -> None:
        """Audio off the fast path: count it, and find out what is wrong with it."""
        state, stream = self._machine.state, self._stream
        rule: str | None = None
        if state is State.CONNECTED:
            stream.drop(payload_bytes, DropReason.UNMANAGED)
            rule = "audio before opened"
        elif state in (State.ACTIVE, State.PAUSED) and not stream.has_media:
            stream.drop(payload_bytes, DropReason.UNMANAGED)
            self._unmanaged_frames += 1
            if self._unmanaged_frames > self._settings.unmanaged_frames:
                rule = "audio although no media was selected"
        elif state is State.ACTIVE:
            stream.drop(payload_bytes, DropReason.MALFORMED)
            rule = "an audio frame is not a whole number of samples"
        else:
            self._machine.apply(Input.AUDIO, payload_bytes, now)
        if rule is not None:
            self._machine.apply(Input.VIOLATION, Parting.violation(rule), now)

    def _subject_of(self, command: commands.Command) -> object:
        """What the act needs, checked and encoded before anything changes."""
        match command:
            case commands.Disconnect() | commands.Drain():
                return parting_of(command, self._machine.product)
            case commands.RelayEvent():
                return encode_entities(command, self._machine.channels)
            case commands.Play(audio):
                check_audio(self._machine.product, self._machine.outbox.playback, audio)
                return audio
            case commands.BargeIn():
                check_audio(self._machine.product, self._machine.outbox.playback)
        return command


_INPUTS: Final[Mapping[type[messages.ClientBody], Input]] = {
    messages.Open: Input.OPEN,
    messages.Ping: Input.PING,
    messages.Close: Input.CLOSE,
    messages.Paused: Input.PAUSED,
    messages.Resumed: Input.RESUMED,
    messages.Discarded: Input.DISCARDED,
    messages.Update: Input.UPDATE,
    messages.PeerErrorReport: Input.ERROR,
    messages.Dtmf: Input.DTMF,
    messages.PlaybackStarted: Input.PLAYBACK_STARTED,
    messages.PlaybackCompleted: Input.PLAYBACK_COMPLETED,
    messages.Unknown: Input.UNKNOWN,
    messages.Unusable: Input.UNKNOWN,
}

_WISHES: Final[Mapping[type[commands.Command], Input]] = {
    commands.Pause: Input.WANT_PAUSE,
    commands.Resume: Input.WANT_RESUME,
    commands.RelayEvent: Input.WANT_EVENT,
    commands.Play: Input.WANT_PLAY,
    commands.BargeIn: Input.WANT_BARGE_IN,
    commands.Disconnect: Input.WANT_DISCONNECT,
    commands.Drain: Input.WANT_DISCONNECT,
    commands.Finish: Input.WANT_FINISH,
}
