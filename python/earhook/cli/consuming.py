"""Options of the commands that consume a gateway's PCM stream."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from earhook.client import ChannelName

__all__ = [
    "CallOption",
    "CallsOption",
    "CertificateOption",
    "ChannelChoice",
    "ConversationOption",
    "KeyOption",
    "TokenOption",
    "channels_of",
]

ChannelChoice = Literal["external", "internal", "both"]

CallOption = Annotated[
    list[str] | None,
    typer.Option("--call", metavar="SESSION", help="Only this session; repeatable."),
]
ConversationOption = Annotated[
    list[str] | None,
    typer.Option("--conversation", metavar="ID", help="Only this conversation; repeatable."),
]
KeyOption = Annotated[
    list[str] | None,
    typer.Option("--key", metavar="NAME", help="Only calls that came with this key; repeatable."),
]
CallsOption = Annotated[
    int | None, typer.Option("--calls", min=1, help="End when so many calls have ended.")
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token", envvar="EARHOOK_PCM_TOKEN", help="What the sink asks for.", show_default=False
    ),
]
CertificateOption = Annotated[
    Path | None,
    typer.Option("--certificate", metavar="PEM", help="Our certificate and key, in one file."),
]


def channels_of(choice: ChannelChoice) -> tuple[ChannelName, ...]:
    """The channels that were asked for, the customer's first."""
    return ("external", "internal") if choice == "both" else (choice,)
