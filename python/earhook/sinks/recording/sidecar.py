"""The JSON file beside a recording: facts, files, gaps and books; nothing personal, no content.

`docs/reference/recordings.md` is its specification.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from earhook.errors import RecordingError
from earhook.media.format import Channel
from earhook.media.wav import WavFormat
from earhook.sinks.base import CallFacts, CallOutcome, ProtocolEntry, SinkBooks

__all__ = [
    "Closing",
    "PartEntry",
    "closing_fields",
    "encode_sidecar",
    "opening_fields",
    "protocol_field",
    "read_sidecar",
]

SIDECAR_VERSION: Final = 1
MARK: Final = "recording"

MAX_SIDECAR_BYTES: Final = 4 << 20


@dataclass(slots=True)
class PartEntry:
    """One file of a call, as the sidecar lists it.

    Attributes:
        file: Its final name.
        position: Of the call, where the file begins.
        samples: Per channel; None while it is being written.
        state: `complete` under its final name, otherwise still with the suffix `.part`;
            `damaged`: it could not be finished, and `detail` says why.
        detail: Empty unless damaged.
    """

    file: str
    position: int
    samples: int | None = None
    state: Literal["open", "complete", "damaged"] = "open"
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        entry: dict[str, Any] = {
            "file": self.file,
            "position": self.position,
            "samples": self.samples,
            "state": self.state,
        }
        if self.detail:
            entry["detail"] = self.detail
        return entry


@dataclass(frozen=True, slots=True)
class Closing:
    """What is known of a recording once no more is written to it.

    Attributes:
        outcome: How the call ended; None if the gateway stopped before it did.
        books: The sink's final books of the call.
        closed_wall_seconds: When the last sample was written.
    """

    outcome: CallOutcome | None
    books: SinkBooks
    closed_wall_seconds: float


def opening_fields(facts: CallFacts, audio: WavFormat, channels: Sequence[int]) -> dict[str, Any]:
    """What stands in a sidecar from the first moment on."""
    silent = [channel for channel in channels if channel not in facts.media.channels]
    return {
        "earhook": MARK,
        "version": SIDECAR_VERSION,
        "state": "recording",
        "call": facts.as_json(personal=False),
        "format": {
            "codec": audio.codec,
            "rate": audio.rate,
            "channels": [Channel(channel).word for channel in channels],
            "silent": [Channel(channel).word for channel in silent],
        },
    }


def closing_fields(closing: Closing, parts: Iterable[PartEntry]) -> dict[str, Any]:
    """What stands in a sidecar at the end only."""
    outcome, books = closing.outcome, closing.books
    whole = outcome is not None and not books.dropped and not books.buffered
    complete = whole and all(part.state == "complete" for part in parts)
    fields: dict[str, Any] = {
        "state": "complete" if complete else "incomplete",
        "closed": round(closing.closed_wall_seconds, 3),
        "reason": "gateway stopped" if outcome is None else outcome.reason,
        "books": books.as_json(),
    }
    if outcome is not None:
        fields["arrived"] = {
            "frames": outcome.frames,
            "samples": outcome.samples_in,
            "written": outcome.written,
            "dropped": dict(outcome.dropped),
            "duration_seconds": round(outcome.duration_seconds, 3),
        }
    return fields


def protocol_field(entries: Iterable[ProtocolEntry]) -> list[list[Any]]:
    """The messages that crossed the wire: seconds, direction and type."""
    return [[round(entry.seconds, 3), entry.direction, entry.kind] for entry in entries]


def encode_sidecar(fields: dict[str, Any]) -> bytes:
    """The file's content, for people and programs."""
    try:
        return orjson.dumps(fields, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        # Half a surrogate pair or a number of more than 64 bits: legal for the slower one.
        return json.dumps(fields, indent=2).encode() + b"\n"


def read_sidecar(content: bytes) -> dict[str, Any]:
    """Read a sidecar; fields beyond those that make it one are not checked.

    Raises:
        RecordingError: It is none, or of a version we do not know.
    """
    try:
        fields = orjson.loads(content) if len(content) <= MAX_SIDECAR_BYTES else None
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict) or fields.get("earhook") != MARK:
        raise RecordingError("is not the sidecar of a recording")
    if fields.get("version") != SIDECAR_VERSION:
        raise RecordingError(f"is a sidecar of version {fields.get('version')!r}: upgrade Earhook")
    return fields
