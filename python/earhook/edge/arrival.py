"""A connection that has come in, and the rules it came in by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .access import Access
from .proxies import TrustedProxies
from .tally import Closing

if TYPE_CHECKING:
    from .caps import Place
    from .request import RequestHead
    from .settings import ConnectionLimits
    from .tls import PeerCertificate

__all__ = ["Arrival", "Denial", "EdgeRules"]


@dataclass(slots=True)
class Arrival:
    """Who is at the other end, as far as it is known without a request.

    Attributes:
        address: The client's. Behind a proxy that writes `X-Forwarded-For` it is known only
            with a request: `EdgeRules.admit` writes it here.
        direct_address: Where the connection comes from.
        place: Its place among the strangers; given back by whoever has proved who the client
            is, or when the connection ends.
        certificate: What the client showed in TLS, and passed the patterns with.
    """

    address: str
    direct_address: str
    place: Place
    certificate: PeerCertificate | None = None


class Denial(NamedTuple):
    """Why a request is not even looked at: the HTTP status, and the word for the counters."""

    status: int
    reason: Closing | None


@dataclass(slots=True)
class EdgeRules:
    """What every connection of every door is held to. The same object for all doors.

    `access` and `proxies` are replaced from inside, `limits` by `Entrance.replace_limits`.
    """

    limits: ConnectionLimits
    access: Access = field(default_factory=Access)
    proxies: TrustedProxies = field(default_factory=TrustedProxies)

    def may_knock(self, direct_address: str) -> bool:
        """Whether a connection from there is worth a look: a listed proxy, or an allowed client."""
        return self.access.allows(direct_address) or self.proxies.trusts(direct_address)

    def admit(self, arrival: Arrival, request: RequestHead) -> Denial | None:
        """Ask the lists about the client of one request, and write its address down.

        To be asked for every request but those for liveness, which a proxy may ask on its own
        behalf. The lists may have changed since the connection came in, and a proxy may use one
        connection for many clients.
        """
        if self.proxies.forwards(arrival.direct_address):
            forwarded = request.value("x-forwarded-for")
            address = self.proxies.client_address(arrival.direct_address, forwarded)
            if address is None:
                return Denial(400, None)
            arrival.address = address
        if not self.access.allows(arrival.address):
            return Denial(403, Closing.NOT_ALLOWED)
        if self.proxies.trusts(arrival.address):
            return None  # many clients, or none: no address to count for
        reason = arrival.place.move_to(arrival.address)
        return None if reason is None else Denial(429, reason)
