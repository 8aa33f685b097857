"""`earhook conform`: whether a server keeps the AudioHook protocol."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ids import is_uuid
from earhook.testing.peer_setup import Product

from .dialling import (
    ApiKeyFileOption,
    ApiKeyOption,
    CafileOption,
    InsecureOption,
    SecretFileOption,
    SecretOption,
    read_credential,
    tls_context,
)
from .exit_codes import INTERRUPTED

if TYPE_CHECKING:
    from earhook.conform.stage import Patience, Target
    from earhook.conform.verdicts import Clause, Finding

app = typer.Typer(add_completion=False)

NOT_CONFORMING: Final = 3

UrlArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="URL", help="ws:// or wss:// with host, port and path.", show_default=False
    ),
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CLAUSE",
        help="Ask about this clause, family (`ping`) or pattern (`*.seq*`) only. May be given "
        "again.",
        show_default=False,
    ),
]
ListOption = Annotated[bool, typer.Option("--list", help="List the clauses and end.")]
ProductOption = Annotated[Product, typer.Option(help="What the server is for.")]
OrganizationOption = Annotated[
    str | None,
    typer.Option(
        "--organization-id",
        metavar="UUID",
        help="For a key that is bound to one. Left out: a fresh one in each session.",
        show_default=False,
    ),
]
AtOnceOption = Annotated[
    int, typer.Option(min=1, max=64, help="So many clauses are asked side by side.")
]
PatienceOption = Annotated[
    float,
    typer.Option(
        min=0.1,
        metavar="SECONDS",
        help="How long to wait for what the server ends by itself. It is the longest wait, so it "
        "is how long a run takes.",
    ),
]
JunitOption = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML as well.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")]


@app.command()
def conform(  # noqa: PLR0913, PLR0917 - a command's options
    url: UrlArgument = None,
    api_key: ApiKeyOption = None,
    api_key_file: ApiKeyFileOption = None,
    secret: SecretOption = None,
    secret_file: SecretFileOption = None,
    cafile: CafileOption = None,
    insecure: InsecureOption = False,
    product: ProductOption = "monitor",
    organization_id: OrganizationOption = None,
    only: OnlyOption = None,
    list_clauses: ListOption = False,
    at_once: AtOnceOption = 8,
    patience: PatienceOption = 15.0,
    junit: JunitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a server, ours or any other, about every rule of AudioHook that shows from outside.

    It places some two hundred short calls, good ones and bad ones. Ends with 0 when all demanded
    clauses are kept, 1 when there is no server to ask, 3 when one is broken or was not reached.
    """
    from earhook.conform.stage import Patience, Target
    from earhook.conform.suite import choose

    clauses = choose(only or [])
    if list_clauses:
        _print_list(clauses, as_json=as_json)
        return
    target = Target(
        url=_checked(url, organization_id),
        credential=read_credential(api_key, api_key_file, secret, secret_file),
        ssl_context=tls_context(url or "", cafile, insecure=insecure),
        product=product,
        organization_id=organization_id,
        verifies=not insecure,
    )
    waits = Patience(end_seconds=patience)
    raise typer.Exit(_run(_Errand(target, clauses, waits, at_once, junit, as_json)))


@dataclass(frozen=True, slots=True)
class _Errand:
    target: Target
    clauses: list[Clause]
    patience: Patience
    at_once: int
    junit: Path | None
    as_json: bool


def _checked(url: str | None, organization_id: str | None) -> str:
    faults = []
    if not url:
        faults.append(ConfigurationFault("URL", "is missing", "give ws:// or wss://"))
    elif not url.startswith(("ws://", "wss://")):
        faults.append(ConfigurationFault("URL", f"{url!r} is no ws:// or wss:// URL"))
    if organization_id is not None and not is_uuid(organization_id):
        faults.append(ConfigurationFault("--organization-id", f"{organization_id!r} is no UUID"))
    if faults:
        raise ConfigurationError(faults)
    return str(url)


def _print_list(clauses: list[Clause], *, as_json: bool) -> None:
    from earhook.conform.report import clause_json

    if as_json:
        import orjson

        typer.echo(orjson.dumps([clause_json(each) for each in clauses]).decode())
        return
    for each in clauses:
        wish = "" if each.level == "must" else "  (not demanded)"
        typer.echo(f"{each.id:<24} {_section(each):<16} {each.sentence}{wish}")


def _section(clause: Clause) -> str:
    return clause.section if clause.section.startswith("RFC") else f"§{clause.section}"


def _run(errand: _Errand) -> int:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(_ask_all(errand))
        except KeyboardInterrupt:
            return INTERRUPTED


async def _ask_all(errand: _Errand) -> int:
    from earhook.conform.report import as_json, as_junit
    from earhook.conform.suite import run_clauses
    from earhook.conform.verdicts import conforms

    url = errand.target.url
    began = time.monotonic()
    lines = _Lines(errand)
    findings = await run_clauses(
        errand.target, errand.clauses, errand.patience, errand.at_once, lines.take
    )
    seconds = time.monotonic() - began
    if errand.junit is not None:
        _write(errand.junit, as_junit(url, findings, seconds))
    if errand.as_json:
        import orjson

        typer.echo(orjson.dumps(as_json(url, findings, seconds)).decode())
    else:
        lines.end(findings, seconds)
    return 0 if conforms(findings) else NOT_CONFORMING


def _write(path: Path, document: bytes) -> None:
    try:
        path.write_bytes(document)
    except OSError as error:
        raise ConfigurationError.of("--junit", f"{path}: {error.strerror}") from None


class _Lines:
    """Prints each finding when all before it are known, so that the order is that of the list."""

    def __init__(self, errand: _Errand) -> None:
        from rich.console import Console

        self._console = Console(highlight=False, soft_wrap=True)
        self._quiet = errand.as_json
        self._waiting = {clause.id: clause for clause in errand.clauses}
        self._known: dict[str, Finding] = {}

    def take(self, finding: Finding) -> None:
        """One more finding, in any order."""
        self._known[finding.clause.id] = finding
        while self._waiting and (name := next(iter(self._waiting))) in self._known:
            del self._waiting[name]
            if not self._quiet:
                self._print(self._known.pop(name))

    def _print(self, finding: Finding) -> None:
        from rich.text import Text

        from earhook.conform.report import MARKS
        from earhook.conform.verdicts import Verdict

        styles = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.NOTE: "yellow"}
        clause = finding.clause
        line = Text.assemble(
            (MARKS[finding.verdict], styles.get(finding.verdict, "dim")),
            f"  {clause.id:<24} ",
            (f"{_section(clause):<16} ", "dim"),
            clause.sentence,
        )
        if finding.verdict is not Verdict.PASS:
            line.append(f"  [{finding.evidence}]")
        if finding.verdict in {Verdict.FAIL, Verdict.NOTE}:
            line.append(f"  {clause.cure}", style="dim")
        self._console.print(line)

    def end(self, findings: list[Finding], seconds: float) -> None:
        """The last line."""
        from rich.text import Text

        from earhook.conform.report import summary
        from earhook.conform.verdicts import conforms

        kept = conforms(findings)
        verdict = "the server conforms" if kept else "the server does not conform"
        style = "bold green" if kept else "bold red"
        text = Text.assemble(f"\n{summary(findings)} in {seconds:.1f} s; ", (verdict, style))
        self._console.print(text)
