"""The first seconds of a connection: read the request, answer it or upgrade.

Nothing here costs more than the request itself: there is no session, no ring and no task until
a request has been accepted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from earhook.edge.request import Fault, HeadReader
from earhook.edge.tally import Closing
from earhook.ops.logging import get_limited_logger

from .strict import TLS_END_SECONDS
from .tally import Broken
from .upgrade import (
    LIVENESS_PATH,
    Accept,
    Doors,
    Respond,
    answer_denial,
    answer_fault,
    decide,
    server_fault,
    switching_protocols,
)

if TYPE_CHECKING:
    from earhook.clock import Clock
    from earhook.edge.arrival import Arrival, Denial, EdgeRules
    from earhook.edge.line_transport import LineTransport
    from earhook.edge.request import RequestHead
    from earhook.edge.settings import ConnectionLimits

    from .settings import MediaSettings
    from .strict import StrictListener
    from .tally import TransportTally

__all__ = ["GateHouse", "UpgradeGate"]


class GateHouse:
    """What all gates of a port share.

    Attributes:
        pending_refusals: Refusals that wait for their time.
        gates: Connections whose request is not answered, or not to the end.
    """

    def __init__(
        self,
        settings: MediaSettings,
        rules: EdgeRules,
        doors: Doors,
        tally: TransportTally,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self.rules = rules
        self.doors = doors
        self.tally = tally
        self.clock = clock
        self.loop = asyncio.get_running_loop()
        self.on_upgraded: Callable[[StrictListener], None] | None = None
        self.pending_refusals = 0
        self.gates: set[UpgradeGate] = set()

    @property
    def limits(self) -> ConnectionLimits:
        """The limits in service; a reload may replace them."""
        return self.rules.limits


class UpgradeGate(asyncio.Protocol):
    """One connection until its request is answered."""

    __slots__ = (
        "_answered",
        "_arrival",
        "_early",
        "_house",
        "_reader",
        "_timer",
        "_transport",
        "_waiting",
    )

    def __init__(self, house: GateHouse, arrival: Arrival) -> None:
        self._house = house
        self._arrival = arrival
        self._reader: HeadReader | None = None
        self._transport: LineTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._answered = False
        self._waiting = False
        self._early = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS is through, or there is none."""
        house = self._house
        house.gates.add(self)
        self._transport = cast("LineTransport", transport)
        self._reader = HeadReader(house.limits.request_bytes, house.limits.request_headers)
        self._timer = house.loop.call_later(house.limits.upgrade_seconds, self._be_late)

    def data_received(self, data: bytes) -> None:
        """Bytes of the request, or behind it."""
        if self._answered or self._reader is None:
            self._note_early(data)
            return
        try:
            head = self._reader.feed(data)
            if head is not None:
                self._answer(self._decide(head))
        except Exception:  # noqa: BLE001 - ends this connection only
            self._house.tally.faults += 1
            _LOG.error("gate.fault", exc_info=True)
            self._answer(server_fault())

    def eof_received(self) -> bool:
        """The peer will send no more; without a whole request that is the end."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is no more, and no listener took it over."""
        if self not in self._house.gates:
            return
        self._stop_timer()
        if not self._answered:
            self._house.tally.closed_early[Closing.UNFINISHED] += 1
        self._transport = None
        self._arrival.place.leave()
        self._house.gates.discard(self)

    def cut(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _decide(self, head: RequestHead | Fault) -> Accept | Respond:
        house = self._house
        if isinstance(head, Fault):
            house.tally.request_faults[head] += 1
            return answer_fault(head)
        if head.path != LIVENESS_PATH:
            denial = house.rules.admit(self._arrival, head)
            if denial is not None:
                return self._deny(denial)
        answer = decide(
            head,
            house.settings,
            house.doors,
            house.clock.wall_seconds(),
            house.limits.refusal_seconds,
        )
        self._count(answer)
        return answer

    def _deny(self, denial: Denial) -> Respond:
        if denial.reason is not None:
            self._house.tally.closed_early[denial.reason] += 1
        _LOG.warning(
            "request.denied",
            reason=denial.reason or "x-forwarded-for",
            address=self._arrival.address,
        )
        return answer_denial(denial)

    def _count(self, answer: Accept | Respond) -> None:
        tally = self._house.tally
        refused = answer.refused
        if refused is not None:
            tally.refusals[refused.reason] += 1
            # The age tells a wrong clock from a wrong secret.
            age_seconds = None if refused.age_seconds is None else round(refused.age_seconds, 3)
            _LOG.warning(
                "upgrade.refused",
                reason=refused.reason.value,
                age_seconds=age_seconds,
                address=self._arrival.address,
            )
        elif isinstance(answer, Respond) and answer.status == 404:
            _LOG.info(
                "request.no_such_path",
                served=self._house.settings.path,
                address=self._arrival.address,
            )
        elif isinstance(answer, Accept) and answer.age_seconds is not None:
            tally.signature_age.observe(answer.age_seconds)

    def _answer(self, answer: Accept | Respond) -> None:
        self._answered = True
        self._stop_timer()
        if answer.delay_seconds <= 0:
            self._carry_out(answer)
            return
        house = self._house
        if house.pending_refusals >= house.limits.pending_refusals:
            house.tally.closed_early[Closing.REFUSALS_FULL] += 1
            self.cut()
            return
        house.pending_refusals += 1
        self._waiting = True
        self._timer = house.loop.call_later(answer.delay_seconds, self._carry_out, answer)

    def _carry_out(self, answer: Accept | Respond) -> None:
        self._stop_timer()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if isinstance(answer, Accept):
            self._upgrade(transport, answer)
            return
        self._house.tally.responses[answer.status] += 1
        secure = transport.get_extra_info("ssl_object") is not None
        transport.write(answer.to_bytes(secure=secure))
        # The peer, told to close, mostly does so at once. If we did, what it still sends would
        # reset the connection before it has read the answer, or keep TLS busy with nothing.
        self._timer = self._house.loop.call_later(_LINGER_SECONDS, self._part, transport)

    def _upgrade(self, transport: LineTransport, answer: Accept) -> None:
        house = self._house
        assert self._reader is not None
        try:
            listener = house.doors.listener(answer.identity)
        except Exception:  # noqa: BLE001 - ends this connection only
            house.tally.faults += 1
            _LOG.error("gate.fault", exc_info=True)
            self._carry_out(server_fault())
            return
        if answer.identity.authorized:
            self._arrival.place.leave()
        else:
            # It has proved nothing, so it keeps its place among the strangers to its end.
            listener.place = self._arrival.place
        self._transport = None
        house.gates.discard(self)
        try:
            transport.write(switching_protocols(answer.websocket_key))
            listener.begin(transport, self._reader.rest + bytes(self._early))
        except Exception:  # noqa: BLE001 - ends this connection only
            house.tally.faults += 1
            _LOG.error("gate.fault", exc_info=True)
            self._arrival.place.leave()
            transport.abort()
            return
        house.tally.upgrades += 1
        house.tally.unauthorized_sessions += not answer.identity.authorized
        if house.on_upgraded is not None:
            house.on_upgraded(listener)

    def _note_early(self, data: bytes) -> None:
        """Bytes behind a request: kept for a listener that may follow, but a flood is cut."""
        self._early += data
        if len(self._early) > _EARLY_BYTES:
            self._early.clear()
            self._house.tally.broken[Broken.EARLY_BYTES] += 1
            self.cut()

    def _part(self, transport: LineTransport) -> None:
        transport.close()
        self._timer = self._house.loop.call_later(TLS_END_SECONDS, transport.abort)

    def _be_late(self) -> None:
        self._house.tally.closed_early[Closing.UPGRADE_TIMEOUT] += 1
        self._answered = True
        self.cut()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            self._waiting = False
            self._house.pending_refusals -= 1


_LINGER_SECONDS: Final = 0.05
_EARLY_BYTES: Final = 65_536
_LOG: Final = get_limited_logger(__name__)
