"""The schema as sections and rows: what the reference page and the starter file are made from."""

from __future__ import annotations

import datetime
import enum
import json
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

import annotated_types
from pydantic import AwareDatetime, BaseModel, SecretStr
from pydantic.fields import FieldInfo

from .places import models_in

__all__ = ["Row", "Section", "as_toml", "sections"]


class Row(NamedTuple):
    """One key. `default` is TOML text, None where the key has none."""

    name: str
    accepts: str
    default: str | None
    required: bool
    text: str


class Section(NamedTuple):
    """One table.

    `is_list` tables are written `[[name]]` and may come any number of times; what an
    `is_optional` one switches on is off without it.
    """

    name: str
    is_list: bool
    is_optional: bool
    kind: str | None
    text: str
    rows: tuple[Row, ...]

    @property
    def header(self) -> str:
        """The table's line in a TOML file."""
        return f"[[{self.name}]]" if self.is_list else f"[{self.name}]"


def sections(model: type[BaseModel]) -> Iterator[Section]:
    """Every table of the configuration, in the order of the schema."""
    for name, field in model.model_fields.items():
        for inner in models_in(field.annotation):
            yield from _sections_of(inner, name, field)


def as_toml(value: object, name: str = "") -> str:
    """A plain value as TOML text; file modes, told by the key's name, in octal."""
    if isinstance(value, enum.Enum):
        return as_toml(value.value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and _is_mode(name):
        return f"0o{value:o}"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple | list | set | frozenset):
        return f"[{', '.join(as_toml(item) for item in value)}]"
    return json.dumps(str(value), ensure_ascii=False)


def _sections_of(model: type[BaseModel], name: str, declared: FieldInfo) -> Iterator[Section]:
    is_list = _is_list(declared.annotation)
    is_optional = not declared.is_required() and declared.default is None
    fields = model.model_fields
    rows = tuple(
        _row(key, field) for key, field in fields.items() if not models_in(field.annotation)
    )
    yield Section(name, is_list, is_optional, _kind(model), _plain_text(model), rows)
    for key, field in fields.items():
        for inner in models_in(field.annotation):
            yield from _sections_of(inner, f"{name}.{key}", field)


def _row(name: str, field: FieldInfo) -> Row:
    default = None
    if not field.is_required():
        value = field.get_default(call_default_factory=True)
        default = None if value is None else as_toml(value, name)
    accepts = _accepts(field.annotation) + _bounds(field.metadata)
    if _is_mode(name):
        accepts = "file mode"
    return Row(name, accepts, default, field.is_required(), field.description or "")


def _plain_text(model: type[BaseModel]) -> str:
    """The docstring in one paragraph, without the section's name that begins it in the source."""
    text = " ".join((model.__doc__ or "").split())
    return re.sub(r"^`\[+[^`]*`(?: with `[^`]*`)?:\s*(\w)", lambda m: m[1].upper(), text)


def _kind(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("kind")
    if field is None or get_origin(field.annotation) is not Literal:
        return None
    return str(get_args(field.annotation)[0])


def _is_mode(name: str) -> bool:
    return name.endswith("_mode")


def _is_list(annotation: object) -> bool:
    return get_origin(annotation) in (tuple, list)


def _accepts(annotation: object) -> str:
    """What may be written, in words."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return _accepts(parts[0]) + _bounds(list(parts[1:]))
    if origin is Literal:
        return ", ".join(f"`{as_toml(part)}`" for part in parts)
    if origin in (typing.Union, types.UnionType):
        words = [_accepts(part) for part in parts if part is not type(None)]
        return " or ".join(words)
    if origin in (tuple, list, frozenset):
        return f"list of {_PLURALS.get(parts[0]) or _accepts(parts[0])}"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return ", ".join(f"`{as_toml(member)}`" for member in annotation)
    return _WORDS.get(annotation, "text")


def _bounds(metadata: list[Any]) -> str:
    words = []
    for bound in metadata:
        if isinstance(bound, annotated_types.Ge):
            words.append(f"from {bound.ge}")
        elif isinstance(bound, annotated_types.Gt):
            words.append(f"above {bound.gt}")
        elif isinstance(bound, annotated_types.Le):
            words.append(f"to {bound.le}")
        elif isinstance(bound, annotated_types.Lt):
            words.append(f"below {bound.lt}")
        elif isinstance(bound, annotated_types.MaxLen):
            words.append(f"at most {bound.max_length}")
    return f", {' '.join(words)}" if words else ""


_WORDS: dict[object, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true`, `false`",
    Path: "path",
    SecretStr: "text, secret",
    datetime.date: "date",
    AwareDatetime: "time with its offset",
}
_PLURALS: dict[object, str] = {str: "texts", Path: "paths", SecretStr: "texts, secret"}
