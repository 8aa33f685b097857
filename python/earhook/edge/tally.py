"""What the edge counts: plain ints."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Closing", "EdgeTally"]


class Closing(StrEnum):
    """Why a connection was closed before it came to anything."""

    FULL = "full"
    ADDRESS_FULL = "address-full"
    NOT_ALLOWED = "not-allowed"
    """The client's address is on no list."""
    PROXY_HEADER = "proxy-header"
    """A listed proxy did not say, in time and as the PROXY protocol wants it, for whom it asks."""
    CLIENT_CERTIFICATE = "client-certificate"
    """The certificate is of a known authority, and its names match no pattern."""
    UPGRADE_TIMEOUT = "upgrade-timeout"
    UNFINISHED = "unfinished"
    """The peer left before its request was complete."""
    REFUSALS_FULL = "refusals-full"


@dataclass(slots=True)
class EdgeTally:
    """The counters of one listening port's edge. Written on the loop's thread only."""

    accepted: int = 0
    accept_errors: int = 0
    handshakes_failed: int = 0
    closed_early: Counter[str] = field(default_factory=Counter)
