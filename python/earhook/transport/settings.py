"""Settings of the media port: where it listens, TLS, and what one stranger may cost."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from earhook.settings import Settings

__all__ = ["ConnectionLimits", "FrameLimits", "LimitSettings", "MediaSettings", "TlsSettings"]


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


class MediaSettings(Settings):
    """`[media]`: AudioHook over WebSocket."""

    host: str = Field(
        default="0.0.0.0",  # noqa: S104 - a gateway is there to be dialled
        description="Address to listen on; `::` listens on IPv6 and IPv4.",
    )
    port: int = Field(
        default=8443, ge=0, le=65535, description="Port to listen on; 0 lets the system choose."
    )
    path: str = Field(
        default="/audiohook",
        pattern=r"^/[!-~]*$",
        description="Path of the connection URI. This path and everything below it is served.",
    )
    max_calls: int = Field(
        default=5000, ge=1, description="Live calls beyond which new ones get 503."
    )
    refusal: Literal["http", "disconnect"] = Field(
        default="http",
        description="How a request that fails authentication is refused: `http` answers 401, "
        "`disconnect` upgrades and answers `open` with `disconnect` reason `unauthorized`, which "
        "the Genesys administrator sees more clearly and an attacker finds more expensive to us.",
    )
    tls: TlsSettings | None = Field(default=None, description="See `[media.tls]`.")

    @field_validator("path")
    @classmethod
    def _is_a_plain_path(cls, path: str) -> str:
        if "?" in path or "#" in path:
            raise ValueError("a path without query and fragment: they differ from call to call")
        return path.rstrip("/") or "/"


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


class FrameLimits(Settings):
    """`[limits.frames]`: what one WebSocket may do. Crossing a limit ends that connection."""

    message_bytes: int = Field(
        default=65_536, ge=1024, description="Size of a frame, and of a message in fragments."
    )
    fragments: int = Field(
        default=64, ge=1, description="Fragments of one message; empty ones count."
    )
    frames_per_second: int = Field(
        default=200, ge=20, description="Frames of all kinds in any second."
    )
    control_frames_per_second: int = Field(
        default=10, ge=1, description="WebSocket pings and pongs in any second."
    )
    unsent_bytes: int = Field(
        default=65_536, ge=1024, description="Bytes waiting because the peer does not read."
    )
    receive_buffer_bytes: int = Field(
        default=8192,
        ge=2048,
        description="First size of a connection's receive buffer; it grows to the largest frame "
        "and does not shrink.",
    )


class LimitSettings(Settings):
    """`[limits]`: what one stranger, or one peer, may cost. The defaults fit Genesys Cloud."""

    connections: ConnectionLimits = Field(
        default_factory=ConnectionLimits, description="See `[limits.connections]`."
    )
    frames: FrameLimits = Field(default_factory=FrameLimits, description="See `[limits.frames]`.")
