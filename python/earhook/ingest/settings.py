"""Settings of the ingest port: where it listens, and what one connection may cost."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from earhook.edge.path import as_root
from earhook.edge.settings import TlsSettings
from earhook.settings import Settings

from .credential_settings import EncryptionKeySettings, IssuerSettings, TokenSettings

__all__ = ["IngestLimits", "IngestSettings"]


class IngestLimits(Settings):
    """`[ingest.limits]`: what one connection may do, and how fast one sender may begin calls.

    Crossing a limit of a connection ends that connection.
    """

    head_seconds: float = Field(
        default=5.0,
        gt=0,
        description="From the first byte of a request to the end of its head; on a new connection, "
        "from the end of the TLS handshake.",
    )
    head_bytes: int = Field(
        default=16_384, ge=1024, le=65_536, description="Size of a request head."
    )
    headers: int = Field(default=64, ge=8, description="Header lines of a request.")
    keep_alive_seconds: float = Field(
        default=60.0,
        gt=0,
        description="How long a connection may wait between two requests. Before its first "
        "authenticated one it is `head_seconds`, and such a connection ends with its next answer "
        "after twice that time.",
    )
    body_bytes: int = Field(
        default=1_048_576,
        ge=1024,
        le=16_777_216,
        description="Size of a body whose length the request tells, and of one chunk of a body "
        "in chunks.",
    )
    body_seconds: float = Field(
        default=30.0, gt=0, description="How long a body of told length may take."
    )
    body_bytes_per_second: int = Field(
        default=1024,
        ge=0,
        description="Slowest rate of a body of told length, over `body_window_seconds`.",
    )
    body_window_seconds: float = Field(
        default=5.0, gt=0, description="Time over which that rate is looked at."
    )
    block_seconds: float = Field(
        default=150.0,
        gt=0,
        description="Audio of one block. The rest of a longer one is not taken, and its sender is "
        "told. A body of 1 MiB of G.711 at 8000 has 131 s.",
    )
    stream_idle_seconds: float = Field(
        default=10.0,
        gt=0,
        description="How long a body in chunks may be silent. A sender that suppresses silence "
        "still sends a packet every 400 ms.",
    )
    stream_bytes_per_second: int = Field(
        default=16,
        ge=0,
        description="Slowest rate of a body in chunks, over `stream_window_seconds`. Opus that "
        "suppresses silence comes to about 30 bytes a second.",
    )
    stream_window_seconds: float = Field(
        default=10.0, gt=0, description="Time over which that rate is looked at."
    )
    unread_body_bytes: int = Field(
        default=65_536,
        ge=0,
        description="What may be left of the body of a refused request for its connection to stay "
        "open; it is read and thrown away.",
    )
    answer_seconds: float = Field(
        default=10.0,
        gt=0,
        description="How long a peer may leave an answer unread in its receive buffer.",
    )
    connections: int = Field(
        default=10_000,
        ge=1,
        description="Connections in total, authenticated ones included. Above it, new ones are "
        "closed at once; and above nine tenths of it, those that were not used for "
        "`head_seconds`.",
    )
    new_calls_per_second: int = Field(
        default=100,
        ge=1,
        description="New calls of one sender; ten times as many at once, if it began none before. "
        "Above it, new ones get 429. Live calls of the sender go on.",
    )


class IngestSettings(Settings):
    """`[ingest]`: call audio over HTTPS POST. Without the table there is no such port."""

    host: str = Field(
        default="0.0.0.0",  # noqa: S104 - a gateway is there to be dialled
        description="Address to listen on; `::` listens on IPv6 and IPv4.",
    )
    port: int = Field(
        default=8444, ge=0, le=65535, description="Port to listen on; 0 lets the system choose."
    )
    path: str = Field(
        default="/stream/v1/audiohook",
        pattern=r"^/[!-~]*$",
        description="Path of the requests. This path and everything below it is served.",
    )
    tls: TlsSettings | None = Field(
        default=None, description="See `[ingest.tls]`. Left out: that of `[media.tls]`."
    )
    plaintext: bool = Field(
        default=False,
        description="Serve HTTP without TLS: only in tests, or behind a balancer that ends TLS. "
        "Without this and without a certificate the configuration is refused.",
    )
    max_calls: int = Field(
        default=5000, ge=1, description="Live calls of this port beyond which new ones get 429."
    )
    max_calls_per_sender: int | None = Field(
        default=None,
        ge=1,
        description="Live calls of one sender beyond which its new ones get 429. A sender is a "
        "token, a key, or the tokens of an issuer that are for the same organizations. Left out: "
        "nine tenths of `max_calls`, so that no sender can keep all others out.",
    )
    rate: Literal[8000, 16000] = Field(
        default=8000,
        description="Samples per second that calls of this port have behind it, whatever rate "
        "they were sent with.",
    )
    acknowledge: Literal["end", "headers"] = Field(
        default="end",
        description="When a request that carries a whole call is answered: `end`, with totals, or "
        "`headers`, at once; its body is read to its end all the same.",
    )
    encryption: Literal["optional", "required"] = Field(
        default="optional",
        description="`required`: bodies that are not encrypted (RFC 8188) are refused.",
    )
    call_idle_seconds: float = Field(
        default=30.0,
        gt=0,
        description="A call that is between two requests for so long has ended.",
    )
    call_seconds: float = Field(
        default=86_400.0,
        gt=0,
        description="Longest call, in time and in position. Beyond it a call is ended.",
    )
    authorised_seconds: float = Field(
        default=14_400.0,
        gt=0,
        description="How long one request may go on that began authorised, whatever becomes of "
        "its token meanwhile.",
    )
    delay_limit_milliseconds: float = Field(
        default=150.0,
        ge=0,
        description="Smoothed delay (`X-Genesys-Cloud-Timestamp`) above which new calls get 429, "
        "until it has fallen to 80 % of this. It counts the difference of the clocks, too. 0: "
        "delay is measured and refuses nobody.",
    )
    buffer_mib: int = Field(
        default=64,
        ge=1,
        description="Memory of all blocks that are being read or wait for their turn, in MiB. "
        "Above it, blocks get 503; so do those of a sender that holds half of it.",
    )
    limits: IngestLimits = Field(default_factory=IngestLimits, description="See `[ingest.limits]`.")
    tokens: tuple[TokenSettings, ...] = Field(
        default=(), description="Bearer tokens that open this port, besides `[[keys]]`."
    )
    issuers: tuple[IssuerSettings, ...] = Field(
        default=(), description="Issuers of JSON Web Tokens that open this port."
    )
    encryption_keys: tuple[EncryptionKeySettings, ...] = Field(
        default=(), description="Keys that senders encrypt payloads with."
    )

    @property
    def sender_share(self) -> int:
        """Live calls that one sender may have."""
        if self.max_calls_per_sender is not None:
            return self.max_calls_per_sender
        return self.max_calls - self.max_calls // 10

    @field_validator("path")
    @classmethod
    def _is_a_plain_path(cls, path: str) -> str:
        return as_root(path)
