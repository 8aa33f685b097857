"""Whom we believe when they say for whom they ask."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .networks import Networks, address_bits

if TYPE_CHECKING:
    from .settings import ProxySettings

__all__ = ["TrustedProxies"]


class TrustedProxies:
    """The listed proxies, and how they say who the client is.

    Nobody else is believed: from other addresses a PROXY header is no TLS, and
    `X-Forwarded-For` is a header like any other.
    """

    def __init__(self, settings: ProxySettings | None = None) -> None:
        self.replace(settings)

    def replace(self, settings: ProxySettings | None) -> None:
        """From the next connection on."""
        self._networks = Networks(settings.networks if settings is not None else ())
        self._protocol = settings.protocol if settings is not None else None

    def trusts(self, address: str) -> bool:
        """Whether this address is that of a listed proxy."""
        return address in self._networks

    def announces(self, address: str) -> bool:
        """Whether a connection from this address must begin with a PROXY header."""
        return self._protocol == "proxy" and address in self._networks

    def forwards(self, address: str) -> bool:
        """Whether requests from this address say in `X-Forwarded-For` who their client is."""
        return self._protocol == "x-forwarded-for" and address in self._networks

    def client_address(self, direct: str, forwarded: str | None) -> str | None:
        """Who the client of one request is, where `forwards` is true.

        `X-Forwarded-For` grows to the right, and every hop may have been lied to by the one
        before: so it is read from the right, for as long as the address that wrote is listed.

        Args:
            direct: Where the connection comes from.
            forwarded: The values of all `X-Forwarded-For` lines, joined by commas.

        Returns:
            `direct` where there is no header; None where an entry that had to be read is no
            address.
        """
        if forwarded is None:
            return direct
        client = direct
        for entry in reversed(forwarded.split(",")):
            if not self.trusts(client):
                break
            read = _ENTRY.fullmatch(entry.strip(" \t"))
            address = next(filter(None, read.groups()), None) if read is not None else None
            if address is None or address_bits(address) is None:
                return None
            client = address
        return client


_ENTRY: Final = re.compile(
    r"(?:\[(?P<bracketed>[0-9A-Fa-f:.]{2,45})\]|(?P<plain>[0-9.]{7,15}))(?::[0-9]{1,5})?"
    r"|(?P<bare>[0-9A-Fa-f:.]{2,45})"
)
"""An address, with or without the port that some proxies add."""
