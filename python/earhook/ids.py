"""Identifiers as distinct types, so that one is never passed for another."""

from __future__ import annotations

import re
from typing import Final, NewType

__all__ = [
    "NIL_UUID",
    "ConversationId",
    "CorrelationId",
    "KeyName",
    "OrganizationId",
    "SessionId",
    "is_uuid",
    "same_uuid",
]

SessionId = NewType("SessionId", str)
"""AudioHook session: one connection, one audio stream. Chosen by the peer."""
OrganizationId = NewType("OrganizationId", str)
ConversationId = NewType("ConversationId", str)
CorrelationId = NewType("CorrelationId", str)
KeyName = NewType("KeyName", str)
"""The operator's name of an API key; the only form of a key that logs and consumers see."""

NIL_UUID: Final = "00000000-0000-0000-0000-000000000000"

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}", re.ASCII)


def is_uuid(text: str) -> bool:
    """Whether `text` is 8-4-4-4-12 hexadecimal, of any UUID version (RFC 9562 §4)."""
    return _UUID.fullmatch(text) is not None


def same_uuid(left: str, right: str) -> bool:
    """Compare two UUID texts as RFC 9562 does: without regard to case."""
    return left.lower() == right.lower()
