"""What the headers of a POST say of the call and of the block in it. Pure.

`docs/reference/ingest.md` is their specification. What is there and not well-formed is a fault
and never guessed at: a block in the wrong place is worse than one that its sender repairs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from earhook.edge.request import RequestHead
from earhook.ids import is_uuid
from earhook.media.format import Channel

__all__ = [
    "BLOCK_HEADERS",
    "CONVERSATION_HEADER",
    "CORRELATION_HEADER",
    "ORGANIZATION_HEADER",
    "SESSION_HEADER",
    "BlockHead",
    "HeadFault",
    "has_end_mark",
    "read_block_head",
]

ORGANIZATION_HEADER: Final = "Audiohook-Organization-Id"
SESSION_HEADER: Final = "Audiohook-Session-Id"
CONVERSATION_HEADER: Final = "Audiohook-Conversation-Id"
CORRELATION_HEADER: Final = "Audiohook-Correlation-Id"

END_HEADER: Final = "earhook-end"


class HeadFault(StrEnum):
    """Which header is not well-formed. The words go to the sender."""

    ORGANIZATION = "organization-id"
    SESSION = "session-id"
    CONVERSATION = "conversation-id"
    CORRELATION = "correlation-id"
    CHANNEL = "channel"
    SEQUENCE = "sequence"
    POSITION = "position"
    END = "end"


@dataclass(frozen=True, slots=True)
class BlockHead:
    """The headers of one POST; None where one is absent.

    Attributes:
        organization: A UUID, in the case in which it came, as are the next three.
        session: See there.
        conversation: See there.
        correlation: See there.
        channel: Whose voice mono audio is.
        sequence: The number of this block in its call, from 0.
        position: Where this block begins, in samples of the format's clock.
        end: Whether this is the last of the call.
    """

    organization: str | None
    session: str | None
    conversation: str | None
    correlation: str | None
    channel: Channel = Channel.EXTERNAL
    sequence: int | None = None
    position: int | None = None
    end: bool | None = None


def read_block_head(request: RequestHead) -> BlockHead | HeadFault:
    """Read the headers of a POST. A header that comes twice is not well-formed."""
    ids: dict[HeadFault, str | None] = {}
    for fault, name in _IDS.items():
        value = ids[fault] = request.value(name.lower())
        if value is not None and not is_uuid(value):
            return fault
    channel = _CHANNELS.get((request.value(_CHANNEL_HEADER) or "external").lower())
    if channel is None:
        return HeadFault.CHANNEL
    numbers: dict[HeadFault, int | None] = {}
    for fault, name in _NUMBERS.items():
        text = request.value(name)
        if text is not None and _NUMBER.fullmatch(text) is None:
            return fault
        numbers[fault] = None if text is None else int(text)
    end = request.value(END_HEADER)
    if end is not None and end.lower() not in _TRUTHS:
        return HeadFault.END
    return BlockHead(
        organization=ids[HeadFault.ORGANIZATION],
        session=ids[HeadFault.SESSION],
        conversation=ids[HeadFault.CONVERSATION],
        correlation=ids[HeadFault.CORRELATION],
        channel=channel,
        sequence=numbers[HeadFault.SEQUENCE],
        position=numbers[HeadFault.POSITION],
        end=None if end is None else _TRUTHS[end.lower()],
    )


def has_end_mark(request: RequestHead) -> bool:
    """Whether an empty POST is about a call, and not only a look whether we are here."""
    return request.value(END_HEADER) is not None


_IDS: Final = {
    HeadFault.ORGANIZATION: ORGANIZATION_HEADER,
    HeadFault.SESSION: SESSION_HEADER,
    HeadFault.CONVERSATION: CONVERSATION_HEADER,
    HeadFault.CORRELATION: CORRELATION_HEADER,
}
_NUMBERS: Final = {
    HeadFault.SEQUENCE: "earhook-sequence",
    HeadFault.POSITION: "earhook-position",
}
_CHANNEL_HEADER: Final = "audiohook-channel"
BLOCK_HEADERS: Final = (
    *(name.lower() for name in _IDS.values()),
    *_NUMBERS.values(),
    _CHANNEL_HEADER,
    END_HEADER,
)
"""All headers that are read here, by lower-case name."""
_CHANNELS: Final = {"external": Channel.EXTERNAL, "internal": Channel.INTERNAL}
_TRUTHS: Final = {"true": True, "false": False}
_NUMBER: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
