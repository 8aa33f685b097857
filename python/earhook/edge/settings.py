"""Settings of the edge: TLS, addresses, proxies, and what one stranger may cost."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from earhook.settings import Settings

from .client_certificate import check_pattern
from .networks import Network

__all__ = ["AccessSettings", "ConnectionLimits", "ProxySettings", "RedirectSettings", "TlsSettings"]


class TlsSettings(Settings):
    """TLS 1.2 and newer, ECDHE with AEAD.

    Without `[media.tls]` the media port is plain `ws://`; without `[ingest.tls]` the ingest serves
    with that of `[media.tls]`.
    """

    certificate: Path = Field(
        description="PEM file with the server's certificate, followed by its intermediates. "
        "Genesys Cloud accepts only chains to a public authority."
    )
    private_key: Path = Field(description="PEM file with the private key, not encrypted.")
    client_ca: Path | None = Field(
        default=None,
        description="PEM file of authorities. When set, clients without a certificate of one "
        "of them are refused (mutual TLS).",
    )
    client_certificates: Literal["required", "optional"] = Field(
        default="required",
        description="With `client_ca`: whether a client may also come without a certificate. "
        "One that shows a certificate of anybody else is refused either way.",
    )
    allowed_clients: tuple[str, ...] = Field(
        default=(),
        description="With `client_ca`: which certificates of these authorities are let in; "
        "empty: all. Patterns with `*`, `?` and `[…]`: one attribute of the subject "
        "(`CN=genesys-*`), the whole subject (`CN=*,O=Company`, RFC 4514), or an alternative name "
        "(`DNS:*.example.com`, `URI:…`, `IP:…`, `email:…`).",
    )

    @model_validator(mode="after")
    def _authorities_come_first(self) -> Self:
        if self.client_ca is None:
            for name in ("client_certificates", "allowed_clients"):
                if name in self.model_fields_set:
                    raise ValueError(f"{name} means nothing without client_ca")
        return self

    @field_validator("allowed_clients")
    @classmethod
    def _are_patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            check_pattern(pattern)
        return patterns


class AccessSettings(Settings):
    """`[access]`: clients by address, at all doors. Without the table: anybody may knock.

    Who is on no list is closed before TLS. With the table and no network in it, nobody may knock.
    """

    networks: tuple[str, ...] = Field(
        default=(), description="Networks that may connect, such as `192.0.2.0/24`."
    )
    networks_file: Path | None = Field(
        default=None,
        description="Text file with more of them, one a line; `#` begins a comment. Read again "
        "at a reload.",
    )

    @field_validator("networks")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        return _checked(networks)

    @property
    def parsed_networks(self) -> tuple[Network, ...]:
        """`networks`, read."""
        return tuple(ipaddress.ip_network(network) for network in self.networks)


class ProxySettings(Settings):
    """`[proxies]`: balancers in front of the doors that are believed when they name the client."""

    networks: tuple[str, ...] = Field(
        min_length=1, description="Their addresses, such as `10.0.3.0/24`. Nobody else is believed."
    )
    protocol: Literal["proxy", "x-forwarded-for"] = Field(
        description="How they name the client: `proxy` is the PROXY protocol (version 1 or 2), "
        "which they then must speak on every connection; `x-forwarded-for` is the header of "
        "that name.",
    )

    @field_validator("networks")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        return _checked(networks)


class RedirectSettings(Settings):
    """`[redirect]`: a plain HTTP port that sends browsers to HTTPS and does nothing else."""

    host: str = Field(
        default="0.0.0.0",  # noqa: S104 - a gateway is there to be dialled
        description="Address to listen on; `::` listens on IPv6 and IPv4.",
    )
    port: int = Field(
        default=80, ge=0, le=65535, description="Port to listen on; 0 lets the system choose."
    )
    location: str = Field(
        pattern=r"^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$",
        description="Host, and port if it is not 443, to send them to, such as "
        "`gateway.example.com:8443`. What a client calls us is not taken over.",
    )


class ConnectionLimits(Settings):
    """`[limits.connections]`: what strangers may hold before they have proved who they are."""

    unproven: int = Field(
        default=1000,
        ge=1,
        description="Connections in TLS handshake or upgrade, in total. Above it, new ones are "
        "closed at once.",
    )
    unproven_per_address: int = Field(
        default=100,
        ge=1,
        description="The same per client address (IPv6: per /64).",
    )
    shared_addresses: tuple[str, ...] = Field(
        default=(),
        description="Networks of balancers and proxies, such as `10.0.0.0/8`, behind which many "
        "clients share an address: the limit per address does not hold for them.",
    )
    tls_handshake_seconds: float = Field(
        default=5.0,
        gt=0,
        description="From accept to the end of the TLS handshake; and before that, for the "
        "header of a proxy that must send one.",
    )
    upgrade_seconds: float = Field(
        default=5.0, gt=0, description="From then to the end of the upgrade request."
    )
    request_bytes: int = Field(
        default=16_384, ge=1024, le=65_536, description="Size of an upgrade request."
    )
    request_headers: int = Field(
        default=64, ge=8, description="Header lines of an upgrade request."
    )
    refusal_seconds: float = Field(
        default=0.5,
        ge=0,
        description="A failed authentication is answered this long after the request, whatever "
        "failed, so that the time tells nothing.",
    )
    pending_refusals: int = Field(
        default=256,
        ge=1,
        description="Refusals waiting for that time. Above it, connections are closed unanswered.",
    )
    backlog: int = Field(
        default=4096,
        ge=1,
        description="Connections the kernel queues for us; also bounded by `net.core.somaxconn`.",
    )

    @field_validator("shared_addresses")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        return _checked(networks)


def _checked(networks: tuple[str, ...]) -> tuple[str, ...]:
    for network in networks:
        ipaddress.ip_network(network)
    return networks
