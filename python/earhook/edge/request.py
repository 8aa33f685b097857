"""HTTP/1.1 request heads, read strictly (RFC 9112, RFC 9110 §5). Pure.

Two parsers that read one request differently are how requests are smuggled past a proxy, so
nothing here is repaired or guessed: what is not exactly right is a fault. Bodies are not read
here; how one is framed is judged, and a body in chunks only where the caller reads such bodies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

__all__ = ["Fault", "HeadReader", "RequestHead", "parse_head"]


class Fault(StrEnum):
    """Which rule a request breaks; for counters. The peer only learns `status`."""

    BARE_LINE_FEED = "bare-line-feed"
    REQUEST_LINE = "request-line"
    METHOD = "method"
    TARGET = "target"
    VERSION = "version"
    HEADER_LINE = "header-line"
    HOST = "host"
    FRAMING = "framing"
    NO_LENGTH = "no-length"
    CODING = "transfer-coding"
    REPEATED = "repeated"
    TOO_LARGE = "too-large"
    TOO_MANY = "too-many"

    @property
    def status(self) -> int:
        """The HTTP status that answers it."""
        return _STATUSES.get(self, 400)


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A well-formed request head.

    Attributes:
        method: As sent; case matters (RFC 9110 §9.1).
        target: The request target byte for byte; signatures are made over it.
        minor_version: 0 or 1.
        headers: Name and value pairs in order; values trimmed, decoded as Latin-1.
    """

    method: str
    target: bytes
    minor_version: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    _by_name: dict[str, str] = field(repr=False)

    @property
    def path(self) -> str:
        """The target without its query, not normalised and not decoded."""
        return self.target.partition(b"?")[0].decode("ascii")

    def value(self, name: str) -> str | None:
        """A header's value by lower-case name; several lines are joined (RFC 9110 §5.3)."""
        return self._by_name.get(name)

    def lists(self, name: str, token: str) -> bool:
        """Whether a comma-separated header names `token`, without regard to case."""
        items = self._by_name.get(name, "").split(",")
        return any(item.strip(" \t").lower() == token for item in items)


class HeadReader:
    """Collects chunks of any size until the head is complete or a fault is certain.

    Attributes:
        rest: What came behind the head; meaningful once `feed` returned a head.
    """

    __slots__ = ("_buffer", "_chunked", "_max_bytes", "_max_headers", "rest")

    def __init__(self, max_bytes: int, max_headers: int, *, chunked: bool = False) -> None:
        self._chunked = chunked
        self._buffer = bytearray()
        self._max_bytes = max_bytes
        self._max_headers = max_headers
        self.rest = b""

    def feed(self, chunk: bytes) -> RequestHead | Fault | None:
        """Take a chunk. None: more is needed. Nothing may be fed after another answer."""
        # The end may be split over chunks, so the search begins three bytes before this one.
        searched = max(0, len(self._buffer) - 3)
        self._buffer += chunk
        end = self._buffer.find(b"\r\n\r\n", searched)
        if end > self._max_bytes - 4 or (end < 0 and len(self._buffer) >= self._max_bytes):
            return Fault.TOO_LARGE
        if end < 0:
            return self._certain_fault(searched)
        self.rest = bytes(self._buffer[end + 4 :])
        return parse_head(bytes(self._buffer[:end]), self._max_headers, chunked=self._chunked)

    def _certain_fault(self, searched: int) -> Fault | None:
        """Say so now where no further byte can help, instead of waiting for a timeout."""
        if self._buffer and self._buffer[0] not in _TOKEN_BYTES:
            return Fault.METHOD
        if _BARE_LINE_FEED.search(self._buffer, max(0, searched - 1)) is not None:
            return Fault.BARE_LINE_FEED
        return None


