"""`earhook analyze --check-rules | --example-rules | --transcript`: without any call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import typer
from rich.console import Console
from rich.text import Text

from earhook.errors import ConfigurationError
from earhook.terminal.json_line import json_line

from .analyze_view import moment, result_text
from .faults import fault_text

if TYPE_CHECKING:
    from earhook.analytics.analysis import Analyst
    from earhook.analytics.transcript_file import Told

__all__ = ["check_rules", "print_example_rules", "run_transcript"]


def print_example_rules() -> None:
    """Write the example to standard output."""
    from earhook.analytics.rules import example_rules

    typer.echo(example_rules().read_text(encoding="utf-8"), nl=False)


def check_rules(paths: Sequence[Path], *, as_json: bool) -> None:
    """Say what is wrong with files of rules, or what is in them. Ends with 1 for faults."""
    from earhook.analytics.rules import RuleBook, read_rules

    try:
        book = RuleBook(read_rules(paths))
    except ConfigurationError as error:
        if as_json:
            report = {"rules": 0, "faults": [fault._asdict() for fault in error.faults]}
            typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
            raise typer.Exit(1) from None
        console = Console(highlight=False, soft_wrap=True)
        for fault in error.faults:
            console.print(fault_text(fault))
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(orjson.dumps({"rules": len(book.rules), "faults": []}).decode())
        return
    for rule in book.rules:
        action = f", {rule.action}s the call" if rule.action else ""
        typer.echo(f"{rule.severity:<9}{rule.id:<26}{rule.name}{action}")
    needs = "; some need [signal] of the gateway" if book.wants_signal else ""
    count = len(book.rules)
    typer.echo(f"\n{count} rule{'' if count == 1 else 's'}, no fault{needs}")


def run_transcript(analyst: Analyst, path: Path, *, as_json: bool) -> None:
    """Print what an analysis of the calls in a file tells. Ends with 1 for a file with faults."""
    from earhook.analytics.transcript_file import analyse_transcript, read_transcript

    console = Console(highlight=False, soft_wrap=True)
    for told in analyse_transcript(analyst, read_transcript(path)):
        if as_json:
            typer.echo(json_line(told.as_json()), nl=False)
        elif (text := _shown(told)) is not None:
            console.print(text)


def _shown(told: Told) -> Text | None:
    kind, details = told.result.kind, told.result.details
    seconds = moment(kind, told.result.position, details) / told.rate
    return result_text(kind, details, (f"{seconds:8.1f} s  ", "dim"), evidence_column=22)
