"""Settings of `[[sinks]]` tables with `kind = "recording"`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from earhook.settings import Settings

__all__ = ["RecordingSettings"]


class RecordingSettings(Settings):
    """`[[sinks]]` with `kind = "recording"`: a WAV file per call, and a JSON sidecar beside it."""

    kind: Literal["recording"] = Field(default="recording", description="Chooses this sink.")
    name: str = Field(
        default="recording",
        pattern=r"^[A-Za-z0-9_.-]{1,32}$",
        description="What logs and metrics call this sink; of its own when there are several.",
    )
    directory: Path = Field(
        description="Where recordings go. Made if missing, for the owner only; not made again if "
        "it vanishes later, because then a volume is gone."
    )
    codec: Literal["L16", "PCMU"] = Field(
        default="L16",
        description="`L16`: 16-bit PCM, 32 kB/s in stereo. `PCMU`: mu-law, half of it; exact for "
        "calls that came as PCMU.",
    )
    layout: Literal["stereo", "negotiated"] = Field(
        default="stereo",
        description="`stereo`: always two channels, the customer left and the agent right; one "
        "that Genesys Cloud does not send is silent. `negotiated`: only those that are sent.",
    )
    sync: Literal["close", "never"] = Field(
        default="close",
        description="When files are forced to the disk: each one as it is closed, or when the "
        "system sees fit. A crash of the gateway loses nothing either way; a power cut may.",
    )
    rotate_mib: int = Field(
        default=1024,
        ge=1,
        le=4000,
        description="Size at which a call goes on in another file, in MiB.",
    )
    rotate_seconds: float = Field(
        default=3600.0,
        ge=1,
        description="Length at which a call goes on in another file, in seconds.",
    )
    max_silence_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="Silence that one call's pauses and losses may be filled with in all, in "
        "seconds; with codec PCMU, where silence takes space on the disk, at most 600. A gap "
        "beyond it is left out, and the call goes on in another file.",
    )
    reserve_mib: int = Field(
        default=64,
        ge=0,
        description="Space that is left alone on the volume, in MiB: below it recording stops.",
    )
    resume_free_percent: float = Field(
        default=5.0,
        ge=0,
        le=100,
        description="Free share of the volume at which recording goes on after it was full.",
    )
