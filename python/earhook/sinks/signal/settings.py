"""Settings of the table `[signal]`."""

from __future__ import annotations

from pydantic import Field

from earhook.settings import Settings

__all__ = ["SIGNAL_SINK", "SignalSettings"]

SIGNAL_SINK = "signal"
"""What logs and metrics call the sink; no other sink may."""


class SignalSettings(Settings):
    """`[signal]`: what calls sound like, of every call. See `docs/concepts/signal.md`."""

    enabled: bool = Field(
        default=True,
        description="Whether calls are measured: levels, who speaks when, tones, dead air. `false` "
        "saves its part of a core; see `docs/concepts/signal.md`.",
    )
    dead_air_seconds: float = Field(
        default=5.0,
        ge=0.5,
        le=600,
        description="So long nothing to hear on either side is dead air.",
    )
    pause_seconds: float = Field(
        default=0.4,
        ge=0.1,
        le=5,
        description="So long a pause between words may be without ending a span of talk.",
    )
    talk_over_seconds: float = Field(
        default=0.2, ge=0.02, le=5, description="Both have to speak so long for it to be talk-over."
    )
    interruption_seconds: float = Field(
        default=1.0,
        ge=0.1,
        le=10,
        description="An interruption: the other had spoken at least so long, and whoever came in "
        "goes on at least so long once it has the floor.",
    )
    one_way_seconds: float = Field(
        default=10.0,
        ge=2,
        le=600,
        description="One side without any sound for so long, while the other speaks, is one-way "
        "audio.",
    )
