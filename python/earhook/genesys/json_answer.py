"""JSON of answers, read without trust: shapes are checked, nothing of it is quoted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from .errors import AnswerUnreadable
from .transport import Answer

__all__ = ["entities", "read_object", "text_at"]


def read_object(does: str, answer: Answer, *, strict: bool = True) -> dict[str, Any]:
    """The JSON object of an answer.

    Args:
        does: What was asked for.
        answer: The answer.
        strict: Without it, what is no object is an empty one.

    Raises:
        AnswerUnreadable: It is no JSON object.
    """
    try:
        value = orjson.loads(answer.body) if answer.body.strip() else {}
    except orjson.JSONDecodeError:
        value = None
    if isinstance(value, dict):
        return value
    if strict:
        raise AnswerUnreadable(f"{does}: the answer is no JSON object", status=answer.status)
    return {}


def entities(does: str, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of a listing.

    Raises:
        AnswerUnreadable: It is no listing.
    """
    found = fields.get("entities", [])
    if isinstance(found, list) and all(isinstance(entry, dict) for entry in found):
        return found
    raise AnswerUnreadable(f"{does}: the answer is no listing")


def text_at(fields: Mapping[str, Any], *path: str) -> str:
    """The text behind a path of keys; empty: there is none."""
    value: Any = fields
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""
