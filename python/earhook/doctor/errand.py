"""What the doctor is asked: which server, as whom, how patiently."""

from __future__ import annotations

import ipaddress
import ssl
import uuid
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import urlsplit

from earhook.errors import ConfigurationError
from earhook.testing.peer_setup import PeerCredential

from .trust import Trust

__all__ = ["Errand", "FarEnd", "Limits", "Target"]

_PORTS: Final = {"wss": 443, "https": 443, "ws": 80, "http": 80}


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, taken apart.

    Attributes:
        host: Name or address, without brackets.
        request_target: Path and query, as they are sent and signed. A query may hold what is
            nobody's affair: `shown` leaves it out.
    """

    scheme: str
    host: str
    port: int
    request_target: str = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL.

        Raises:
            ConfigurationError: It is none that could be examined.
        """
        fault = ""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            fault = "is no URL"
        else:
            if parts.scheme not in _PORTS or not parts.hostname:
                fault = "is no URL of a door"
            elif parts.username is not None or parts.password is not None:
                fault = "has a user or a password in it, which would be shown"
            elif not (url.isascii() and url.isprintable()) or " " in url:
                fault = "has letters that no URL has"
        if fault:
            remedy = "write wss://host/path for AudioHook, https://host/path for the ingest"
            raise ConfigurationError.of("URL", fault, remedy)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.scheme, parts.hostname or "", port or _PORTS[parts.scheme], target)

    @property
    def is_secure(self) -> bool:
        """Whether TLS is spoken there."""
        return self.scheme in {"wss", "https"}

    @property
    def is_ingest(self) -> bool:
        """Whether audio is posted there, not sent over a WebSocket."""
        return self.scheme in {"https", "http"}

    @property
    def authority(self) -> str:
        """What stands in `Host` and is signed: the scheme's own port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole of it, to be dialled and not to be shown."""
        return f"{self.scheme}://{self.authority}{self.request_target}"

    @property
    def path(self) -> str:
        """The request target without its query."""
        return self.request_target.partition("?")[0]

    @property
    def shown(self) -> str:
        """The URL as a report may have it."""
        query = "?…" if "?" in self.request_target else ""
        return f"{self.scheme}://{self.authority}{self.path}{query}"

    @property
    def address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The host, where it is an address and no name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long Genesys Cloud waits (AudioHook protocol §11.1), and how long we do.

    Attributes:
        handshake_seconds: TCP and TLS together; longer is a fault.
        opened_seconds: From `open` to `opened`.
        closed_seconds: From `close` to `closed`.
        patience_seconds: How long one answer is waited for, so that slow is told from silent.
        expiry_days: A certificate that ends sooner is worth a warning.
        scan_seconds: How far the clock of the server is looked for, in both directions.
    """

    handshake_seconds: float = 5.0
    opened_seconds: float = 5.0
    closed_seconds: float = 10.0
    patience_seconds: float = 15.0
    expiry_days: int = 21
    scan_seconds: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class FarEnd:
    """Where the audio of the test call comes out: a pcm-stream sink.

    Attributes:
        address: `unix:/path`, `tcp:host:port` or `tls:host:port`.
        token: What that sink asks for.
        context: For TLS with other authorities than this machine's.
    """

    address: str
    token: str | None = field(default=None, repr=False)
    context: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One examination.

    Attributes:
        credential: Key and secret to come with; None: without.
        token: Bearer token to come with, on an ingest; goes before `credential`.
        organization_id: Whose calls they are; matters where a key is for some organizations.
        authorities: Names that a proxy may have put in the place of ours, to be tried.
        call_seconds: Length of the test call; 0 places none.
        is_brief: Only what decides whether Genesys Cloud will be content; who else is let in,
            clocks and proxies are left out.
        far_end: Where its audio can be heard; None: it is not compared.
    """

    target: Target
    trust: Trust
    credential: PeerCredential | None = None
    token: str | None = field(default=None, repr=False)
    organization_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    authorities: tuple[str, ...] = ()
    call_seconds: float = 10.0
    is_brief: bool = False
    far_end: FarEnd | None = None
    limits: Limits = field(default_factory=Limits)
