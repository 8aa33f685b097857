"""`earhook genesys`: what the Genesys Cloud API says of AudioHook, and a fake of it."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from earhook.errors import ConfigurationError, ConfigurationFault, GenesysError

from .dialling import CafileOption, read_secret_text

if TYPE_CHECKING:
    from earhook.genesys import AccountSettings, GenesysCloud, NetworkSettings, Region

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Ask the Genesys Cloud API about AudioHook.",
)

NOT_ALL_WELL: Final = 3
Value = TypeVar("Value")

RegionOption = Annotated[
    str | None,
    typer.Option(
        "--region",
        envvar="EARHOOK_GENESYS_REGION",
        help="Such as eu-central-1, euc1 or mypurecloud.de.",
        show_default=False,
    ),
]
ClientIdOption = Annotated[
    str | None,
    typer.Option(
        "--client-id",
        envvar="EARHOOK_GENESYS_CLIENT_ID",
        help="Id of an OAuth client of the grant type Client Credentials.",
        show_default=False,
    ),
]
ClientSecretFileOption = Annotated[
    Path | None,
    typer.Option(
        "--client-secret-file",
        metavar="FILE",
        help="A file with its secret. Left out: $EARHOOK_GENESYS_CLIENT_SECRET.",
    ),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="EARHOOK_GENESYS_URL",
        metavar="URL",
        help="Instead of a region: where both login and API are, as of `earhook genesys fake`.",
        show_default=False,
    ),
]
ProxyOption = Annotated[
    str | None,
    typer.Option(
        envvar="EARHOOK_GENESYS_PROXY",
        metavar="URL",
        help="An HTTP proxy. Left out: $HTTPS_PROXY and $NO_PROXY.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")]


@app.command("ip-ranges")
def ip_ranges(  # noqa: PLR0913, PLR0917 - a command's options
    region: RegionOption = None,
    client_id: ClientIdOption = None,
    client_secret_file: ClientSecretFileOption = None,
    url: UrlOption = None,
    proxy: ProxyOption = None,
    cafile: CafileOption = None,
    aws_region: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only networks of this region. May be given again."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write them to a file that `access.networks_file` reads, at once as a whole.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print or write the networks that Genesys Cloud sends audio from."""
    access = _read_access(region, url, client_id, client_secret_file, (proxy, cafile))
    found = _ask(access, lambda cloud: cloud.ip_ranges(regions=aws_region or ()))
    if not found:
        raise GenesysError("there is no network of audiohook or audio-connector in the answer")
    networks = list(dict.fromkeys(str(one.network) for one in found))
    if output is not None:
        heading = "# Networks of Genesys Cloud that send audio"
        _write_whole(output, "\n".join([heading, *networks, ""]))
    if as_json:
        rows = [
            {"network": str(one.network), "service": one.service, "region": one.region}
            for one in found
        ]
        _print_json({"ip_ranges": rows})
    elif output is not None:
        typer.echo(f"{len(networks)} networks written to {output}")
    else:
        typer.echo("\n".join(networks))


@app.command()
def status(  # noqa: PLR0913, PLR0917 - a command's options
    region: RegionOption = None,
    client_id: ClientIdOption = None,
    client_secret_file: ClientSecretFileOption = None,
    url: UrlOption = None,
    proxy: ProxyOption = None,
    cafile: CafileOption = None,
    hours: Annotated[float, typer.Option(min=0.1, max=720, help="Events of so long ago.")] = 24.0,
    as_json: JsonOption = False,
) -> None:
    """Show integrations, AudioHooks and error events as Genesys Cloud reports them.

    What the OAuth client may not see is named. Ends with 3 if something that is enabled does
    not work.
    """
    access = _read_access(region, url, client_id, client_secret_file, (proxy, cafile))
    report = _ask(access, lambda cloud: _look(cloud, hours))
    if as_json:
        _print_json({**report.sections, "unseen": report.unseen, "well": report.is_well})
    else:
        _print_report(report)
    if not report.is_well:
        raise typer.Exit(NOT_ALL_WELL)


@app.command()
def fake(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: the system chooses.")] = 0,
) -> None:
    """Serve a fake Genesys Cloud on this machine, to try things by hand, until Ctrl-C.

    It really probes what is enabled there. Nothing of it is kept.
    """
    from earhook.testing.genesys import FakeGenesys, Reach

    async def serve() -> None:
        server = FakeGenesys()
        client = server.add_client()
        server.health.examine = Reach()
        server.organization.ip_ranges.append(
            {"cidr": "127.0.0.1/32", "service": "audiohook", "region": "fake"}
        )
        async with server.served(port=port):
            typer.echo(f"export EARHOOK_GENESYS_URL={server.url}")
            typer.echo(f"export EARHOOK_GENESYS_CLIENT_ID={client.id}")
            typer.echo(f"export EARHOOK_GENESYS_CLIENT_SECRET={client.secret}")
            await asyncio.Event().wait()

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        raise typer.Exit from None


@dataclass(frozen=True, slots=True)
class _Access:
    region: Region
    account: AccountSettings
    network: NetworkSettings


@dataclass(frozen=True, slots=True)
class _Report:
    sections: dict[str, list[dict[str, Any]]]
    unseen: dict[str, str]
    is_well: bool


