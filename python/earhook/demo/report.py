"""What the demo says at its end: the books, what was checked, where to go on."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .posted import PostedCall
from .program import program, short
from .stage import Stage
from .story_board import happening_texts
from .verdict import BookRow, Finding, recordings_of

__all__ = ["print_json", "print_report"]

SHOWN_ROWS: Final = 16
PLAYERS: Final = ("play", "ffplay -nodisp -autoexit", "aplay", "paplay")
"""`play` is sox."""


def print_report(stage: Stage, findings: Sequence[Finding], rows: Sequence[BookRow]) -> None:
    """For people."""
    console = Console(highlight=False, soft_wrap=True)
    heading = Text("The books, in samples a channel: received = forwarded + buffered + dropped")
    console.print(Text.assemble("\n", heading), style="bold")
    console.print(_books(rows), soft_wrap=False)
    console.print()
    for finding in findings:
        mark, style = ("✓", "bold green") if finding.holds else ("✗", "bold red")
        _print_entry(console, Text.assemble("  ", (mark, style), " "), Text(finding.text))
    console.print()
    if not all(finding.holds for finding in findings):
        name = "analyze.log" if stage.story.failure else "gateway.log"
        log = short(stage.scene.recordings / name)
        console.print(Text.assemble("More about what went wrong is in ", (log, "bold red"), "\n"))
    if stage.story.hits:
        _print_hits(console, stage)
    _print_next(console, stage)


def _print_entry(console: Console, label: Text, text: Text) -> None:
    """On a terminal, lines end between words; in a file, an entry is a line."""
    if not console.is_terminal:
        console.print(Text.assemble(label, text))
        return
    table = Table.grid()
    table.add_row(label, text)
    console.print(table, soft_wrap=False)


def print_json(stage: Stage, findings: Sequence[Finding], rows: Sequence[BookRow]) -> None:
    """For machines: one object on one line."""
    report = {
        "ok": all(finding.holds for finding in findings),
        "recordings": str(stage.scene.recordings),
        "calls": [
            {
                "session": session,
                "door": "ingest" if isinstance(peer, PostedCall) else "media",
                "position": peer.position,
                "samples_sent": peer.record.samples_sent,
                "samples_withheld": peer.record.samples_withheld,
                "opened_seconds": peer.record.opened_seconds,
                "outcome": peer.record.outcome,
                "files": [str(path) for path in recordings_of(stage.scene.recordings, session)],
            }
            for session, peer in stage.peers.items()
        ],
        "books": [
            {"call": row.call, "sink": row.sink, "came_in": row.came_in, **row.books.as_json()}
            for row in rows
        ],
        "analysis": _analysis(stage),
        "findings": [{"holds": finding.holds, "text": finding.text} for finding in findings],
    }
    typer.echo(orjson.dumps(report).decode())


def _analysis(stage: Stage) -> dict[str, Any] | None:
    """What was understood of the last call; None: nobody listened."""
    if not stage.scene.is_analysed:
        return None
    story = stage.story
    return {
        "session": story.session,
        "transcript": [dict(one.details) for one in story.transcript],
        "hits": [{"position": one.position, **one.details} for one in story.hits],
        "unheard_seconds": story.unheard_seconds,
        "failure": story.failure,
    }


def _print_hits(console: Console, stage: Stage) -> None:
    """What the rules found in the last call, in the order of the call."""
    console.print("What the rules found", style="bold")
    for hit in sorted(stage.story.hits, key=lambda one: one.position):
        when, what = happening_texts(hit)
        _print_entry(console, Text.assemble("  ", when), what)
    console.print()


def _books(rows: Sequence[BookRow]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("call", justify="right")
    table.add_column("sink")
    for heading in ("came in", "received", "forwarded", "buffered", "dropped"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for row in rows[:SHOWN_ROWS]:
        table.add_row(*_row(row))
    if len(rows) > SHOWN_ROWS:
        table.add_row("…", f"and {len(rows) - SHOWN_ROWS} more", style="dim")
    return table


def _row(row: BookRow) -> list[str | Text]:
    own = row.books
    dropped = sum(own.dropped.values())
    mark = Text("✓", "bold green") if row.balances else Text("✗", "bold red")
    figures = (row.came_in, own.received, own.forwarded, own.buffered, dropped)
    return [str(row.call), row.sink, *(f"{figure:,}" for figure in figures), mark]


def _print_next(console: Console, stage: Stage) -> None:
    directory = shlex.quote(short(stage.scene.recordings))
    console.print(Text.assemble("Recordings and the gateway's log lie in ", (directory, "bold")))
    for what, how in _steps(stage, directory):
        console.print(Text.assemble((f"  {what:<16}", "dim"), how))


def _steps(stage: Stage, directory: str) -> Iterator[tuple[str, str]]:
    """What to do next, as it can be pasted."""
    own = program()
    pattern = _first_recording(stage)
    if pattern:
        yield "hear the first", f"{_player()} {directory}/{pattern}"
        yield "look at them", f"{own} record inspect {directory}"
    scene = stage.scene
    if not scene.is_analysed:
        yield "understand them", f"{own} demo --analyze"
    if scene.seconds is not None:
        option = " --analyze" if scene.is_analysed else ""
        yield "keep it running", f"{own} demo{option} --keep-open"
    yield "set up your own", f"{own} config init"


def _first_recording(stage: Stage) -> str:
    """A pattern for the shell: the path itself is longer than a line. Empty: there is none."""
    for session in stage.peers:
        files = recordings_of(stage.scene.recordings, session)
        if files:
            depth = len(files[0].parent.relative_to(stage.scene.recordings).parts)
            return "*/" * depth + f"*{session[:8]}*.wav"
    return ""


def _player() -> str:
    """Whatever plays WAV files here."""
    return next((player for player in PLAYERS if shutil.which(player.split()[0])), PLAYERS[0])
