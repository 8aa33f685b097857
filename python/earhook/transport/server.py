"""The media port: from a listening socket to WebSockets, and how it ends politely."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from earhook.edge.entrance import Entrance, ListenAt
from earhook.edge.lines import Lines
from earhook.hub.books import LiveBooks
from earhook.ops.logging import get_limited_logger, get_logger

from .gate import GateHouse, UpgradeGate
from .tally import NoCall, TransportSnapshot, TransportTally
from .upgrade import Admission, Doors

if TYPE_CHECKING:
    from earhook.clock import Clock
    from earhook.edge.arrival import EdgeRules
    from earhook.edge.settings import ConnectionLimits
    from earhook.edge.tls import ServerCertificate
    from earhook.ids import KeyName

    from .settings import MediaSettings
    from .strict import StrictListener

__all__ = ["MediaServer"]


class MediaServer:
    """The entrance, the gates behind it, and every WebSocket that is open.

    Made on a running loop; everything happens on its thread. How it ends, in this order:
    `refuse_calls`, `disconnect_calls`, `cut_calls`, `stop`; `drain` does all but the last.

    Attributes:
        tally: The counters.
    """

    def __init__(
        self,
        settings: MediaSettings,
        rules: EdgeRules,
        doors: Doors,
        *,
        clock: Clock,
        tally: TransportTally | None = None,
        certificate: ServerCertificate | None = None,
    ) -> None:
        self.tally = TransportTally() if tally is None else tally
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._admit = doors.admit
        self._refusing = False
        self._has_room = doors.has_room
        doors = doors._replace(admit=self._admit_call, has_room=self._has_room_for)
        self._house = GateHouse(settings, rules, doors, self.tally, clock)
        self._house.on_upgraded = self._enter
        self._lines = Lines(clock)
        self._entrance = Entrance(
            ListenAt("media", settings.host, settings.port),
            rules,
            self.tally,
            lambda arrival: UpgradeGate(self._house, arrival),
            certificate,
            lines=self._lines,
        )
        self._open: dict[StrictListener, None] = {}
        self._open_strangers = 0
        self._open_probes = 0
        self._open_calls: Counter[KeyName] = Counter()
        self._farewells: list[asyncio.TimerHandle] = []
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Listen and accept.

        Args:
            sockets: Listening sockets made elsewhere; this server closes them when it stops.

        Raises:
            ConfigurationError: The configured address cannot be had.
        """
        await self._entrance.start(sockets)
        host = self._settings.host
        _LOG.info("media.listening", host=host, port=self.port, tls=self.is_secure)

    @property
    def port(self) -> int:
        """The port of the first listening socket."""
        return self._entrance.port

    @property
    def is_secure(self) -> bool:
        """Whether connections are TLS."""
        return self._entrance.is_secure

    @property
    def connections(self) -> int:
        """Open WebSockets."""
        return len(self._open)

    @property
    def proven_connections(self) -> int:
        """Open WebSockets that may be calls: neither let in to be refused, nor as probes.

        The limit of calls is about these: strangers have a limit of their own, and could
        otherwise keep every call out.
        """
        return len(self._open) - self._open_strangers - self._open_probes

    @property
    def probe_connections(self) -> int:
        """Open WebSockets that were let in for a connection test only."""
        return self._open_probes

    def calls_of(self, key_name: KeyName) -> int:
        """Open WebSockets of one key that may be calls, as `proven_connections` counts them."""
        return self._open_calls.get(key_name, 0)

    @property
    def unproven(self) -> int:
        """Connections that have not shown who they are."""
        return self._entrance.unproven

    @property
    def listeners(self) -> tuple[StrictListener, ...]:
        """Every open WebSocket."""
        return tuple(self._open)

    def replace_limits(self, limits: ConnectionLimits) -> None:
        """For connections that come from now on."""
        self._entrance.replace_limits(limits)

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
        """End every open WebSocket with close code 1001, without asking its session.

        What has come by now is still taken.
        """
        self._take_back_farewells()
        self._lines.serve()
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
        self._entrance.stop_accepting()

    async def stop(self, deadline_seconds: float = 2.0) -> None:
        """Close everything; after the deadline connections are cut."""
        await self._entrance.stop()
        for gate in tuple(self._house.gates):
            gate.cut()
        self.cut_calls()
        if not await self._is_idle_within(deadline_seconds):
            for listener in self.listeners:
                listener.abort()
            await self._is_idle_within(1.0)
        self._lines.stop()

    def snapshot(self) -> TransportSnapshot:
        """Plain values; cheap enough for every scrape."""
        tally, live = self.tally, LiveBooks()
        for listener in self._open:
            listener.add_up(live)
        return TransportSnapshot(
            connections=len(self._open),
            unproven=self._entrance.unproven,
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

    def _admit_call(self) -> Admission:
        return Admission(admitted=False) if self._refusing else self._admit()

    def _has_room_for(self, key_name: KeyName) -> bool:
        if self._has_room(key_name):
            return True
        self.tally.calls_refused[NoCall.SENDER_CALLS] += 1
        _PEER_LOG.warning("call.refused", reason=NoCall.SENDER_CALLS.value, key=key_name)
        return False

    def _enter(self, listener: StrictListener) -> None:
        self._open[listener] = None
        self._open_strangers += listener.place is not None
        self._open_probes += listener.probe_only
        self._open_calls[listener.key_name] += _may_be_call(listener)
        self._idle.clear()
        listener.on_gone = self._forget

    def _forget(self, listener: StrictListener) -> None:
        del self._open[listener]
        self._open_strangers -= listener.place is not None
        self._open_probes -= listener.probe_only
        self._open_calls[listener.key_name] -= _may_be_call(listener)
        if not self._open_calls[listener.key_name]:
            del self._open_calls[listener.key_name]
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


def _may_be_call(listener: StrictListener) -> bool:
    return listener.place is None and not listener.probe_only


_LOG: Final = get_logger(__name__)
_PEER_LOG: Final = get_limited_logger(__name__)
