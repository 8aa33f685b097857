"""The other end of the wire: dial a server as Genesys Cloud does.

For the scripted peer, the load generator and checks; the gateway itself dials nobody from here.
Redirects are not followed and no extension is offered (AudioHook protocol §2).
"""

from __future__ import annotations

import asyncio
import logging
import socket as sockets
import ssl
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias
from urllib.parse import urlsplit

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from picows.common import WSError, WSHandshakeError

from earhook import trust
from earhook.errors import OperatorError

__all__ = [
    "Buffer",
    "DialError",
    "DialListener",
    "DialedSocket",
    "client_context",
    "dial",
    "keep_session",
]

Buffer: TypeAlias = bytes | bytearray | memoryview
Fault: TypeAlias = Literal["url", "name", "connect", "tls", "timeout", "http"]

UPGRADE_SECONDS: Final = 10.0
RECEIVE_LIMIT_BYTES: Final = 1 << 20
_SILENT: Final = logging.LoggerAdapter(logging.getLogger("earhook.dial"))
"""For picows: whoever dials is told what happens; the terminal need not be."""
_SILENT.logger.setLevel(logging.CRITICAL + 1)
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class DialError(OperatorError):
    """No WebSocket came about. The text says what happened, where, and what to do.

    Attributes:
        fault: The step that failed.
        status: The HTTP status, when the server answered the upgrade with something else.
    """

    def __init__(self, fault: Fault, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.fault = fault
        self.status = status


class DialListener(Protocol):
    """Whoever dialled. Called on the loop's thread; must neither wait nor raise."""

    def on_connected(self, socket: DialedSocket) -> None:
        """The upgrade was answered with 101."""
        ...

    def on_text(self, payload: bytes) -> None:
        """One whole text message, fragments joined."""
        ...

    def on_audio(self, payload: bytes) -> None:
        """One whole binary message, fragments joined."""
        ...

    def on_closed(self, code: int | None) -> None:
        """The connection is gone; `code` is the server's close code, if it sent one."""
        ...

    def on_writable(self) -> None:
        """`DialedSocket.writable` is true again."""
        ...


class DialedSocket:
    """The sending half of a dialled WebSocket. Calls after its end do nothing."""

    __slots__ = ("_transport", "fault", "writable")

    def __init__(self, transport: WSTransport) -> None:
        self.writable = True
        """False while so much waits to be sent that more should not be added."""
        self.fault = ""
        """What was wrong with the server's frames, and ended the connection; empty: nothing."""
        self._transport = transport

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS below; None over plain TCP."""
        found: ssl.SSLObject | None = self._transport.underlying_transport.get_extra_info(
            "ssl_object"
        )
        return found

    @property
    def waiting_bytes(self) -> int:
        """Bytes accepted for sending that the kernel has not taken yet."""
        return self._transport.underlying_transport.get_write_buffer_size()

    def send_text(self, payload: Buffer) -> None:
        """Send one text message; `payload` is UTF-8."""
        self._transport.send(WSMsgType.TEXT, payload)

    def send_audio(self, payload: Buffer) -> None:
        """Send one binary message. The bytes are copied before this returns."""
        self._transport.send(WSMsgType.BINARY, payload)

    def close(self) -> None:
        """Begin the closing handshake, without a code as the vendor's reference client does."""
        self._transport.send(WSMsgType.CLOSE, b"")

    def abort(self) -> None:
        """Drop the connection now; what is not sent yet is lost."""
        self._transport.disconnect(graceful=False)

    def reset(self) -> None:
        """Drop the connection with a TCP reset."""
        raw = self._transport.underlying_transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, _RESET_ON_CLOSE)
        self.abort()


class _ResumingContext(ssl.SSLContext):
    """Offers the session that some connection kept, so that the server may spare the rest."""

    kept: ssl.SSLSession | None = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        session = session or self.kept
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)


def keep_session(context: ssl.SSLContext | None, tls: ssl.SSLObject | None) -> bool:
    """Keep a connection's session for the next ones, if the context does so and has none yet.

    Call it when the server has sent something: TLS 1.3 gives tickets after the handshake.

    Returns:
        Whether this connection has resumed one itself.
    """
    if not isinstance(context, _ResumingContext) or tls is None:
        return False
    if context.kept is None and tls.session is not None and tls.session.has_ticket:
        context.kept = tls.session
    return bool(tls.session_reused)


def client_context(
    cafile: Path | None = None, *, insecure: bool = False, resumes: bool = False
) -> ssl.SSLContext:
    """How a server's certificate is checked: by the machine's authorities, or by those of a file.

    Args:
        cafile: These authorities instead.
        insecure: Believe any certificate.
        resumes: Resume sessions that `keep_session` kept.

    Raises:
        ConfigurationError: `cafile` cannot be used.
    """
    if resumes:
        context: ssl.SSLContext = _ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
        trust.load_authorities(context, cafile)
    else:
        context = trust.client_context(cafile)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def dial(
    url: str,
    headers: Sequence[tuple[str, str]],
    listener: DialListener,
    ssl_context: ssl.SSLContext | None = None,
    address: str | None = None,
) -> DialedSocket:
    """Open a WebSocket; `listener.on_connected` is called before this returns.

    Args:
        url: `ws://` or `wss://`.
        headers: Added to the upgrade request; `Host` replaces the one made from the URL.
        listener: Gets everything that comes back.
        ssl_context: For `wss://`; None verifies against the system's authorities.
        address: Of the URL's host, as a number; None looks it up.

    Raises:
        DialError: Refused, unreachable, not trusted, not a WebSocket.
    """
    bridge = _Bridge(listener)
    where, more = _at(url, address)
    try:
        transport, _ = await ws_connect(
            lambda: bridge,
            where,
            ssl_context=ssl_context,
            websocket_handshake_timeout=UPGRADE_SECONDS,
            max_frame_size=RECEIVE_LIMIT_BYTES,
            extra_headers=headers,
            max_redirects=0,
            logger_name=_SILENT,
            use_aiofastnet=False,
            **more,
        )
    except (OSError, WSError, ValueError) as error:
        raise _explained(url, error) from error
    if bridge.socket is None:
        raise DialError(
            "http",
            f"{url}: the server closed the connection without an answer; "
            f"does it speak {'ws' if url.startswith('wss') else 'wss'}:// there?",
        )
    del transport
    return bridge.socket


