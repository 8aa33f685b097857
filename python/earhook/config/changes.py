"""What differs between two configurations, named as in the file."""

from __future__ import annotations

from pydantic import BaseModel

__all__ = ["changed_keys"]


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
