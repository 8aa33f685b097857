"""The ingest port: from a listening socket to answered requests, and how it ends politely."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from earhook.edge.entrance import Entrance, ListenAt
from earhook.ops.logging import get_logger

from .connection import IngestConnection, IngestHouse
from .tally import IngestSnapshot, IngestTally

if TYPE_CHECKING:
    from earhook.edge.arrival import Arrival, EdgeRules
    from earhook.edge.tls import ServerCertificate

    from .exchange import Answer
    from .settings import IngestSettings

__all__ = ["IngestServer"]


class IngestServer:
    """Accepts connections, reads requests strictly, and lets `answer` answer them.

    Made on a running loop; everything happens on its thread. How it ends, in this order:
    `refuse`, `stop_accepting`, `stop`.

    Args:
        settings: Where to listen, and what one connection may cost.
        rules: What is asked of every connection; shared by all doors.
        answer: Answers requests, connectivity checks included.
        tally: The counters; new ones if left out.
        certificate: Serve TLS.
    """

    def __init__(
        self,
        settings: IngestSettings,
        rules: EdgeRules,
        answer: Answer,
        *,
        tally: IngestTally | None = None,
        certificate: ServerCertificate | None = None,
    ) -> None:
        self.tally = IngestTally() if tally is None else tally
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._house = IngestHouse(settings.limits, rules, answer, self.tally)
        self._house.on_gone = self._note_gone
        listen_at = ListenAt("ingest", settings.host, settings.port)
        self._entrance = Entrance(listen_at, rules, self.tally, self._make, certificate)
        self._idle = asyncio.Event()

    async def start(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Listen and accept.

        Args:
            sockets: Listening sockets made elsewhere; this server closes them when it stops.

        Raises:
            ConfigurationError: The configured address cannot be had.
        """
        await self._entrance.start(sockets)
        host = self._settings.host
        _LOG.info("ingest.listening", host=host, port=self.port, tls=self.is_secure)

    @property
    def port(self) -> int:
        """The port of the first listening socket."""
        return self._entrance.port

    @property
    def is_secure(self) -> bool:
        """Whether connections are TLS."""
        return self._entrance.is_secure

    @property
    def entrance(self) -> Entrance:
        """Where connections come in; for new limits."""
        return self._entrance

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._house.connections)

    @property
    def is_ending(self) -> bool:
        """Whether connections that carry no call end with their next answer."""
        return self._house.is_ending

    def replace_limits(self, settings: IngestSettings) -> None:
        """Take new `[ingest.limits]` into service, for connections that come from now on."""
        self._house.limits = settings.limits

    def refuse(self) -> None:
        """End each connection with its next answer, and those that wait at once.

        Those that carry a call stay until it has ended: elsewhere nobody knows it, and a
        connection a block would cost a handshake a block. Which calls are still let in is the
        answer's to say.
        """
        self._house.is_ending = True
        for connection in tuple(self._house.connections):
            connection.end_if_idle()

    def stop_accepting(self) -> None:
        """Close the listening sockets. Open connections go on."""
        self._entrance.stop_accepting()

    async def stop(self, deadline_seconds: float = 2.0) -> None:
        """Cut every connection; answers that are being made get that long to come to their end.

        What has been answered gets out first: a sender whose call was ended hears of it.
        """
        house = self._house
        house.is_ending = True
        await self._entrance.stop()
        for connection in tuple(house.connections):
            connection.end_if_idle(whatever_it_carries=True)
        await self._are_gone(min(_GOODBYE_SECONDS, deadline_seconds / 2))
        for connection in tuple(house.connections):
            connection.abort()
        if not await self._are_gone(1.0):
            _LOG.warning("ingest.connections_left", connections=self.connections)
        if house.answering:
            await asyncio.wait(house.answering, timeout=deadline_seconds)
        late = tuple(house.answering)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await house.server.shutdown(0)

    def snapshot(self) -> IngestSnapshot:
        """Plain values; cheap enough for every scrape."""
        tally, connections = self.tally, self._house.connections
        now = self._loop.time()
        paused = [connection.paused_seconds(now) for connection in connections]
        return IngestSnapshot(
            connections=len(connections),
            unproven=self._entrance.unproven,
            open_requests=sum(connection.is_answering for connection in connections),
            accepted=tally.accepted,
            accept_errors=tally.accept_errors,
            handshakes_failed=tally.handshakes_failed,
            requests=tally.requests,
            faults=tally.faults,
            body_bytes=tally.body_bytes,
            bodies_cut=tally.bodies_cut,
            read_pauses=tally.read_pauses,
            read_pause_max_seconds=max(tally.read_pause_max_seconds, *paused, 0.0),
            closed_early=dict(tally.closed_early),
            responses=dict(tally.responses),
            request_faults=dict(tally.request_faults),
            slow=dict(tally.slow),
        )

    def _make(self, arrival: Arrival) -> IngestConnection:
        return IngestConnection(self._house, arrival)

    def _note_gone(self) -> None:
        if not self._house.connections:
            self._idle.set()

    async def _are_gone(self, seconds: float) -> bool:
        """Whether all connections have ended, at once or within that time."""
        if not self._house.connections:
            return True
        self._idle.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True


_GOODBYE_SECONDS: Final = 0.3
_LOG: Final = get_logger(__name__)
