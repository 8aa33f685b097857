"""Why a request about a call is not served, in a word that its sender can act on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from .reply import Reply, json_reply

__all__ = ["Refusal", "Word"]


class Word(StrEnum):
    """The words of refusals; `docs/reference/ingest.md` says what to do about each.

    A header that is not well-formed is named by `HeadFault` instead.
    """

    MEDIA_TYPE = "unsupported-media-type"
    CONTENT_ENCODING = "unsupported-content-encoding"
    ORGANIZATION = "organization"
    SENDER = "sender"
    DUPLICATE_SESSION = "duplicate-session"
    FORMAT_CHANGED = "format-changed"
    BUSY = "busy"
    UNKNOWN_SESSION = "unknown-session"
    ENDED = "ended"
    NO_ROOM = "no-room"
    DELAYED = "delayed"
    BUFFERS_FULL = "buffers-full"
    OWNER_LOST = "owner-lost"
    TOO_LARGE = "too-large"
    TOO_MUCH = "too-much-audio"
    TOO_SLOW = "too-slow"
    TOO_LONG = "too-long"
    OVERLAP = "overlap"
    BEYOND = "beyond"
    CUT = "cut"
    MALFORMED = "malformed"
    ENCRYPTION = "encryption"


class Refusal(Exception):
    """Raised inside the room to answer a request at once; it never leaves the room.

    Attributes:
        status: Of the answer.
        word: What is wrong.
        headers: Beside those of every answer.
        more: Fields of the answer beside the word.
        close: Whether the connection ends.
        reason: More about it, for our log only.
    """

    def __init__(
        self,
        status: int,
        word: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        more: Mapping[str, Any] = MappingProxyType({}),
        close: bool = False,
        reason: str = "",
    ) -> None:
        super().__init__(word)
        self.status = status
        self.word = word
        self.headers = headers
        self.more = more
        self.close = close
        self.reason = reason

    @classmethod
    def retry(cls, status: int, word: str, after_seconds: int, reason: str = "") -> Refusal:
        """One that may be different in some seconds."""
        return cls(status, word, headers=(("Retry-After", str(after_seconds)),), reason=reason)

    def reply(self, ids: tuple[tuple[str, str], ...] = ()) -> Reply:
        """The answer.

        Args:
            ids: Headers that name the call, where there is one.
        """
        fields = {"error": str(self.word), **self.more}
        answer = json_reply(self.status, fields, headers=(*ids, *self.headers))
        goes_on = False if self.word == Word.ENDED else None
        return Reply(answer.status, answer.headers, answer.body, self.close, goes_on)
