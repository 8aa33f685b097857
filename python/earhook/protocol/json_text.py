"""Text to JSON object, within limits that hold before anything is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import orjson

from earhook.errors import ProtocolViolation

__all__ = [
    "MAX_DEPTH",
    "MAX_INTEGER",
    "MAX_TEXT_CHARACTERS",
    "WireObject",
    "read_object",
    "whole_number",
]

MAX_TEXT_CHARACTERS: Final = 65_535
"""Longest text message, either direction (AudioHook protocol §11.3)."""
MAX_DEPTH: Final = 32
"""Deepest nesting; the protocol itself needs seven levels, `customConfig` is free."""
MAX_INTEGER: Final = 2**53
"""JSON peers that count in floats cannot count further."""

WireObject: TypeAlias = Mapping[str, Any]
"""What a peer sent: any JSON at all behind each key."""


def read_object(text: bytes | bytearray | memoryview) -> WireObject:
    """Parse one text frame.

    Raises:
        ProtocolViolation: Too long, no JSON, too deep, or no object.
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
    if _brackets(text) > MAX_DEPTH and _is_deeper([value], MAX_DEPTH):
        raise ProtocolViolation("text message is nested too deeply")
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


def _is_deeper(level: Sequence[object], limit: int) -> bool:
    for _ in range(limit):
        level = [child for node in level for child in _children(node)]
        if not level:
            return False
    return True


def _children(node: object) -> Iterable[object]:
    if isinstance(node, dict):
        return [child for child in node.values() if isinstance(child, dict | list)]
    if isinstance(node, list):
        return [child for child in node if isinstance(child, dict | list)]
    return ()
