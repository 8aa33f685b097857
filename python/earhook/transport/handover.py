"""Turning a connection whose request we have answered into a picows WebSocket.

picows reads upgrade requests itself and takes only `Connection: Upgrade`, alone. Our gate has
read the request already, more strictly in general and more kindly in that point, so picows gets
a request of our own making that holds the peer's key and nothing else of the peer.

This file knows how picows is built inside (`picows.api.ws_create_server` makes the same call);
the version is pinned, and a test fails when the call changes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

from picows import WSAutoPingStrategy
from picows.picows import WSProtocol  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from picows import WSUpgradeRequest

    from .strict import StrictListener

__all__ = ["TLS_END_SECONDS", "Sponge", "hand_over", "let_go"]


def hand_over(
    transport: asyncio.Transport, listener: StrictListener, websocket_key: str, rest: bytes
) -> None:
    """Answer 101 and give the connection to picows; frames reach `listener` from now on.

    Args:
        transport: The accepted connection, its request already read.
        listener: What the frames go to.
        websocket_key: `Sec-WebSocket-Key` of the request, checked.
        rest: What came behind the request.
    """
    complaints = _Complaints(listener)
    protocol = WSProtocol(
        None,  # host and port: client side only
        None,  # path: client side only
        False,  # is_client_side
        _offer(listener),
        complaints,
        True,  # disconnect_on_exception
        None,  # websocket_handshake_timeout: the request follows at once
        False,  # enable_auto_ping
        20.0,  # auto_ping_idle_timeout
        20.0,  # auto_ping_reply_timeout
        WSAutoPingStrategy.PING_WHEN_IDLE,
        False,  # enable_auto_pong: the listener answers, within its limits
        listener.limits.message_bytes,
        None,  # extra_headers: client side only
        listener.limits.receive_buffer_bytes,
    )
    listener.adopt(protocol, complaints)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    request = _REQUEST % websocket_key.encode("ascii")
    for start in range(0, len(request), _CHUNK_BYTES):
        _feed(protocol, request[start : start + _CHUNK_BYTES])
    for start in range(0, len(rest), _CHUNK_BYTES):
        if transport.is_closing():
            return
        _feed(protocol, rest[start : start + _CHUNK_BYTES])


def _feed(protocol: asyncio.BufferedProtocol, chunk: bytes) -> None:
    while chunk:
        with memoryview(protocol.get_buffer(-1)) as room:
            taken = min(len(room), len(chunk))
            room[:taken] = chunk[:taken]
        protocol.buffer_updated(taken)
        chunk = chunk[taken:]


def _offer(listener: StrictListener) -> Any:  # noqa: ANN401 - picows' own type
    def factory(_request: WSUpgradeRequest) -> StrictListener:
        return listener

    return factory


class Sponge(asyncio.BufferedProtocol):
    """Stands in for picows on a connection that is past talking to: reads and forgets.

    What is still under way is taken off the kernel, so that closing does not reset the
    connection before the peer has read our close frame. It costs no memory, and little time: a
    peer that goes on and on is cut, because taking a flood off the kernel and through TLS is
    work that calls would wait for.
    """

    def __init__(
        self,
        protocol: asyncio.BaseProtocol | None = None,
        transport: asyncio.Transport | None = None,
    ) -> None:
        self._protocol = protocol
        self._transport = transport
        self._soaked_bytes = 0

    def get_buffer(self, sizehint: int) -> memoryview:
        """The same room for all connections, because nobody looks into it."""
        return _NOWHERE

    def buffer_updated(self, nbytes: int) -> None:
        """Forget it."""
        self._soaked_bytes += nbytes
        if self._soaked_bytes > _SOAKED_BYTES and self._transport is not None:
            self._transport.abort()
            self._transport = None

    def eof_received(self) -> bool:
        """The transport closes itself."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the end on, so that picows and the listener clean up."""
        protocol, self._protocol, self._transport = self._protocol, None, None
        if protocol is not None:
            protocol.connection_lost(exc)


def let_go(transport: asyncio.BaseTransport) -> None:
    """Free what an ended TLS connection would hold until the garbage collector comes by.

    uvloop's TLS keeps the methods of its last protocol, and with them picows' receive buffer.
    """
    if transport.get_extra_info("ssl_object") is not None:
        transport.set_protocol(_NOBODY)


class _Complaints:
    """Where picows logs to.

    Its parser reports a broken frame only here, and just before it sends a close frame with
    the text of its exception. The listener hears of it first and sends its own, so picows'
    is not sent any more. Everything else picows says is normal life and forgotten.
    """

    __slots__ = ("listener",)

    def __init__(self, listener: StrictListener) -> None:
        self.listener: StrictListener | None = listener

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's signature
        return False

    def error(self, message: str, *values: object) -> None:
        if self.listener is not None and message.startswith("WS parser error"):
            reasons = cast("tuple[tuple[object, ...], ...]", values)
            self.listener.on_unreadable(int(cast("int", reasons[0][0])))
        else:
            self.exception(message, *values)

    def exception(self, message: str, *values: object) -> None:
        if self.listener is not None:
            self.listener.on_fault()

    def log(self, level: int, message: str, *values: object) -> None:
        pass

    def debug(self, message: str, *values: object) -> None:
        pass

    info = warning = debug


TLS_END_SECONDS: Final = 0.01
"""From our end of TLS to the end of the connection: enough to hand the last record over."""
_NOWHERE: Final = memoryview(bytearray(65_536))
_SOAKED_BYTES: Final = 131_072
_NOBODY: Final = Sponge()
_CHUNK_BYTES: Final = 1024
_REQUEST: Final = (
    b"GET / HTTP/1.1\r\nHost: peer\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
)
