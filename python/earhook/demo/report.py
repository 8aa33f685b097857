"""What the demo says at its end: the books, what was checked, where to go on."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .posted import PostedCall
from .stage import Stage
from .story_board import happening_text
from .verdict import BookRow, Finding, recordings_of

__all__ = ["print_json", "print_report"]

SHOWN_ROWS = 16


def print_report(stage: Stage, findings: Sequence[Finding], rows: Sequence[BookRow]) -> None:
    """For people."""
    console = Console(highlight=False, soft_wrap=True)
    heading = Text("The books, in samples a channel: received = forwarded + buffered + dropped")
    console.print(Text.assemble("\n", heading), style="bold")
    console.print(_books(rows), soft_wrap=False)
    console.print()
    for finding in findings:
        mark, style = ("✓", "bold green") if finding.holds else ("✗", "bold red")
        console.print(Text.assemble("  ", (mark, style), " ", finding.text))
    console.print()
    if stage.story.hits:
        _print_hits(console, stage)
    _print_next(console, stage)


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
    """What the rules found in the last call."""
    console.print("What the rules found", style="bold")
    for hit in stage.story.hits:
        console.print(Text.assemble("  ", happening_text(hit)))
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
    directory = shlex.quote(_short(stage.scene.recordings))
    console.print(Text.assemble("Recordings and the gateway's log lie in ", (directory, "bold")))
    files = [
        path
        for session in list(stage.peers)[:1]
        for path in recordings_of(stage.scene.recordings, session)
    ]
    steps = [("look at them", f"earhook record inspect {directory}")]
    if files:
        name = shlex.quote(_short(files[0]))
        steps.insert(0, ("hear the first", f"play {name}"))
        steps.insert(1, ("  or", f"ffplay -nodisp -autoexit {name}"))
    steps += [
        ("keep it running", "earhook demo --keep-open"),
        ("set up your own", "earhook config init && earhook check && earhook serve"),
    ]
    for what, how in steps:
        console.print(Text.assemble((f"  {what:<17}", "dim"), how))


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
