"""What the doors answer before anybody has looked at the content: fixed words. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["HSTS", "common_headers", "fixed_body", "fixed_response", "reason_phrase"]

HSTS: Final = ("Strict-Transport-Security", "max-age=31536000")
"""On every response over TLS, whatever its status (RFC 6797 §7.1), and on no other (§7.2)."""


def common_headers(*, secure: bool) -> tuple[tuple[str, str], ...]:
    """The headers of every response of ours. `secure`: it goes out over TLS."""
    return (HSTS, *_ALWAYS) if secure else _ALWAYS


def fixed_response(
    status: int,
    headers: Iterable[tuple[str, str]] = (),
    *,
    secure: bool,
    with_body: bool = True,
) -> bytes:
    """A whole response whose words are fixed by its status.

    It says that the connection ends, unless `headers` say something about that.

    Args:
        status: One that `fixed_body` knows.
        headers: Beside those of every response.
        secure: It goes out over TLS.
        with_body: False answers HEAD: the length of the body, and no body.
    """
    own = tuple(headers)
    body = fixed_body(status)
    lines = [f"HTTP/1.1 {status} {reason_phrase(status)}"]
    lines += [f"{name}: {value}" for name, value in own]
    if not any(name.lower() == "connection" for name, _ in own):
        lines.append("Connection: close")
    lines += [f"{name}: {value}" for name, value in common_headers(secure=secure)]
    lines += ["Content-Type: text/plain; charset=utf-8", f"Content-Length: {len(body)}"]
    head = "\r\n".join(lines) + "\r\n\r\n"
    return head.encode("ascii") + (body if with_body else b"")


def reason_phrase(status: int) -> str:
    """The words that RFC 9110 §15 has for a status."""
    return _WORDS[status][0]


def fixed_body(status: int) -> bytes:
    """The body of an answer with this status; nothing of the request, nothing of the reason."""
    return _WORDS[status][1]


_ALWAYS: Final = (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"))
_WORDS: Final[dict[int, tuple[str, bytes]]] = {
    200: ("OK", b"ok"),
    308: ("Permanent Redirect", b"use https\n"),
    400: ("Bad Request", b"malformed request\n"),
    401: ("Unauthorized", b"unauthorized\n"),
    403: ("Forbidden", b"forbidden\n"),
    404: ("Not Found", b"not found\n"),
    405: ("Method Not Allowed", b"method not allowed\n"),
    408: ("Request Timeout", b"too slow\n"),
    409: ("Conflict", b"conflict\n"),
    410: ("Gone", b"gone\n"),
    411: ("Length Required", b"length required\n"),
    413: ("Content Too Large", b"content too large\n"),
    415: ("Unsupported Media Type", b"unsupported media type\n"),
    417: ("Expectation Failed", b"expectation failed\n"),
    426: ("Upgrade Required", b"this is a WebSocket\n"),
    429: ("Too Many Requests", b"too many requests\n"),
    431: ("Request Header Fields Too Large", b"request too large\n"),
    500: ("Internal Server Error", b"internal error\n"),
    501: ("Not Implemented", b"not implemented\n"),
    503: ("Service Unavailable", b"no room now\n"),
    505: ("HTTP Version Not Supported", b"version not supported\n"),
}
