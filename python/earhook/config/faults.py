"""What pydantic found wrong, said the way an operator needs it: where, what, what to do."""

from __future__ import annotations

import enum
from pathlib import Path as FilePath
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from earhook.errors import ConfigurationFault
from earhook.ops.redaction import is_forbidden, printable

from .layers import Layers, variable_of
from .places import Place, dotted, every_place, find, holds_secret, nearest

__all__ = ["faults_of"]


def faults_of(
    error: ValidationError, schema: type[BaseModel], layers: Layers
) -> list[ConfigurationFault]:
    """One fault per finding, in the order of the schema."""
    found = error.errors(include_url=False)
    # A list with one bad item is reported as too short as well.
    blamed = {details["loc"][:-1] for details in found if details["loc"]}
    return [
        _fault(details, schema, layers)
        for details in found
        if details["type"] != "too_short" or details["loc"] not in blamed
    ]


def _fault(details: ErrorDetails, schema: type[BaseModel], layers: Layers) -> ConfigurationFault:
    place = find(schema, details["loc"])
    where = layers.whence(place.path)
    kind = details["type"]
    if kind == "extra_forbidden":
        return ConfigurationFault(where, "unknown key", _meant_instead(place, schema))
    if kind == "missing":
        return ConfigurationFault(where, "is missing", _description(place))
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_kind(details, where)
    if kind == "value_error":
        return ConfigurationFault(where, details["msg"].removeprefix("Value error, "))
    if kind == "tuple_type":
        return _no_list(place, layers)
    what = "is malformed"  # rather than a regular expression: the description says what belongs
    if kind != "string_pattern_mismatch":
        what = details["msg"].replace("Input should be", "must be").partition(", unable to")[0]
    return ConfigurationFault(where, what + _shown(details, place), _description(place))


def _no_list(place: Place, layers: Layers) -> ConfigurationFault:
    """Something else where a list belongs; often a variable or flag for one key of one item."""
    part = layers.whence_inside(place.path)
    if part is not None:
        remedy = f"give the whole list, as JSON in {variable_of(place.path)}, or write it in a file"
        return ConfigurationFault(part, "one key of a list cannot be given by itself", remedy)
    where = layers.whence(place.path)
    in_variable = where.startswith(variable_of(place.path))
    remedy = "in a variable, write the list as JSON" if in_variable else ""
    return ConfigurationFault(where, "must be a list", remedy)


def _meant_instead(place: Place, schema: type[BaseModel]) -> str:
    name = str(place.path[-1])
    if close := nearest(name, place.siblings):
        return f"did you mean {close!r}?"
    homes = [path for path, _ in every_place(schema) if path[-1] == name and len(path) > 1]
    if homes:
        return f"it belongs to [{dotted(homes[0][:-1])}]"
    return f"known here: {', '.join(place.siblings)}" if place.siblings else ""


def _wrong_kind(details: ErrorDetails, where: str) -> ConfigurationFault:
    """A table that is chosen by its `kind`, with a kind that does not exist or none at all."""
    context = details.get("ctx", {})
    discriminator = str(context.get("discriminator", "kind")).strip("'")
    kinds = [kind.strip(" '") for kind in str(context.get("expected_tags", "")).split(",")]
    if "tag" not in context:
        return ConfigurationFault(where, f"{discriminator} is missing", "say which kind it is")
    tag = printable(str(context["tag"]), 64)
    close = nearest(tag, kinds)
    remedy = f"did you mean {close!r}?" if close else f"known: {', '.join(kinds)}"
    return ConfigurationFault(f"{where}.{discriminator}", f"unknown kind {tag!r}", remedy)


def _description(place: Place) -> str:
    """The first sentence of the key's description, which says what belongs there."""
    if place.field is None or not place.field.description:
        return ""
    return place.field.description.split(". ")[0].rstrip(".")


def _shown(details: ErrorDetails, place: Place) -> str:
    """The value that was given, if it can be nothing secret."""
    value: Any = details["input"]
    if not isinstance(value, str | int | float | bool) or place.field is None:
        return ""
    names = [part for part in place.path if isinstance(part, str)]
    if any(is_forbidden(name) for name in names) or not _is_plain(place.field.annotation):
        return ""
    return f", not {printable(repr(value), 64)}"


def _is_plain(annotation: object) -> bool:
    """Whether values of this annotation are scalars that may be shown."""
    if holds_secret(annotation):
        return False
    if get_origin(annotation) is Literal or annotation in (str, int, float, bool, FilePath):
        return True
    if isinstance(annotation, type):
        return issubclass(annotation, enum.Enum)
    parts = [part for part in get_args(annotation) if part not in (type(None), Ellipsis)]
    return bool(parts) and all(_is_plain(part) for part in parts)
