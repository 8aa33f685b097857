"""How `earhook genesys` shows things: lines for people, JSON for programs, progress beside both."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import typer

from earhook.ops.redaction import printable

if TYPE_CHECKING:
    from rich.text import Text

    from earhook.genesys.changes import Change, Outcome, Plan
    from earhook.genesys.endpoint import Finding
    from earhook.genesys.provisioning import Say

__all__ = [
    "change_json",
    "finding_json",
    "outcome_json",
    "print_finding",
    "print_json",
    "print_outcome",
    "print_plan",
    "print_row",
    "progress",
]

_SIGNS: Final = {
    "create": ("+", "green"),
    "change": ("~", "yellow"),
    "enable": (">", "green"),
    "probe": ("?", "cyan"),
    "disable": ("|", "yellow"),
    "delete": ("-", "red"),
    "monitor": (">", "green"),
}


@contextmanager
def progress() -> Iterator[Say]:
    """Lines of progress on standard error; on a terminal one line, with the time it takes."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        yield lambda line: typer.echo(f"… {printable(line, 300)}", err=True)
        return
    text = TextColumn("{task.description}", markup=False)
    with Progress(
        SpinnerColumn(), text, TimeElapsedColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task("asking Genesys Cloud", total=None)
        yield lambda line: bar.reset(task, description=printable(line, 300))


def print_json(fields: Mapping[str, Any]) -> None:
    """One object on one line."""
    typer.echo(json.dumps(fields, ensure_ascii=False, separators=(",", ":")))


def print_plan(plan: Plan) -> None:
    """What would be done."""
    for change in plan.changes:
        _print(_heading(change))
        width = max((len(one.field) for one in change.fields), default=0)
        for field in change.fields:
            arrow = f"{printable(field.before, 100)} → " if field.before else ""
            typer.echo(f"    {field.field:<{width}}  {arrow}{printable(field.after, 200) or '∅'}")
    if not plan.changes:
        typer.echo("everything is as described")
    if plan.left_alone:
        names = ", ".join(printable(name, 60) for name in plan.left_alone)
        typer.echo(f"left alone, for it is not described: {names}")


def print_outcome(outcome: Outcome) -> None:
    """What became of a change."""
    from rich.text import Text

    verdict = Text("done    ", "green") if outcome.is_done else Text("not done ", "bold red")
    line = Text.assemble(verdict, _heading(outcome.change, with_reason=False))
    if outcome.change.id and outcome.change.kind != "queue":
        line.append(f"  {printable(outcome.change.id)}", "dim")
    if outcome.text:
        line.append(f"\n         {printable(outcome.text, 2000)}")
    _print(line)


def print_finding(finding: Finding) -> None:
    """What was seen of an endpoint, in one line or two."""
    from rich.text import Text

    style, verdict = ("green", "ok") if finding.is_good else ("bold red", "fault")
    if finding.is_good and finding.cure:
        style, verdict = "yellow", "warning"
    line = Text.assemble("  ", (f"{verdict:<9}", style), (str(finding.check), "bold"), ": ")
    line.append(printable(finding.what, 300))
    if finding.cure:
        line.append(f"\n           {printable(finding.cure, 300)}", "dim")
    _print(line)


def print_row(row: Mapping[str, Any], prefix: str = "  ", *, is_bad: bool = False) -> None:
    """A row of a survey."""
    from rich.text import Text

    parts = [row["state"], row["title"], row.get("id", ""), row.get("url", ""), row["reason"]]
    line = "  ".join(printable(part, 400) for part in parts if part)
    _print(Text(f"{prefix}{line}", "red" if is_bad else ""))


def change_json(change: Change) -> dict[str, Any]:
    """A change for programs."""
    return {
        "action": str(change.action),
        "kind": str(change.kind),
        "name": change.name,
        "id": change.id,
        "fields": [one._asdict() for one in change.fields],
        "why": change.why,
    }


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome for programs."""
    return {**change_json(outcome.change), "done": outcome.is_done, "text": outcome.text}


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding for programs."""
    return {
        "check": str(finding.check),
        "good": finding.is_good,
        "what": finding.what,
        "cure": finding.cure,
    }


def _heading(change: Change, *, with_reason: bool = True) -> Text:
    from rich.text import Text

    sign, style = _SIGNS[change.action]
    words = f"{change.action} {change.kind} {printable(change.name, 80)!r}"
    line = Text.assemble((f"{sign} ", f"bold {style}"), words)
    if with_reason and change.why:
        line.append(f": {printable(change.why, 300)}", "dim")
    return line


def _print(line: Text) -> None:
    from rich.console import Console

    Console(highlight=False, soft_wrap=True).print(line)
