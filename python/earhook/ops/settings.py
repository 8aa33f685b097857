"""Settings of logging."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from earhook.settings import Settings

__all__ = ["LogSettings"]


class LogSettings(Settings):
    """`[log]`: what is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lines below this level are not written."
    )
    format: Literal["auto", "pretty", "json"] = Field(
        default="auto",
        description="`pretty` for people, `json` for machines (one object a line); "
        "`auto` is pretty on a terminal and JSON otherwise.",
    )
