"""What the operator decides about the protocol."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from earhook.settings import Settings

from .messages import Codec

__all__ = [
    "ChannelChoice",
    "MediaWish",
    "Product",
    "SendLimits",
    "SessionSettings",
    "SignatureSettings",
    "Timeouts",
    "WithoutMedia",
]

Seconds = Annotated[float, Field(gt=0)]


class ChannelChoice(StrEnum):
    """Which sides of the conversation an offer must carry, no more and no less."""

    BOTH = "both"
    EXTERNAL = "external"
    INTERNAL = "internal"


class WithoutMedia(StrEnum):
    """What to do when nothing offered is wished for."""

    REFUSE = "refuse"
    """Answer `disconnect`."""
    CONTROL_ONLY = "control-only"
    """Answer `opened` with an empty media list; the session stays up without audio."""


class Product(StrEnum):
    """The Genesys product at the other end; the wire does not name it."""

    AUTO = "auto"
    """Tell by what `open` carries."""
    MONITOR = "monitor"
    TRANSCRIPTION = "transcription"
    CONNECTOR = "connector"


class MediaWish(Settings):
    """Which of the offered media to take: channels decide first, then codecs."""

    channels: tuple[ChannelChoice, ...] = Field(
        default=(ChannelChoice.BOTH, ChannelChoice.EXTERNAL, ChannelChoice.INTERNAL),
        min_length=1,
        description="Acceptable channel sets, best first. What is not listed is never taken.",
    )
    codecs: tuple[Codec, ...] = Field(
        default=(Codec.PCMU, Codec.L16),
        min_length=1,
        description="Acceptable codecs, best first.",
    )
    without_media: WithoutMedia = Field(
        default=WithoutMedia.REFUSE,
        description="What to answer when no offer is acceptable.",
    )


class Timeouts(Settings):
    """How long each state may last (AudioHook protocol §11.1)."""

    open_seconds: Seconds = Field(
        default=10.0, description="From the upgrade to `open`; then the socket is closed."
    )
    idle_seconds: Seconds = Field(
        default=30.0, description="Without any frame; then the peer counts as gone."
    )
    flush_seconds: Seconds = Field(
        default=5.0, description="From `close` to `closed` while results are still to be sent."
    )
    disconnect_seconds: Seconds = Field(
        default=10.0, description="From our `disconnect` to the peer's `close`."
    )
    close_seconds: Seconds = Field(
        default=10.0, description="From our `closed` to the end of the socket."
    )


class SendLimits(Settings):
    """How fast we may send to one peer (AudioHook protocol §11.2), kept below its limits."""

    text_rate: float = Field(default=4.5, gt=0, description="Text messages a second.")
    text_burst: int = Field(default=20, ge=2, description="Text messages at once.")
    text_reserve: int = Field(
        default=5, ge=0, description="Of the burst, kept for pong, closed and disconnect."
    )
    audio_rate: float = Field(default=4.5, gt=0, description="Audio messages a second.")
    audio_burst: int = Field(default=20, ge=1, description="Audio messages at once.")
    pause_rate: float = Field(default=1.9, gt=0, description="`pause` and `resume` a second.")
    pause_burst: int = Field(default=4, ge=1, description="`pause` and `resume` at once.")
    chunk_bytes: int = Field(
        default=3200, ge=1, description="Audio to the caller waits to grow to this size..."
    )
    chunk_seconds: Seconds = Field(
        default=0.2, description="...but not longer than this since the chunk before."
    )
    chunk_limit_bytes: int = Field(
        default=32_000, ge=4, le=64_000, description="Largest audio message to the caller."
    )
    waiting_audio_bytes: int = Field(
        default=1 << 20, ge=1, description="Audio to the caller that may wait to be sent."
    )
    waiting_event_bytes: int = Field(
        default=256 * 1024, ge=1, description="Events that may wait to be sent."
    )
    waiting_answers: int = Field(
        default=32, ge=1, description="Pings and updates that may wait for their answer."
    )

    @model_validator(mode="after")
    def _reserve_leaves_room(self) -> Self:
        if self.text_reserve >= self.text_burst:
            raise ValueError("text_reserve must be smaller than text_burst, or events never go")
        return self


class SessionSettings(Settings):
    """Everything the session machine decides by."""

    wish: MediaWish = Field(default_factory=MediaWish, description="Which media to take.")
    timeouts: Timeouts = Field(default_factory=Timeouts, description="How long states last.")
    limits: SendLimits = Field(default_factory=SendLimits, description="How fast we send.")
    product: Product = Field(
        default=Product.AUTO, description="Which Genesys product dials in here."
    )
    start_paused: bool = Field(
        default=False, description="Begin in a pause of ours; audio flows after a `resume`."
    )
    discard_to_seconds: float | None = Field(
        default=None, ge=0, description="Ask the peer to skip the stream up to here."
    )
    supported_languages: tuple[str, ...] = Field(
        default=(), description="Languages to list when the peer asks for them."
    )
    awaits_results: bool = Field(
        default=False,
        description="Hold `closed` back until results are flushed or `flush_seconds` are over.",
    )
    clock_lead_seconds: Seconds = Field(
        default=3600.0,
        description="How far the peer's stream time may run ahead of real time.",
    )
    unmanaged_frames: int = Field(
        default=50,
        ge=0,
        description="Audio frames tolerated although no media was chosen; then `disconnect`.",
    )


class SignatureSettings(Settings):
    """When a request signature counts as fresh (AudioHook protocol §3.5)."""

    skew_seconds: float = Field(default=3.0, ge=0, description="Tolerated clock difference.")
    max_age_seconds: float = Field(
        default=10.0, gt=0, description="Longest life of a signature, whatever it says."
    )
    require_expires: bool = Field(
        default=True, description="Refuse signatures that name no expiry."
    )
