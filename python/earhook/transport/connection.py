"""A call's WebSocket: the socket on one side, a session and a pipeline on the other.

While the session keeps audio, its *lane* is open: the core decodes binary frames into the pipeline
by itself, and no Python runs. What went through the lane is told to the session before anything
else is.

Everything else follows the law of the doors: after every call that changes the session, take its
replies, its events and its deadline before the next call.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from earhook.errors import CapacityError, CommandRefused, DuplicateSession, TooManyCalls
from earhook.ops.logging import get_limited_logger
from earhook.protocol import commands, events, replies
from earhook.protocol.messages import DisconnectReason, ServerType
from earhook.protocol.session import Identity, Session

from .strict import StrictListener
from .tally import Broken, NoCall
from .translate import call_event, call_facts, call_outcome, protocol_entries

if TYPE_CHECKING:
    from earhook.clock import Clock
    from earhook.hub.books import LiveBooks
    from earhook.hub.hub import Hub
    from earhook.media.pipeline import Pipeline
    from earhook.protocol.settings import SessionSettings
    from earhook.sinks.base import LiveCall

    from .settings import FrameLimits
    from .tally import TransportTally
    from .upgrade import PeerIdentity

__all__ = ["CallConnection", "CallListeners"]


class CallListeners:
    """Makes the listener of each accepted request.

    Args:
        hub: Where calls are opened and closed.
        settings: What sessions decide by.
        limits: What one peer may do.
        tally: Where it is counted.
        clock: Time of all of them.
    """

    def __init__(
        self,
        hub: Hub,
        settings: SessionSettings,
        limits: FrameLimits,
        tally: TransportTally,
        clock: Clock,
    ) -> None:
        self.hub = hub
        self.settings = settings
        self.limits = limits
        self.tally = tally
        self.clock = clock

    def __call__(self, peer: PeerIdentity) -> CallConnection:
        """The listener of one accepted request."""
        return CallConnection(self, peer)


class CallConnection(StrictListener):
    """One call, from 101 to the end of its socket. The hub's door to its session."""

    __slots__ = (
        "_blocked",
        "_call",
        "_lane_group_bytes",
        "_makers",
        "_opened_at",
        "_pipeline",
        "_session",
        "_taking",
        "_timer",
        "_timer_at",
        "_waiting_audio",
    )

    def __init__(self, makers: CallListeners, peer: PeerIdentity) -> None:
        super().__init__(makers.limits, makers.tally, makers.clock)
        identity = Identity(
            peer.session_id, peer.organization_id, peer.correlation_id, peer.authorized
        )
        now = self._now()
        self.probe_only = peer.probe_only
        self.key_name = peer.key_name
        self._makers = makers
        self._session = Session(makers.settings, identity, now)
        self._call: LiveCall | None = None
        self._pipeline: Pipeline | None = None
        self._lane_group_bytes = 0
        self._opened_at = now
        self._taking = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._blocked = False
        self._waiting_audio: deque[bytes] = deque()

    def on_audio(self, payload: bytes) -> None:
        """One frame of audio, or of what the session takes for it, that came when no lane was."""
        now = self._catch_up()
        if self._session.receive_audio(len(payload), now):
            # True says: there is a pipeline, and the session has nothing to be taken.
            self._pipeline.push(payload)  # type: ignore[union-attr]
        else:
            self._take(now)

    def on_text(self, payload: bytes) -> None:
        """One protocol message."""
        now = self._catch_up()
        self._session.receive_text(payload, now)
        self._take(now)

    def on_open(self) -> None:
        """The peer may speak; it has until the session's deadline to do so."""
        self._take(self._now())

    def on_closed(self) -> None:
        """The socket is gone, whoever ended it."""
        now = self._catch_up()
        self._session.receive_eof(now)
        self._take(now)
        self._stop_timer()

    def on_failure(self) -> bool:
        """Something of ours failed: end the call in-band, as it is heard best."""
        try:
            self.submit(commands.Disconnect(DisconnectReason.ERROR, "internal error"))
        except CommandRefused:
            return False
        return self._session.deadline is not None

    def submit(self, command: commands.Command) -> None:
        """Pass a command to the session.

        Raises:
            CommandRefused: The session's state forbids it; nothing has changed.
        """
        now = self._catch_up()
        self._session.submit(command, now)
        if isinstance(command, commands.BargeIn):
            self._waiting_audio.clear()
        self._take(now)

    def part(self) -> None:
        """The gateway stops: ask the peer to end the session."""
        try:
            self.submit(commands.Drain())
        except CommandRefused:
            self.close(1001)

    def add_up(self, books: LiveBooks) -> None:
        """Add this call, if it is live, to the books of all live calls."""
        self._catch_up()
        if self._call is not None and self._pipeline is not None:
            media = self._call.facts.media
            tally = self._session.tally
            books.add(media, self._pipeline, tally)

    def _take(self, now: float) -> None:
        """Take replies, events and deadline, until there is nothing left to take."""
        if self._taking:
            return  # a sink submitted something while it was told of an event: the loop sees it
        session = self._session
        self._taking = True
        try:
            while True:
                to_send, happened = session.take_replies(now), session.take_events()
                if not to_send and not happened:
                    break
                for reply in to_send:
                    self._carry_out(reply, now)
                for event in happened:
                    self._act_on(event, now)
        finally:
            self._taking = False
        self._set_lane()
        self._arm(session.deadline, now)

    def _catch_up(self) -> float:
        """Tell the session of the audio that went through the lane; give the time."""
        if self._line is not None:
            samples, heard_at = self._line.take_kept()
            if samples:
                self._session.receive_audio_span(samples, heard_at)
        return self._now()

    def _set_lane(self) -> None:
        """Open the lane while the session keeps audio, and close it when it does not."""
        pipeline = self._pipeline
        group_bytes = self._session.audio_group_bytes if pipeline is not None else 0
        if self._line is None or group_bytes == self._lane_group_bytes:
            return
        self._lane_group_bytes = group_bytes
        if group_bytes and pipeline is not None:
            self._line.open_lane(pipeline, group_bytes)
        else:
            self._line.close_lane()

    def _carry_out(self, reply: replies.Reply, now: float) -> None:
        match reply:
            case replies.SendText(payload, kind):
                self.send_text(payload)
                if kind is ServerType.OPENED:
                    self.tally.opened_latency.observe(self._now() - now)
            case replies.SendAudio(payload):
                self._play(payload)
            case replies.CloseSocket(code):
                self.close(code)
            case replies.AbortSocket():
                self.abort()

    def _act_on(self, event: events.Event, now: float) -> None:
        match event:
            case events.SessionOpened(facts):
                self._open_call(facts, now)
            case events.ProbeAnswered():
                self.tally.probes += 1
            case events.SessionEnded(outcome):
                self._close_call(outcome, now)
            case events.PeerReportedError(code):
                _PEER_LOG.warning("peer.error", code=code, session=self._session_name())
            case events.StreamGap() if self._pipeline is not None:
                self._pipeline.gap(event.gap_samples, event.gap_reason)
        if self._call is not None:
            told = call_event(event, self._session.position)
            if told is not None:
                self._makers.hub.publish(self._call, told)

    def _open_call(self, facts: events.SessionFacts, now: float) -> None:
        if facts.media is None:
            return  # a session without audio is nothing that sinks could read
        wall_seconds = self._clock.wall_seconds()
        known = call_facts(facts, facts.media, self.key_name, wall_seconds)
        self._opened_at = now
        try:
            if self.probe_only:
                raise TooManyCalls("new calls are refused now, and this one came in as a probe")
            self._call = self._makers.hub.open(known, self)
        except (CapacityError, DuplicateSession) as error:
            # `opened` has gone out, because it waits for nobody; this follows it at once.
            self.tally.calls_refused[NoCall.of(error)] += 1
            _PEER_LOG.warning("call.refused", reason=str(error), session=facts.session_id)
            self._session.submit(commands.Disconnect(DisconnectReason.ERROR, "no room"), now)
            return
        self._pipeline = self._call.pipeline
        self._call.read_protocol = lambda: protocol_entries(self._session.journal)

    def _close_call(self, outcome: events.Outcome, now: float) -> None:
        call, pipeline = self._call, self._pipeline
        if call is None or pipeline is None:
            return
        self._call = self._pipeline = None
        self.tally.count_closed(call.facts.media, pipeline, self._session.tally)
        call.protocol_log.extend(protocol_entries(self._session.journal))
        call.read_protocol = None
        seconds = now - self._opened_at
        self._makers.hub.close(call, call_outcome(outcome, self._session.tally, pipeline, seconds))

    # Audio to the caller.

    def _play(self, audio: bytes) -> None:
        """Send audio as fast as the peer takes it, and in order."""
        if not self._blocked and not self._waiting_audio:
            self.send_audio(audio)
            return
        self._waiting_audio.append(audio)
        if len(self._waiting_audio) > _WAITING_FRAMES:
            self.abort(Broken.UNSENT)

    def pause_writing(self) -> None:
        """The peer reads more slowly than we send."""
        self._blocked = True

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self._blocked = False
        while self._waiting_audio and not self._blocked:
            self.send_audio(self._waiting_audio.popleft())

    # Time.

    def _arm(self, deadline: float | None, now: float) -> None:
        """Keep one timer that fires no later than the deadline.

        It may fire too early, because audio moves the deadline away without saying so; then
        it is set again. So frames cost no timer.
        """
        if deadline is None:
            self._stop_timer()
        elif self._timer is None or deadline < self._timer_at:
            self._stop_timer()
            self._timer_at = deadline
            seconds = max(_TICK_SECONDS, deadline - now)
            self._timer = self._loop.call_later(seconds, self._wake)

    def _wake(self) -> None:
        self._timer = None
        now = self._catch_up()
        try:
            self._session.handle_timeout(now)
            self._take(now)
        except Exception:  # noqa: BLE001 - ends this connection only
            self._survive()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _session_name(self) -> str:
        return self._call.facts.session_id if self._call is not None else ""


_TICK_SECONDS: Final = 0.001
_WAITING_FRAMES: Final = 64
_PEER_LOG: Final = get_limited_logger(__name__)
