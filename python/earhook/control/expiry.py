"""What will stop working on a day that is known already: certificates and tokens."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from earhook.clock import Clock
from earhook.edge.tls import ServerCertificate
from earhook.ops.logging import get_logger

from .bearer import BearerTokens

__all__ = [
    "SOON_DAYS",
    "Expiring",
    "ExpiryWatch",
    "expiring_certificate",
    "expiring_tokens",
    "expiry_text",
]

SOON_DAYS: Final = 21
"""Enough for a renewal that has to be asked for, and more than a third of the shortest life."""
LOOK_SECONDS: Final = 86_400.0

_LOG: Final = get_logger(__name__)


class Expiring(NamedTuple):
    """Something in service that has an end: what it is, where it comes from, when that is."""

    kind: str
    where: str
    expires_wall_seconds: float


class ExpiryWatch:
    """Writes a line a day for everything that ends soon or has ended.

    Args:
        look: What is in service now.
        clock: Now.
    """

    def __init__(self, look: Callable[[], Iterable[Expiring]], clock: Clock) -> None:
        self._look = look
        self._clock = clock
        self._due_seconds: float | None = None

    def handle_timeout(self) -> None:
        """To be called every now and then: looks once a day."""
        now = self._clock.monotonic_seconds()
        if self._due_seconds is None or now >= self._due_seconds:
            self.look_now()

    def look_now(self) -> None:
        """Look, as after a reload."""
        self._due_seconds = self._clock.monotonic_seconds() + LOOK_SECONDS
        now = self._clock.wall_seconds()
        for found in self._look():
            left_seconds = found.expires_wall_seconds - now
            line = _LOG.bind(where=found.where, expires=_text(found.expires_wall_seconds))
            if left_seconds <= 0:
                line.error(f"{found.kind}.expired", remedy=_REMEDY)
            elif left_seconds < SOON_DAYS * 86_400:
                days = int(left_seconds // 86_400)
                line.warning(f"{found.kind}.expires_soon", days=days, remedy=_REMEDY)


def expiring_certificate(where: str, certificate: ServerCertificate | None) -> list[Expiring]:
    """A server's certificate, if there is one."""
    if certificate is None:
        return []
    return [Expiring("certificate", where, certificate.facts.expires_wall_seconds)]


def expiring_tokens(tokens: BearerTokens) -> list[Expiring]:
    """Static tokens that have an end."""
    return [
        Expiring("token", f"ingest.tokens {token.name}", token.ends_wall_seconds)
        for token in tokens.static
        if token.ends_wall_seconds is not None
    ]


def expiry_text(certificate: ServerCertificate | None) -> str | None:
    """When the certificate in service expires, for people; None without TLS."""
    return None if certificate is None else _text(certificate.facts.expires_wall_seconds)


def _text(wall_seconds: float) -> str:
    return f"{datetime.datetime.fromtimestamp(wall_seconds, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"


_REMEDY: Final = "renew it; SIGHUP puts it in service"
