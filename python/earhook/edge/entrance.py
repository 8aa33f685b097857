"""The entrance of a door: from a listening socket to a connection that may speak.

    accept → allow-list → a place among the strangers → PROXY header → TLS → client certificate

Each step costs more than the one before it, and nothing of a later step is done for a connection
that fails an earlier one. What a connection speaks afterwards is the door's affair.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

from earhook.ops.logging import get_limited_logger, get_state_logger

from .accept import AcceptLoop, listen
from .arrival import Arrival
from .caps import Strangers
from .proxy_protocol import MAX_HEADER_BYTES, ProxyFault, ProxyHeader, ProxyHeaderReader
from .tally import Closing

if TYPE_CHECKING:
    from .arrival import EdgeRules
    from .lines import Lines
    from .settings import ConnectionLimits
    from .tally import EdgeTally
    from .tls import ServerCertificate

__all__ = ["Entrance", "ListenAt", "MakeProtocol"]

MakeProtocol: TypeAlias = Callable[[Arrival], asyncio.Protocol]
"""Makes the protocol of a connection that got through TLS, if there is any.

`connection_made` follows at once. From then on the protocol answers for the arrival's place: it
gives it back at `connection_lost` at the latest.
"""


class ListenAt(NamedTuple):
    """Where a door is: its section in the configuration, and its address."""

    door: str
    host: str
    port: int


class Entrance:
    """Lets connections in as far as the rules say, and hands them to their protocol.

    Made on a running loop; everything happens on its thread.

    Args:
        listen_at: Where.
        rules: What is asked of every connection; shared by all doors.
        tally: Where the ways that connections end are counted.
        make_protocol: What speaks with a connection that got through.
        certificate: Serve TLS, with whatever context it has when a connection comes.
        lines: What reads the connections; the loop itself, if there is none.
    """

    def __init__(
        self,
        listen_at: ListenAt,
        rules: EdgeRules,
        tally: EdgeTally,
        make_protocol: MakeProtocol,
        certificate: ServerCertificate | None = None,
        *,
        lines: Lines | None = None,
    ) -> None:
        self._listen_at = listen_at
        self._rules = rules
        self._tally = tally
        self._make_protocol = make_protocol
        self._certificate = certificate
        self._loop = asyncio.get_running_loop()
        self._connect = (lines or self._loop).connect_accepted_socket
        self._strangers = Strangers(rules.limits)
        self._greetings: set[asyncio.Task[None]] = set()
        self._sockets: list[socket.socket] = []
        self._accepting: AcceptLoop | None = None
        self._unreported = 0
        self._reported_at = float("-inf")

    async def start(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Listen and accept.

        Args:
            sockets: Listening sockets made elsewhere; the entrance closes them when it stops.

        Raises:
            ConfigurationError: The configured address cannot be had.
        """
        door, host, port = self._listen_at
        made = listen(host, port, self._rules.limits.backlog, door) if sockets is None else sockets
        self._sockets = list(made)
        for listening in self._sockets:
            listening.setblocking(False)
        self._accepting = AcceptLoop(self._sockets, self._receive, self._tally)
        self._accepting.start()

    @property
    def port(self) -> int:
        """The port of the first listening socket."""
        return int(self._sockets[0].getsockname()[1])

    @property
    def is_secure(self) -> bool:
        """Whether connections are TLS."""
        return self._certificate is not None

    @property
    def unproven(self) -> int:
        """Places that strangers hold."""
        return self._strangers.count

    def replace_limits(self, limits: ConnectionLimits) -> None:
        """For connections that come from now on; the backlog stays as it is."""
        self._rules.limits = limits
        self._strangers.replace_limits(limits)

    def stop_accepting(self) -> None:
        """Close the listening sockets. What has come in already goes on."""
        if self._accepting is not None:
            self._accepting.stop()
            self._accepting = None
        for listening in self._sockets:
            listening.close()

    async def stop(self) -> None:
        """Accept no more, and cut what has not reached its protocol yet."""
        self.stop_accepting()
        await asyncio.sleep(0)  # a greeting that has not begun could not clean up after itself
        greetings = tuple(self._greetings)
        for greeting in greetings:
            greeting.cancel()
        await asyncio.gather(*greetings, return_exceptions=True)

    def _receive(self, connection: socket.socket, address: str) -> None:
        """Take a connection off the kernel: nothing has been spent on it yet."""
        self._tally.accepted += 1
        if not self._rules.may_knock(address):
            connection.close()
            self._refuse(Closing.NOT_ALLOWED, address)
            return
        # Behind a proxy's address are many clients; which, is not known yet.
        is_proxy = self._rules.proxies.trusts(address)
        place = self._strangers.enter("" if is_proxy else address)
        if isinstance(place, Closing):
            connection.close()
            self._refuse(place, address)
            return
        arrival = Arrival(address, address, place)
        greeting = self._loop.create_task(self._greet(connection, arrival))
        self._greetings.add(greeting)
        greeting.add_done_callback(self._greetings.discard)

    async def _greet(self, connection: socket.socket, arrival: Arrival) -> None:
        """Bring a connection to its protocol, or to its end."""
        if self._rules.proxies.announces(arrival.direct_address):
            refused: Closing | None = Closing.PROXY_HEADER
            try:
                refused = await self._hear_announcement(connection, arrival)
            finally:  # cancelled, too
                if refused is not None:
                    connection.close()
                    arrival.place.leave()
            if refused is not None:
                self._refuse(refused, arrival.address)
                return
        await self._shake_hands(connection, arrival)

    async def _hear_announcement(
        self, connection: socket.socket, arrival: Arrival
    ) -> Closing | None:
        """Read for whom a proxy asks; why the connection must end, if it must."""
        try:
            async with asyncio.timeout(self._rules.limits.tls_handshake_seconds):
                header = await _read_announcement(connection)
        except TimeoutError:
            return self._fault(arrival, "late")
        except OSError:
            return self._fault(arrival, "unfinished")
        if isinstance(header, ProxyFault):
            return self._fault(arrival, header)
        if header.address is None:
            return None  # the proxy itself, that looks whether we live
        arrival.address = header.address
        if not self._rules.access.allows(header.address):
            return Closing.NOT_ALLOWED
        return arrival.place.move_to(header.address)

    def _fault(self, arrival: Arrival, fault: str) -> Closing:
        """Tell the operator what is wrong with a proxy's header: mostly, that there is none."""
        _LOG.warning("proxy.header_refused", proxy=arrival.direct_address, fault=fault)
        return Closing.PROXY_HEADER

    async def _shake_hands(self, connection: socket.socket, arrival: Arrival) -> None:
        certificate = self._certificate
        context = certificate.context if certificate is not None else None
        limits = self._rules.limits
        threshold = _Threshold(self, arrival)
        try:
            await self._connect(
                lambda: threshold,
                connection,
                ssl=context,
                ssl_handshake_timeout=limits.tls_handshake_seconds if context else None,
                ssl_shutdown_timeout=_TLS_CLOSE_SECONDS if context else None,
            )
        except ssl.SSLError as error:
            _report_certificate(error, self._listen_at.door, arrival.address)
        except Exception:  # noqa: BLE001, S110 - whatever it ended in, it is counted below
            pass
        except asyncio.CancelledError:
            # uvloop then closes the connection without a word to its protocol.
            if threshold.protocol is not None:
                threshold.protocol.connection_lost(None)
            raise
        finally:
            # uvloop reports some connections lost in the handshake as if they had succeeded.
            if not threshold.is_reached:
                self._tally.handshakes_failed += 1
            if threshold.protocol is None:
                arrival.place.leave()

    def _welcome(
        self, transport: asyncio.BaseTransport, arrival: Arrival
    ) -> asyncio.Protocol | None:
        """The handshake is through: is it somebody we want? None ends the connection."""
        if self._certificate is not None:
            shown = self._certificate.read_client(transport.get_extra_info("ssl_object"))
            if isinstance(shown, Closing):
                self._refuse(shown, arrival.address)
                return None
            arrival.certificate = shown
        return self._make_protocol(arrival)

    def _refuse(self, reason: Closing, address: str) -> None:
        """Count it. A line a second at most: such connections come by thousands."""
        self._tally.closed_early[reason] += 1
        self._unreported += 1
        now = self._loop.time()
        if now - self._reported_at >= 1.0:
            _STATE_LOG.warning(
                "connections.refused",
                door=self._listen_at.door,
                reason=reason.value,
                address=address,
                connections=self._unreported,
            )
            self._reported_at, self._unreported = now, 0


