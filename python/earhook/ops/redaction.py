"""What may never be printed, and how it is kept out: by type and by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from pydantic import SecretBytes, SecretStr

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

__all__ = ["FORBIDDEN_KEYS", "REDACTED", "Redacted", "clean", "is_forbidden", "printable"]

REDACTED: Final = "[redacted]"

Value = TypeVar("Value")


class Redacted(Generic[Value]):
    """A value that prints as `[redacted]`; `reveal()` is the only way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: Value) -> None:
        self._value = value

    def reveal(self) -> Value:
        """The value itself. Every call of this is a place for a reviewer to look at."""
        return self._value

    def __repr__(self) -> str:
        return REDACTED

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return REDACTED


def clean(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """Redact, shorten and escape every value of a log line (a structlog processor)."""
    for key, value in line.items():
        if key not in _OWN_KEYS:
            line[key] = REDACTED if is_forbidden(key) else _clean_value(value, depth=0)
    return line


def is_forbidden(key: str) -> bool:
    """Whether a key of that name may hold something personal or a secret."""
    return key.lower().replace("_", "").replace("-", "") in FORBIDDEN_KEYS


def printable(text: str, limit: int = 256) -> str:
    """`text` cut to `limit` characters, with everything that a terminal acts on escaped."""
    if len(text) > limit:
        text = f"{text[:limit]}…[{len(text)} characters]"
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in text
    )


def _clean_value(value: object, depth: int) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Redacted | SecretStr | SecretBytes):
        return REDACTED
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{memoryview(value).nbytes} bytes>"  # may be audio or key material
    if depth >= _MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {
            printable(str(key)): REDACTED
            if is_forbidden(str(key))
            else _clean_value(item, depth + 1)
            for key, item in list(value.items())[:_MAX_ITEMS]
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean_value(item, depth + 1) for item in list(value)[:_MAX_ITEMS]]
    return printable(str(value))


FORBIDDEN_KEYS: Final = frozenset(
    {
        # personal: who called whom, and what was said
        *("ani", "aniname", "dnis", "dnisname", "name", "caller", "callername", "phonenumber"),
        *("participant", "transcript", "text", "utterance", "digit", "digits", "dtmf"),
        *("inputvariables", "outputvariables", "customconfig", "audio"),
        # secrets: what opens the door
        *("apikey", "xapikey", "secret", "secrets", "clientsecret", "password", "token"),
        *("authorization", "bearer", "signature", "cookie", "privatekey"),
    }
)
"""Names without `_` and `-`, in lower case. A line that uses one shows `[redacted]`."""

_OWN_KEYS: Final = frozenset({"event", "level", "logger", "time", "exc_info", "stack_info"})
"""Keys that the logging room writes itself; also what the standard library's formatter needs."""

_MAX_DEPTH: Final = 4
_MAX_ITEMS: Final = 32
