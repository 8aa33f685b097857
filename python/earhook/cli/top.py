"""`earhook top`: the live list of a gateway, in a terminal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from earhook.errors import OperatorError

from .admin_port import AdminOption, TokenFileOption, TokenOption, admin_address
from .exit_codes import INTERRUPTED
from .options import ConfigOption

if TYPE_CHECKING:
    from earhook.terminal.admin_port import AdminAddress
    from earhook.terminal.live_list import LiveList, Sort

app = typer.Typer(add_completion=False)

SHOWN_IN_A_PIPE: Final = 50


@app.command()
def top(
    admin: AdminOption = None,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    sort: Annotated[
        Literal["attention", "time", "lost", "lag", "sentiment", "hits"],
        typer.Option(help="What comes first."),
    ] = "attention",
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object with all calls, once, and end.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Watch a gateway's live calls, those that need attention first.

    Each call has a meter per channel, who talks how much, the customer's mood and what rules have
    found (with `earhook analyze` at work), and what was lost. Red above all: audio is being
    dropped.

    Keys: a t l g s h sort, arrows choose a call, enter shows what happens in it, space holds the
    picture, q quits. The same picture in a browser: the admin port itself.
    """
    address = admin_address(admin, token, token_file, config)
    raise typer.Exit(_run(address, sort, as_json=as_json))


def _run(address: AdminAddress, sort: Sort, *, as_json: bool) -> int:
    from rich.console import Console

    from earhook.terminal.admin_port import PortLost
    from earhook.terminal.top import first_picture, watch

    console = Console(highlight=False)
    try:
        if as_json:
            _print_json(asyncio.run(first_picture(address)), sort)
        elif console.is_terminal:
            asyncio.run(watch(address, console, sort))
        else:
            _print_once(asyncio.run(first_picture(address, meters=True)), sort, address.url)
    except KeyboardInterrupt:
        return INTERRUPTED
    except PortLost as lost:
        raise OperatorError(str(lost)) from None
    return 0


def _print_json(live: LiveList, sort: Sort) -> None:
    from earhook.terminal.json_line import json_line

    totals = {key: value for key, value in live.totals.items() if key != "type"}
    calls: list[dict[str, Any]] = [row.as_json() for row in live.sorted_by(sort)]
    typer.echo(json_line({**totals, "calls": calls}), nl=False)


def _print_once(live: LiveList, sort: Sort, url: str) -> None:
    """A picture for a pipe or a log: as wide as it is, and without keys."""
    from rich.console import Console

    from earhook.terminal.top_view import View, still_picture

    console = Console(highlight=False, width=160)
    console.print(still_picture(View(url, sort), live, console.width, SHOWN_IN_A_PIPE))
