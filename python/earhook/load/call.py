"""One AudioHook call of many: the peer's session, driven by the shared agenda.

It checks the server as strictly as `earhook call` does. What a frame costs is a slice of its
source and one write: the session hears of all frames since anything else happened at once.
"""

from __future__ import annotations

import asyncio
import base64
import os
from functools import partial
from typing import Final

from earhook.clock import SystemClock
from earhook.testing.peer_record import Span
from earhook.testing.peer_request import upgrade_headers
from earhook.testing.peer_session import PeerSession, PeerState
from earhook.testing.peer_setup import PeerManners
from earhook.testing.sources import Track
from earhook.transport.dial import DialedSocket, DialError, dial, keep_session

from .mix import Moment
from .shape import Arrival
from .surroundings import First, Surroundings

__all__ = ["LoadCall"]

CONNECT_SECONDS: Final = 15.0
"""For the addresses, TCP, TLS and the upgrade together."""
GOODBYE_SECONDS: Final = 2.0
"""How long the server may take to answer the closing handshake of WebSocket."""
UNREAD_LIMIT_BYTES: Final = 1 << 20
"""A server that reads nothing loses the call when so much waits for it."""
RATE: Final = 8000
MANNERS: Final = PeerManners(ladder_entries=0)
_CLOCK: Final = SystemClock()


