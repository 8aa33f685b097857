"""`earhook genesys example|keys|terraform`: files, without anybody being asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .genesys_access import JsonOption
from .genesys_provision import DEFAULT_FILE, FileArgument
from .genesys_view import print_json

__all__ = ["example", "keys", "terraform"]


def example() -> None:
    """Print an annotated description, to start from."""
    from earhook.genesys.example import EXAMPLE

    typer.echo(EXAMPLE, nl=False)


def keys(
    file: FileArgument = DEFAULT_FILE,
    gateway: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The configuration of the gateway: what it lacks of `keys` is written into it.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make the keys of a description whose files do not exist, and let the gateway know them.

    A key file is for both sides: the gateway reads it, `apply` stores what it holds in Genesys
    Cloud. Only its owner can read it. No key is shown. A gateway that runs takes new keys at
    SIGHUP.

    Ends with 0, or 1 when the description has faults or a file cannot be written.
    """
    from earhook.genesys.gateway_keys import add_keys
    from earhook.genesys.keys import write_keys
    from earhook.genesys.wanted_file import read_wanted

    wanted = read_wanted(file, make_keys=True)
    write_keys(wanted.fresh_keys)
    made = [str(path) for path in wanted.fresh_keys]
    added = [] if gateway is None else add_keys(gateway, wanted.state, file.parent)
    if as_json:
        print_json({"made": made, "gateway_keys_added": added})
        return
    for path in made:
        typer.echo(f"made {path}")
    if not made:
        typer.echo("every key file is there")
    if gateway is not None and not added:
        typer.echo(f"{gateway} knows every key")
    for name in added:
        typer.echo(f"added [[keys]] {name!r} to {gateway}")


def terraform(
    file: FileArgument = DEFAULT_FILE,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIRECTORY", help="Where the module is written."),
    ] = Path("terraform"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the integrations of a description as a Terraform module.

    It uses the resources genesyscloud_integration and genesyscloud_integration_credential of the
    provider mypurecloud/genesyscloud. Secrets are variables; none is written. Nobody is asked.

    Ends with 0, or 1 when the description has faults or a file cannot be written.
    """
    from earhook.genesys.terraform import module_files, write_module
    from earhook.genesys.wanted_file import read_wanted

    # Keys that are missing are made up for the check of the fields, and forgotten.
    files = module_files(read_wanted(file, make_keys=True))
    write_module(output, files, overwrite=force)
    written = [str(output / name) for name in files]
    if as_json:
        print_json({"files": written})
    else:
        typer.echo("\n".join(f"wrote {path}" for path in written))