def parse_head(head: bytes, max_headers: int, *, chunked: bool = False) -> RequestHead | Fault:
    """Parse a head without its final empty line.

    Args:
        head: Request line and header lines, separated by CR LF.
        max_headers: Header lines that are still accepted.
        chunked: Whether a body in chunks is accepted, which is then the caller's to read.
    """
    if _BARE_LINE_FEED.search(head) is not None:
        return Fault.BARE_LINE_FEED
    first, *lines = head.split(b"\r\n")
    line = _read_request_line(first)
    if isinstance(line, Fault):
        return line
    if len(lines) > max_headers:
        return Fault.TOO_MANY
    headers: list[tuple[str, str]] = []
    by_name: dict[str, str] = {}
    for raw in lines:
        matched = _HEADER_LINE.fullmatch(raw)
        if matched is None:
            return Fault.HEADER_LINE
        name, value = matched[1].decode("ascii"), matched[2].decode("latin-1").strip(" \t")
        headers.append((name, value))
        lowered = name.lower()
        if lowered in by_name:
            if lowered in _SINGLE:
                return Fault.REPEATED
            value = f"{by_name[lowered]}, {value}"
        by_name[lowered] = value
    method, target, minor_version = line
    request = RequestHead(method, target, minor_version, tuple(headers), by_name)
    return _host_fault(request) or _framing_fault(request, chunked=chunked) or request


def _read_request_line(line: bytes) -> tuple[str, bytes, int] | Fault:
    parts = line.split(b" ")
    if len(parts) != 3:
        return Fault.REQUEST_LINE
    method, target, version = parts
    if _TOKEN.fullmatch(method) is None:
        return Fault.METHOD
    # Origin form only: we are no proxy, and an absolute target beside `Host` is two opinions.
    if _TARGET.fullmatch(target) is None or len(target) > _MAX_TARGET_BYTES:
        return Fault.TARGET
    if version not in _VERSIONS:
        return Fault.VERSION
    return method.decode("ascii"), target, _VERSIONS[version]


def _host_fault(request: RequestHead) -> Fault | None:
    host = request.value("host")
    if host is None:
        return Fault.HOST if request.minor_version > 0 else None
    return Fault.HOST if _HOST.fullmatch(host) is None else None


def _framing_fault(request: RequestHead, *, chunked: bool) -> Fault | None:
    length = request.value("content-length")
    if length is not None and _LENGTH.fullmatch(length) is None:
        return Fault.FRAMING
    coding = request.value("transfer-encoding")
    if coding is not None:
        # Beside a length, or in HTTP/1.0, it is the very ambiguity that smuggling is made of
        # (RFC 9112 §6.1); anything but `chunked` alone is a coding that we do not have.
        if not chunked or length is not None or request.minor_version == 0:
            return Fault.FRAMING
        if coding.lower() != "chunked":
            return Fault.CODING
    has_body = coding is not None or (length is not None and length.strip("0") != "")
    if has_body and request.method in {"GET", "HEAD"}:
        return Fault.FRAMING
    return None


_STATUSES: Final = {
    Fault.TOO_LARGE: 431,
    Fault.TOO_MANY: 431,
    Fault.NO_LENGTH: 411,
    Fault.CODING: 501,
}
_MAX_TARGET_BYTES: Final = 4096
_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")
_TOKEN_BYTES: Final = (
    frozenset(b"!#$%&'*+-.^_`|~0123456789")
    | frozenset(range(ord("A"), ord("Z") + 1))
    | frozenset(range(ord("a"), ord("z") + 1))
)
_TARGET: Final = re.compile(rb"/[!-\"$-~]*")
_VERSIONS: Final = {b"HTTP/1.1": 1, b"HTTP/1.0": 0}
# No space before the colon, no line folding, no control characters but the tab (RFC 9112 §5).
_HEADER_LINE: Final = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t -~\x80-\xff]*)", re.DOTALL
)
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._~%!$&'()*+;=-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_BARE_LINE_FEED: Final = re.compile(rb"(?<!\r)\n|\r(?=[^\n])")
_SINGLE: Final = frozenset(
    {
        *("host", "content-length", "transfer-encoding", "upgrade", "x-api-key"),
        *("authorization", "content-type", "content-encoding", "expect", "audiohook-channel"),
        *("earhook-sequence", "earhook-position", "earhook-end", "x-genesys-cloud-timestamp"),
        *("sec-websocket-key", "sec-websocket-version", "signature", "signature-input"),
        *("audiohook-organization-id", "audiohook-session-id", "audiohook-correlation-id"),
        "audiohook-conversation-id",
    }
)
"""A second line of one of these has no good meaning, and two readers may pick different ones."""
