"""Where things are in the configuration: paths through nested settings, and names near others."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterator, Sequence
from typing import NamedTuple, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

__all__ = [
    "Path",
    "Place",
    "dotted",
    "every_place",
    "find",
    "holds_secret",
    "line_numbers",
    "models_in",
    "nearest",
]

Path = tuple[str | int, ...]
"""A way into the configuration: names of keys and numbers of tables."""


class Place(NamedTuple):
    """What the schema knows of a path. `field` is None where no such key exists."""

    path: Path
    field: FieldInfo | None
    siblings: tuple[str, ...]


def models_in(annotation: object) -> tuple[type[BaseModel], ...]:
    """The settings that a value of this annotation may consist of, through unions and tuples."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    found = (model for part in get_args(annotation) for model in models_in(part))
    return tuple(dict.fromkeys(found))


def holds_secret(annotation: object) -> bool:
    """Whether a value of this annotation has a secret in it, at any depth."""
    if annotation in (SecretStr, SecretBytes):
        return True
    inner = [field.annotation for model in models_in(annotation) for field in _fields(model)]
    return any(holds_secret(part) for part in (*get_args(annotation), *inner))


def find(root: type[BaseModel], location: Sequence[str | int]) -> Place:
    """Follow `location` (as pydantic reports it) through the schema.

    Parts that are not in a file, such as the kind that chose one of several settings, are left
    out of the resulting path.
    """
    models: tuple[type[BaseModel], ...] = (root,)
    siblings = _keys(models)
    field: FieldInfo | None = None
    path: list[str | int] = []
    for step, part in enumerate(location):
        last = step == len(location) - 1
        if isinstance(part, int):
            path.append(part)
            continue
        owners = [model for model in models if part in model.model_fields]
        if owners:
            field = owners[0].model_fields[part]
            siblings = _keys(models)
            models = tuple(found for owner in owners for found in _below(owner, part))
            path.append(part)
        elif chosen := [model for model in models if _is_kind(model, part)]:
            models = tuple(chosen)
        elif last:
            return Place((*path, part), None, _keys(models))
    return Place(tuple(path), field, siblings)


def every_place(model: type[BaseModel], before: Path = ()) -> Iterator[tuple[Path, FieldInfo]]:
    """Every key of the configuration with its declaration, in order, sections before keys."""
    for name, field in model.model_fields.items():
        path = (*before, name)
        yield path, field
        for inner in models_in(field.annotation):
            yield from every_place(inner, path)


def dotted(path: Path) -> str:
    """`("sinks", 0, "kind")` as `sinks[0].kind`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def nearest(name: str, known: Sequence[str]) -> str | None:
    """The known name that was probably meant."""
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return close[0] if close else None


def line_numbers(toml: str) -> dict[Path, int]:
    """The line on which each key and table of a TOML text begins, as far as plain to see."""
    lines: dict[Path, int] = {}
    tables: dict[Path, int] = {}
    section: Path = ()
    for number, line in enumerate(toml.splitlines(), start=1):
        if header := _HEADER.match(line):
            names = _names(header["names"])
            section = _counted(names, tables, starts=bool(header["array"]))
            lines.setdefault(section, number)
        elif key := _KEY.match(line):
            lines.setdefault((*section, *_names(key["names"])), number)
    return lines


def _counted(names: Path, tables: dict[Path, int], *, starts: bool) -> Path:
    """`names` with the number of the array table they lie in put where it belongs."""
    if starts:
        tables[names] = tables.get(names, -1) + 1
        return (*names, tables[names])
    for length in range(len(names), 0, -1):
        if names[:length] in tables:
            return (*names[:length], tables[names[:length]], *names[length:])
    return names


def _names(text: str) -> Path:
    return tuple(part.strip().strip("\"'") for part in text.split("."))


def _fields(model: type[BaseModel]) -> list[FieldInfo]:
    return list(model.model_fields.values())


def _below(model: type[BaseModel], name: str) -> tuple[type[BaseModel], ...]:
    return models_in(model.model_fields[name].annotation)


def _keys(models: Sequence[type[BaseModel]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for model in models for name in model.model_fields))


def _is_kind(model: type[BaseModel], tag: str) -> bool:
    return any(
        get_origin(field.annotation) is typing.Literal and tag in get_args(field.annotation)
        for field in _fields(model)
    )


_HEADER = re.compile(r"\s*\[(?P<array>\[)?(?P<names>[^\[\]]+)\]")
_KEY = re.compile(r"\s*(?P<names>[A-Za-z0-9_.\"'-]+)\s*=")
