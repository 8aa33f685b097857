"""`earhook demo`: the whole gateway at work, on this machine alone."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from earhook.errors import OperatorError

if TYPE_CHECKING:
    from earhook.demo.stage import Scene, Stage

app = typer.Typer(add_completion=False)

INTERRUPTED: Final = 130
UNBALANCED: Final = 1
LIVE_SECONDS: Final = 0.1
LINE_SECONDS: Final = 2.0


@app.command()
def demo(
    seconds: Annotated[
        float, typer.Option(min=1.0, max=86_400.0, help="How long it takes.")
    ] = 18.0,
    calls: Annotated[
        int, typer.Option(min=1, max=1000, help="Simulated calls over WebSocket.")
    ] = 4,
    keep_open: Annotated[
        bool, typer.Option("--keep-open", help="Go on until Ctrl-C, for consumers of your own.")
    ] = False,
    recordings: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where recordings go. Left out: earhook-recordings/ and the time.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Only one JSON object, at the end.")
    ] = False,
) -> None:
    """Start a gateway on loopback, place simulated calls with real speech, show what arrives.

    Calls come in over real WebSockets, signed with a fresh key; one of them is paused while a
    card number is read out. One more is sent by HTTP POST. A consumer listens to the PCM stream.
    At the end the books must balance and every recording must equal its source sample for
    sample, or the exit code is 1.
    """
    from earhook.demo.stage import Scene

    directory = recordings or Path("earhook-recordings") / f"{datetime.now():%Y%m%d-%H%M%S}"  # noqa: DTZ005 - the user's own time
    _make(directory)
    length = None if keep_open else seconds
    scene = Scene(calls=calls, seconds=length, recordings=directory.resolve())
    raise typer.Exit(_run(scene, as_json=as_json))


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = f"{directory}: {error.strerror}; choose another place with --recordings"
        raise OperatorError(text) from None


def _run(scene: Scene, *, as_json: bool) -> int:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_perform(scene, as_json=as_json))


async def _perform(scene: Scene, *, as_json: bool) -> int:
    from earhook.demo.report import print_json, print_report
    from earhook.demo.stage import staged
    from earhook.demo.verdict import books, findings

    show = _show_nothing if as_json else _show
    interrupted = False
    async with staged(scene) as stage:
        playing = asyncio.create_task(stage.play())
        try:
            await show(stage, playing)
        except asyncio.CancelledError:
            # Ctrl-C hangs up; a second one ends at once.
            interrupted = scene.seconds is not None
            await _leave(stage, playing)
        await stage.settle()
    # Only now: the gateway has stopped, and every file is closed.
    checked, rows = list(findings(stage)), list(books(stage))
    (print_json if as_json else print_report)(stage, checked, rows)
    if not all(finding.holds for finding in checked):
        return UNBALANCED
    return INTERRUPTED if interrupted else 0


async def _leave(stage: Stage, playing: asyncio.Task[None]) -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
    playing.cancel()
    stage.hang_up()
    for peer in stage.peers.values():
        await peer.finished()


async def _show(stage: Stage, playing: asyncio.Task[None]) -> None:
    """A live picture on a terminal, a line every two seconds elsewhere."""
    from rich.console import Console
    from rich.live import Live

    from earhook.demo.board import board, progress_line

    console = Console(highlight=False)
    began = time.monotonic()
    if not console.is_terminal:
        if stage.scene.seconds is None:
            typer.echo(f"calls come in at {stage.url} and {stage.post_url}")
            typer.echo(f"PCM goes out at {stage.stream}")
        while not playing.done():
            await asyncio.wait({playing}, timeout=LINE_SECONDS)
            typer.echo(progress_line(stage, time.monotonic() - began))
        playing.result()
        return
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while not playing.done():
            await asyncio.wait({playing}, timeout=LIVE_SECONDS)
            live.update(board(stage, time.monotonic() - began, console.width), refresh=True)
    playing.result()


async def _show_nothing(_stage: Stage, playing: asyncio.Task[None]) -> None:
    await playing
