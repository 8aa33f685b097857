"""`earhook demo`: the whole gateway at work, on this machine alone."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import threading
import time
import webbrowser
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from earhook.errors import OperatorError

if TYPE_CHECKING:
    from earhook.demo.stage import Scene, Stage

app = typer.Typer(add_completion=False)

UNBALANCED: Final = 1
LIVE_SECONDS: Final = 0.1
LINE_SECONDS: Final = 2.0

SecondsOption = Annotated[
    float | None,
    typer.Option(
        min=1.0,
        max=86_400.0,
        help="How long it takes. Left out: 18, with --analyze as long as the call.",
        show_default=False,
    ),
]
BrowserOption = Annotated[
    bool,
    typer.Option(
        "--browser/--no-browser",
        help="With --analyze: open the console in a browser, where there is a desktop.",
    ),
]


@app.command()
def demo(  # noqa: PLR0913, PLR0917 - a command's options
    seconds: SecondsOption = None,
    calls: Annotated[
        int, typer.Option(min=1, max=1000, help="Simulated calls over WebSocket.")
    ] = 4,
    analyze: Annotated[
        bool,
        typer.Option(
            "--analyze",
            help="One call more, which is transcribed and held to rules while it goes on.",
        ),
    ] = False,
    browser: BrowserOption = True,
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

    With --analyze an agent forgets to say that the call is recorded, and the customer gets angry:
    transcript, sentiment and what the rules find show up as it happens, here and in the console.
    When a card number is due, a rule pauses the call.
    """
    from earhook.demo.stage import Scene

    rules = _rules() if analyze else ()

    directory = recordings or Path("earhook-recordings") / f"{datetime.now():%Y%m%d-%H%M%S}"  # noqa: DTZ005 - the user's own time
    _make(directory)
    length = None if keep_open else seconds or (_complaint_seconds() if analyze else 18.0)
    scene = Scene(calls=calls, seconds=length, recordings=directory.resolve(), rules=rules)
    raise typer.Exit(_run(scene, as_json=as_json, browser=browser and analyze))


def _rules() -> tuple[Path, ...]:
    """Those that come with Earhook, and the demo's own.

    Raises:
        OperatorError: The recogniser is not installed.
    """
    from earhook.analytics.rules.rules_file import example_rules
    from earhook.demo.analysis import require_recogniser
    from earhook.demo.complaint import demo_rules

    require_recogniser()
    return example_rules(), demo_rules()


def _complaint_seconds() -> float:
    from earhook.demo.complaint import complaint

    return (complaint().length_samples or 0) / 8000


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = f"{directory}: {error.strerror}; choose another place with --recordings"
        raise OperatorError(text) from None


def _run(scene: Scene, *, as_json: bool, browser: bool) -> int:
    import uvloop

    told: list[int] = []
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_perform(scene, told, as_json=as_json, browser=browser))
    except (KeyboardInterrupt, asyncio.CancelledError):
        # Before anything was shown, or for the second time.
        return 128 + (told[0] if told else signal.SIGINT)


async def _perform(scene: Scene, told: list[int], *, as_json: bool, browser: bool) -> int:
    from earhook.demo.report import print_json, print_report
    from earhook.demo.stage import staged
    from earhook.demo.verdict import books, findings

    _end_on_signals(told)
    show = _show_nothing if as_json else _show
    interrupted = False
    if scene.is_analysed and not as_json:
        typer.echo("the recogniser loads its model …", err=True)
    async with staged(scene) as stage:
        if browser and not as_json:
            _open_browser(stage.console)
        playing = asyncio.create_task(stage.play())
        try:
            await show(stage, playing)
        except asyncio.CancelledError:
            # Ctrl-C hangs up; a second one ends at once.
            interrupted = True
            if scene.is_analysed and not as_json:
                typer.echo("hanging up; the recogniser finishes what it has heard …", err=True)
            await _leave(stage, playing)
        await stage.settle()
    # Only now: the gateway has stopped, and every file is closed.
    checked, rows = list(findings(stage)), list(books(stage))
    (print_json if as_json else print_report)(stage, checked, rows)
    if not all(finding.holds for finding in checked):
        return UNBALANCED
    if not interrupted or scene.seconds is None:
        return 0
    return 128 + (told[0] if told else signal.SIGINT)


def _end_on_signals(told: list[int]) -> None:
    """Let SIGTERM, and SIGHUP of a terminal that was closed, do what Ctrl-C does."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def on_signal(number: int) -> None:
        told.append(number)
        if number == signal.SIGHUP:
            _turn_away_from_terminal()
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` wants it to go on
            loop.add_signal_handler(number, on_signal, number)


def _turn_away_from_terminal() -> None:
    """To write to one that is gone is an error, and there is an end to be made."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        try:
            os.ttyname(stream)
        except OSError as error:
            if error.errno == errno.ENOTTY:
                continue
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _open_browser(url: str) -> None:
    """In the background, and only on a desktop: a browser of the terminal would take it."""
    has_desktop = sys.platform == "darwin" or os.environ.keys() & {"DISPLAY", "WAYLAND_DISPLAY"}
    if has_desktop and sys.stdout.isatty():
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


async def _leave(stage: Stage, playing: asyncio.Task[None]) -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
    stage.hang_up()
    await playing


async def _show(stage: Stage, playing: asyncio.Task[None]) -> None:
    """A live picture on a terminal, lines elsewhere."""
    from rich.console import Console
    from rich.live import Live

    from earhook.demo.board import board
    from earhook.demo.story_board import story_board

    console = Console(highlight=False)
    began = time.monotonic()
    if not console.is_terminal:
        await _tell(stage, playing, began)
        return
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while not playing.done():
            await asyncio.wait({playing}, timeout=LIVE_SECONDS)
            passed, width = time.monotonic() - began, console.width
            if stage.scene.is_analysed:
                picture = story_board(stage, passed, width, console.height)
            else:
                picture = board(stage, passed, width)
            live.update(picture, refresh=True)
    playing.result()


async def _tell(stage: Stage, playing: asyncio.Task[None], began: float) -> None:
    """A line every two seconds, or for everything that happens in the analysed call."""
    from earhook.demo.board import progress_line
    from earhook.demo.story_board import happening_text

    if stage.scene.seconds is None:
        typer.echo(f"calls come in at {stage.url} and {stage.post_url}")
        typer.echo(f"PCM goes out at {stage.stream}")
    if stage.scene.is_analysed:
        typer.echo(f"the console is at {stage.console}")
        stage.story.on_happening = lambda one: typer.echo(happening_text(one).plain)
    trouble = ""
    while not playing.done():
        await asyncio.wait({playing}, timeout=LINE_SECONDS)
        if stage.trouble != trouble:
            trouble = stage.trouble
            typer.echo(trouble or "the call was let in")
        if not stage.scene.is_analysed:
            typer.echo(progress_line(stage, time.monotonic() - began))
    playing.result()


async def _show_nothing(_stage: Stage, playing: asyncio.Task[None]) -> None:
    await asyncio.wait({playing})  # which, unlike the task itself, is not cancelled with us
    playing.result()
