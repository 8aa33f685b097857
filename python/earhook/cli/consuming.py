"""Options of the commands that consume a gateway's PCM stream."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "CallOption",
    "CallsOption",
    "CertificateOption",
    "ConversationOption",
    "KeyOption",
    "TokenOption",
]

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
