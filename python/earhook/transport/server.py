"""The media port: from a listening socket to WebSockets, and how it ends politely."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from earhook.edge.accept import AcceptLoop, listen
from earhook.edge.caps import Place, Strangers
from earhook.edge.tally import Closing
from earhook.ops.logging import get_limited_logger, get_logger

from .gate import GateHouse, UpgradeGate
from .tally import LiveBooks, TransportSnapshot, TransportTally
from .upgrade import Admission, Doors

if TYPE_CHECKING:
    from earhook.clock import Clock
    from earhook.edge.tls import ServerCertificate

    from .settings import LimitSettings, MediaSettings
    from .strict import StrictListener

__all__ = ["MediaServer"]


class MediaServer:
    """Accepts connections, lets strangers in only so far, and knows every open WebSocket.

    Made on a running loop; everything happens on its thread. How it ends, in this order:
    `refuse_calls`, `disconnect_calls`, `cut_calls`, `stop`; `drain` does all but the last.

    Attributes:
        tally: The counters.
    """

    def __init__(
        self,
        settings: MediaSettings,
        limits: LimitSettings,
        doors: Doors,
        *,
        clock: Clock,
        tally: TransportTally | None = None,
        certificate: ServerCertificate | None = None,
    ) -> None:
        self.tally = TransportTally() if tally is None else tally
        self._settings = settings
        self._limits = limits.connections
        self._certificate = certificate
        self._loop = asyncio.get_running_loop()
        self._admit = doors.admit
        self._refusing = False
        self._strangers = Strangers(limits.connections)
        self._house = GateHouse(
            settings,
            limits.connections,
            doors._replace(admit=self._admit_call),
            self.tally,
            clock,
        )
        self._house.on_upgraded = self._enter
        self._open: dict[StrictListener, None] = {}
        self._open_strangers = 0
        self._greetings: set[asyncio.Task[None]] = set()
        self._farewells: list[asyncio.TimerHandle] = []
        self._sockets: list[socket.socket] = []
        self._accepting: AcceptLoop | None = None
        self._unreported = 0
        self._reported_at = float("-inf")
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Listen and accept.

        Args:
            sockets: Listening sockets made elsewhere; this server closes them when it stops.

        Raises:
            ConfigurationError: The configured address cannot be had.
        """
        settings = self._settings
        self._sockets = (
            list(sockets)
            if sockets is not None
            else listen(settings.host, settings.port, self._limits.backlog)
        )
        for listening in self._sockets:
            listening.setblocking(False)
        self._accepting = AcceptLoop(self._sockets, self._receive, self.tally)
        self._accepting.start()
        _LOG.info("media.listening", host=settings.host, port=self.port, tls=self.is_secure)

    @property
    def port(self) -> int:
        """The port of the first listening socket."""
        return int(self._sockets[0].getsockname()[1])

    @property
    def is_secure(self) -> bool:
        """Whether connections are TLS."""
        return self._certificate is not None

    @property
    def connections(self) -> int:
        """Open WebSockets."""
        return len(self._open)

    @property
    def proven_connections(self) -> int:
        """Open WebSockets without those that were let in only to be told `unauthorized`.

        The limit of calls is about these: strangers have a limit of their own, and could
        otherwise keep every call out.
        """
        return len(self._open) - self._open_strangers

    @property
    def listeners(self) -> tuple[StrictListener, ...]:
        """Every open WebSocket."""
        return tuple(self._open)

    def refuse_calls(self) -> None:
        """Answer every further upgrade with 503; everything else goes on."""
        self._refusing = True

    def disconnect_calls(self, spread_seconds: float) -> None:
        """Ask every open WebSocket to end, evenly spread over that time."""
        self._take_back_farewells()
        step_seconds = spread_seconds / max(1, len(self._open))
        self._farewells = [
            self._loop.call_later(number * step_seconds, listener.part)
            for number, listener in enumerate(self._open)
        ]

    def cut_calls(self) -> None:
        """End every open WebSocket with close code 1001, without asking its session."""
        self._take_back_farewells()
        for listener in self.listeners:
            listener.close(1001)

    async def wait_idle(self) -> None:
        """Wait until no WebSocket is open."""
        await self._idle.wait()

    async def drain(
        self, grace_seconds: float, spread_seconds: float = 30.0, close_seconds: float = 10.0
    ) -> None:
        """Refuse new calls and let those that are live end.

        Args:
            grace_seconds: How long they may go on to their natural end.
            spread_seconds: Those that are left are then disconnected over this time,
            close_seconds: and cut this long after the last one was asked.
        """
        self.refuse_calls()
        if await self._is_idle_within(grace_seconds):
            return
        self.disconnect_calls(spread_seconds)
        if await self._is_idle_within(spread_seconds + close_seconds):
            return
        self.cut_calls()

    def stop_accepting(self) -> None:
        """Close the listening sockets. Open WebSockets go on."""
        if self._accepting is not None:
            self._accepting.stop()
            self._accepting = None
        for listening in self._sockets:
            listening.close()

    async def stop(self, deadline_seconds: float = 2.0) -> None:
        """Close everything; after the deadline connections are cut."""
        self.stop_accepting()
        for greeting in self._greetings:
            greeting.cancel()
        for gate in tuple(self._house.gates):
            gate.cut()
        self.cut_calls()
        if not await self._is_idle_within(deadline_seconds):
            for listener in self.listeners:
                listener.abort()
            await self._is_idle_within(1.0)

    def snapshot(self) -> TransportSnapshot:
        """Plain values; cheap enough for every scrape."""
        tally, live = self.tally, LiveBooks()
        for listener in self._open:
            listener.add_up(live)
        return TransportSnapshot(
            connections=len(self._open),
            unproven=self._strangers.count,
            accepted=tally.accepted,
            accept_errors=tally.accept_errors,
            handshakes_failed=tally.handshakes_failed,
            upgrades=tally.upgrades,
            unauthorized_sessions=tally.unauthorized_sessions,
            probes=tally.probes,
            faults=tally.faults,
            closed_early=dict(tally.closed_early),
            responses=dict(tally.responses),
            refusals=dict(tally.refusals),
            broken=dict(tally.broken),
            request_faults=dict(tally.request_faults),
            calls_refused=dict(tally.calls_refused),
            frames=tally.frames + live.frames,
            audio_bytes=tally.audio_bytes + live.audio_bytes,
            live=live,
            signature_age=tally.signature_age,
            opened_latency=tally.opened_latency,
        )

    def _receive(self, connection: socket.socket, address: str) -> None:
        self.tally.accepted += 1
        place = self._strangers.enter(address)
        if isinstance(place, Closing):
            self.tally.closed_early[place] += 1
            connection.close()
            self._report_refused(place, address)
            return
        greeting = self._loop.create_task(self._greet(connection, place))
        self._greetings.add(greeting)
        greeting.add_done_callback(self._greetings.discard)

    def _report_refused(self, reason: Closing, address: str) -> None:
        """A line a second at most: where caps are reached, connections come by thousands."""
        self._unreported += 1
        now = self._loop.time()
        if now - self._reported_at >= 1.0:
            _PEER_LOG.warning(
                "connections.refused",
                reason=reason.value,
                address=address,
                connections=self._unreported,
            )
            self._reported_at, self._unreported = now, 0

    async def _greet(self, connection: socket.socket, place: Place) -> None:
        """Bring a connection through TLS to its gate."""
        gate = UpgradeGate(self._house, place)
        context = self._certificate.context if self._certificate is not None else None
        seconds = self._limits.tls_handshake_seconds if context is not None else None
        try:
            with contextlib.suppress(Exception):  # whatever it ends in, it is counted below
                await self._loop.connect_accepted_socket(
                    lambda: gate,
                    connection,
                    ssl=context,
                    ssl_handshake_timeout=seconds,
                    ssl_shutdown_timeout=_TLS_CLOSE_SECONDS if context is not None else None,
                )
        except asyncio.CancelledError:
            # uvloop then closes the connection without a word to its protocol.
            if gate.connected:
                gate.connection_lost(None)
            raise
        finally:
            # uvloop reports some connections lost in the handshake as if they had succeeded.
            if not gate.connected:
                self.tally.handshakes_failed += 1
                place.leave()

    def _admit_call(self) -> Admission:
        return Admission(admitted=False) if self._refusing else self._admit()

    def _enter(self, listener: StrictListener) -> None:
        self._open[listener] = None
        self._open_strangers += listener.place is not None
        self._idle.clear()
        listener.on_gone = self._forget

    def _forget(self, listener: StrictListener) -> None:
        del self._open[listener]
        self._open_strangers -= listener.place is not None
        if not self._open:
            self._idle.set()

    async def _is_idle_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def _take_back_farewells(self) -> None:
        for farewell in self._farewells:
            farewell.cancel()
        self._farewells.clear()


_TLS_CLOSE_SECONDS: Final = 2.0
_LOG: Final = get_logger(__name__)
_PEER_LOG: Final = get_limited_logger(__name__)
