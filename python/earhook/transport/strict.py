"""A WebSocket that holds the peer to RFC 6455 and to limits.

picows parses frames and leaves the rest open: reserved bits, fragments, UTF-8, close codes, and
how much of anything one peer may send. Here is that rest. What breaks a rule of the protocol gets
a close frame and the connection ends within 100 ms; what crosses a limit is cut at once.

Calls are served by a subclass (`connection.py`), and so is the Autobahn test suite.
"""

from __future__ import annotations

import asyncio
import codecs
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from earhook.ids import KeyName
from earhook.ops.logging import get_limited_logger

from .handover import TLS_END_SECONDS, Sponge, let_go
from .tally import Broken

if TYPE_CHECKING:
    from collections.abc import Callable

    from earhook.clock import Clock
    from earhook.edge.caps import Place
    from earhook.hub.books import LiveBooks

    from .settings import FrameLimits
    from .tally import TransportTally

__all__ = ["StrictListener"]


class StrictListener(WSListener):
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
        "_clock",
        "_complaints",
        "_control_marks",
        "_decoder",
        "_ending",
        "_fragments",
        "_frames_left",
        "_has_failed",
        "_loop",
        "_marks",
        "_mode",
        "_now",
        "_parts",
        "_parts_kind",
        "_protocol",
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
        self._transport: WSTransport | None = None
        self._protocol: asyncio.BaseProtocol | None = None
        self._complaints: Any = None
        self._ending: asyncio.TimerHandle | None = None
        self._frames_left = 1
        block = _block_frames(limits)
        self._marks: deque[float] = deque(maxlen=limits.frames_per_second // block)
        self._control_marks: deque[float] | None = None
        self._parts: bytearray | None = None
        self._parts_kind = WSMsgType.BINARY
        self._fragments = 0
        self._decoder: codecs.IncrementalDecoder | None = None

    # What a subclass is told.

    def on_open(self) -> None:
        """101 has been sent."""

    def on_text(self, payload: bytes) -> None:
        """A text message, checked to be UTF-8."""

    def on_audio(self, view: memoryview) -> None:
        """A binary message. `view` is void as soon as this returns."""

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
        self._send(WSMsgType.TEXT, payload)

    def send_audio(self, payload: bytes) -> None:
        """Send a binary message at once. Cuts a peer that has not read what came before."""
        self._send(WSMsgType.BINARY, payload)

    def close(self, code: int = 1000) -> None:
        """Send a close frame and end; what the peer still sends is ignored."""
        if self._mode == _OPEN and self._transport is not None:
            self._transport.send_close(_close_code(code))
            self._mode = _CLOSING
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
            self._transport.send_close(_close_code(code))
        self._go_deaf()
        self._end_after(_LINGER_SECONDS, _LINGER_SECONDS)

    def abort(self, rule: Broken | None = None) -> None:
        """Cut the connection at once."""
        if self._mode == _DEAF or self._transport is None:
            return
        if rule is not None:
            self._note(rule)
        self._go_deaf()
        self._transport.underlying_transport.abort()

    # What picows tells us.

    def adopt(self, protocol: asyncio.BaseProtocol, complaints: Any) -> None:  # noqa: ANN401
        """Remember what picows is made of; called by `hand_over` only."""
        self._protocol = protocol
        self._complaints = complaints

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The upgrade is answered; frames follow."""
        self._transport = transport
        transport.underlying_transport.set_write_buffer_limits(high=_SLOW_BYTES)
        try:
            self.on_open()
        except Exception:  # noqa: BLE001 - ends this connection only
            self._survive()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """One frame. `frame` points into the receive buffer and dies when this returns."""
        self._frames_left -= 1
        if self._frames_left <= 0 and self._is_too_fast():
            return
        if self._mode:
            self._await_close(frame)
            return
        try:
            kind = frame.msg_type
            if (
                kind is _BINARY
                and frame.fin
                and self._parts is None
                and not (frame.rsv1 or frame.rsv2 or frame.rsv3)
            ):
                view = frame.get_payload_as_memoryview()
                try:
                    self.on_audio(view)
                finally:
                    view.release()
            else:
                self._receive(kind, frame)
        except Exception:  # noqa: BLE001 - ends this connection only
            self._survive()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The connection is no more."""
        self._mode = _DEAF
        if self._ending is not None:
            self._ending.cancel()
        try:
            self.on_closed()
        except Exception:  # noqa: BLE001 - ends this connection only
            self._count_fault()
        # These point at each other; without them the memory returns at once.
        if self._transport is not None:
            let_go(self._transport.underlying_transport)
        self._transport = self._protocol = self._parts = None
        if self._complaints is not None:
            self._complaints.listener = None
        if self.place is not None:
            self.place.leave()
        if self.on_gone is not None:
            self.on_gone(self)
            self.on_gone = None

    def on_unreadable(self, code: int) -> None:
        """The parser gave up, and picows will send a close frame unless we have."""
        if self._mode == _DEAF or self._transport is None:
            return
        handshake = self._transport.close_handshake
        if handshake is not None and handshake.recv is not None:
            # The fault lies behind the peer's close frame, where nothing counts any more
            # (RFC 6455 §5.5.1); the frame itself has not been delivered yet.
            self._answer_close(_number(handshake.recv.code))
        else:
            self.fail(code, Broken.TOO_LARGE if code == 1009 else Broken.FRAMING)

    def on_fault(self) -> None:
        """An exception inside picows."""
        self._survive()

    def pause_writing(self) -> None:
        """The peer reads more slowly than we send."""

    def resume_writing(self) -> None:
        """The peer has caught up."""

    # Frames that are not a whole binary message.

    def _receive(self, kind: WSMsgType, frame: WSFrame) -> None:
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.fail(1002, Broken.FRAMING)
        elif kind in _CONTROL:
            self._receive_control(kind, frame)
        elif (kind is WSMsgType.CONTINUATION) != (self._parts is not None):
            self.fail(1002, Broken.SEQUENCE)
        elif self._parts is None and frame.fin:
            payload = frame.get_payload_as_bytes()
            if _is_utf8(payload):
                self.on_text(payload)
            else:
                self.fail(1007, Broken.TEXT)
        else:
            self._receive_fragment(kind, frame)

    def _receive_fragment(self, kind: WSMsgType, frame: WSFrame) -> None:
        if self._parts is None:
            self._parts = bytearray()
            self._parts_kind = kind
            self._fragments = 0
            self._decoder = _UTF8() if kind is WSMsgType.TEXT else None
        self._fragments += 1
        chunk = frame.get_payload_as_bytes()
        if self._fragments > self.limits.fragments:
            self.abort(Broken.FRAGMENTS)
        elif len(self._parts) + len(chunk) > self.limits.message_bytes:
            self.fail(1009, Broken.TOO_LARGE)
        elif self._decoder is not None and not _continues(self._decoder, chunk, final=frame.fin):
            self.fail(1007, Broken.TEXT)
        else:
            self._parts += chunk
            if frame.fin:
                self._deliver_parts()

    def _deliver_parts(self) -> None:
        parts, self._parts, self._decoder = self._parts, None, None
        assert parts is not None
        if self._parts_kind is WSMsgType.TEXT:
            self.on_text(bytes(parts))
            return
        with memoryview(parts) as view:
            self.on_audio(view)

    def _receive_control(self, kind: WSMsgType, frame: WSFrame) -> None:
        if kind is WSMsgType.CLOSE:
            self._receive_close(frame)
            return
        now = self._now()
        if self._control_marks is None:
            self._control_marks = deque(maxlen=self.limits.control_frames_per_second)
        marks = self._control_marks
        if len(marks) == marks.maxlen and now - marks[0] < 1.0:
            self.abort(Broken.CONTROL_RATE)
            return
        marks.append(now)
        if kind is WSMsgType.PING:
            self._send(WSMsgType.PONG, frame.get_payload_as_bytes())

    def _receive_close(self, frame: WSFrame) -> None:
        code = _number(frame.get_close_code())
        if frame.payload_size and not _may_close_with(code):
            self.fail(1002, Broken.CLOSE_CODE)
        else:
            self._answer_close(code)

    def _await_close(self, frame: WSFrame) -> None:
        if self._mode == _CLOSING and frame.msg_type is WSMsgType.CLOSE:
            self._go_deaf()
            self._end(_CUT_SECONDS)

    def _answer_close(self, code: int) -> None:
        if self._mode == _OPEN and self._transport is not None:
            self._transport.send_close(_close_code(code or 1000))
        self._go_deaf()
        self._end(_CUT_SECONDS)

    def _is_too_fast(self) -> bool:
        """Look at the clock once in a block of frames, not at every frame."""
        if self._mode == _DEAF:
            self._frames_left = 1 << 30
            return True
        now = self._now()
        marks = self._marks
        if len(marks) == marks.maxlen and now - marks[0] < 1.0:
            self.abort(Broken.FRAME_RATE)
            return True
        marks.append(now)
        self._frames_left = _block_frames(self.limits)
        return False

    # Sending and ending.

    def _send(self, kind: WSMsgType, payload: bytes) -> None:
        transport = self._transport
        if self._mode != _OPEN or transport is None:
            return
        if transport.underlying_transport.get_write_buffer_size() > self.limits.unsent_bytes:
            self.abort(Broken.UNSENT)
        elif len(payload) <= _COPIED_BYTES:
            transport.send(kind, payload)
        else:
            # Above this size `send` queues a view of a header buffer that it uses again for
            # the next frame, whether or not the kernel took this one.
            buffer = bytearray(_HEADER_ROOM) + payload
            transport.send_reuse_external_bytearray(kind, buffer, _HEADER_ROOM)

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
        self._parts = None
        if self._transport is not None and self._protocol is not None:
            underlying = self._transport.underlying_transport
            underlying.set_protocol(Sponge(self._protocol, underlying))

    def _end_after(self, seconds: float, cut_seconds: float) -> None:
        if self._ending is not None:
            self._ending.cancel()
        self._ending = self._loop.call_later(seconds, self._end, cut_seconds)

    def _end(self, cut_seconds: float) -> None:
        """Close the connection, and cut it if that takes longer than `cut_seconds`."""
        if self._transport is None:
            return
        underlying = self._transport.underlying_transport
        self._mode = _DEAF
        underlying.close()
        if self._transport.is_secure:
            # uvloop goes on decrypting whatever comes until the peer ends TLS as well. What
            # we had to say is in the kernel; a flood must not get that much of our time.
            cut_seconds = min(cut_seconds, TLS_END_SECONDS)
        if self._ending is not None:
            self._ending.cancel()
        self._ending = self._loop.call_later(cut_seconds, underlying.abort)

    def _note(self, rule: Broken) -> None:
        self.tally.broken[rule] += 1
        _PEER_LOG.warning("connection.broken", rule=rule.value)


def _is_utf8(payload: bytes) -> bool:
    try:
        codecs.utf_8_decode(payload, "strict", True)
    except UnicodeDecodeError:
        return False
    return True


def _continues(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool) -> bool:
    try:
        decoder.decode(chunk, bool(final))
    except UnicodeDecodeError:
        return False
    return True


def _may_close_with(code: int) -> bool:
    """Codes a peer may put into a close frame (RFC 6455 §7.4 and IANA's registry)."""
    return (1000 <= code <= 1014 and code not in {1004, 1005, 1006}) or 3000 <= code <= 4999


def _close_code(code: int) -> WSCloseCode:
    # The registered codes are an enumeration; 3000 to 4999 go through as plain numbers.
    return code  # type: ignore[return-value]


def _number(code: WSCloseCode) -> int:
    return int(code)  # type: ignore[call-overload,no-any-return]  # an IntEnum, whatever the stub says


def _block_frames(limits: FrameLimits) -> int:
    return max(1, limits.frames_per_second // 20)


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
_COPIED_BYTES: Final = 8192
_HEADER_ROOM: Final = 16

_UTF8: Final = codecs.getincrementaldecoder("utf-8")
_BINARY: Final = WSMsgType.BINARY
_CONTROL: Final = frozenset({WSMsgType.PING, WSMsgType.PONG, WSMsgType.CLOSE})

_PEER_LOG: Final = get_limited_logger(__name__)
