"""Settings of the edge: TLS, and what one stranger may cost."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from pydantic import Field, field_validator

from earhook.settings import Settings

__all__ = ["ConnectionLimits", "TlsSettings"]


class TlsSettings(Settings):
    """`[media.tls]`: TLS 1.2 and newer, ECDHE with AEAD. Without the table: plain `ws://`."""

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
        default=5.0, gt=0, description="From accept to the end of the TLS handshake."
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
        for network in networks:
            ipaddress.ip_network(network)
        return networks
