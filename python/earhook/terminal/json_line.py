"""A line of JSON for standard output, which may be a terminal."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

__all__ = ["json_line"]


def json_line(value: Any) -> bytes:  # noqa: ANN401 - whatever JSON says
    """A value as a line; what JSON lets through and some terminals act on is escaped."""
    line = orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    return _STEERING.sub(_escaped, line)


def _escaped(found: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(found[0].decode())


_STEERING: Final = re.compile(rb"\x7f|\xc2[\x80-\x9f]")
"""DEL and the C1 controls (ECMA-48 §5.3), in UTF-8."""
