"""Listening sockets and the loop that accepts from them.

asyncio's own servers begin TLS before anybody is asked, and spin or flood the log when file
descriptors run out. Accepting here, by hand, lets the caps hold before a connection costs
anything, and lets a shortage of descriptors pass quietly.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ops.logging import get_limited_logger

if TYPE_CHECKING:
    from .tally import EdgeTally

__all__ = ["AcceptLoop", "listen"]


def listen(
    host: str, port: int, backlog: int, door: str = "media", *, reuse_port: bool = False
) -> list[socket.socket]:
    """Bind and listen on every address of `host`.

    Args:
        host: An address or a name; `::` listens on IPv4 as well.
        port: 0 lets the system choose one port, the same for all addresses.
        backlog: Connections that the kernel queues.
        door: The section of the configuration that an error names.
        reuse_port: Several may listen there: the kernel spreads connections over them.

    Raises:
        ConfigurationError: The name is unknown or the port cannot be had.
    """
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE, proto=socket.IPPROTO_TCP
        )
        for family, _, _, _, address in found:
            chosen = sockets[0].getsockname()[1] if sockets and port == 0 else port
            sockets.append(_bind(family, str(address[0]), chosen, reuse_port=reuse_port))
        for bound in sockets:
            bound.listen(backlog)
    except OSError as error:
        for bound in sockets:
            bound.close()
        fault = ConfigurationFault(
            f"{door} {host}:{port}",
            f"cannot listen: {error.strerror or error}",
            "choose another host or port, or stop what listens there",
        )
        raise ConfigurationError([fault]) from error
    return sockets


def _bind(family: int, host: str, port: int, *, reuse_port: bool) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(reuse_port))
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        listening.bind((host, port))
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


class AcceptLoop:
    """Accepts until stopped, a bounded number of connections a wake-up.

    Args:
        sockets: Listening, not blocking. They stay the caller's to close.
        on_accepted: Takes each connection, with the peer's address, and must not raise.
        tally: Where trouble is counted.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        on_accepted: Callable[[socket.socket, str], None],
        tally: EdgeTally,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = tuple(sockets)
        self._on_accepted = on_accepted
        self._tally = tally
        self._resting: dict[socket.socket, asyncio.TimerHandle] = {}
        self._last_line_at = float("-inf")
        self._running = False
        self._is_scarce = False

    def start(self) -> None:
        """Accept from now on."""
        self._running = True
        for listening in self._sockets:
            self._loop.add_reader(listening, self._accept, listening)

    def stop(self) -> None:
        """Accept no more; what the kernel has queued stays in its queue."""
        self._running = False
        for handle in self._resting.values():
            handle.cancel()
        self._resting.clear()
        for listening in self._sockets:
            self._loop.remove_reader(listening)

    def _accept(self, listening: socket.socket) -> None:
        scarce_from = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SCARCE
        for _ in range(_ACCEPTS_PER_WAKE):
            try:
                if self._is_scarce:
                    _require_two_descriptors(listening)
                connection, address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # gone before we came to it
            except OSError as error:
                self._rest(listening, error)
                return
            connection.setblocking(False)
            # The system gives the lowest free number: below this one, all are taken.
            self._is_scarce = connection.fileno() >= scarce_from
            self._on_accepted(connection, str(address[0]))

    def _rest(self, listening: socket.socket, error: OSError) -> None:
        """No descriptors or no memory: the same error would come back at once, and for ever."""
        self._tally.accept_errors += 1
        self._loop.remove_reader(listening)
        self._resting[listening] = self._loop.call_later(_REST_SECONDS, self._resume, listening)
        now = self._loop.time()
        if now - self._last_line_at >= 1.0:
            self._last_line_at = now
            _LOG.error(
                "accept.failed",
                error=error.strerror,
                errno=error.errno,
                remedy=_REMEDIES.get(error.errno or 0, "see what the machine is short of"),
            )

    def _resume(self, listening: socket.socket) -> None:
        self._resting.pop(listening, None)
        if self._running:
            self._loop.add_reader(listening, self._accept, listening)


def _require_two_descriptors(listening: socket.socket) -> None:
    """One for a connection, and one that it is passed on with: whom we accept, we can serve.

    Raises:
        OSError: There are not as many. Who comes waits in the kernel's queue, and is not cut.
    """
    first = os.dup(listening.fileno())
    try:
        os.close(os.dup(listening.fileno()))
    finally:
        os.close(first)


_SCARCE: Final = 64
"""With fewer descriptors left than about this, each connection is preceded by a trial."""
_ACCEPTS_PER_WAKE: Final = 4
"""Few, so that a storm of connections neither keeps calls waiting nor piles up here: what is not
accepted waits in the kernel, in the order in which it came, and costs nothing. Each connection
that is accepted costs about a millisecond until its call is open, and the loop serves those who
are on the line between any two such batches."""
_REST_SECONDS: Final = 0.1
_REMEDIES: Final = {
    errno.EMFILE: "raise the limit of open files of this service (LimitNOFILE, ulimit -n)",
    errno.ENFILE: "raise fs.file-max of this machine",
    errno.ENOBUFS: "give the machine more memory, or lower [limits.connections]",
    errno.ENOMEM: "give the machine more memory, or lower [limits.connections]",
}
_LOG: Final = get_limited_logger(__name__)
