"""The plain HTTP port: it sends whoever asks to HTTPS, and does nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, cast

from earhook.ops.logging import get_logger

from .entrance import Entrance, ListenAt
from .request import Fault, HeadReader
from .response import fixed_response
from .tally import Closing, EdgeTally

if TYPE_CHECKING:
    import socket

    from .arrival import Arrival, EdgeRules
    from .request import RequestHead
    from .settings import ConnectionLimits, RedirectSettings

__all__ = ["RedirectServer", "redirect"]


class RedirectServer:
    """Answers every well-formed GET and HEAD with 308, everything else with 400, and hangs up.

    The same rules hold as at the doors, and who has been answered has proved nothing: so its
    connections keep their place among the strangers of this port to their end.

    Attributes:
        tally: The counters.
    """

    def __init__(self, settings: RedirectSettings, rules: EdgeRules) -> None:
        self.tally = EdgeTally()
        self._settings = settings
        self._rules = rules
        self._open: set[_Signpost] = set()
        listen_at = ListenAt("redirect", settings.host, settings.port)
        self._entrance = Entrance(listen_at, rules, self.tally, self._make_protocol)

    async def start(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Listen and answer.

        Raises:
            ConfigurationError: The configured address cannot be had.
        """
        await self._entrance.start(sockets)
        _LOG.info("redirect.listening", host=self._settings.host, port=self.port)

    @property
    def port(self) -> int:
        """The port of the first listening socket."""
        return self._entrance.port

    @property
    def unproven(self) -> int:
        """Connections that are open."""
        return self._entrance.unproven

    def replace_limits(self, limits: ConnectionLimits) -> None:
        """For connections that come from now on."""
        self._entrance.replace_limits(limits)

    def stop_accepting(self) -> None:
        """Close the listening sockets. Open connections go on."""
        self._entrance.stop_accepting()

    async def stop(self) -> None:
        """Close the port and every connection."""
        await self._entrance.stop()
        for signpost in tuple(self._open):
            signpost.cut()

    def _make_protocol(self, arrival: Arrival) -> _Signpost:
        return _Signpost(self._settings.location, self._rules, arrival, self._open, self.tally)


def redirect(head: RequestHead | Fault, location: str) -> bytes:
    """The answer to a request, or to what is none."""
    if isinstance(head, Fault):
        return fixed_response(head.status, secure=False)
    if head.method not in {"GET", "HEAD"}:
        return fixed_response(400, secure=False)
    # The target is visible ASCII from a `/` on, so it adds nothing to this line but itself.
    there = ("Location", f"https://{location}{head.target.decode('ascii')}")
    return fixed_response(308, [there], secure=False, with_body=head.method == "GET")


class _Signpost(asyncio.Protocol):
    """One connection of the redirect port."""

    def __init__(
        self,
        location: str,
        rules: EdgeRules,
        arrival: Arrival,
        open_: set[_Signpost],
        tally: EdgeTally,
    ) -> None:
        limits = rules.limits
        self._location = location
        self._rules = rules
        self._arrival = arrival
        self._open = open_
        self._tally = tally
        self._reader: HeadReader | None = HeadReader(limits.request_bytes, limits.request_headers)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._open.add(self)
        self._transport = cast("asyncio.Transport", transport)
        self._call_later(self._rules.limits.upgrade_seconds, self._be_late)

    def data_received(self, data: bytes) -> None:
        if self._reader is None or self._transport is None:
            return  # answered; what still comes means nothing
        head = self._reader.feed(data)
        if head is None:
            return
        self._reader = None
        denial = None if isinstance(head, Fault) else self._rules.admit(self._arrival, head)
        if denial is not None:
            if denial.reason is not None:
                self._tally.closed_early[denial.reason] += 1
            self._transport.write(fixed_response(denial.status, secure=False))
        else:
            self._transport.write(redirect(head, self._location))
        self._transport.write_eof()
        # Closing with something unread would reset the connection, and with it the answer.
        self._call_later(_LINGER_SECONDS, self.cut)

    def eof_received(self) -> bool:
        if self._reader is not None:
            self._tally.closed_early[Closing.UNFINISHED] += 1
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport = None
        self._open.discard(self)
        self._arrival.place.leave()

    def cut(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _be_late(self) -> None:
        self._tally.closed_early[Closing.UPGRADE_TIMEOUT] += 1
        self.cut()

    def _call_later(self, seconds: float, call: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, call)


_LINGER_SECONDS: Final = 0.25
_LOG: Final = get_logger(__name__)
