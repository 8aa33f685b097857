"""Settings of keys, of the admin port, of draining and of worker processes."""

from __future__ import annotations

import base64
import binascii
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from earhook.address import is_loopback
from earhook.edge.settings import AccessSettings
from earhook.protocol.settings import SignatureSettings
from earhook.settings import Settings

__all__ = [
    "AccessAndRangesSettings",
    "AdminSettings",
    "DrainSettings",
    "IpRangesSettings",
    "KeySettings",
    "ReplayMode",
    "SheddingSettings",
    "SignatureAndReplaySettings",
    "WorkersSettings",
    "decode_secret",
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
    max_calls: int | None = Field(
        default=None,
        ge=1,
        description="Live calls of this key at each door; beyond it, new ones get 503 at `[media]` "
        "and 429 at `[ingest]`. Left out: no limit of its own.",
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


class ReplayMode(StrEnum):
    """What a signature that was used before means."""

    OFF = "off"
    """Nothing is remembered."""
    LOG = "log"
    """Repeats pass and are counted."""
    ENFORCE = "enforce"
    """Repeats are refused, and so is everybody whose signature cannot be remembered."""


class SignatureAndReplaySettings(SignatureSettings):
    """`[signature]`: when a request signature counts, and what a repeated one means."""

    replay: ReplayMode = Field(
        default=ReplayMode.LOG,
        description="A signature that was used before: `off` does not look, `log` lets it pass "
        "and counts it, `enforce` refuses it.",
    )
    replay_capacity: int = Field(
        default=100_000,
        ge=1000,
        le=1_000_000,
        description="Signatures that can be remembered at once, in memory that all worker "
        "processes share: 48 bytes each. Beyond it, `enforce` refuses everybody.",
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


class IpRangesSettings(Settings):
    """`[access.ip_ranges]`: networks that Genesys Cloud publishes; they join those of `[access]`.

    Without a list, fetched or kept from before, none of these networks may knock.
    """

    url: str = Field(
        description="The ip-ranges API of your region, such as "
        "`https://api.mypurecloud.com/api/v2/ipranges`."
    )
    token_file: Path | None = Field(
        default=None,
        description="A file that holds a bearer token, where the API asks for one. It is read "
        "again at each refresh.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authorities that `url` is checked against. Left out: those "
        "of this machine.",
    )
    services: tuple[str, ...] = Field(
        default=("audiohook", "audio-connector"),
        min_length=1,
        description="Services whose networks count.",
    )
    regions: tuple[str, ...] = Field(
        default=(), description="Regions whose networks count, such as `eu-west-1`. Empty: all."
    )
    refresh_hours: float = Field(
        default=24.0,
        ge=0.25,
        le=720,
        description="How often it is fetched. After a failure: each minute at first, then more "
        "and more seldom, down to once an hour.",
    )
    alarm_hours: float = Field(
        default=72.0, ge=1, description="A list older than this is an error in the log every hour."
    )
    copy_file: Path = Field(
        default=Path("ip-ranges.json"),
        description="Where the last good list is kept, for the next start.",
    )


class AccessAndRangesSettings(AccessSettings):
    """`[access]`: clients by address, at all doors. Without the table: anybody may knock.

    Who is on no list is closed before TLS. With the table and no network in it, nobody may knock.
    """

    ip_ranges: IpRangesSettings | None = Field(
        default=None, description="See `[access.ip_ranges]`."
    )


class SheddingSettings(Settings):
    """`[shedding]`: when new calls are refused so that live ones stay whole.

    Live calls, connection checks over HTTP and the admin port are never touched by it.
    """

    enabled: bool = Field(
        default=True,
        description="`false`: new calls are refused only at `max_calls`, whatever it does to "
        "those that are live.",
    )
    cpu_percent: float = Field(
        default=85.0,
        gt=0,
        le=100,
        description="CPU, in percent of one core for the event loop's thread, or of all cores "
        "that this process may use for all its threads, whichever is nearer to its limit.",
    )
    cpu_seconds: float = Field(
        default=1.0,
        ge=0.2,
        le=60,
        description="The time over which CPU is averaged. A burst of calls that the core is to "
        "take at full speed must fit into it.",
    )
    loop_lag_seconds: float = Field(
        default=0.1,
        ge=0.01,
        description="How late the event loop may be: the 99th percentile of its last 5 s, so "
        "that a single hiccup does not count.",
    )
    memory_percent: float = Field(
        default=85.0, gt=0, le=100, description="Resident memory, in percent of `memory_mib`."
    )
    memory_mib: int | None = Field(
        default=None,
        ge=64,
        description="Memory that this process may have, in MiB. Left out: what its control group "
        "allows, or the machine has.",
    )
    open_files_percent: float = Field(
        default=80.0, gt=0, le=100, description="Open files, in percent of how many are allowed."
    )
    release_percent: float = Field(
        default=80.0,
        ge=10,
        le=100,
        description="New calls are welcome again once every figure is back below this part of "
        "its limit.",
    )
    release_calls_percent: float = Field(
        default=95.0,
        ge=10,
        le=100,
        description="The same for the number of live calls. It is higher, because calls end one "
        "by one: at 80 a fifth of the gateway would stand empty for minutes.",
    )
    retry_after_seconds: int = Field(
        default=10, ge=1, le=3600, description="What `Retry-After` of a refusal says."
    )
    probes: Literal["http", "answer"] = Field(
        default="http",
        description="Connection tests of Genesys Cloud while new calls are refused. A WebSocket "
        "shows only after its upgrade whether it is one. `http`: every upgrade gets 503, and only "
        "checks over HTTP are answered. `answer`: up to `probe_sessions` upgrades at a time are "
        "let in; a test is answered, a call is disconnected at once.",
    )
    probe_sessions: int = Field(
        default=8, ge=1, le=1000, description='How many at a time, with `probes = "answer"`.'
    )


class WorkersSettings(Settings):
    """`[workers]`: processes that share the ports. With one, there is no process besides it."""

    count: int | Literal["auto"] = Field(
        default=1,
        description="Number of worker processes. `auto`: one for each core that may be used.",
    )
    recycle_memory_mib: int | None = Field(
        default=None,
        ge=128,
        description="A worker with more resident memory is replaced: a new one takes over its "
        "ports, then the old one drains. One at a time. Left out: never.",
    )
    recycle_hours: float | None = Field(
        default=None,
        ge=0.01,
        description="A worker is replaced after about so many hours: up to a tenth earlier, so "
        "that not all are due at once. Left out: never.",
    )
    silent_seconds: float = Field(
        default=5.0,
        ge=1,
        le=300,
        description="A worker that gives no sign of life for so long gets no new calls: another "
        "one takes over its ports.",
    )
    kill_seconds: float = Field(
        default=30.0,
        ge=1,
        le=3600,
        description="And after so much more it is killed, with the calls that it still has.",
    )

    @field_validator("count", mode="before")
    @classmethod
    def _is_a_number_of_workers(cls, count: object) -> object:
        number = int(count) if isinstance(count, str) and count.isdecimal() else count
        if number != "auto" and (type(number) is not int or not 1 <= number <= _MOST_WORKERS):
            raise ValueError(f'write a number from 1 to {_MOST_WORKERS}, or "auto"')
        return number


_MOST_WORKERS: Final = 64


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
