"""What a request is answered with, and how that looks on the wire. Pure.

Everything that leaves the ingest port is written here, so that no answer, however early or wrong
its request, lacks `Strict-Transport-Security`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from earhook.edge.response import common_headers, fixed_body, reason_phrase

__all__ = ["Reply", "json_reply", "plain_reply"]


@dataclass(frozen=True, slots=True)
class Reply:
    """One final answer.

    Attributes:
        status: One that `earhook.edge.response` has words for.
        headers: Names and values in order, without those that the server writes itself:
            `Connection`, `Content-Length`, `Strict-Transport-Security`,
            `X-Content-Type-Options` and `Cache-Control`.
        body: Complete; `Content-Type` is among the headers where it is not empty.
        close: Whether the connection ends with it. The server may end it all the same.
        carries_call: Whether a live call goes on over the connection, so that a polite end lets
            it be. None: no more and no less than before this answer.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)
    close: bool = False
    carries_call: bool | None = None

    def to_bytes(self, *, secure: bool, close: bool, with_body: bool = True) -> bytes:
        """The answer as it goes out.

        Args:
            secure: It goes out over TLS.
            close: The connection ends with it.
            with_body: False for HEAD: the length is told, the body is not sent.

        Raises:
            ValueError: A header holds a control character, or what is not Latin-1.
        """
        if any(not "".join(pair).isprintable() for pair in self.headers):
            raise ValueError("a header with a control character would end the head early")
        lines = [f"HTTP/1.1 {self.status} {reason_phrase(self.status)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if close:
            lines.append("Connection: close")
        lines += [f"{name}: {value}" for name, value in common_headers(secure=secure)]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        return "\r\n".join(lines).encode("latin-1") + (self.body if with_body else b"")


def plain_reply(
    status: int, *, headers: tuple[tuple[str, str], ...] = (), close: bool = False
) -> Reply:
    """An answer with the fixed words of its status; nothing of the request, nothing of a reason."""
    return Reply(status, (*headers, _PLAIN_TEXT), fixed_body(status), close)


def json_reply(
    status: int,
    value: dict[str, Any],
    *,
    headers: tuple[tuple[str, str], ...] = (),
    carries_call: bool | None = None,
) -> Reply:
    """An answer whose body is a JSON object."""
    body = orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    return Reply(status, (*headers, _JSON), body, carries_call=carries_call)


_PLAIN_TEXT: Final = ("Content-Type", "text/plain; charset=utf-8")
_JSON: Final = ("Content-Type", "application/json")
