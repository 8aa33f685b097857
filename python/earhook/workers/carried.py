"""A configuration on its way to another process, secrets included: over a channel and nowhere else.

The text is JSON, so that processes of two versions of this program understand each other.
"""

from __future__ import annotations

import datetime
import enum
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from earhook.config.schema import Configuration

__all__ = ["packed", "unpacked"]


def packed(settings: BaseModel) -> dict[str, Any]:
    """Settings as plain values; what was not set is left out, so that it keeps its default."""
    return {
        key: _plain(getattr(settings, key))
        for key in type(settings).model_fields
        if key in settings.model_fields_set or key == _KIND
    }


def unpacked(content: dict[str, Any]) -> Configuration:
    """The configuration that was packed.

    Raises:
        pydantic.ValidationError: It is none of this version.
    """
    return Configuration.model_validate(content)


def _plain(value: object) -> object:
    match value:
        case BaseModel():
            return packed(value)
        case SecretStr():
            return value.get_secret_value()
        case Path():
            return str(value)
        case enum.Enum():
            return value.value
        case datetime.date():
            return value.isoformat()
        case tuple() | list() | set() | frozenset():
            return [_plain(item) for item in value]
        case dict():
            return {key: _plain(item) for key, item in value.items()}
    return value


_KIND: Final = "kind"
"""What tells tables of one list apart, whether it was written or not."""
