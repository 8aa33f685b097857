"""One connection of ours as asyncio knows connections: a transport."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from earhook.media.lines import Line

    from .lines import Lines

__all__ = ["LineTransport"]


class LineTransport(asyncio.Transport):
    """A line's sending half, its TLS, and its beginning and end.

    What `hear_*`, `flush` and `abort` do, they do for the core, which calls them.

    Args:
        lines: The board that it is on.
        connection: Accepted; its descriptor is taken over.
        protocol: Told of everything until `set_protocol`.
        shutdown_seconds: What the peer gets to end TLS on its side.
    """

    __slots__ = (
        "_high_bytes",
        "_is_blocked",
        "_is_closing",
        "_is_lost",
        "_line",
        "_lines",
        "_loop",
        "_outgoing",
        "_protocol",
        "_session",
        "_shaken",
        "_shutdown_seconds",
        "_timer",
    )

    def __init__(
        self,
        lines: Lines,
        connection: socket.socket,
        protocol: asyncio.BaseProtocol,
        shutdown_seconds: float | None = None,
    ) -> None:
        super().__init__()
        self._lines = lines
        self._loop = asyncio.get_running_loop()
        self._protocol: asyncio.BaseProtocol | None = protocol
        self._shutdown_seconds = shutdown_seconds or 0.0
        self._session: ssl.SSLObject | None = None
        self._outgoing: ssl.MemoryBIO | None = None
        self._shaken: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._high_bytes = _HIGH_BYTES
        self._is_blocked = self._is_closing = self._is_lost = False
        self._line: Line = lines.admit(connection, self)

    # The beginning.

    def begin(self) -> None:
        """There is no TLS: the protocol may speak."""
        self._connected()

    async def shake_hands(self, context: ssl.SSLContext, seconds: float | None) -> None:
        """Agree on TLS; then the protocol may speak.

        Raises:
            SSLError: There is no agreement.
            OSError: The connection was lost, or the time was over.
        """
        try:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            session = context.wrap_bio(incoming, outgoing, server_side=True)
            self._session, self._outgoing = session, outgoing
            self._shaken = self._loop.create_future()
            if seconds is not None:
                self._timer = self._loop.call_later(seconds, self._be_late)
            self._line.secure(incoming.write, _read_of(session))
            await self._shaken
        except BaseException:
            self.abort()
            raise
        finally:
            # Its exception knows this frame, and so us and itself: nothing would go before the
            # collector comes, and failed handshakes are what strangers bring by thousands.
            self._forget_shaken()

    def _forget_shaken(self) -> None:
        shaken, self._shaken = self._shaken, None
        if shaken is not None and shaken.done() and not shaken.cancelled():
            shaken.exception()  # heard, even if something else ended the wait

    def hear_greeting(self) -> None:
        """More of the handshake has come. What it has to say goes out with the next `flush`."""
        assert self._session is not None
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.flush()  # the alert: whoever set up the peer sees what is wrong (RFC 8446 §6.2)
            self._fail(error)
        else:
            self._stop_timer()
            self._line.pass_bytes()
            if self._shaken is not None and not self._shaken.done():
                self._shaken.set_result(None)
            self._connected()

    # What comes.

    def hear_bytes(self, received: bytes) -> None:
        """Bytes, decrypted."""
        protocol = cast("asyncio.Protocol | None", self._protocol)
        if protocol is not None and not self._is_closing:
            protocol.data_received(received)

    def hear_end(self) -> None:
        """Nothing more will come."""
        if self._shaken is not None and not self._shaken.done():
            self._fail(ConnectionResetError("lost in the handshake"))
        elif self._line.unsent_bytes:
            self.close()
            if self._timer is None:
                self._timer = self._loop.call_later(_LAST_SECONDS, self._lose)
        else:
            self._say_goodbye()
            self._lose()

    def hear_room(self, unsent_bytes: int) -> None:
        """The kernel has taken some of what waits."""
        if unsent_bytes == 0 and self._is_closing:
            self._part()
        elif self._is_blocked and unsent_bytes <= self._high_bytes // 4:
            self._is_blocked = False
            if self._protocol is not None:
                self._protocol.resume_writing()

    def receive_frames(self, listener: object, limits: tuple[int, int, int, int]) -> Line:
        """From now on what comes are frames of a WebSocket, told to a listener by the core.

        See `Line.pass_frames`.
        """
        self._line.pass_frames(listener, limits)
        return self._line

    def soak(self) -> None:
        """Forget what comes from now on; a peer that goes on for long is cut.

        It is taken off the kernel, so that closing does not reset the connection before the peer
        has read our last words; it is not even decrypted.
        """
        self._line.soak(_SOAKED_BYTES)

    # asyncio's side.

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send at once what the kernel takes, and the rest as soon as it does."""
        if self._is_closing or self._is_lost or not data:
            return
        if self._session is not None:
            self._session.write(data)
            self.flush()
        else:
            self._send(bytes(data))

    def flush(self) -> None:
        """Send what TLS has to say."""
        if self._outgoing is not None and self._outgoing.pending:
            self._send(self._outgoing.read())

    def close(self) -> None:
        """Send what waits, then end the connection. What still comes is ignored."""
        if self._is_closing or self._is_lost:
            return
        self.soak()
        self._say_goodbye()
        self._is_closing = True
        if not self._line.unsent_bytes:
            self._part()

    def abort(self) -> None:
        """End the connection now; what waits to be sent is lost."""
        self._fail(ConnectionAbortedError("ended in the handshake"))

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._is_closing or self._is_lost

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell somebody else from now on."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is told."""
        assert self._protocol is not None
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401
        """`ssl_object`, and nothing else."""
        return self._session if name == "ssl_object" else default

    def get_write_buffer_size(self) -> int:
        """Bytes that the kernel has not taken."""
        return self._line.unsent_bytes

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Say from how many unsent bytes the protocol is asked to pause; to a quarter of it."""
        self._high_bytes = _HIGH_BYTES if high is None else high

    # The end.

    def _say_goodbye(self) -> None:
        """Say the last word of TLS, if it has not been said; wait for no answer."""
        if self._session is not None and not self._is_closing:
            with suppress(ssl.SSLError):
                self._session.unwrap()
            self.flush()

    def _connected(self) -> None:
        if self._protocol is not None:
            self._protocol.connection_made(self)

    def _send(self, ready: bytes) -> None:
        unsent_bytes = self._line.send(ready)
        if unsent_bytes > self._high_bytes and not self._is_blocked:
            self._is_blocked = True
            if self._protocol is not None:
                self._protocol.pause_writing()

    def _part(self) -> None:
        """Everything is sent."""
        if self._session is None or self._is_lost:
            self._lose()
            return
        self._line.finish()
        self._stop_timer()
        self._timer = self._loop.call_later(self._shutdown_seconds, self._lose)

    def _be_late(self) -> None:
        self._fail(ConnectionAbortedError("the handshake took too long"))

    def _fail(self, error: Exception) -> None:
        """End it now; if the handshake is waited for, this is how it ends."""
        if self._shaken is not None and not self._shaken.done():
            self._shaken.set_exception(error)
        self._lose()

    def _lose(self) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        self._stop_timer()
        self._line.hang_up()
        self._loop.call_soon(self._tell_loss)

    def _tell_loss(self) -> None:
        protocol, self._protocol = self._protocol, None
        self._session = self._outgoing = None
        if protocol is not None:
            protocol.connection_lost(None)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _read_of(session: ssl.SSLObject) -> Callable[[int], bytes]:
    """`SSLObject.read`, or the function below it, which saves a frame of Python for each record."""
    below = getattr(session, "_sslobj", None)
    return session.read if below is None else cast("Callable[[int], bytes]", below.read)


_HIGH_BYTES: Final = 65_536
_LAST_SECONDS: Final = 2.0
"""What a peer that sends no more gets to take what it has not read yet."""
_SOAKED_BYTES: Final = 131_072
