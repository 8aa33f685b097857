"""What worker processes say to each other about a request that one of them passes on. Pure.

    who passes on                          whose call it is
    OPENING  head, who sends it      -->
    PIECE* END, or CUT               -->   all of the body, or why it does not come to its end
    GONE                             -->   nobody waits for the answer any more
                                     <--   WANTED        more of the body than has come
                                     <--   HELD_BACK     the sender is too fast, for so long
                                     <--   ACKNOWLEDGED  an answer before the end of the body
                                     <--   REPLY | UNANSWERED | NOT_HERE

A frame is its kind, the length of what follows, and that. Processes of two versions talk to each
other while one takes over from the other: fields may be added to what is said, never change.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any, Final, NamedTuple

import orjson

from earhook.edge.request import RequestHead
from earhook.ids import KeyName

from .block_head import BLOCK_HEADERS
from .credentials import Accepted
from .reply import Reply

__all__ = [
    "CARRIED_HEADERS",
    "Frame",
    "FrameReader",
    "Kind",
    "PassedOpening",
    "frame_of",
    "opening_frame",
    "read_opening",
    "read_reply",
    "reply_frame",
]

MAX_PAYLOAD_BYTES: Final = 32 << 20
"""Twice the largest body that can be configured."""


class Kind(IntEnum):
    """What a frame says; see above."""

    OPENING = 1
    PIECE = 2
    END = 3
    CUT = 4
    GONE = 5
    WANTED = 16
    HELD_BACK = 17
    ACKNOWLEDGED = 18
    REPLY = 19
    UNANSWERED = 20
    NOT_HERE = 21


class Frame(NamedTuple):
    """One frame."""

    kind: Kind
    payload: bytes


class PassedOpening(NamedTuple):
    """A request as its call's owner sees it.

    Attributes:
        head: Of the request; of its headers only those that say something about the call, and
            none that is a credential.
        address: The client's.
        body_bytes: See `Exchange`.
        sender: Who sends it, as it was found where the request came in.
    """

    head: RequestHead
    address: str
    body_bytes: int | None
    sender: Accepted


class FrameReader:
    """Frames out of bytes in any chunks."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[Frame]:
        """Take what has come, and give the frames that are complete with it.

        Raises:
            ValueError: That is no frame.
        """
        pending = self._pending + data if self._pending else data
        frames: list[Frame] = []
        at, end = 0, len(pending)
        while end - at >= _HEAD.size:
            kind, length = _HEAD.unpack_from(pending, at)
            if length > MAX_PAYLOAD_BYTES:
                raise ValueError(f"a frame of {length} bytes")
            start = at + _HEAD.size
            if end - start < length:
                break
            at = start + length
            known = _KINDS.get(kind)
            if known is None:
                raise ValueError(f"a frame of kind {kind}")
            frames.append(Frame(known, pending[start:at]))
        self._pending = pending[at:] if at else pending
        return frames


def frame_of(kind: Kind, payload: bytes = b"") -> bytes:
    """A frame as it goes out."""
    return _HEAD.pack(kind, len(payload)) + payload


def opening_frame(opening: PassedOpening) -> bytes:
    """The frame that a request begins with."""
    head, sender = opening.head, opening.sender
    carried = {name: value for name in CARRIED_HEADERS if (value := head.value(name)) is not None}
    said = {
        "method": head.method,
        "target": head.target.decode("latin-1"),
        "headers": carried,
        "address": opening.address,
        "body_bytes": opening.body_bytes,
        "name": sender.name,
        "identity": sender.identity.hex(),
        "organizations": sorted(sender.organizations),
        "expires": sender.expires_wall_seconds,
    }
    return frame_of(Kind.OPENING, orjson.dumps(said))


def read_opening(payload: bytes) -> PassedOpening:
    """What an opening says.

    Raises:
        ValueError: It is none.
    """
    said = _read_object(payload)
    try:
        carried: dict[str, str] = said["headers"]
        target = said["target"].encode("latin-1")
        head = RequestHead(said["method"], target, 1, tuple(carried.items()), carried)
        sender = Accepted(
            KeyName(said["name"]),
            bytes.fromhex(said["identity"]),
            frozenset(said["organizations"]),
            said["expires"],
        )
        return PassedOpening(head, said["address"], said["body_bytes"], sender)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("that is no opening of a request") from error


def reply_frame(kind: Kind, reply: Reply) -> bytes:
    """An answer; its body goes behind what is said of it, as it is."""
    said = {
        "status": reply.status,
        "headers": reply.headers,
        "close": reply.close,
        "carries_call": reply.carries_call,
    }
    return frame_of(kind, orjson.dumps(said) + b"\n" + reply.body)


def read_reply(payload: bytes) -> Reply:
    """The answer in a frame.

    Raises:
        ValueError: There is none.
    """
    said_bytes, _, body = payload.partition(b"\n")
    said = _read_object(said_bytes)
    try:
        headers = tuple((name, value) for name, value in said["headers"])
        return Reply(said["status"], headers, body, said["close"], said["carries_call"])
    except (KeyError, TypeError) as error:
        raise ValueError("that is no answer") from error


def _read_object(payload: bytes) -> dict[str, Any]:
    said = orjson.loads(payload)  # its error is a ValueError
    if not isinstance(said, dict):
        raise ValueError("that is no object")  # noqa: TRY004 - of a peer's words
    return said


CARRIED_HEADERS: Final = (
    *BLOCK_HEADERS,
    "content-type",
    "content-encoding",
    "x-genesys-cloud-timestamp",
)
"""All that a request can say of its call, by lower-case name."""
_HEAD: Final = struct.Struct("<BI")
_KINDS: Final = {int(kind): kind for kind in Kind}
