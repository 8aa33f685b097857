"""Text to JSON object, within limits that hold before anything is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import orjson

from earhook.errors import ProtocolViolation

__all__ = [
    "MAX_CONTAINERS",
    "MAX_DEPTH",
    "MAX_TEXT_CHARACTERS",
    "WireObject",
    "read_object",
    "whole_number",
]

MAX_TEXT_CHARACTERS: Final = 65_535
"""Longest text message, either direction (AudioHook protocol §11.3)."""
MAX_DEPTH: Final = 32
"""Deepest nesting; the protocol itself needs seven levels, `customConfig` is free."""
MAX_CONTAINERS: Final = 1024
"""Most objects and arrays in a message: parsed, an empty one is thirty times its two bytes."""
MAX_INTEGER: Final = 2**53
"""JSON peers that count in floats cannot count further."""

WireObject: TypeAlias = Mapping[str, Any]
"""What a peer sent: any JSON at all behind each key."""


def read_object(text: bytes | bytearray | memoryview) -> WireObject:
    """Parse one text frame.

    Raises:
        ProtocolViolation: Too long, no JSON, no object, too deep or too rich.
    """
    # No character is shorter than a byte, so most texts need no counting.
    if len(text) > MAX_TEXT_CHARACTERS and _characters(text) > MAX_TEXT_CHARACTERS:
        raise ProtocolViolation("text message is too large")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ProtocolViolation("text message is not valid JSON") from None
    if not isinstance(value, dict):
        raise ProtocolViolation("text message is not a JSON object")
    # Few brackets cannot nest deeply, and counting them costs far less than looking.
    if _brackets(text) > MAX_DEPTH:
        _check_shape(value)
    return value


def whole_number(value: object) -> int | None:
    """Read a non-negative integer; `1.0` is one, since some peers cannot tell (§4.2)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int and 0 <= value <= MAX_INTEGER:
        return value
    return None


def _characters(text: bytes | bytearray | memoryview) -> int:
    try:
        return len(str(text, "utf-8"))
    except UnicodeDecodeError:
        raise ProtocolViolation("text message is not valid JSON") from None


def _brackets(text: bytes | bytearray | memoryview) -> int:
    octets = text if isinstance(text, bytes | bytearray) else bytes(text)
    return octets.count(b"{") + octets.count(b"[")


def _check_shape(value: object) -> None:
    level: Sequence[object] = [value]
    containers = 0
    for _ in range(MAX_DEPTH):
        containers += len(level)
        if containers > MAX_CONTAINERS:
            raise ProtocolViolation("text message holds too many objects")
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise ProtocolViolation("text message is nested too deeply")


def _children(node: object) -> Iterable[object]:
    children: Iterable[object] = node.values() if isinstance(node, dict) else ()
    if isinstance(node, list):
        children = node
    return [child for child in children if isinstance(child, dict | list)]