class LoadCall:
    """A call from its due time to the end of its connection.

    Args:
        arrival: Which.
        due: When it is to be dialled, on the monotonic clock.
        around: Shared with the other calls.
    """

    def __init__(self, arrival: Arrival, due: float, around: Surroundings) -> None:
        plan = around.plan
        self._arrival = arrival
        self._around = around
        self._due = due
        self._counts = around.tally.counts
        setup = plan.setup(arrival.number, around.process, probe=arrival.script.probe)
        self._frame_samples = plan.frame_samples
        self._session = PeerSession(setup, MANNERS, self._frame_samples, due)
        self._source = plan.source_of(arrival.number)
        self._track: Track = self._source.track(setup.offers[0])
        self._is_flowing = False
        """Whether a frame that is due goes out, as it stood after the last door of the session."""
        self._position = 0
        """Of the next frame. The session is there too, but for `_unsaid_frames`."""
        self._unsaid_frames = 0
        self._unsaid_due = 0.0
        self._socket: DialedSocket | None = None
        self._armed: float | None = None
        self._hung_up: float | None = None
        self._withholds = False
        self._withheld_frames = 0
        self._has_begun = False
        self._broke_off = False
        self._said_goodbye = False
        self._is_over = False
        self._fault = ""

    async def dial(self) -> None:
        """Connect. The call then runs by itself."""
        around = self._around
        target = around.plan.target
        nonce = base64.b64encode(os.urandom(18)).decode("ascii")
        wall = _CLOCK.wall_seconds()
        headers = upgrade_headers(target.url, self._session.setup, target.credential, wall, nonce)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await around.addresses.connect(
                    partial(dial, target.url, headers, self, around.ssl_context)
                )
        except DialError as error:
            self._finish(f"connect: {_kind(error)}")
        except TimeoutError:
            self._finish("connect: timeout")

    def hang_up(self, due: float) -> None:
        """End the call as its script says; one that is not open yet, as soon as it is."""
        self._hung_up = due
        if self._session.state is PeerState.OPEN:
            self._end(due)

    def abort(self) -> None:
        """Drop the connection."""
        if self._socket is not None:
            self._socket.abort()

    def send_frame(self, due: float) -> None:
        """The wheel has come round."""
        socket = self._socket
        if not self._is_flowing or socket is None:
            self._pass_over(due)
            return
        samples = self._frame_samples
        socket.send_audio(self._track.read(self._position, samples))
        self._position += samples
        self._unsaid_frames += 1
        self._unsaid_due = due
        self._counts.frames += 1
        if not socket.writable:
            self._look_at_what_waits(socket)

    # -- the socket's calls

    def on_connected(self, socket: DialedSocket) -> None:
        """The upgrade was answered."""
        now = _CLOCK.monotonic_seconds()
        self._socket = socket
        self._counts.answered += 1
        self._around.tally.note("connect", now - self._due)
        self._session.start(now)
        self._settle()

    def on_text(self, payload: bytes) -> None:
        """A message of the server."""
        session, now = self._session, _CLOCK.monotonic_seconds()
        was_open = session.record.opened_seconds is not None
        self._catch_up()
        session.receive_text(payload, now)
        tally, trips = self._around.tally, session.record.round_trips
        while trips:
            tally.note("pong", trips.popleft())
        if not was_open and session.record.opened_seconds is not None:
            tally.note("opened", session.record.opened_seconds)
            self._counts.opened += 1
            self._counts.live += 1
            if self._socket is not None:
                context = self._around.ssl_context
                self._counts.resumed += keep_session(context, self._socket.tls)
            self._begin(now)
        self._settle()

    def on_audio(self, payload: bytes) -> None:
        """Audio to play, which no Monitor call wants."""
        self._catch_up()
        self._session.receive_audio(payload, _CLOCK.monotonic_seconds())
        self._settle()

    def on_closed(self, code: int | None) -> None:
        """The connection is gone."""
        session = self._session
        where = session.state
        self._catch_up()
        session.receive_eof(_CLOCK.monotonic_seconds())
        outcome = session.record.outcome
        if self._fault or self._broke_off or outcome == "completed":
            self._finish(self._fault)
        elif outcome == "disconnected":
            self._finish(f"disconnect: {session.record.disconnect_reason}")
        elif outcome == "error":
            self._finish(f"error: {(session.record.objections or ['no reason'])[-1]}")
        elif self._socket is not None and self._socket.fault:
            self._finish(f"WebSocket: {self._socket.fault}")
        else:
            said = "without a word" if code is None else f"with code {code}"
            self._finish(f"lost: the server closed {said} while {where.value}")

    def on_writable(self) -> None:
        """Nothing waits for this: a call goes on at its pace."""

    # -- the course of the call

    def _begin(self, now: float) -> None:
        if self._hung_up is not None:
            self._end(now)
        elif self._session.state is PeerState.OPEN:
            late = self._arrival.script.late_seconds
            if late:
                self._around.agenda.at(now + late, self._start_audio)
            else:
                self._start_audio(now)
            for moment in self._arrival.script.moments:
                begins = partial(self._befalls, moment)
                self._around.agenda.at(self._due + moment.begins, begins)

    def _start_audio(self, due: float) -> None:
        session = self._session
        if session.state is not PeerState.OPEN:
            return
        self._catch_up()
        session.discard(round(self._arrival.script.late_seconds * RATE), due)
        due = self._around.agenda.join(self, due)
        if session.media is not None:
            self._track = self._source.track(session.media)
        if self._around.witness is not None and session.media is not None:
            self._has_begun = True
            first = First(session.position, due, session.media.channels)
            self._around.witness.begins(self._arrival.number, first)
        self._settle()

    def _befalls(self, moment: Moment, due: float) -> None:
        """A moment of the script has come."""
        if self._session.state is not PeerState.OPEN:
            return
        agenda, ends = self._around.agenda, due + moment.ends - moment.begins
        self._catch_up()
        if moment.incident == "pause":
            self._session.secure_pause(due)
            agenda.at(ends, self._resume)
        else:
            self._withholds, self._withheld_frames = True, 0
            agenda.at(ends, self._discard if moment.incident == "discard" else self._release)
        self._settle()

    def _resume(self, due: float) -> None:
        self._catch_up()
        self._session.secure_resume(due)
        self._settle()

    def _discard(self, due: float) -> None:
        """What was withheld is lost: say so and go on."""
        self._withholds = False
        session, samples = self._session, self._withheld_frames * self._frame_samples
        if session.flowing:
            session.discard(samples, due)
        else:
            session.take_frame(samples, 0, due)
        self._settle()

    def _release(self, due: float) -> None:
        """What was withheld leaves at once."""
        self._withholds = False
        session, witness = self._session, self._around.witness
        if witness is not None and session.flowing:
            span = Span(session.position, self._withheld_frames * self._frame_samples)
            witness.shifts(self._arrival.number, span, due)
        self._settle()
        for _ in range(self._withheld_frames):
            self.send_frame(due)

    def _end(self, due: float) -> None:
        if self._arrival.script.abrupt:
            self._broke_off = True
            self.abort()
        else:
            self._catch_up()
            self._session.close(due)
            self._settle()

    def _pass_over(self, due: float) -> None:
        """A frame is due that does not go out: not now, or not at all."""
        if self._withholds:
            self._withheld_frames += 1
        else:
            self._session.take_frame(self._frame_samples, 0, due)
            self._position = self._session.position

    def _catch_up(self) -> None:
        """Before every door of the session: tell it of the frames that have left meanwhile."""
        frames, self._unsaid_frames = self._unsaid_frames, 0
        if frames:
            samples = frames * self._frame_samples
            octets = samples * self._track.group_bytes
            self._counts.samples += samples
            self._counts.octets += octets
            self._session.take_run(frames, samples, octets, self._unsaid_due)

    def _look_at_what_waits(self, socket: DialedSocket) -> None:
        self._counts.held_frames += 1
        if socket.waiting_bytes > UNREAD_LIMIT_BYTES:
            self._fault = "stalled: the server reads no more"
            socket.abort()

    def _on_deadline(self, due: float) -> None:
        if due != self._armed:
            return  # an earlier one has taken its place
        self._armed = None
        self._catch_up()
        deadline = self._session.deadline
        if deadline is not None and deadline <= due:
            # Counted from when it was due, not from when the generator got to it.
            self._session.handle_timeout(deadline)
        self._settle()

    def _settle(self) -> None:
        """After every door of the session."""
        session, socket = self._session, self._socket
        if socket is None or self._is_over:
            return
        for text in session.take_texts():
            socket.send_text(text)
        self._position = session.position
        is_open = session.state is PeerState.OPEN
        self._is_flowing = is_open and session.flowing and not self._withholds
        if not is_open:
            self._around.agenda.leave(self)
        if session.state is PeerState.CLOSED and not self._said_goodbye:
            self._say_goodbye(socket)
        deadline = session.deadline
        if deadline is not None and (self._armed is None or deadline < self._armed):
            self._armed = deadline
            self._around.agenda.at(deadline, self._on_deadline)

    def _say_goodbye(self, socket: DialedSocket) -> None:
        self._said_goodbye = True
        if self._session.record.closed_seconds is not None:
            self._around.tally.note("close", self._session.record.closed_seconds)
        socket.close()
        due = _CLOCK.monotonic_seconds() + GOODBYE_SECONDS
        self._around.agenda.at(due, lambda _due: self.abort())

    def _finish(self, fault: str) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._around.agenda.leave(self)
        record, tally = self._session.record, self._around.tally
        tally.counts.live -= record.opened_seconds is not None
        for text in record.objections:
            tally.object(text)
        if fault:
            tally.fail(fault)
        else:
            tally.counts.completed += 1
            tally.counts.broken_off += self._broke_off
            tally.counts.probes += self._session.setup.is_probe
        if self._around.witness is not None and self._has_begun:
            cut = bool(fault) or self._broke_off
            self._around.witness.ends(self._arrival.number, record.sent, broken_off=cut)
        self._around.is_over(self)


def _kind(error: DialError) -> str:
    """One word or two, the same for all calls that failed alike."""
    if error.status is not None:
        return f"HTTP {error.status}"
    return "unreachable" if error.fault == "connect" else error.fault
