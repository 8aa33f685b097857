"""`earhook genesys`: sets AudioHook up in Genesys Cloud, keeps it true, says what is wrong."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earhook.errors import ConfigurationError, GenesysError

from . import genesys_fake, genesys_files, genesys_live, genesys_provision
from .genesys_access import NOT_AS_WANTED, Access, JsonOption, asked, with_access
from .genesys_provision import read_description
from .genesys_view import change_json, print_json, print_plan, print_row

if TYPE_CHECKING:
    from earhook.genesys import GenesysCloud
    from earhook.genesys.changes import Plan
    from earhook.genesys.survey import Survey
    from earhook.genesys.wanted_file import Wanted

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Set AudioHook up in Genesys Cloud, keep it true, see what is wrong.",
)


@with_access
def status(
    access: Access,
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Compare with this description, and look at its queues."),
    ] = None,
    hours: Annotated[float, typer.Option(min=0.1, max=720, help="Events of so long ago.")] = 24.0,
    as_json: JsonOption = False,
) -> None:
    """Show integrations, AudioHooks and error events as Genesys Cloud reports them.

    What the OAuth client may not see is named.

    Ends with 0, 3 if something that is enabled does not work or differs from the description,
    1 when nothing could be asked.
    """
    wanted, way = (None, access.read()) if file is None else read_description(access, file)
    seen, plan = asked(way, lambda cloud: _look(cloud, wanted, hours))
    is_well = seen.is_well and (plan is None or not plan.changes)
    if as_json:
        differs = {} if plan is None else {"changes": [change_json(one) for one in plan.changes]}
        room = {"room_for_integrations": seen.room_for_integrations}
        print_json({**seen.sections, "unseen": seen.unseen, **room, **differs, "well": is_well})
    else:
        _print_survey(seen)
        if plan is not None:
            print_plan(plan)
    if not is_well:
        raise typer.Exit(NOT_AS_WANTED)


@with_access
def ip_ranges(
    access: Access,
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
    """Print or write the networks that Genesys Cloud sends audio from.

    Ends with 0, or 1 when there is none or nothing could be asked; a file then stays as it is.
    """
    found = asked(access.read(), lambda cloud: cloud.ip_ranges(regions=aws_region or ()))
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
        print_json({"ip_ranges": rows})
    elif output is not None:
        typer.echo(f"{len(networks)} networks written to {output}")
    else:
        typer.echo("\n".join(networks))


async def _look(
    cloud: GenesysCloud, wanted: Wanted | None, hours: float
) -> tuple[Survey, Plan | None]:
    from earhook.genesys.planning import plan_changes
    from earhook.genesys.survey import survey

    queues = () if wanted is None else wanted.state.monitored_queues
    seen = await survey(cloud, time.time(), hours=hours, queue_ids=queues)
    return seen, None if wanted is None else await plan_changes(cloud, wanted)


def _print_survey(seen: Survey) -> None:
    from rich.console import Console
    from rich.text import Text

    from earhook.ops.redaction import printable

    console = Console(highlight=False, soft_wrap=True)
    for name, rows in seen.sections.items():
        room = f", room for {seen.room_for_integrations}" if name == "integrations" else ""
        console.print(Text(f"{name}: {len(rows) or 'none'}{room}", "bold"))
        for row in rows:
            print_row(row, is_bad=row.get("works") is False)
    for name, reason in seen.unseen.items():
        console.print(Text(f"{name}: not seen: {printable(reason, 1000)}", "yellow"))


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
        raise ConfigurationError.of(
            "--output", f"{path}: {error.strerror}", "see its directory"
        ) from None


for _command in (
    *(genesys_files.example, genesys_files.keys),
    *(genesys_provision.plan, genesys_provision.apply, genesys_provision.probe),
    *(status, genesys_live.watch),
    *(genesys_live.bind, genesys_live.pause, genesys_live.resume),
    *(ip_ranges, genesys_provision.destroy, genesys_files.terraform, genesys_fake.fake),
):
    app.command()(_command)
