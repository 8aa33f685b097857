"""What differs between two configurations, named as in the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel

__all__ = ["changed_keys", "with_changes"]


def changed_keys(before: BaseModel, after: BaseModel, name: str = "") -> list[str]:
    """Dotted names of the keys whose values differ, values themselves not shown.

    Tables are compared key by key; lists of tables, and tables that are new or gone, as a whole.
    """
    if type(before) is not type(after):
        return [name]
    changed: list[str] = []
    for key in type(before).model_fields:
        old, new = getattr(before, key), getattr(after, key)
        inner = f"{name}.{key}".removeprefix(".")
        if isinstance(old, BaseModel) and isinstance(new, BaseModel):
            changed.extend(changed_keys(old, new, inner))
        elif old != new:
            changed.append(inner)
    return changed


def with_changes(before: Model, after: Model, is_taken: Callable[[str], bool]) -> Model:
    """`before` with the values of `after` for those changed keys that are taken.

    Args:
        before: What everything else is as in.
        after: Of the same type.
        is_taken: Asked with the dotted name of each key of `changed_keys`.
    """
    return _with_changes(before, after, is_taken, "")


def _with_changes(before: Model, after: Model, is_taken: Callable[[str], bool], name: str) -> Model:
    update: dict[str, Any] = {}
    for key in type(before).model_fields:
        old, new = getattr(before, key), getattr(after, key)
        inner = f"{name}.{key}".removeprefix(".")
        if isinstance(old, BaseModel) and type(old) is type(new):
            mixed = _with_changes(old, new, is_taken, inner)
            if mixed is not old:
                update[key] = mixed
        elif old != new and is_taken(inner):
            update[key] = new
    return before.model_copy(update=update) if update else before


Model = TypeVar("Model", bound=BaseModel)
