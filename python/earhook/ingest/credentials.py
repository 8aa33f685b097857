"""What the ingest asks about a request, and what it is told: may it come in, and as whom.

The door below knows no key and no token. It is given an `Authenticate`, asks it about every
request, and binds a call to `Accepted.identity`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from earhook.edge.request import RequestHead
from earhook.ids import KeyName

__all__ = ["Accepted", "Authenticate", "IngestRequest", "Party", "Refused", "Verdict"]


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """A request as far as credentials are concerned.

    Attributes:
        head: As it came over the wire; signatures are made over its target and headers.
        address: The client's address, for the operator's log.
    """

    head: RequestHead
    address: str


Party: TypeAlias = tuple[KeyName, frozenset[str]]
"""A credential, and whom it speaks for: an issuer of tokens may serve many organizations."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The request may come in.

    Attributes:
        name: The operator's name of the credential; what logs, metrics and consumers see.
        identity: Who sends, for comparison only: a fresh token of the same sender has the same
            one, a token of anybody else never has. Not to be shown.
        organizations: Lower-case organization ids that this sender may name; empty: any.
        expires_wall_seconds: From when on this credential is refused; None: it has no end.
    """

    name: KeyName
    identity: bytes = field(repr=False)
    organizations: frozenset[str] = frozenset()
    expires_wall_seconds: float | None = None

    @property
    def party(self) -> Party:
        """Who answers for the sender: what one party does, no other one has to suffer for."""
        return self.name, self.organizations


@dataclass(frozen=True, slots=True)
class Refused:
    """The request may not come in. Counted and logged by who says so, not by the door.

    Attributes:
        status: 401, or 403 for a good credential that may not do this.
        challenge: The value of `WWW-Authenticate`; the same whatever was wrong.
    """

    status: int
    challenge: str


Verdict: TypeAlias = Accepted | Refused

Authenticate: TypeAlias = Callable[[IngestRequest, float], Awaitable[Verdict]]
"""`await authenticate(request, wall_seconds)`: asked on every request, never raises for what a
peer can send. It suspends only where keys of an issuer have to be fetched first, and then for a
few seconds at most."""