def _read_access(
    region: str | None,
    url: str | None,
    client_id: str | None,
    client_secret_file: Path | None,
    way: tuple[str | None, Path | None],
) -> _Access:
    """Everything that a command needs before it asks.

    Raises:
        ConfigurationError: With all faults.
    """
    from pydantic import SecretStr

    from earhook.genesys import AccountSettings, NetworkSettings, custom_region, find_region

    faults: list[ConfigurationFault] = []
    place = None
    if region is None and url is None:
        faults.append(ConfigurationFault("--region", "is missing", "or give --url"))
    else:
        try:
            place = custom_region(url, url) if url is not None else find_region(region or "")
        except ConfigurationError as error:
            faults.extend(error.faults)
    if not client_id:
        faults.append(ConfigurationFault("--client-id", "is missing", "see Integrations > OAuth"))
    environment = os.environ.get("EARHOOK_GENESYS_CLIENT_SECRET")
    try:
        secret = read_secret_text("--client-secret", environment, client_secret_file)
    except ConfigurationError as error:
        faults.extend(error.faults)
        secret = None
    if not secret and not faults:
        remedy = "set EARHOOK_GENESYS_CLIENT_SECRET, or give a file"
        faults.append(ConfigurationFault("--client-secret-file", "is missing", remedy))
    if faults or place is None:
        raise ConfigurationError(faults)
    proxy, cafile = way
    return _Access(
        place,
        AccountSettings(client_id=client_id or "", client_secret=SecretStr(secret or "")),
        NetworkSettings(proxy=None if proxy is None else SecretStr(proxy), ca_file=cafile),
    )


def _ask(access: _Access, question: Callable[[GenesysCloud], Awaitable[Value]]) -> Value:
    from earhook.genesys import GenesysCloud

    async def asking() -> Value:
        async with GenesysCloud(access.region, access.account, network=access.network) as cloud:
            return await question(cloud)

    return asyncio.run(asking())


async def _look(cloud: GenesysCloud, hours: float) -> _Report:
    await cloud.log_in()
    now = time.time()
    views: dict[str, Callable[[], Awaitable[list[dict[str, Any]]]]] = {
        "integrations": lambda: _integrations(cloud),
        "audiohooks": lambda: _audiohooks(cloud),
        "events": lambda: _events(cloud, now - hours * 3600, now),
    }
    sections: dict[str, list[dict[str, Any]]] = {}
    unseen: dict[str, str] = {}
    for name, view in views.items():
        try:
            sections[name] = await view()
        except GenesysError as error:
            unseen[name] = str(error)
    bad = [one for rows in sections.values() for one in rows if one.get("works") is False]
    return _Report(sections, unseen, not bad and len(unseen) < len(views))


async def _integrations(cloud: GenesysCloud) -> list[dict[str, Any]]:
    rows = []
    for one in await cloud.integrations.list():
        configuration = one.configuration
        wanted = one.intended_state == "ENABLED"
        rows.append(
            {
                "id": one.id,
                "title": one.name,
                "state": one.reported_state,
                "reason": one.reason,
                "url": configuration.connection_uri if configuration else "",
                "channel": configuration.channel if configuration else "",
                "works": one.reported_state == "ACTIVE" if wanted else None,
            }
        )
    return rows


async def _audiohooks(cloud: GenesysCloud) -> list[dict[str, Any]]:
    return [
        {
            "id": one.id,
            "title": one.name,
            "state": one.status,
            "reason": one.reason,
            "url": one.destination_url,
            "channel": one.format,
            # Disabled with a reason: the platform did it.
            "works": False if one.reason else True if one.status == "ENABLED" else None,
        }
        for one in await cloud.audiohooks.list()
    ]


async def _events(cloud: GenesysCloud, since: float, until: float) -> list[dict[str, Any]]:
    return [
        {
            "id": one.entity_id,
            "title": one.entity_name,
            "state": one.code,
            "reason": one.detail or one.title,
            "at": one.wall_seconds,
            "conversation": one.conversation_id,
        }
        for one in await cloud.events.between(since, until)
    ]


def _print_report(report: _Report) -> None:
    from rich.console import Console
    from rich.text import Text

    from earhook.ops.redaction import printable

    console = Console(highlight=False, soft_wrap=True)
    for name, rows in report.sections.items():
        console.print(Text(f"{name}: {len(rows) or 'none'}", "bold"))
        for row in rows:
            style = "red" if row.get("works") is False else ""
            parts = [row["state"], row["title"], row["id"], row.get("url", ""), row["reason"]]
            line = "  ".join(printable(part) for part in parts if part)
            console.print(Text(f"  {line}", style))
    for name, reason in report.unseen.items():
        console.print(Text(f"{name}: not seen: {reason}", "yellow"))


def _print_json(fields: dict[str, Any]) -> None:
    import orjson

    typer.echo(orjson.dumps(fields).decode())


def _write_whole(path: Path, text: str) -> None:
    """Replace a file, so that whoever reads it finds the old one or the new one, and whole.

    Raises:
        ConfigurationError: It cannot be written.
    """
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}-", delete=False
        ) as file:
            file.write(text)
        Path(file.name).chmod(0o644)
        Path(file.name).replace(path)
    except OSError as error:
        fault = ConfigurationFault("--output", f"{path}: {error.strerror}", "see its directory")
        raise ConfigurationError([fault]) from None
