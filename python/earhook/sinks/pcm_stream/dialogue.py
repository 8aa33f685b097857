"""What a consumer says: hello, then one subscribe, then acks and commands. No sockets, no clock."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from earhook.media.stream import FrameKind

from .messages import CloseCode, ObjectionError, read_consumer_hello, read_subscribe
from .subscription import Subscription

__all__ = ["Dialogue", "DialogueDoors", "token_digest"]


def token_digest(token: str) -> bytes:
    """What tokens are compared by: digests have one length, as comparing in constant time needs."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class DialogueDoors:
    """Where what a consumer wants goes to."""

    subscribe: Callable[[Subscription, bytes], None]
    """What it wants, read and as it came."""
    acknowledge: Callable[[int, int, int], bool]
    """Call, channel and position; says whether the consumer has got further."""
    command: Callable[[int, bytes], None]
    """Call and body; may raise `ObjectionError`."""


class _Stage(Enum):
    GREETING = auto()
    ASKING = auto()
    STREAMING = auto()


class Dialogue:
    """Reads the frames of one consumer, in the order in which they may come.

    Args:
        token: `token_digest` of what the consumer must show; None asks for nothing.
        doors: Where what it wants goes to.
    """

    def __init__(self, token: bytes | None, doors: DialogueDoors) -> None:
        self.consumer = ""
        """What the consumer calls itself; safe to print, not to be trusted."""
        self.progress = 0
        """Grows whenever an ack tells that the consumer has got further."""
        self._token = token
        self._doors = doors
        self._stage = _Stage.GREETING

    @property
    def is_streaming(self) -> bool:
        """Whether the consumer has subscribed."""
        return self._stage is _Stage.STREAMING

    @property
    def is_greeted(self) -> bool:
        """Whether the consumer has said hello."""
        return self._stage is not _Stage.GREETING

    def end(self) -> None:
        """Let the doors go, behind which mostly stands who holds us. Nothing is taken in after."""
        self._doors = _NO_DOORS

    def receive(self, kind: int, call: int, channel: int, position: int, body: bytes) -> None:
        """Take in one frame.

        Raises:
            ObjectionError: It breaks a rule, and the connection has to end.
        """
        match self._stage, kind:
            case _Stage.GREETING, FrameKind.HELLO:
                self._on_hello(body)
            case _Stage.ASKING, FrameKind.SUBSCRIBE:
                subscription = read_subscribe(body)
                self._stage = _Stage.STREAMING
                self._doors.subscribe(subscription, body)
            case _Stage.STREAMING, FrameKind.ACK:
                self.progress += self._doors.acknowledge(call, channel, position)
            case _Stage.STREAMING, FrameKind.COMMAND:
                self._doors.command(call, body)
            case stage, _:
                expected = _EXPECTED[stage]
                text = f"a frame of kind {kind} where {expected} belongs"
                raise ObjectionError(CloseCode.UNEXPECTED_FRAME, text)

    def _on_hello(self, body: bytes) -> None:
        self.consumer, token = read_consumer_hello(body)
        if self._token is not None and not hmac.compare_digest(
            token_digest(token or ""), self._token
        ):
            raise ObjectionError(CloseCode.UNAUTHORIZED, "hello shows no valid token")
        self._stage = _Stage.ASKING


_EXPECTED = {
    _Stage.GREETING: "hello",
    _Stage.ASKING: "subscribe",
    _Stage.STREAMING: "ack or command",
}


_NO_DOORS: Final = DialogueDoors(lambda *_: None, lambda *_: False, lambda *_: None)