def _at(url: str, address: str | None) -> tuple[str, dict[str, Any]]:
    """The same, asked for at a certain address; TLS still asks for the host."""
    if address is None:
        return url, {}
    parts = urlsplit(url)
    place = f"[{address}]" if ":" in address else address
    port = "" if parts.port is None else f":{parts.port}"
    more = {"server_hostname": parts.hostname or ""} if parts.scheme == "wss" else {}
    return parts._replace(netloc=place + port).geturl(), more


class _Bridge(WSListener):
    """Gives whole messages to the listener and answers the closing handshake."""

    def __init__(self, listener: DialListener) -> None:
        self.socket: DialedSocket | None = None
        self._listener = listener
        self._code: int | None = None
        self._end: asyncio.Future[None] | None = None
        self._pieces = bytearray()
        self._pieces_type = WSMsgType.TEXT

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.socket = DialedSocket(transport)
        self._listener.on_connected(self.socket)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            self._code = int(frame.get_close_code().value) or None
            transport.send(WSMsgType.CLOSE, b"")
            transport.disconnect()
        elif kind in _DATA and frame.fin and kind != WSMsgType.CONTINUATION:
            self._give(kind, frame.get_payload_as_bytes())
        elif kind in _DATA:
            self._collect(kind, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        ours = None if transport.close_handshake is None else transport.close_handshake.sent
        if self.socket is not None and ours is not None:
            # We close without a code: what has one was said by picows, of frames it cannot read.
            self.socket.fault = ours.reason or ""
            self._end = asyncio.ensure_future(_retrieve(transport))
        self._listener.on_closed(self._code)

    def pause_writing(self) -> None:
        if self.socket is not None:
            self.socket.writable = False

    def resume_writing(self) -> None:
        if self.socket is not None:
            self.socket.writable = True
        self._listener.on_writable()

    def _collect(self, kind: WSMsgType, frame: WSFrame) -> None:
        if kind != WSMsgType.CONTINUATION:
            self._pieces_type = kind
            self._pieces.clear()
        self._pieces += frame.get_payload_as_memoryview()
        if frame.fin:
            self._give(self._pieces_type, bytes(self._pieces))

    def _give(self, kind: WSMsgType, payload: bytes) -> None:
        if kind == WSMsgType.TEXT:
            self._listener.on_text(payload)
        else:
            self._listener.on_audio(payload)


async def _retrieve(transport: WSTransport) -> None:
    """Take the error that is in `fault` already; nobody else does."""
    with suppress(Exception):
        await transport.wait_disconnected()


_DATA: Final = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION)


def _explained(url: str, error: Exception) -> DialError:
    if isinstance(error, WSHandshakeError):
        return _refused(url, error)
    if isinstance(error, sockets.gaierror):
        return DialError("name", f"{url}: no address is known for that host; check the name")
    if isinstance(error, ssl.SSLCertVerificationError):
        what = f"the server's certificate is not trusted ({error.verify_message})"
        return DialError("tls", f"{url}: {what}; name its authority with --cafile")
    if isinstance(error, ssl.SSLError):
        reason = error.reason or str(error)
        return DialError("tls", f"{url}: no TLS with this server ({reason}); is it wss:// there?")
    if isinstance(error, TimeoutError):
        return DialError("timeout", f"{url}: no answer in {UPGRADE_SECONDS:g} s")
    if isinstance(error, ConnectionRefusedError):
        return DialError("connect", f"{url}: connection refused; nothing listens on that port")
    if isinstance(error, ConnectionError) and url.startswith("wss"):
        what = "the server ended the connection during the TLS handshake"
        return DialError("tls", f"{url}: {what}; does it speak ws:// there?")
    if isinstance(error, OSError):
        return DialError("connect", f"{url}: {error.strerror or error}")
    return DialError("url", f"{error}; give ws://host:port/path or wss://…")


def _refused(url: str, error: WSHandshakeError) -> DialError:
    if error.response is None:
        return DialError("http", f"{url}: the answer is not HTTP; is it a WebSocket server?")
    status = int(error.response.status)
    advice = _ADVICE.get(status, "the server does not take this upgrade")
    return DialError("http", f"{url}: answered HTTP {status}; {advice}", status)


_ADVICE: Final = {
    400: "it objects to the request itself",
    401: "check the API key, the secret, and that both clocks agree",
    403: "it refuses this client",
    404: "check the path of the URL",
    426: "it wants another WebSocket version",
    429: "too many connections from here; try later",
    503: "it is full or draining; try later",
}
