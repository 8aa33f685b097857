"""`earhook tail`: what happens in calls, a line an event, as it happens."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earhook.errors import ConfigurationError, OperatorError

from .admin_port import AdminOption, TokenFileOption, TokenOption, admin_address
from .dialling import read_secret_text
from .exit_codes import INTERRUPTED
from .options import ConfigOption

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from earhook.terminal.tail import Wanted

app = typer.Typer(add_completion=False)


@app.command()
def tail(  # noqa: PLR0913, PLR0917 - a command's options
    calls: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CALL",
            help="Session or conversation ids, or how they begin. Left out: every call. Ends when "
            "all of these have closed.",
            show_default=False,
        ),
    ] = None,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            "-t",
            metavar="TYPE",
            help="Only this type, such as hit or dead_air; repeatable.",
        ),
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Begin with what is kept of these calls.")
    ] = False,
    as_text: Annotated[
        bool, typer.Option("--text", help="Lines for people, in colour, instead of JSON.")
    ] = False,
    stream: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="ADDRESS",
            help="Read a pcm-stream sink (unix:/path, tcp:host:port) instead of the admin port: "
            "nothing is masked there, and audio comes along.",
            show_default=False,
        ),
    ] = None,
    admin: AdminOption = None,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    config: ConfigOption = None,
) -> None:
    """Follow what happens in calls: who spoke, dead air, pauses, transcripts, what rules found.

    One JSON object a line, the moment it is known:

      earhook tail | jq -c 'select(.type == "hit") | [.session, .details.name]'

    Read along in one call, from its beginning:

      earhook tail --text --history 3f1c0e7a

    Through the admin port digits are masked, and a gateway that restarts is waited for.
    """
    from earhook.terminal.tail import follow_port, follow_stream, line_writer

    wanted, write = _wanted(calls, types, history=history), line_writer(as_text=as_text)
    if stream is not None:
        shown = _stream_token(token, token_file)
        raise typer.Exit(_run(follow_stream(stream, shown, wanted, write)))
    address = admin_address(admin, token, token_file, config)
    raise typer.Exit(_run(follow_port(address, wanted, write)))


def _wanted(calls: list[str] | None, types: list[str] | None, *, history: bool) -> Wanted:
    from earhook.terminal.event_types import faults_of_types
    from earhook.terminal.tail import Wanted

    if faults := list(faults_of_types(types or ())):
        raise ConfigurationError(faults)
    return Wanted(tuple(calls or ()), frozenset(types or ()), history=history)


def _stream_token(token: str | None, token_file: Path | None) -> str | None:
    """What is shown to a pcm-stream sink: never the admin port's token, if that is in the air."""
    if token == os.environ.get("EARHOOK_ADMIN_TOKEN"):
        token = os.environ.get("EARHOOK_PCM_TOKEN")
    return read_secret_text("--token", token, token_file)


def _run(work: Coroutine[None, None, None]) -> int:
    from earhook.terminal.admin_port import PortLost

    try:
        asyncio.run(work)
    except KeyboardInterrupt:
        return INTERRUPTED
    except PortLost as lost:
        raise OperatorError(str(lost)) from None
    return 0
