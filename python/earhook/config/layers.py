"""The three layers of a configuration, each lying over the one before: file, environment, flags."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

from earhook.errors import ConfigurationFault

from .places import Path, dotted, line_numbers, nearest

__all__ = ["Flag", "Layers", "read_layers", "variable_of"]

ENVIRONMENT_PREFIX = "EARHOOK__"
MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Flag:
    """One key given on the command line, and how it was written there."""

    path: tuple[str, ...]
    value: Any
    written: str


@dataclass(frozen=True, slots=True)
class Layers:
    """All layers merged into one tree of plain values, and where each value came from."""

    tree: dict[str, Any]
    file: FilePath | None
    lines: Mapping[Path, int]
    environment: Mapping[str, str]
    flags: tuple[Flag, ...]
    faults: list[ConfigurationFault] = field(default_factory=list)

    def whence(self, path: Path) -> str:
        """Name the place an operator has to look at: the flag, the variable, the line."""
        name = dotted(path)
        for flag in reversed(self.flags):
            if path[: len(flag.path)] == flag.path:
                return f"{flag.written}: {name}"
        for length in range(len(path), 0, -1):
            variable = variable_of(path[:length])
            if variable in self.environment:
                return f"{variable}: {name}"
        if self.file is None:
            return name
        for length in range(len(path), 0, -1):
            if line := self.lines.get(path[:length]):
                return f"{self.file}:{line}: {name}"
        return f"{self.file}: {name}"

    def whence_inside(self, path: Path) -> str | None:
        """The flag or variable that gives a single key of `path`; None if none does."""
        for flag in reversed(self.flags):
            if flag.path[: len(path)] == path and len(flag.path) > len(path):
                return f"{flag.written}: {dotted(path)}"
        for variable in self.environment:
            if variable.startswith(f"{variable_of(path)}__"):
                return f"{variable}: {dotted(path)}"
        return None


def variable_of(path: Path) -> str:
    """The environment variable that gives a key."""
    return ENVIRONMENT_PREFIX + "__".join(str(part) for part in path).upper()


def read_layers(
    schema: type[BaseModel],
    file: FilePath | None,
    environment: Mapping[str, str],
    flags: tuple[Flag, ...],
) -> Layers:
    """Read and merge; what cannot be read is a fault, and the rest is still read."""
    faults: list[ConfigurationFault] = []
    text = "" if file is None else _file_text(file, faults)
    tree = _parsed(text, file, faults)
    ours = {
        name.upper(): value
        for name, value in environment.items()
        if name.upper().startswith(ENVIRONMENT_PREFIX)
    }
    faults.extend(_unknown_variables(schema, ours))
    _lay_over(tree, _EnvironmentLayer(schema, ours)())
    for flag in flags:
        value: Any = flag.value
        for name in reversed(flag.path):
            value = {name: value}
        _lay_over(tree, value)
    return Layers(tree, file, line_numbers(text), ours, flags, faults)


class _EnvironmentLayer(EnvSettingsSource):
    """Variables `EARHOOK__SECTION__KEY` as a tree; lists and tables may be given as JSON."""

    def __init__(self, schema: type[BaseModel], variables: Mapping[str, str]) -> None:
        self._variables = {name.lower(): value for name, value in variables.items()}
        super().__init__(
            # The source only reads the fields of the class, which any model has.
            cast("type[BaseSettings]", schema),
            case_sensitive=False,
            env_prefix=ENVIRONMENT_PREFIX,
            env_nested_delimiter="__",
        )

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._variables

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: object) -> object:
        """Leave what is no JSON as it is, so that validation reports it with all other faults."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except json.JSONDecodeError:
            return value


def _file_text(file: FilePath, faults: list[ConfigurationFault]) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            faults.append(ConfigurationFault(str(file), "is larger than 1 MiB", "is it the file?"))
            return ""
        return content.decode()
    except OSError as error:
        remedy = "`earhook config init` writes one" if isinstance(error, FileNotFoundError) else ""
        faults.append(ConfigurationFault(str(file), f"cannot be read: {error.strerror}", remedy))
    except UnicodeDecodeError:
        faults.append(ConfigurationFault(str(file), "is not UTF-8 text", "save it as UTF-8"))
    return ""


def _parsed(text: str, file: FilePath | None, faults: list[ConfigurationFault]) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        faults.append(ConfigurationFault(str(file), f"is not TOML: {error}", "correct that line"))
        return {}


def _unknown_variables(
    schema: type[BaseModel], variables: Mapping[str, str]
) -> list[ConfigurationFault]:
    """Variables whose section does not exist; unknown keys of known sections show up later."""
    faults = []
    for variable in variables:
        section = variable.removeprefix(ENVIRONMENT_PREFIX).partition("__")[0].lower()
        if section not in schema.model_fields:
            close = nearest(section, tuple(schema.model_fields))
            remedy = f"did you mean {ENVIRONMENT_PREFIX}{close.upper()}__…?" if close else ""
            faults.append(ConfigurationFault(variable, f"there is no section {section!r}", remedy))
    return faults


def _lay_over(tree: dict[str, Any], upper: Mapping[str, Any]) -> None:
    """Put `upper` over `tree`: tables are merged, everything else is replaced."""
    for name, value in upper.items():
        lower = tree.get(name)
        if isinstance(lower, dict) and isinstance(value, Mapping):
            _lay_over(lower, value)
        else:
            tree[name] = value
