"""Settings of keys, of the admin port, of draining and of worker processes."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from earhook.protocol.replay import ReplayMode
from earhook.protocol.settings import SignatureSettings
from earhook.settings import Settings

__all__ = [
    "AdminSettings",
    "DrainSettings",
    "KeySettings",
    "SignatureAndReplaySettings",
    "WorkersSettings",
    "decode_secret",
    "is_loopback",
]


class KeySettings(Settings):
    """`[[keys]]`: one API key that may open calls. Two secrets while one replaces the other."""

    name: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_.-]{0,32}$",
        description="What logs, metrics and consumers call this key; the key itself is never "
        "shown. Left out: `key-1`, `key-2`, … in the order of the tables.",
    )
    api_key: SecretStr | None = Field(
        default=None, description="The API key, as entered in Genesys Cloud. Or `api_key_file`."
    )
    api_key_file: Path | None = Field(
        default=None, description="A file that holds the API key and nothing else."
    )
    secrets: tuple[SecretStr, ...] = Field(
        default=(),
        max_length=2,
        description="Client secrets in base64, as entered in Genesys Cloud. Or `secret_files`.",
    )
    secret_files: tuple[Path, ...] = Field(
        default=(), max_length=2, description="Files that hold one base64 secret each."
    )
    unsigned: bool = Field(
        default=False,
        description="`true`: requests without a signature are accepted with this key. Whoever "
        "learns the key can then place calls.",
    )
    organizations: tuple[str, ...] = Field(
        default=(), description="Organization ids that may use this key. Empty: any."
    )

    @field_validator("secrets")
    @classmethod
    def _secrets_are_base64(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for secret in secrets:
            decode_secret(secret.get_secret_value())
        return secrets

    @model_validator(mode="after")
    def _is_complete(self) -> KeySettings:
        if (self.api_key is None) == (self.api_key_file is None):
            raise ValueError("give exactly one of api_key and api_key_file")
        secrets = len(self.secrets) + len(self.secret_files)
        if secrets == 0 and not self.unsigned:
            raise ValueError("give secrets or secret_files, or set unsigned = true")
        if secrets and self.unsigned:
            raise ValueError(
                "unsigned = true and secrets contradict each other: with a secret, a signature "
                "is always demanded"
            )
        if secrets > 2:
            raise ValueError("a key has at most two secrets: the old one and the new one")
        return self


class SignatureAndReplaySettings(SignatureSettings):
    """`[signature]`: when a request signature counts, and what a repeated one means."""

    replay: ReplayMode = Field(
        default=ReplayMode.LOG,
        description="A signature that was used before: `off` does not look, `log` lets it pass "
        "and counts it, `enforce` refuses it.",
    )
    replay_capacity: int = Field(
        default=100_000, ge=1000, le=1_000_000, description="Signatures remembered at most."
    )


class AdminSettings(Settings):
    """`[admin]`: health, metrics and the API. Loopback only, unless a token is set."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(
        default=9090, ge=0, le=65535, description="Port to listen on; 0 lets the system choose."
    )
    token: SecretStr | None = Field(
        default=None,
        description="Bearer token that metrics, the API and detailed health ask for. Required "
        "when `host` is not loopback. Or `token_file`.",
    )
    token_file: Path | None = Field(
        default=None, description="A file that holds the bearer token and nothing else."
    )

    @model_validator(mode="after")
    def _is_guarded(self) -> AdminSettings:
        if self.token is not None and self.token_file is not None:
            raise ValueError("give only one of token and token_file")
        if not is_loopback(self.host) and self.token is None and self.token_file is None:
            raise ValueError(
                f"host {self.host} can be reached from other machines: set token_file, "
                "or listen on 127.0.0.1"
            )
        return self


class DrainSettings(Settings):
    """`[drain]`: how the gateway ends while calls are live."""

    grace_seconds: float = Field(
        default=900.0,
        ge=0.0,
        description="How long live calls may go on to their natural end after a request to stop. "
        "The supervisor's limit (TimeoutStopSec, terminationGracePeriodSeconds) must exceed it.",
    )
    disconnect_seconds: float = Field(
        default=30.0,
        ge=0.0,
        description="Calls still live after the grace are disconnected, spread over this time.",
    )
    flush_seconds: float = Field(
        default=10.0,
        ge=0.5,
        description="How long sinks may take to write what they still hold when all calls ended.",
    )


class WorkersSettings(Settings):
    """`[workers]`: processes that share the port."""

    count: int | Literal["auto"] = Field(default=1, description="Number of worker processes: 1.")

    @field_validator("count")
    @classmethod
    def _is_one(cls, count: int | str) -> int | str:
        if count != 1:
            raise ValueError(
                "this version runs one worker process: set count = 1 and start one gateway "
                "per core on ports of their own"
            )
        return count


def decode_secret(text: str) -> bytes:
    """The bytes of a base64 client secret.

    Raises:
        ValueError: It is not base64, or empty. The text of the error does not show it.
    """
    try:
        secret = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        secret = b""
    if not secret:
        raise ValueError("a secret must be base64: copy it as Genesys Cloud shows it")
    return secret


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
