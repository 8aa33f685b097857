"""Answers to requests on one connection, from bytes cut anywhere."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

__all__ = ["Answer", "AnswerReader"]

LIMIT_BYTES: Final = 1 << 20


class Answer(NamedTuple):
    """A final answer."""

    status: int
    body: bytes

    def fields(self) -> dict[str, Any]:
        """The body as a JSON object; empty if it is none."""
        try:
            fields = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return fields if isinstance(fields, dict) else {}


class AnswerReader:
    """Reads answers whose length is told; that is all a sender of audio ever gets."""

    def __init__(self) -> None:
        self._bytes = b""

    def feed(self, piece: bytes) -> list[Answer]:
        """The answers that are complete now; interim ones are left out.

        Raises:
            ValueError: It is no HTTP, or of no told length.
        """
        self._bytes += piece
        answers: list[Answer] = []
        while (answer := self._next()) is not None:
            if answer.status >= 200:
                answers.append(answer)
        if len(self._bytes) > LIMIT_BYTES:
            raise ValueError("an answer without an end")
        return answers

    def _next(self) -> Answer | None:
        head, found, rest = self._bytes.partition(b"\r\n\r\n")
        if not found:
            return None
        first, *lines = head.split(b"\r\n")
        version, _, status = first.partition(b" ")
        if not version.startswith(b"HTTP/1."):
            raise ValueError("no HTTP")
        length = _length(lines, int(status[:3]))
        if len(rest) < length:
            return None
        self._bytes = rest[length:]
        return Answer(int(status[:3]), rest[:length])


def _length(lines: list[bytes], status: int) -> int:
    for line in lines:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    if status < 200 or status == 204:
        return 0
    raise ValueError("no Content-Length")
