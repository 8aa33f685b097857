"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earhook.errors import ConfigurationError, ConfigurationFault

if TYPE_CHECKING:
    from earhook.config.layers import Flag
    from earhook.config.schema import Configuration

__all__ = ["ConfigOption", "SetOption", "find", "load"]

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The TOML file. Left out: $EARHOOK_CONFIG, or earhook.toml here, or no file.",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Lay one key over file and environment. May be given again.",
        show_default=False,
    ),
]


def find(given: Path | None) -> Path | None:
    """The file that a command reads: the given one, or where it looks by itself; None for none."""
    from earhook.config.load import configuration_file

    return configuration_file(given, os.environ)


def load(file: Path | None, assignments: list[str] | None) -> Configuration:
    """Read the configuration as the command line says.

    Raises:
        ConfigurationError: With all faults.
    """
    from earhook.config.load import load_configuration

    return load_configuration(find(file), os.environ, read_flags(assignments))


def read_flags(assignments: list[str] | None) -> list[Flag]:
    """Read every `--set`.

    Raises:
        ConfigurationError: With all faults.
    """
    from earhook.config.load import flag

    flags: list[Flag] = []
    faults: list[ConfigurationFault] = []
    for assignment in assignments or []:
        try:
            flags.append(flag(assignment))
        except ConfigurationError as error:
            faults.extend(error.faults)
    if faults:
        raise ConfigurationError(faults)
    return flags
