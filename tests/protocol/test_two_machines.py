"""The session against the shipped peer, both pure: two machines and a wire made of a heap.

The peer keeps every rule of the Genesys side and objects to every rule a server breaks; it
shares no code with the session.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from earhook.ids import CorrelationId, OrganizationId, SessionId
from earhook.protocol import commands, events
from earhook.protocol.messages import DisconnectReason, Entity
from earhook.protocol.replies import CloseSocket, SendAudio, SendText
from earhook.protocol.session import Identity, Session
from earhook.protocol.settings import SessionSettings
from earhook.protocol.states import State
from earhook.testing.peer_session import PeerSession, PeerState
from earhook.testing.peer_setup import CallSetup, PeerManners

FRAME_SAMPLES = 1600
SECONDS = 12.0


class Wire:
    """Two machines, their time, and messages on their way."""

    def __init__(self, setup: CallSetup, settings: SessionSettings, delays: tuple[float, float]):
        self.now = 0.0
        self.to_us, self.to_peer = delays
        manners = PeerManners(limit_breach="end", keeps_playback=True)
        self.peer = PeerSession(setup, manners, FRAME_SAMPLES, 0.0)
        identity = Identity(
            SessionId(setup.session_id),
            OrganizationId(setup.organization_id),
            CorrelationId(setup.session_id),
        )
        self.session = Session(settings, identity, 0.0)
        self.events: list[events.Event] = []
        self.piped = 0
        self.has_hung_up = False
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self.at(0.0, lambda: self.peer.start(self.now))
        self.at(0.1, self.tick)

    def at(self, seconds: float, do: Callable[[], object]) -> None:
        heapq.heappush(self._due, (seconds, next(self._order), do))

    def tick(self) -> None:
        """The source has another frame, every 200 ms until the call ends."""
        if self.peer.take_frame(FRAME_SAMPLES, self.frame_bytes, self.now):
            # What is said already must leave before this frame.
            self.flush_peer()
            size = self.frame_bytes
            self.at(self.now + self.to_us, lambda: self.hear(size))
        if self.now < SECONDS:
            self.at(self.now + 0.2, self.tick)
        else:
            self.peer.close(self.now)

    @property
    def frame_bytes(self) -> int:
        media = self.peer.media
        return 0 if media is None else FRAME_SAMPLES * media.group_bytes

    def hear(self, size: int) -> None:
        before = self.session.position
        if self.session.receive_audio(size, self.now):
            self.piped += self.session.position - before

    def wish(self, command: commands.Command) -> None:
        if self.session.state in (State.ACTIVE, State.PAUSED):
            self.session.submit(command, self.now)

    def run(self) -> None:
        for _ in range(5000):
            if not self._due and self.deadline is None:
                return
            deadline = self.deadline
            if deadline is not None and (not self._due or deadline < self._due[0][0]):
                self.now = max(self.now, deadline)
                self.session.handle_timeout(self.now)
                self.peer.handle_timeout(self.now)
            else:
                self.now, _, do = heapq.heappop(self._due)
                do()
            self.flush_peer()
            self.flush_session()
        raise AssertionError(f"never done: {self.session.state}, {self.peer.state}")

    @property
    def deadline(self) -> float | None:
        dues = [due for due in (self.session.deadline, self.peer.deadline) if due is not None]
        return min(dues, default=None)

    def flush_peer(self) -> None:
        for text in self.peer.take_texts():
            self.at(self.now + self.to_us, lambda t=text: self.session.receive_text(t, self.now))
        if self.peer.finished and not self.has_hung_up:
            self.has_hung_up = True
            self.at(self.now + self.to_us, lambda: self.session.receive_eof(self.now))
            self.peer.receive_eof(self.now)

    def flush_session(self) -> None:
        for reply in self.session.take_replies(self.now):
            arrives = self.now + self.to_peer
            match reply:
                case SendText(payload):
                    self.at(arrives, lambda p=payload: self.peer.receive_text(p, self.now))
                case SendAudio(payload):
                    self.at(arrives, lambda p=payload: self.peer.receive_audio(p, self.now))
                case CloseSocket():
                    self.at(arrives, lambda: self.peer.receive_eof(self.now))
        news = self.session.take_events()
        self.events += news
        self.piped += sum(e.gap_samples for e in news if isinstance(e, events.StreamGap))
        assert self.session.position == self.piped


delays = st.tuples(st.floats(0, 0.3), st.floats(0, 0.3))
moment = st.floats(0, SECONDS)
RESULT = commands.RelayEvent((Entity("agentassist", {"id": "x"}),))
our_wishes = st.lists(
    st.tuples(moment, st.sampled_from([commands.Pause(), commands.Resume(), RESULT])), max_size=25
)
their_wishes = st.lists(
    st.tuples(moment, st.sampled_from(["secure_pause", "secure_resume", "discard", "update"])),
    max_size=12,
)
some_settings = st.builds(
    SessionSettings,
    start_paused=st.booleans(),
    discard_to_seconds=st.none() | st.floats(0, 3),
    supported_languages=st.just(("en-us",)),
)


def schedule(wire: Wire, ours: list[Any], theirs: list[Any]) -> None:
    for at, command in ours:
        wire.at(at, lambda c=command: wire.wish(c))
    for at, name in theirs:
        wire.at(at, lambda n=name: misbehave(wire, n))


def misbehave(wire: Wire, name: str) -> None:
    if name == "discard":
        wire.peer.discard(800, wire.now)
    elif name == "update":
        wire.peer.update("de-de", wire.now)
    else:
        getattr(wire.peer, name)(wire.now)


@given(delays, some_settings, our_wishes, their_wishes)
def test_pauses_of_both_sides_at_any_time_keep_the_clocks_together(
    delays: tuple[float, float], settings: SessionSettings, ours: list[Any], theirs: list[Any]
) -> None:
    wire = Wire(CallSetup(language="en-us", asks_languages=True), settings, delays)
    schedule(wire, ours, theirs)
    wire.run()
    assert list(wire.peer.record.objections) == []
    assert wire.peer.record.limit_breaches == 0
    assert wire.peer.record.outcome == "completed"
    assert wire.session.state is State.DEAD
    sent = wire.peer.record.frames_sent * FRAME_SAMPLES
    assert wire.session.tally.samples_kept == wire.session.tally.samples_in == sent
    assert wire.session.position <= wire.peer.position
    # A pause that still holds when the peer closes is never reported as a span.
    if not any(isinstance(event, events.Paused) for event in wire.events):
        assert wire.session.position == wire.peer.position
    assert not any(isinstance(event, events.ClockJumped) for event in wire.events)
    [ended] = [event for event in wire.events if isinstance(event, events.SessionEnded)]
    assert ended.outcome.ending is events.Ending.COMPLETED


@given(delays, moment, st.sampled_from(DisconnectReason), our_wishes)
def test_disconnecting_at_any_time_ends_in_good_order(
    delays: tuple[float, float], at: float, reason: DisconnectReason, ours: list[Any]
) -> None:
    wire = Wire(CallSetup(), SessionSettings(), delays)
    schedule(wire, ours, [])
    wire.at(at, lambda: wire.session.submit(commands.Disconnect(reason), wire.now))
    wire.run()
    assert list(wire.peer.record.objections) == []
    assert wire.peer.state is PeerState.DISCONNECTED
    sent = wire.peer.record.frames_sent * FRAME_SAMPLES
    assert wire.session.tally.samples_in == sent


plays = st.lists(st.tuples(moment, st.integers(1, 20_000)), max_size=25)
barge_ins = st.lists(moment, max_size=6)


@given(delays, plays, barge_ins)
def test_a_bot_speaks_within_the_limits_and_nothing_is_lost(
    delays: tuple[float, float], plays: list[Any], barge_ins: list[float]
) -> None:
    wire = Wire(CallSetup.audio_connector(), SessionSettings(), delays)
    for at, size in plays:
        wire.at(at, lambda n=size: wire.wish(commands.Play(bytes(n))))
    for at in barge_ins:
        wire.at(at, lambda: wire.wish(commands.BargeIn()))
    wire.run()
    assert list(wire.peer.record.objections) == []
    assert wire.peer.record.limit_breaches == 0
    if not barge_ins and all(0.7 < at < 6 for at, _ in plays):
        assert len(wire.peer.record.playback) == sum(size for _, size in plays)


@given(delays)
def test_a_probe_is_over_in_four_messages(delays: tuple[float, float]) -> None:
    wire = Wire(CallSetup.probe(asks_languages=True), SessionSettings(), delays)
    wire.run()
    assert list(wire.peer.record.objections) == []
    assert wire.peer.record.texts_received == 2
    assert [type(event) for event in wire.events] == [events.ProbeAnswered]
