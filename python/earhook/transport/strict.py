"""A WebSocket that holds the peer to RFC 6455 and to limits.

The core reads the frames and knows the rules (`rust/earhook-line`); what a broken rule costs is
decided here. What breaks a rule of the protocol gets a close frame and the connection ends within
100 ms; what crosses a limit is cut at once.

Calls are served by a subclass (`connection.py`), and so is the Autobahn test suite.
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Final

from earhook.ids import KeyName
from earhook.ops.logging import get_limited_logger

from .tally import Broken

if TYPE_CHECKING:
    from collections.abc import Callable

    from earhook.clock import Clock
    from earhook.edge.caps import Place
    from earhook.edge.line_transport import LineTransport
    from earhook.hub.books import LiveBooks
    from earhook.media.lines import Line

    from .settings import FrameLimits
    from .tally import TransportTally

__all__ = ["TLS_END_SECONDS", "StrictListener"]


class StrictListener(asyncio.BaseProtocol):
    """One WebSocket. Subclasses give meaning to its messages.

    Everything happens on the loop's thread. An exception in a subclass ends this connection
    only: it is logged, counted, and handed to `on_failure`.

    Attributes:
        limits: What the peer may do.
        tally: Where it is counted.
        on_gone: Called once when the connection is no more; set by the server.
        key_name: The key it was let in with.
        place: Its place among the strangers, for a peer that was let in without a valid key.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_ending",
        "_has_failed",
        "_line",
        "_loop",
        "_mode",
        "_now",
        "_transport",
        "key_name",
        "limits",
        "on_gone",
        "place",
        "probe_only",
        "tally",
    )

    def __init__(self, limits: FrameLimits, tally: TransportTally, clock: Clock) -> None:
        self.limits = limits
        self.tally = tally
        self.on_gone: Callable[[StrictListener], None] | None = None
        self.place: Place | None = None
        self.probe_only = False
        self.key_name = KeyName("")
        self._clock = clock
        self._now = clock.monotonic_seconds
        self._loop = asyncio.get_running_loop()
        self._mode = _OPEN
        self._has_failed = False
        self._transport: LineTransport | None = None
        self._line: Line | None = None
        self._ending: asyncio.TimerHandle | None = None

    # What a subclass is told.

    def on_open(self) -> None:
        """101 has been sent."""

    def on_text(self, payload: bytes) -> None:
        """A text message, checked to be UTF-8."""

    def on_audio(self, payload: bytes) -> None:
        """A binary message that did not go through a lane."""

    def on_failure(self) -> bool:
        """An exception was raised in here. True: the connection ends in a way of its own."""
        return False

    def on_closed(self) -> None:
        """The connection is no more. Called once, after `on_open`."""

    # What a subclass can do.

    @property
    def is_open(self) -> bool:
        """Whether messages can still be sent."""
        return self._mode == _OPEN

    def send_text(self, payload: bytes) -> None:
        """Send a text message at once. Cuts a peer that has not read what came before."""
        self._send(_TEXT, payload)

    def send_audio(self, payload: bytes) -> None:
        """Send a binary message at once. Cuts a peer that has not read what came before."""
        self._send(_BINARY, payload)

    def close(self, code: int = 1000) -> None:
        """Send a close frame and end; what the peer still sends is ignored."""
        if self._mode == _OPEN and self._transport is not None:
            self._send_close(code)
            self._mode = _CLOSING
            if self._line is not None:
                self._line.close_lane()
            self._end_after(_ANSWER_SECONDS, _CUT_SECONDS)

    def add_up(self, books: LiveBooks) -> None:
        """Add what is going on here to the books of everything that is going on."""

    def part(self) -> None:
        """The gateway stops: bring what is going on to an end. Calls do it in-band."""
        self.close(1001)

    def fail(self, code: int, rule: Broken) -> None:
        """End because the peer broke a rule: close frame, then the connection, in 100 ms."""
        if self._mode == _DEAF or self._transport is None:
            return
        self._note(rule)
        if self._mode == _OPEN:
            self._send_close(code)
        self._go_deaf()
        self._end_after(_LINGER_SECONDS, _LINGER_SECONDS)

    def abort(self, rule: Broken | None = None) -> None:
        """Cut the connection at once."""
        if self._mode == _DEAF or self._transport is None:
            return
        if rule is not None:
            self._note(rule)
        self._go_deaf()
        self._transport.abort()

    # The connection.

    def begin(self, transport: LineTransport, early: bytes) -> None:
        """The upgrade is answered; frames follow, of which some bytes may have come already."""
        limits = self.limits
        self._transport = transport
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=_SLOW_BYTES)
        self._line = transport.receive_frames(
            self,
            (
                limits.message_bytes,
                limits.fragments,
                limits.frames_per_second,
                limits.control_frames_per_second,
            ),
        )
        try:
            self.on_open()
        except Exception:  # noqa: BLE001 - ends this connection only
            self._survive()
        if early:
            self._line.feed(early, self._now())

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is no more."""
        self._mode = _DEAF
        if self._ending is not None:
            self._ending.cancel()
        try:
            self.on_closed()
        except Exception:  # noqa: BLE001 - ends this connection only
            self._count_fault()
        self._transport = self._line = None
        if self.place is not None:
            self.place.leave()
        if self.on_gone is not None:
            self.on_gone(self)
            self.on_gone = None

    def pause_writing(self) -> None:
        """The peer reads more slowly than we send."""

    def resume_writing(self) -> None:
        """The peer has caught up."""

    # What the core tells us.

    def hear_text(self, payload: bytes) -> None:
        """A text message, checked to be UTF-8."""
        if self._mode == _OPEN:
            try:
                self.on_text(payload)
            except Exception:  # noqa: BLE001 - ends this connection only
                self._survive()

    def hear_audio(self, payload: bytes) -> None:
        """A binary message that went through no lane."""
        if self._mode == _OPEN:
            try:
                self.on_audio(payload)
            except Exception:  # noqa: BLE001 - ends this connection only
                self._survive()

    def hear_ping(self, payload: bytes) -> None:
        """A ping, within the limits."""
        self._send(_PONG, payload)

    def hear_close(self, code: int) -> None:
        """A close frame; its code is one that a peer may send, or 0 if there is none."""
        if self._mode == _DEAF:
            return
        if self._mode == _OPEN:
            self._send_close(code or 1000)
        self._go_deaf()
        self._end(_CUT_SECONDS)

    def hear_broken(self, word: str, code: int) -> None:
        """A rule is broken: `code` is what to close with, or 0 for a limit that was crossed."""
        if code:
            self.fail(code, Broken(word))
        else:
            self.abort(Broken(word))

    def hear_fault(self, error: Exception) -> None:
        """The core failed at audio in the lane."""
        try:
            raise error
        except Exception:  # noqa: BLE001 - ends this connection only
            self._survive()

    # Sending and ending.

    def _send(self, opcode: int, payload: bytes) -> None:
        transport = self._transport
        if self._mode != _OPEN or transport is None:
            return
        if transport.get_write_buffer_size() > self.limits.unsent_bytes:
            self.abort(Broken.UNSENT)
        else:
            transport.write(_head(opcode, len(payload)) + payload)

    def _send_close(self, code: int) -> None:
        if self._transport is not None:
            self._transport.write(_head(_CLOSE, 2) + struct.pack(">H", code))

    def _survive(self) -> None:
        """An exception reached the border of this connection: it ends, the others go on."""
        self._count_fault()
        first, self._has_failed = not self._has_failed, True
        try:
            if first and self.on_failure():
                return
        except Exception:  # noqa: BLE001 - ends this connection only
            self._count_fault()
        self.close(1011)

    def _count_fault(self) -> None:
        self.tally.faults += 1
        _PEER_LOG.error("connection.fault", exc_info=True)

    def _go_deaf(self) -> None:
        """From here on nothing is parsed and nothing kept."""
        self._mode = _DEAF
        if self._transport is not None:
            self._transport.soak()

    def _end_after(self, seconds: float, cut_seconds: float) -> None:
        if self._ending is not None:
            self._ending.cancel()
        self._ending = self._loop.call_later(seconds, self._end, cut_seconds)

    def _end(self, cut_seconds: float) -> None:
        """Close the connection, and cut it if that takes longer than `cut_seconds`."""
        if self._transport is None:
            return
        transport = self._transport
        self._mode = _DEAF
        transport.close()
        if transport.get_extra_info("ssl_object") is not None:
            # What we had to say is in the kernel, and nobody has to wait for the end of TLS.
            cut_seconds = min(cut_seconds, TLS_END_SECONDS)
        if self._ending is not None:
            self._ending.cancel()
        self._ending = self._loop.call_later(cut_seconds, transport.abort)

    def _note(self, rule: Broken) -> None:
        self.tally.broken[rule] += 1
        _PEER_LOG.warning("connection.broken", rule=rule.value)


def _head(opcode: int, payload_bytes: int) -> bytes:
    """The head of a frame of ours: whole and without a mask (RFC 6455 §5.2)."""
    if payload_bytes < 126:
        return struct.pack(">BB", 0x80 | opcode, payload_bytes)
    if payload_bytes < 1 << 16:
        return struct.pack(">BBH", 0x80 | opcode, 126, payload_bytes)
    return struct.pack(">BBQ", 0x80 | opcode, 127, payload_bytes)


_TEXT: Final = 1
_BINARY: Final = 2
_CLOSE: Final = 8
_PONG: Final = 10

_OPEN: Final = 0
_CLOSING: Final = 1
"""We sent a close frame and wait for the peer's."""
_DEAF: Final = 2
"""Nothing counts any more but the end of the connection."""

_ANSWER_SECONDS: Final = 2.0
"""What the peer gets to answer our close frame."""
_CUT_SECONDS: Final = 2.0
"""What the peer then gets to take the last bytes and to end TLS."""
_LINGER_SECONDS: Final = 0.045
"""Both of these for a peer that broke a rule; together they stay below 100 ms."""
_SLOW_BYTES: Final = 16_384
"""Unsent bytes from which a peer counts as slow."""
TLS_END_SECONDS: Final = 0.01
"""From our end of TLS to the end of the connection: enough to hand the last record over."""

_PEER_LOG: Final = get_limited_logger(__name__)
