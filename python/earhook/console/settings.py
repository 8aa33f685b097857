"""Settings of `[console]`."""

from __future__ import annotations

from pydantic import Field

from earhook.settings import Settings

__all__ = ["ConsoleSettings"]


class ConsoleSettings(Settings):
    """`[console]`: the live page at the admin port, and what it may show."""

    enabled: bool = Field(
        default=True,
        description="`false`: no page, and nothing of what docs/reference/console-feed.md says.",
    )
    listen: bool = Field(
        default=False,
        description="Whether a live call may be listened to, by whoever shows the token of "
        "`[admin]`; without a token, nobody. Each listener is a line in the log.",
    )
    recordings: bool | None = Field(
        default=None,
        description="Whether recordings are shown and played. Left out: where `[admin]` asks for "
        "a token. `true`: to whoever reaches the port, every user of this machine included.",
    )
    ended_calls: int = Field(
        default=64,
        ge=0,
        le=1000,
        description="Calls that are still shown when they have ended, in each worker process.",
    )
    history_mib: int = Field(
        default=64,
        ge=1,
        le=1024,
        description="What the events of all shown calls may take together, in MiB, in each worker "
        "process: the last 256 of a call, fewer where there are many.",
    )
