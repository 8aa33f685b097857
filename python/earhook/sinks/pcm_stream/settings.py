"""Settings of `[[sinks]]` tables with `kind = "pcm-stream"`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from earhook.address import Address, TcpAddress, UnixAddress, parse_address
from earhook.settings import Settings

__all__ = ["PcmStreamSettings", "PcmTlsSettings"]


class PcmTlsSettings(Settings):
    """`[sinks.tls]` of a PCM stream over TCP: TLS 1.2 and newer, ECDHE with AEAD."""

    certificate: Path | None = Field(
        default=None,
        description="PEM file with our certificate and its intermediates. Required with `listen`; "
        "with `connect` it is what the service may ask for.",
    )
    private_key: Path | None = Field(
        default=None, description="PEM file with its private key, not encrypted."
    )
    client_ca: Path | None = Field(
        default=None,
        description="With `listen`: PEM file of authorities; consumers without a certificate of "
        "one of them are refused.",
    )
    server_ca: Path | None = Field(
        default=None,
        description="With `connect`: PEM file of authorities that the service's certificate must "
        "come from. Left out: those that this machine trusts.",
    )

    @model_validator(mode="after")
    def _is_a_pair(self) -> PcmTlsSettings:
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate and private_key belong together: give both or neither")
        return self


def _octal(mode: object) -> object:
    """Let a mode be written as people write it: `"0660"` or `0o660`."""
    if isinstance(mode, str):
        try:
            return int(mode, 8)
        except ValueError:
            raise ValueError(f"{mode!r} is no octal file mode") from None
    return mode


class PcmStreamSettings(Settings):
    """`[[sinks]]` with `kind = "pcm-stream"`: calls as raw PCM for services of your own."""

    kind: Literal["pcm-stream"] = Field(default="pcm-stream", description="Chooses this sink.")
    name: str = Field(
        default="pcm-stream",
        pattern=r"^[A-Za-z0-9_.-]{1,32}$",
        description="What logs and metrics call this sink; of its own when there are several.",
    )
    listen: str | None = Field(
        default=None,
        description="Where consumers connect: `unix:/path` or `tcp:host:port`. Or `connect`.",
    )
    connect: str | None = Field(
        default=None,
        description="The service to dial, instead of listening: `tcp:host:port` or `unix:/path`. "
        "Dialled again whenever the connection is lost.",
    )
    tls: PcmTlsSettings | None = Field(
        default=None, description="TLS on TCP; see `[sinks.tls]`. Without the table: plain."
    )
    token: SecretStr | None = Field(
        default=None, description="What consumers must show in their hello. Or `token_file`."
    )
    token_file: Path | None = Field(
        default=None, description="A file that holds the token and nothing else."
    )
    insecure: bool = Field(
        default=False,
        description="`true`: allow TCP beyond this machine without TLS, or with consumers that "
        "prove nothing. Whoever reaches the port then hears every call.",
    )
    commands: bool | None = Field(
        default=None,
        description="Whether consumers may pause, resume and end calls, relay events and play "
        "audio. Left out: yes on Unix sockets and for consumers that show a certificate or a "
        "token, otherwise no.",
    )
    unix_mode: Annotated[int, BeforeValidator(_octal)] = Field(
        default=0o660,
        ge=0,
        le=0o777,
        description='Mode of the socket file, in octal: `0o660` or `"0660"`. Whoever may write '
        "to the file may hear calls.",
    )
    max_subscribers: int = Field(default=64, ge=1, description="Consumers at the same time.")
    hello_seconds: float = Field(
        default=5.0, gt=0, description="From connecting to a complete hello and subscribe."
    )
    stuck_seconds: float = Field(
        default=60.0,
        gt=0,
        description="A consumer that has data waiting and takes none of it for so long is cut.",
    )
    coalesce_seconds: float = Field(
        default=0.002,
        ge=0,
        le=0.1,
        description="How long audio of other calls is waited for before one write sends all. More "
        "saves CPU, less saves latency.",
    )
    control_backlog_bytes: int = Field(
        default=1 << 20,
        ge=1 << 16,
        description="Open, event and close frames that may wait for one consumer; above it, it is "
        "cut. Audio that waits is bounded by the rings.",
    )
    redial_seconds: float = Field(
        default=30.0, ge=0.1, description="Longest pause between two attempts to `connect`."
    )

    @field_validator("listen", "connect")
    @classmethod
    def _is_an_address(cls, text: str | None) -> str | None:
        if text is not None and text.startswith("tls:"):
            raise ValueError("write tcp:host:port and give a tls table")
        return None if text is None else str(parse_address(text))

    @model_validator(mode="after")
    def _is_complete(self) -> PcmStreamSettings:
        if (self.listen is None) == (self.connect is None):
            raise ValueError("give exactly one of listen and connect")
        if self.token is not None and self.token_file is not None:
            raise ValueError("give one of token and token_file")
        if self.tls is not None:
            self._check_tls(self.tls)
        self._check_exposure()
        return self

    @property
    def address(self) -> Address:
        """Where to listen or what to dial."""
        return parse_address(self.listen or self.connect or "")

    @property
    def proves_consumers(self) -> bool:
        """Whether a consumer has to show something that strangers do not have."""
        has_token = self.token is not None or self.token_file is not None
        if self.tls is None:
            return has_token
        # A service that we dial is proved by its certificate; one that dials us by `client_ca`.
        return has_token or self.listen is None or self.tls.client_ca is not None

    @property
    def allows_commands(self) -> bool:
        """Whether consumers may command calls."""
        if self.commands is not None:
            return self.commands
        return isinstance(self.address, UnixAddress) or self.proves_consumers

    def _check_tls(self, tls: PcmTlsSettings) -> None:
        if isinstance(self.address, UnixAddress):
            text = "tls is for tcp addresses; a Unix socket is guarded by its file mode"
            raise ValueError(text)  # noqa: TRY004 - a wrong value, not a wrong type
        if self.listen is not None and tls.certificate is None:
            raise ValueError("tls with listen needs certificate and private_key")
        if self.listen is not None and tls.server_ca is not None:
            raise ValueError("tls.server_ca is for connect; with listen it is client_ca")
        if self.connect is not None and tls.client_ca is not None:
            raise ValueError("tls.client_ca is for listen; with connect it is server_ca")

    def _check_exposure(self) -> None:
        address = self.address
        if self.insecure or not isinstance(address, TcpAddress) or address.is_loopback:
            return
        if self.tls is None:
            raise ValueError(
                f"{address} carries calls in the clear beyond this machine: give a tls table, use "
                "a loopback address or a Unix socket, or set insecure = true"
            )
        if not self.proves_consumers:
            raise ValueError(
                f"whoever reaches {address} could hear every call: give tls.client_ca or a token, "
                "or set insecure = true"
            )
