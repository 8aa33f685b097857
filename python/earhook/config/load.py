"""Read the configuration: file < environment < flags, all faults at once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from earhook.errors import ConfigurationError, ConfigurationFault

from .faults import faults_of
from .layers import Flag, read_layers
from .rules import broken_rules
from .schema import Configuration

__all__ = ["DEFAULT_FILE", "configuration_file", "flag", "load_configuration"]

DEFAULT_FILE = Path("earhook.toml")
FILE_VARIABLE = "EARHOOK_CONFIG"

Model = TypeVar("Model", bound=BaseModel)


def load_configuration(
    file: Path | None,
    environment: Mapping[str, str],
    flags: Sequence[Flag] = (),
) -> Configuration:
    """Read, merge, validate and resolve.

    Relative paths count from the directory of the file, or from the working directory when there
    is no file. Secrets that lie in files of their own are not read here.

    Args:
        file: The TOML file; None for none.
        environment: Usually `os.environ`; variables named `EARHOOK__SECTION__KEY` count.
        flags: What the command line says; the last word.

    Raises:
        ConfigurationError: With every fault that can be seen at once.
    """
    layers = read_layers(Configuration, file, environment, tuple(flags))
    faults = layers.faults
    try:
        configuration = Configuration.model_validate(layers.tree)
    except ValidationError as error:
        # Not chained: the original's text shows what was given, secrets among it.
        faults = [*faults, *faults_of(error, Configuration, layers)]
        raise ConfigurationError(faults) from None
    faults = [
        *faults,
        *(
            ConfigurationFault(layers.whence(rule.path), rule.what, rule.remedy)
            for rule in broken_rules(configuration)
        ),
    ]
    if faults:
        raise ConfigurationError(faults)
    return anchored(configuration, (file.parent if file else Path()).absolute())


def configuration_file(given: Path | None, environment: Mapping[str, str]) -> Path | None:
    """Which file to read: the given one, `$EARHOOK_CONFIG`, `earhook.toml` here, or none."""
    if given is not None:
        return given
    if named := environment.get(FILE_VARIABLE):
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def flag(assignment: str) -> Flag:
    """Read `section.key=value`; the value is TOML, or a bare string where it is no TOML.

    Raises:
        ConfigurationError: It has no `=` or no key.
    """
    name, equals, text = assignment.partition("=")
    path = tuple(part.strip() for part in name.split("."))
    if not equals or not all(path):
        fault = ConfigurationFault(
            f"--set {name}", "is no assignment", "write --set section.key=value"
        )
        raise ConfigurationError([fault])
    try:
        value: Any = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    return Flag(path, value, f"--set {name}")


def anchored(settings: Model, directory: Path) -> Model:
    """The same settings with every relative path, `unix:` ones too, counted from `directory`."""
    changes = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        absolute = _anchored_value(value, directory)
        if absolute is not value:
            changes[name] = absolute
    return settings.model_copy(update=changes) if changes else settings


def _anchored_value(value: object, directory: Path) -> object:
    if isinstance(value, Path):
        return value if value.is_absolute() else directory / value
    if isinstance(value, str) and value.startswith("unix:"):
        return f"unix:{directory / value.removeprefix('unix:')}"
    if isinstance(value, BaseModel):
        return anchored(value, directory)
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(_anchored_value(item, directory) for item in value)
    return value