class _Threshold(asyncio.Protocol):
    """Stands in for the door's protocol until the handshake is through.

    Attributes:
        is_reached: Whether it was.
        protocol: What took over; None until then, and for ever if the client was not wanted.
    """

    __slots__ = ("_arrival", "_entrance", "is_reached", "protocol")

    def __init__(self, entrance: Entrance, arrival: Arrival) -> None:
        self._entrance = entrance
        self._arrival = arrival
        self.is_reached = False
        self.protocol: asyncio.Protocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS is through, or there is none."""
        self.is_reached = True
        stream = cast("asyncio.Transport", transport)
        try:
            self._hand_over(stream)
        except Exception:  # noqa: BLE001 - ends this connection only
            _LOG.error("entrance.fault", exc_info=True)
            stream.abort()

    def _hand_over(self, stream: asyncio.Transport) -> None:
        protocol = self._entrance._welcome(stream, self._arrival)  # noqa: SLF001 - one piece
        if protocol is None:
            stream.abort()
            return
        self.protocol = protocol
        stream.set_protocol(protocol)
        protocol.connection_made(stream)


async def _read_announcement(connection: socket.socket) -> ProxyHeader | ProxyFault:
    """Take a PROXY header off the socket, and not a byte of what follows: that is TLS's.

    Raises:
        ConnectionError: The proxy hung up.
    """
    reader = ProxyHeaderReader()
    while True:
        try:
            seen = connection.recv(MAX_HEADER_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            await _until_readable(connection)
            continue
        if not seen:
            raise ConnectionResetError
        header = reader.feed(connection.recv(reader.belonging(seen)))
        if header is not None:
            return header


async def _until_readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    loop.add_reader(connection, _resolve, readable)
    try:
        await readable
    finally:
        loop.remove_reader(connection)


def _report_certificate(error: ssl.SSLError, door: str, address: str) -> None:
    """A line where mutual TLS has kept somebody out; other failures are strangers' noise."""
    if error.reason in _CERTIFICATE_REASONS:
        said = getattr(error, "verify_message", "") or "no certificate was shown"
        _LOG.warning("handshake.refused", door=door, reason=said, address=address)


def _resolve(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)


_CERTIFICATE_REASONS: Final = {
    "CERTIFICATE_VERIFY_FAILED",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE",
}
_TLS_CLOSE_SECONDS: Final = 2.0
_LOG: Final = get_limited_logger(__name__)
_STATE_LOG: Final = get_state_logger(__name__)
