"""`earhook doctor`: examine a server as an engineer would by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from earhook.errors import ConfigurationError
from earhook.ids import is_uuid

from .dialling import (
    ApiKeyFileOption,
    ApiKeyOption,
    CafileOption,
    InsecureOption,
    SecretFileOption,
    SecretOption,
    read_credential,
)
from .exit_codes import INTERRUPTED

if TYPE_CHECKING:
    from rich.console import Console

    from earhook.doctor import Errand, FarEnd, Finding

app = typer.Typer(add_completion=False)

FAULTS_FOUND: Final = 3

UrlArgument = Annotated[
    str,
    typer.Argument(
        metavar="URL",
        help="wss:// for AudioHook, https:// for the ingest; ws:// and http:// without TLS.",
        show_default=False,
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="EARHOOK_TOKEN",
        help="Bearer token of an ingest, instead of key and secret.",
        show_default=False,
    ),
]
TokenFileOption = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="A file with that token.")
]
CertificateOption = Annotated[
    Path | None,
    typer.Option("--certificate", metavar="PEM", help="Our certificate and key, for mutual TLS."),
]
OrganizationOption = Annotated[
    str | None,
    typer.Option(
        "--organization-id", metavar="UUID", help="Left out: a fresh one.", show_default=False
    ),
]
AuthorityOption = Annotated[
    list[str] | None,
    typer.Option(
        "--authority",
        metavar="HOST[:PORT]",
        help="What a proxy may have put into Host: tried when the signature is refused. May be "
        "given again.",
        show_default=False,
    ),
]
SecondsOption = Annotated[
    float, typer.Option(min=0.0, max=3600.0, help="Length of the test call; 0 places none.")
]
VerifyOption = Annotated[
    str | None,
    typer.Option(
        "--verify",
        metavar="ADDRESS",
        help="unix:/path, tcp:host:port or tls:host:port of a pcm-stream sink, where the audio "
        "of the test call is compared.",
        show_default=False,
    ),
]
PcmTokenOption = Annotated[
    str | None,
    typer.Option(
        "--pcm-token",
        envvar="EARHOOK_PCM_TOKEN",
        help="What that sink asks for.",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON object at the end instead of the list.")
]


@app.command()
def doctor(  # noqa: PLR0913, PLR0917 - a command's options
    url: UrlArgument,
    api_key: ApiKeyOption = None,
    api_key_file: ApiKeyFileOption = None,
    secret: SecretOption = None,
    secret_file: SecretFileOption = None,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    cafile: CafileOption = None,
    insecure: InsecureOption = False,
    certificate: CertificateOption = None,
    organization_id: OrganizationOption = None,
    authority: AuthorityOption = None,
    seconds: SecondsOption = 10.0,
    verify: VerifyOption = None,
    pcm_token: PcmTokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find out why Genesys Cloud does not reach a server, or that it will.

    Looks at name, connection, TLS, certificate, HTTP, upgrade, credentials, clock, probe, and
    places a test call: each with a verdict, what was seen, and what to do. Works with servers of
    others too. Nothing secret is shown.

    Ends with 0 when there is no fault (warnings alone leave it 0), 3 when there is one, 1 when
    an option cannot be used.
    """
    from earhook.doctor import Errand, Target, Trust

    if organization_id is not None and not is_uuid(organization_id):
        what = f"{organization_id!r} is no UUID"
        raise ConfigurationError.of("--organization-id", what)
    target = Target.parse(url)
    more: dict[str, Any] = {}
    if organization_id is not None:
        more["organization_id"] = organization_id
    bearer = _read_token(token, token_file)
    if bearer is not None and not target.is_ingest:
        what, remedy = "is for an ingest", "AudioHook has --api-key and --secret"
        raise ConfigurationError.of("--token", what, remedy)
    errand = Errand(
        target=target,
        trust=Trust.load(cafile, certificate, insecure=insecure),
        credential=read_credential(api_key, api_key_file, secret, secret_file),
        token=bearer,
        authorities=tuple(authority or ()),
        call_seconds=seconds,
        far_end=_far_end(verify, pcm_token, cafile),
        **more,
    )
    raise typer.Exit(_run(errand, as_json=as_json))


def _read_token(token: str | None, file: Path | None) -> str | None:
    if file is None:
        return token
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        what = f"{file}: {getattr(error, 'strerror', None) or 'holds more than ASCII text'}"
        raise ConfigurationError.of("--token-file", what) from None
    if not text:
        raise ConfigurationError.of("--token-file", f"{file}: is empty")
    return text


def _far_end(address: str | None, token: str | None, cafile: Path | None) -> FarEnd | None:
    from earhook.address import parse_address
    from earhook.doctor import FarEnd
    from earhook.trust import client_context

    if address is None:
        return None
    try:
        parse_address(address)
    except ValueError as error:
        raise ConfigurationError.of("--verify", str(error)) from None
    # A context would turn TLS on where the address asks for none.
    wants_context = address.startswith("tls:") and cafile is not None
    context = client_context(cafile) if wants_context else None
    return FarEnd(address=address, token=token, context=context)


def _run(errand: Errand, *, as_json: bool) -> int:
    import logging

    import uvloop

    # What the WebSocket library would write of a sick server stands in the findings.
    logging.getLogger("picows").addHandler(logging.NullHandler())
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            findings = runner.run(_examine(errand, as_json=as_json))
    except KeyboardInterrupt:
        return INTERRUPTED
    return FAULTS_FOUND if any(finding.verdict == "fault" for finding in findings) else 0


async def _examine(errand: Errand, *, as_json: bool) -> list[Finding]:
    from rich.console import Console
    from rich.text import Text

    from earhook.doctor import examine

    console = Console(highlight=False, soft_wrap=True)
    findings: list[Finding] = []
    if not as_json:
        console.print(Text(f"{errand.target.shown}\n", style="bold"))
    async for finding in examine(errand):
        findings.append(finding)
        if not as_json:
            _print(console, finding)
    if as_json:
        _print_json(errand, findings)
    else:
        _print_summary(console, findings)
    return findings


def _print(console: Console, finding: Finding) -> None:
    from rich.text import Text

    styles = {"ok": "green", "warning": "yellow", "fault": "bold red", "skipped": "dim"}
    style = styles[finding.verdict]
    text = Text.assemble((f"{finding.verdict.value:<9}", style), (finding.step.value, "bold"), ": ")
    text.append(finding.evidence, "dim" if finding.verdict == "skipped" else "")
    if finding.cure:
        text.append(f"\n         {finding.cure}", style="dim")
    console.print(text)


def _print_summary(console: Console, findings: list[Finding]) -> None:
    from rich.text import Text

    counts = {"ok": 0, "warning": 0, "fault": 0, "skipped": 0}
    for finding in findings:
        counts[finding.verdict] += 1
    summary = "{ok} ok, {warning} to look at, {fault} to cure, {skipped} left out"
    console.print(Text(f"\n{summary.format(**counts)}", style="bold"))


def _print_json(errand: Errand, findings: list[Finding]) -> None:
    import orjson

    faults = sum(finding.verdict == "fault" for finding in findings)
    report = {
        "url": errand.target.shown,
        "ok": not faults,
        "faults": faults,
        "warnings": sum(finding.verdict == "warning" for finding in findings),
        "findings": [
            {
                "step": finding.step,
                "verdict": finding.verdict,
                "evidence": finding.evidence,
                "cure": finding.cure,
                "figures": dict(finding.figures),
            }
            for finding in findings
        ],
    }
    typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
