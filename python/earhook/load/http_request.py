"""The requests of one call over HTTPS, as bytes: heads, signatures, bodies, encryption."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from earhook.clock import SystemClock
from earhook.testing.payload_key import PayloadKey, Seal
from earhook.testing.peer_request import upgrade_headers
from earhook.testing.peer_setup import CallSetup

from .opus import CLOCK as OPUS_CLOCK
from .plan import RATE, LoadPlan

__all__ = ["HttpRequests"]

_CLOCK: Final = SystemClock()
_SEALED_MORE_BYTES: Final = 17
"""What a record of `aes128gcm` is longer than what it holds (RFC 8188 §2)."""


class HttpRequests:
    """Writes the requests of one call. A secret signs each of them anew, as it does upgrades.

    Args:
        plan: Of all calls.
        setup: The ids of this one.
        frame_bytes: The longest frame; with a key, each is a record of its own.
    """

    def __init__(self, plan: LoadPlan, setup: CallSetup, frame_bytes: int) -> None:
        target = plan.target
        self._setup = setup
        self._target = target
        self._key = None
        if target.payload_key is not None:
            key_id, key = target.payload_key
            self._key = PayloadKey(key_id.encode(), key, frame_bytes + _SEALED_MORE_BYTES)
        self._seal: Seal | None = None
        self._first_line = _first_line("POST", target.url)
        lines = [f"Content-Type: {_content_type(plan)}"]
        if self._key is not None:
            lines.append("Content-Encoding: aes128gcm")
        if target.token is not None:
            lines.append(f"Authorization: Bearer {target.token}")
        self._positions_per_sample = OPUS_CLOCK // RATE if plan.opus is not None else 1
        self._format = _bytes(lines)
        self._ids = b"" if self._is_signed else self._who_we_are()

    @property
    def _is_signed(self) -> bool:
        own = self._target
        return (
            own.token is None and own.credential is not None and own.credential.secret is not None
        )

    def check(self) -> bytes:
        """A connectivity check, which is not about any call."""
        host = f"Host: {urlsplit(self._target.url).netloc}\r\n"
        return _first_line("GET", self._target.url) + host.encode("ascii") + b"\r\n"

    def block(self, sequence: int, position: int, payload: bytes) -> bytes:
        """A request with some audio; the one after a gap is to say its position in any case."""
        body = payload if self._key is None else self._key.seal(payload)
        more = b"Earhook-Sequence: %d\r\nEarhook-Position: %d\r\n" % (
            sequence,
            position * self._positions_per_sample,
        )
        return self._head(more + b"Content-Length: %d\r\n" % len(body)) + body

    def end(self) -> bytes:
        """The mark behind the last block."""
        return self._head(b"Earhook-End: true\r\nContent-Length: 0\r\n")

    def begin_stream(self) -> bytes:
        """The head of the one request of a call."""
        head = self._head(b"Transfer-Encoding: chunked\r\n")
        if self._key is None:
            return head
        self._seal = Seal(self._key)
        return head + _chunk(self._seal.header)

    def chunk(self, payload: bytes) -> bytes:
        """Some more of it, so that all of it can be heard."""
        if self._seal is not None:
            payload = b"".join([*self._seal.add(payload), self._seal.flush()])
        return _chunk(payload)

    def end_stream(self) -> bytes:
        """Its end."""
        return (b"" if self._seal is None else _chunk(self._seal.finish())) + b"0\r\n\r\n"

    def _head(self, framing: bytes) -> bytes:
        ids = self._ids or self._who_we_are()
        return b"".join((self._first_line, ids, self._format, framing, b"\r\n"))

    def _who_we_are(self) -> bytes:
        """Host, ids, and the key or a fresh signature if that is what we have."""
        own = self._target
        credential = None if own.token is not None else own.credential
        nonce = base64.b64encode(os.urandom(18)).decode("ascii")
        headers = upgrade_headers(own.url, self._setup, credential, _CLOCK.wall_seconds(), nonce)
        return _bytes(f"{name}: {value}" for name, value in headers)


def _content_type(plan: LoadPlan) -> str:
    channels = len(plan.media.channels)
    if plan.opus is not None:
        return f"audio/opus;channels={channels}"
    return f"audio/{plan.media.codec};rate={RATE};channels={channels}"


def _first_line(method: str, url: str) -> bytes:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return f"{method} {target} HTTP/1.1\r\n".encode("ascii")


def _bytes(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _chunk(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)
