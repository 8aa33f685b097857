"""The Genesys side of a call on a real socket: `PeerSession` plus a clock and a source.

One peer costs one timer and no task, so that thousands run in one process.

    plan = CallPlan(source=Source.random("a"), credential=PeerCredential(key, secret))
    async with CallPeer.dial("wss://gateway.example/audiohook", plan) as peer:
        await peer.reached(8000)
        peer.secure_pause()
        ...
    assert peer.record.outcome == "completed"
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from earhook.clock import SystemClock
from earhook.transport.dial import DialedSocket, dial

from .peer_record import Ladder, PeerRecord
from .peer_request import upgrade_headers
from .peer_session import PeerSession, PeerState
from .peer_setup import CallSetup, MediaChoice, Pace, PeerCredential, PeerManners
from .sources import Source, Track

__all__ = ["CallPeer", "CallPlan"]

FRAMES_PER_TURN: Final = 64
"""So many frames may leave before the loop serves others: matters when catching up only."""
GOODBYE_SECONDS: Final = 2.0
"""How long the server may take to answer the closing handshake of WebSocket."""
TIMER_GRAIN_SECONDS: Final = 0.001
"""Timers of the loop are whole milliseconds; what is due within one is due now."""

_CLOCK: Final = SystemClock()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlan:
    """A call to be made. `setup` None is a Monitor call that offers what the source has.

    With `begins_paused` an agent paused it before it began: no audio goes out until
    `secure_resume`.
    """

    source: Source
    setup: CallSetup | None = None
    credential: PeerCredential | None = None
    pace: Pace = field(default_factory=Pace)
    manners: PeerManners = field(default_factory=PeerManners)
    begins_paused: bool = False


class CallPeer:
    """One simulated call under way. Made by `connect` or `dial`; all on one loop's thread."""

    def __init__(self, plan: CallPlan) -> None:
        limit = plan.pace.limit_samples
        self.source = plan.source if limit is None else plan.source.limited(limit)
        self.setup = plan.setup or CallSetup(offers=plan.source.offers)
        self._plan = plan
        self._loop = asyncio.get_running_loop()
        now = _CLOCK.monotonic_seconds()
        self.session = PeerSession(self.setup, plan.manners, plan.pace.frame_samples, now)
        if plan.begins_paused:
            self.session.secure_pause(now)
        self._socket: DialedSocket | None = None
        self._connected_at = now
        self._said_goodbye = False
        self._track: Track = self.source.track(self.setup.offers[0])
        self._frame_due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._gone = self._loop.create_future()
        self._waiting: list[tuple[Callable[[], object], asyncio.Future[None]]] = []

    @classmethod
    async def connect(
        cls, url: str, plan: CallPlan, ssl_context: ssl.SSLContext | None = None
    ) -> CallPeer:
        """Dial, and send `open` as soon as the upgrade is answered. The call then runs by itself.

        Raises:
            DialError: No WebSocket came about.
        """
        peer = cls(plan)
        nonce = base64.b64encode(os.urandom(18)).decode("ascii")
        headers = upgrade_headers(url, peer.setup, plan.credential, _CLOCK.wall_seconds(), nonce)
        began = _CLOCK.monotonic_seconds()
        await dial(url, headers, peer, ssl_context)
        peer.record.connect_seconds = peer._connected_at - began
        return peer

    @classmethod
    @asynccontextmanager
    async def dial(
        cls, url: str, plan: CallPlan, ssl_context: ssl.SSLContext | None = None
    ) -> AsyncIterator[CallPeer]:
        """`connect`; at the end of the block the call is closed properly and awaited."""
        peer = await cls.connect(url, plan, ssl_context)
        try:
            yield peer
            peer.close()
            await peer.finished()
        finally:
            peer.abort()

    @property
    def record(self) -> PeerRecord:
        """Figures of the call so far."""
        return self.session.record

    @property
    def ladder(self) -> Ladder:
        """The conversation so far."""
        return self.session.ladder

    @property
    def position(self) -> int:
        """Stream time in samples."""
        return self.session.position

    # -- waiting

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until `condition()` holds; looked at after everything that happens to the call.

        Raises:
            ConnectionError: The call ended first.
        """
        if condition():
            return
        if self._gone.done():
            raise ConnectionError(f"the call is over: {self.record.outcome}")
        happened: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((condition, happened))
        await happened

    async def opened(self) -> None:
        """Wait for `opened`. Raises ConnectionError when the server refuses instead."""
        await self.until(lambda: self.record.opened_seconds is not None)

    async def reached(self, position: int) -> None:
        """Wait until the stream time is at least `position` samples."""
        await self.until(lambda: self.session.position >= position)

    async def finished(self) -> PeerRecord:
        """Wait until the connection is gone."""
        await asyncio.shield(self._gone)
        return self.record

    # -- wishes

    def close(self) -> None:
        """End the call politely; `finished` tells when it is over."""
        self.session.close(_CLOCK.monotonic_seconds())
        self._settle()

    def secure_pause(self) -> None:
        """Pause as an agent does while a card number is read out."""
        self.session.secure_pause(_CLOCK.monotonic_seconds())
        self._settle()

    def secure_resume(self) -> None:
        """End the secure pause."""
        self.session.secure_resume(_CLOCK.monotonic_seconds())
        self._settle()

    def discard(self, samples: int) -> None:
        """Skip audio of the source and report it as `discarded`."""
        self.session.discard(samples, _CLOCK.monotonic_seconds())
        self._settle()

    def update(self, language: str) -> None:
        """Change the language of the conversation."""
        self.session.update(language, _CLOCK.monotonic_seconds())
        self._settle()

    def press(self, digit: str) -> None:
        """Press a key of the caller's telephone."""
        self.session.press(digit, _CLOCK.monotonic_seconds())
        self._settle()

    def report_error(self, code: int, text: str, *, fatal: bool = False) -> None:
        """Send an `error`; a fatal one ends the call."""
        self.session.report_error(code, text, _CLOCK.monotonic_seconds(), fatal=fatal)
        self._settle()

    def abort(self) -> None:
        """Drop the connection without a word. Nothing happens when it is gone already."""
        if self._socket is not None and not self._gone.done():
            self._socket.abort()

    def reset(self) -> None:
        """Drop the connection with a TCP reset."""
        if self._socket is not None and not self._gone.done():
            self._socket.reset()

    # -- what a receiver must hold

    def sent_pcm(self, channel: int) -> bytes:
        """16-bit PCM of all audio that went out, without what was withheld between."""
        spans = self.record.sent
        return b"".join(self._heard(channel, span.start, span.samples) for span in spans)

    def expected_pcm(self, channel: int) -> bytes:
        """16-bit PCM by position from the start, silent where audio was withheld."""
        silent = bytearray(2 * self.session.position)
        for start, samples in self.record.sent:
            silent[2 * start : 2 * (start + samples)] = self._heard(channel, start, samples)
        return bytes(silent)

    def _heard(self, channel: int, start: int, samples: int) -> bytes:
        media: MediaChoice | None = self.session.media
        if media is None or channel not in media.channels:
            return bytes(2 * samples)
        return self.source.pcm(channel, start, samples)

    # -- the socket's calls

    def on_connected(self, socket: DialedSocket) -> None:
        """The upgrade was answered."""
        self._socket = socket
        self._connected_at = _CLOCK.monotonic_seconds()
        self.session.start(self._connected_at)
        self._settle()

    def on_text(self, payload: bytes) -> None:
        """A message of the server."""
        now = _CLOCK.monotonic_seconds()
        was_open = self.session.state is PeerState.OPEN
        self.session.receive_text(payload, now)
        self._settle()
        if not was_open and self.session.state is PeerState.OPEN:
            self._begin_media(now)

    def on_audio(self, payload: bytes) -> None:
        """Audio to play."""
        self.session.receive_audio(payload, _CLOCK.monotonic_seconds())
        self._settle()

    def on_closed(self, code: int | None) -> None:
        """The connection is gone."""
        self.record.close_code = code
        self.session.receive_eof(_CLOCK.monotonic_seconds())
        self._frame_due = None
        if self._timer is not None:
            self._timer.cancel()
        if not self._gone.done():
            self._gone.set_result(None)
        self._wake()
        for _, happened in self._waiting:
            if not happened.done():
                happened.set_exception(ConnectionError(f"the call is over: {self.record.outcome}"))
        self._waiting.clear()

    def on_writable(self) -> None:
        """The socket takes more: matters only when sending as fast as possible."""
        if self._frame_due is not None and not self._plan.pace.tick_seconds:
            self._loop.call_soon(self._on_timer)

    # -- time

    def _begin_media(self, now: float) -> None:
        self._track = self.source.track(self.session.media or self.setup.offers[0])
        self._frame_due = now
        self._send_due(now)
        self._settle()

    def _on_timer(self) -> None:
        self._timer = None
        now = _CLOCK.monotonic_seconds()
        deadline = self.session.deadline
        if deadline is not None and now + TIMER_GRAIN_SECONDS > deadline:
            self.session.handle_timeout(max(now, deadline))
        if self._frame_due is not None and now + TIMER_GRAIN_SECONDS > self._frame_due:
            self._flush()
            self._send_due(now)
        self._settle()

    def _send_due(self, now: float) -> None:
        pace = self._plan.pace
        for _ in range(FRAMES_PER_TURN):
            due = self._frame_due
            if due is None or now + TIMER_GRAIN_SECONDS <= due or self._is_blocked:
                return
            for _ in range(pace.burst_frames):
                self._send_frame(now)
            if self._frame_due is not None:
                # Counted from the first frame, never from when this one really left.
                self._frame_due = due + pace.tick_seconds

    def _send_frame(self, now: float) -> None:
        session = self.session
        if session.state is not PeerState.OPEN:
            self._frame_due = None
            return
        position = session.position
        samples = self._track.left(position, self._plan.pace.frame_samples)
        if not samples:
            self._end_media(now)
        elif session.flowing:
            payload = self._track.read(position, samples)
            if session.take_frame(samples, len(payload), now) and self._socket is not None:
                self._socket.send_audio(payload)
        else:
            session.take_frame(samples, 0, now)

    def _end_media(self, now: float) -> None:
        self._frame_due = None
        if self._plan.pace.at_end == "close":
            self.session.close(now)
        elif self._plan.pace.at_end == "abort":
            self.abort()

    @property
    def _is_blocked(self) -> bool:
        # A real-time peer goes on at its pace whatever the socket says.
        socket = self._socket
        return not self._plan.pace.tick_seconds and socket is not None and not socket.writable

    def _arm(self) -> None:
        frame_due = None if self._is_blocked else self._frame_due
        dues = [due for due in (frame_due, self.session.deadline) if due is not None]
        if not dues or self._gone.done():
            return
        due = min(dues)
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        delay = max(due - _CLOCK.monotonic_seconds(), 0.0)
        self._timer = self._loop.call_later(delay, self._on_timer)

    # -- after every door of the session

    def _settle(self) -> None:
        self._flush()
        self._arm()
        if self._waiting:
            self._wake()

    def _flush(self) -> None:
        socket = self._socket
        if socket is None:
            return
        for text in self.session.take_texts():
            socket.send_text(text)
        if self.session.finished and self._frame_due is not None:
            self._frame_due = None
        if self.session.state is PeerState.CLOSED and not self._gone.done():
            self._say_goodbye(socket)

    def _say_goodbye(self, socket: DialedSocket) -> None:
        if self._said_goodbye:
            return
        self._said_goodbye = True
        socket.close()
        self._loop.call_later(GOODBYE_SECONDS, self.abort)

    def _wake(self) -> None:
        still: list[tuple[Callable[[], object], asyncio.Future[None]]] = []
        for condition, happened in self._waiting:
            if happened.done():
                continue
            if condition():
                happened.set_result(None)
            else:
                still.append((condition, happened))
        self._waiting = still
