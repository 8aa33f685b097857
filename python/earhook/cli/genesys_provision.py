"""`earhook genesys plan|apply|probe|destroy`: from a description to the state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from earhook.errors import ConfigurationError, ConfigurationFault

from .genesys_access import NOT_AS_WANTED, Access, JsonOption, gathered, with_access
from .genesys_view import (
    change_json,
    finding_json,
    outcome_json,
    print_finding,
    print_json,
    print_outcome,
    print_plan,
    progress,
)

if TYPE_CHECKING:
    from earhook.genesys import GenesysCloud
    from earhook.genesys.changes import Outcome, Plan
    from earhook.genesys.examination import Examiner
    from earhook.genesys.probing import Probed
    from earhook.genesys.provisioning import Say
    from earhook.genesys.wanted_file import Wanted

    from .genesys_access import Way

__all__ = [
    "DEFAULT_FILE",
    "FileArgument",
    "apply",
    "destroy",
    "plan",
    "probe",
    "read_description",
]

DEFAULT_FILE: Final = Path("genesys.toml")
Value = TypeVar("Value")

FileArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        envvar="EARHOOK_GENESYS_FILE",
        help="The description, see `earhook genesys example`.",
    ),
]
EndpointCafileOption = Annotated[
    Path | None,
    typer.Option(
        metavar="PEM",
        help="At endpoints, put up with authorities of this file. Genesys Cloud does not.",
    ),
]
WatchSecondsOption = Annotated[
    float,
    typer.Option(
        min=0.0, max=3600.0, help="How long the platform may take to disable what it cannot use."
    ),
]


@with_access
def plan(
    access: Access,
    file: FileArgument = DEFAULT_FILE,
    as_json: JsonOption = False,
) -> None:
    """Show what `apply` would change. Changes nothing and writes nothing.

    Ends with 0 when everything is as described, 3 when something would be changed, 1 when the
    description has faults or Genesys Cloud cannot be asked.
    """
    from earhook.genesys.planning import plan_changes

    wanted, way = read_description(access, file)
    found = _ask(way, lambda cloud, _say: plan_changes(cloud, wanted))
    if as_json:
        changes = [change_json(one) for one in found.changes]
        print_json({"changes": changes, "left_alone": list(found.left_alone)})
    else:
        print_plan(found)
    if found.changes:
        raise typer.Exit(NOT_AS_WANTED)


@with_access
def apply(
    access: Access,
    file: FileArgument = DEFAULT_FILE,
    watch_seconds: WatchSecondsOption = 90.0,
    endpoint_cafile: EndpointCafileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make everything as described; twice is the same as once.

    What is new is made disabled, its endpoint tested, then enabled, and watched: the platform
    looks later, and disables what it cannot use. Nothing that works is pointed at an endpoint
    that does not. What the description does not name is left alone.

    Ends with 0 when everything is as described, 3 when something is not, with the reason; 1 when
    the description has faults, or nothing could be asked.
    """
    from earhook.genesys.planning import plan_changes

    wanted, way = read_description(access, file)
    examiner = _examiner(endpoint_cafile)

    async def work(cloud: GenesysCloud, say: Say) -> tuple[Plan, list[Outcome]]:
        found = await plan_changes(cloud, wanted)
        return found, await _carry_out(cloud, wanted, found, (examiner, say, watch_seconds))

    found, outcomes = _ask(way, work, examiner)
    is_well = all(one.is_done for one in outcomes)
    if as_json:
        rows = [outcome_json(one) for one in outcomes]
        left = list(found.left_alone)
        print_json({"outcomes": rows, "left_alone": left, "well": is_well})
    else:
        _print_outcomes(outcomes)
    if not is_well:
        raise typer.Exit(NOT_AS_WANTED)


