"""Settings of rings and of the calls that own them."""

from __future__ import annotations

from pydantic import Field

from earhook.settings import Settings

__all__ = ["RingSettings"]


class RingSettings(Settings):
    """`[ring]`: how much audio is kept for sinks that fall behind."""

    seconds: float = Field(
        default=2.0,
        ge=0.2,
        le=600.0,
        description="Audio each call keeps in memory, in seconds. A sink that is further behind "
        "loses its oldest audio; a consumer that reconnects within it resumes without loss.",
    )
    budget_mib: int = Field(
        default=1024,
        ge=1,
        description="Memory of all rings together, in MiB. A call that finds no room is refused.",
    )
