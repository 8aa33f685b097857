"""Connections of our own: read by the core, all of them in one call a turn of the loop.

A loop that calls into Python for each piece that arrives spends more on that than on the piece,
and its TLS raises an exception for each. Here the loop watches one descriptor, an epoll of ours;
when it is ready, `Switchboard.serve` takes what all connections have brought, decrypts it with
Python's own TLS objects, and takes it apart. See docs/decisions/0013-lines.md.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from earhook.media.lines import Line, Switchboard
from earhook.ops.logging import get_limited_logger

from .line_transport import LineTransport

if TYPE_CHECKING:
    from earhook.clock import Clock

__all__ = ["Lines"]


class Lines:
    """The connections of one door. Everything happens on the loop's thread.

    Args:
        clock: What the time of audio and of limits is read from, once a turn.
    """

    def __init__(self, clock: Clock) -> None:
        self._now = clock.monotonic_seconds
        self._loop = asyncio.get_running_loop()
        self._switchboard = Switchboard()
        self._outlet = socket.socket(fileno=self._switchboard.take_outlet())
        self._descriptor = self._switchboard.fileno()
        self._resting: asyncio.Handle | None = None
        self._is_stopped = False
        self._served_at = float("-inf")
        self._loop.add_reader(self._descriptor, self._turn)

    async def connect_accepted_socket(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        connection: socket.socket,
        *,
        ssl: ssl.SSLContext | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> tuple[LineTransport, asyncio.BaseProtocol]:
        """Do what the loop's method of this name does.

        Raises:
            OSError: The connection was lost before it began, or its handshake failed.
        """
        try:
            protocol = protocol_factory()
            transport = LineTransport(self, connection, protocol, ssl_shutdown_timeout)
        finally:
            connection.close()  # the switchboard has its own descriptor of it by now
        if ssl is None:
            transport.begin()
        else:
            await transport.shake_hands(ssl, ssl_handshake_timeout)
        return transport, protocol

    def admit(self, connection: socket.socket, owner: object) -> Line:
        """Put a connection on the board. Its descriptor is passed, and may be closed here.

        Raises:
            OSError: There is no descriptor left for it.
        """
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        socket.send_fds(self._outlet, [b"\0"], [connection.fileno()])
        return self._switchboard.admit(owner)

    def serve(self) -> None:
        """Take what has come on all of them, without a rest."""
        now = self._now()
        # A bound, because somebody who sends without an end must not keep us here.
        for _ in range(_MOST_TURNS):
            served, _ = self._switchboard.serve(now)
            if not served:
                break

    def stop(self) -> None:
        """Serve no more."""
        self._is_stopped = True
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        else:
            self._loop.remove_reader(self._descriptor)
        self._outlet.close()

    def _turn(self) -> None:
        """Serve what is ready; then, if much comes, leave it alone for a moment.

        What comes meanwhile is taken together: fewer wake-ups of the loop, of the sinks and of
        their consumers. A connection that is quiet is served as soon as it speaks. While somebody
        is being greeted there is no rest: that is work enough, and the rest would be added to it.
        """
        now = self._now()
        busy = now - self._served_at < _BUSY_SECONDS
        rested = self._resting is not None
        try:
            served, greetings = self._switchboard.serve(now)
        except Exception:  # noqa: BLE001 - nobody else looks after the lines: rest, and try again
            _LOG.error("lines.fault", exc_info=True)
            served, greetings, busy = 1, 0, True
        if self._is_stopped:
            return
        if served:
            self._served_at = now
        if served and (busy or rested) and not greetings:
            if not rested:
                self._loop.remove_reader(self._descriptor)
            self._resting = self._loop.call_later(_REST_SECONDS, self._turn)
        elif rested:
            self._resting = None
            self._loop.add_reader(self._descriptor, self._turn)


_REST_SECONDS: Final = 0.003
"""How long what has just been served is left alone, and so the most that audio waits for that."""
_BUSY_SECONDS: Final = 2 * _REST_SECONDS
_MOST_TURNS: Final = 64
"""Each serves 256 lines, those first that have waited longest: all that a process ever has."""
_LOG: Final = get_limited_logger(__name__)