@with_access
def probe(
    access: Access,
    file: FileArgument = DEFAULT_FILE,
    from_here: Annotated[
        bool, typer.Option("--from-here", help="Do not ask Genesys Cloud to probe as well.")
    ] = False,
    watch_seconds: WatchSecondsOption = 90.0,
    endpoint_cafile: EndpointCafileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Examine every described endpoint from here, then have Genesys Cloud probe it.

    Only what is enabled there is probed by the platform, and only what is fit from here.
    `earhook doctor URL` looks at more.

    Ends with 0 when all is well, 3 when something is not, 1 when the description has faults.
    """
    from earhook.genesys.probing import probe_all

    wanted, way = _described_only(file) if from_here else read_description(access, file)
    examiner = _examiner(endpoint_cafile)

    async def work(cloud: GenesysCloud | None, say: Say) -> list[Probed]:
        probes = probe_all(cloud, wanted, examiner, say, watch_seconds)
        return [one async for one in probes]

    if way is None:
        with progress() as say:
            found = asyncio.run(work(None, say))
    else:
        found = _ask(way, work, examiner)
    is_well = all(one.is_well for one in found)
    if as_json:
        print_json({"probed": [_probed_json(one) for one in found], "well": is_well})
    else:
        _print_probed(found)
    if not is_well:
        raise typer.Exit(NOT_AS_WANTED)


@with_access
def destroy(
    access: Access,
    file: FileArgument = DEFAULT_FILE,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete everything described: each integration, then its credential; AudioHooks.

    Asks before. Key files, and the switches of queues, stay as they are.

    Ends with 0 when nothing of it is there any more, 3 when something is, 1 when the description
    has faults, nothing could be asked, or the answer was no.
    """
    from earhook.genesys.planning import plan_deletion

    wanted, way = read_description(access, file, names_only=True)
    found = _ask(way, lambda cloud, _say: plan_deletion(cloud, wanted))
    if found.changes and not yes:
        for change in found.changes:
            typer.echo(f"- {change.kind} {change.name!r}  {change.id}", err=True)
        typer.confirm("Delete all of these?", abort=True, err=True)
    outcomes: list[Outcome] = []
    if found.changes:
        examiner = _examiner(None)
        outcomes = _ask(
            way, lambda cloud, say: _carry_out(cloud, wanted, found, (examiner, say, 0.0))
        )
    is_gone = all(one.is_done for one in outcomes)
    if as_json:
        print_json({"outcomes": [outcome_json(one) for one in outcomes], "gone": is_gone})
    elif not outcomes:
        typer.echo("nothing of it is there")
    else:
        _print_outcomes(outcomes)
    if not is_gone:
        raise typer.Exit(NOT_AS_WANTED)


def read_description(access: Access, file: Path, *, names_only: bool = False) -> tuple[Wanted, Way]:
    """Read what is described and the way there.

    Raises:
        ConfigurationError: With all faults of both.
    """
    from earhook.genesys.wanted_file import read_wanted

    faults: list[ConfigurationFault] = []
    wanted = gathered(faults, lambda: read_wanted(file, names_only=names_only))
    region = _ANY_REGION if wanted is None else wanted.state.region
    way = gathered(faults, lambda: access.read(region))
    if faults or wanted is None or way is None:
        raise ConfigurationError(faults)
    return wanted, way


def _described_only(file: Path) -> tuple[Wanted, None]:
    from earhook.genesys.wanted_file import read_wanted

    return read_wanted(file), None


def _examiner(cafile: Path | None) -> Examiner:
    import logging

    from earhook.doctor import Trust
    from earhook.genesys.examination import Examiner

    # What the WebSocket library would write of a sick server stands in the findings.
    logging.getLogger("picows").addHandler(logging.NullHandler())
    try:
        return Examiner(Trust.load(cafile, None, insecure=False))
    except ConfigurationError as error:
        faults = [one._replace(where="--endpoint-cafile") for one in error.faults]
        raise ConfigurationError(faults) from None


def _ask(
    way: Way,
    work: Callable[[GenesysCloud, Say], Awaitable[Value]],
    examiner: Examiner | None = None,
) -> Value:
    """Work with Genesys Cloud while progress is shown."""
    import uvloop

    async def working() -> Value:
        async with way.cloud(examiner) as cloud:
            return await work(cloud, say)

    with progress() as say, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(working())


async def _carry_out(
    cloud: GenesysCloud, wanted: Wanted, plan: Plan, means: tuple[Examiner, Say, float]
) -> list[Outcome]:
    from earhook.genesys.provisioning import Provisioning

    examiner, say, watch_seconds = means
    provisioning = Provisioning(cloud, examiner, say, watch_seconds)
    return [one async for one in provisioning.apply(wanted, plan)]


def _print_outcomes(outcomes: list[Outcome]) -> None:
    for one in outcomes:
        print_outcome(one)
    if not outcomes:
        typer.echo("everything is as described")


def _print_probed(found: list[Probed]) -> None:
    for one in found:
        typer.echo(f"{one.kind} {one.name!r}  {one.url}")
        for finding in one.findings:
            print_finding(finding)
        typer.echo(f"  Genesys Cloud: {one.platform}")


def _probed_json(one: Probed) -> dict[str, Any]:
    return {
        "kind": str(one.kind),
        "name": one.name,
        "url": one.url,
        "findings": [finding_json(finding) for finding in one.findings],
        "platform": one.platform,
        "well": one.is_well,
    }


_ANY_REGION: Final = "us-east-1"
"""Stands in where the description cannot be read, so that only its own faults are told."""
