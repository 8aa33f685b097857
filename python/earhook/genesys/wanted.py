"""What shall be in an organization, as a file describes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from earhook.settings import Settings

from .fields import Channel, Format

__all__ = ["WantedAudioHook", "WantedIntegration", "WantedState"]


class WantedIntegration(Settings):
    """An AudioHook Monitor integration: the dialect that the vendor's public SDK contains."""

    name: str = Field(
        description="What it is called, and what it is found by: renaming makes another one."
    )
    connection_uri: str = Field(
        description="`wss://…`, where Genesys Cloud connects to. It takes a public certificate."
    )
    channel: Channel = Field(
        default="both", description="Whose audio: `both`, `internal` or `external`."
    )
    api_key_file: Path = Field(
        description="The API key that Genesys Cloud shows as `X-API-KEY`. The same file serves as "
        "`api_key_file` of the gateway. Relative to the file that names it."
    )
    client_secret_file: Path | None = Field(
        default=None,
        description="The secret that it signs with, in base64; one of `secret_files` of the "
        "gateway. Left out: it does not sign.",
    )
    custom_config: dict[str, Any] = Field(
        default_factory=dict,
        description="What every `open` carries as `customConfig`; *Advanced* on the page of the "
        "integration.",
    )
    notes: str = Field(default="", description="For people.")
    enabled: bool = Field(
        default=True,
        description="Whether it shall work. It is enabled only after its endpoint was tested.",
    )


class WantedAudioHook(Settings):
    """An AudioHook of the dialect of a community guide; the vendor's SDK has none of it."""

    name: str = Field(description="Unique in the organization, whatever its case.")
    destination_url: str = Field(description="`https://…`, where audio is posted to.")
    format: Format = Field(default="OPUS", description="The codec: `OPUS` or `PCMU`.")
    encryption_key_file: Path | None = Field(
        default=None,
        description="A key of 16, 24 or 32 bytes in base64; the `key_file` of an encryption key "
        "of the gateway's ingest. Left out: nothing is encrypted beyond TLS.",
    )
    description: str = Field(default="", description="For people.")
    enabled: bool = Field(
        default=True,
        description="Whether it shall work. It is enabled only after its endpoint was tested.",
    )


class WantedState(Settings):
    """Everything that a file describes. What it does not name is left alone."""

    region: str | None = Field(
        default=None,
        description="Such as `eu-central-1`; `--region` and the environment go before it.",
    )
    integrations: tuple[WantedIntegration, ...] = Field(
        default=(), description="Monitor integrations. An organization may have five."
    )
    audiohooks: tuple[WantedAudioHook, ...] = Field(default=(), description="AudioHooks.")
    monitored_queues: tuple[str, ...] = Field(
        default=(),
        description="Ids of queues whose calls are monitored. Their switch is turned on, and "
        "never off.",
    )
