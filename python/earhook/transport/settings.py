"""Settings of the media port: where it listens, and what one WebSocket may cost."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from earhook.edge.path import as_root
from earhook.edge.settings import ConnectionLimits, TlsSettings
from earhook.settings import Settings

__all__ = ["FrameLimits", "LimitSettings", "MediaSettings"]


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
        return as_root(path)


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


class LimitSettings(Settings):
    """`[limits]`: what one stranger, or one peer, may cost. The defaults fit Genesys Cloud."""

    connections: ConnectionLimits = Field(
        default_factory=ConnectionLimits, description="See `[limits.connections]`."
    )
    frames: FrameLimits = Field(default_factory=FrameLimits, description="See `[limits.frames]`.")
