"""`earhook check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earhook.errors import ConfigurationError

from .options import ConfigOption, SetOption, load

if TYPE_CHECKING:
    from earhook.config.checks import Finding

app = typer.Typer(add_completion=False)


@app.command()
def check(
    config: ConfigOption = None,
    assignments: SetOption = None,
    offline: Annotated[bool, typer.Option("--offline", help="Dial nobody.")] = False,
    running: Annotated[
        bool,
        typer.Option(
            "--running",
            help="A gateway runs here already: leave out the ports and sockets it listens on.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Try out everything the gateway will need, and list all that is wrong.

    Looks at the configuration, keys, ports, certificates, sinks, the machine's limits and its
    clock. The exit code is 1 when there is a fault; warnings alone leave it 0.
    """
    findings = _findings(config, assignments, offline=offline, running=running)
    if as_json:
        _print_json(findings)
    else:
        _print_list(findings)
    if any(finding.level == "fault" for finding in findings):
        raise typer.Exit(1)


def _findings(
    config: Path | None, assignments: list[str] | None, *, offline: bool, running: bool
) -> list[Finding]:
    from earhook.clock import SystemClock
    from earhook.config.checks import examine, faults_from

    try:
        configuration = load(config, assignments)
    except ConfigurationError as error:
        return faults_from(error)
    return examine(configuration, SystemClock(), offline=offline, running=running)


def _print_json(findings: list[Finding]) -> None:
    import orjson

    faults = sum(finding.level == "fault" for finding in findings)
    report = {"faults": faults, "findings": [finding._asdict() for finding in findings]}
    typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())


def _print_list(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    styles = {"ok": "green", "warning": "yellow", "fault": "bold red"}
    for level, where, what, remedy in findings:
        text = Text.assemble((f"{level.value:<8}", styles[level]), (where, "bold"), ": ", what)
        if remedy:
            text.append(f"\n        {remedy}", style="dim")
        console.print(text)
    counts = [sum(finding.level == level for finding in findings) for level in styles]
    summary = "{} ok, {} to look at, {} to correct".format(*counts)
    console.print(Text(f"\n{summary}", style="bold"))
