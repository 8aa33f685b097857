"""The whole configuration. It only nests what the rooms declare in their `settings.py`."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from earhook.console.settings import ConsoleSettings
from earhook.control.settings import (
    AccessAndRangesSettings,
    AdminSettings,
    DrainSettings,
    KeySettings,
    SheddingSettings,
    SignatureAndReplaySettings,
    WorkersSettings,
)
from earhook.edge.settings import ProxySettings, RedirectSettings
from earhook.hub.settings import RingSettings
from earhook.ingest.settings import IngestSettings
from earhook.ops.settings import LogSettings
from earhook.protocol.settings import SessionSettings
from earhook.settings import Settings
from earhook.sinks.pcm_stream.settings import PcmStreamSettings
from earhook.sinks.recording.settings import RecordingSettings
from earhook.sinks.signal.settings import SignalSettings
from earhook.transport.settings import LimitSettings, MediaSettings

__all__ = ["Configuration", "SinkSettings"]

SinkSettings: TypeAlias = Annotated[
    RecordingSettings | PcmStreamSettings, Field(discriminator="kind")
]
"""Every kind of `[[sinks]]` table."""


class Configuration(Settings):
    """Every section of `earhook.toml`. What is left out has the default shown."""

    media: MediaSettings = Field(
        default_factory=MediaSettings, description="AudioHook over WebSocket."
    )
    ingest: IngestSettings | None = Field(
        default=None, description="Call audio over HTTPS POST; without the table, no such port."
    )
    keys: tuple[KeySettings, ...] = Field(default=(), description="API keys that may open calls.")
    protocol: SessionSettings = Field(
        default_factory=SessionSettings, description="What is answered to Genesys Cloud."
    )
    signature: SignatureAndReplaySettings = Field(
        default_factory=SignatureAndReplaySettings, description="When a request signature counts."
    )
    limits: LimitSettings = Field(
        default_factory=LimitSettings, description="What one stranger or one peer may cost."
    )
    access: AccessAndRangesSettings | None = Field(
        default=None, description="Addresses that may connect; without the table, all."
    )
    proxies: ProxySettings | None = Field(
        default=None, description="Balancers that are believed when they name the client."
    )
    redirect: RedirectSettings | None = Field(
        default=None, description="A plain HTTP port that sends browsers to HTTPS."
    )
    shedding: SheddingSettings = Field(
        default_factory=SheddingSettings, description="When new calls are refused for lack of room."
    )
    ring: RingSettings = Field(
        default_factory=RingSettings, description="Audio kept in memory per call."
    )
    signal: SignalSettings = Field(
        default_factory=SignalSettings, description="What calls sound like, of every call."
    )
    sinks: tuple[SinkSettings, ...] = Field(
        default=(), description="Ways out; one table each, told apart by `kind`."
    )
    admin: AdminSettings = Field(default_factory=AdminSettings, description="Health, metrics, API.")
    console: ConsoleSettings = Field(
        default_factory=ConsoleSettings, description="The live page at the admin port."
    )
    log: LogSettings = Field(default_factory=LogSettings, description="Lines on standard error.")
    workers: WorkersSettings = Field(
        default_factory=WorkersSettings, description="Processes that share the port."
    )
    drain: DrainSettings = Field(
        default_factory=DrainSettings, description="How the gateway ends while calls are live."
    )
