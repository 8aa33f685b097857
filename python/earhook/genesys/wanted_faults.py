"""What is wrong with the shape of a description, as a list for people."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from earhook.errors import ConfigurationFault
from earhook.ops.redaction import printable

from .wanted import WantedAudioHook, WantedIntegration, WantedState

__all__ = ["shape_faults"]


def shape_faults(error: ValidationError) -> list[ConfigurationFault]:
    """One fault per finding; no value is shown, for it may be a secret in the wrong place."""
    return [_fault(details) for details in error.errors(include_url=False, include_input=False)]


def _fault(details: ErrorDetails) -> ConfigurationFault:
    where, schema = _dotted(details["loc"]), _schema_of(details["loc"])
    key = str(details["loc"][-1])
    if details["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, schema.model_fields, n=1)
        known = f"known here: {', '.join(schema.model_fields)}"
        return ConfigurationFault(
            where, "unknown key", f"did you mean {near[0]!r}?" if near else known
        )
    field = schema.model_fields.get(key)
    remedy = (field.description or "").split(". ")[0].rstrip(".") if field else ""
    if details["type"] == "missing":
        return ConfigurationFault(where, "is missing", remedy)
    what = details["msg"].replace("Input should be", "must be")
    return ConfigurationFault(where, printable(what, 200), remedy)


def _dotted(path: Iterable[Any]) -> str:
    """`integrations[0].channel`, counted as programs do."""
    text = ""
    for part in path:
        shown = f"[{part}]" if isinstance(part, int) else f".{printable(str(part), 64)}"
        text += shown
    return text.lstrip(".")


def _schema_of(path: tuple[Any, ...]) -> type[BaseModel]:
    tables: dict[Any, type[BaseModel]] = {
        "integrations": WantedIntegration,
        "audiohooks": WantedAudioHook,
    }
    return tables.get(path[0], WantedState) if len(path) > 1 else WantedState
