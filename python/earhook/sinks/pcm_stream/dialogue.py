"""What a consumer says: hello, then one subscribe, then acks and commands. No sockets, no clock."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from earhook.errors import CommandRefused
from earhook.media.stream import CONNECTION, FrameKind
from earhook.protocol.commands import Command

from .commands import Order, read_command, read_order, result_body
from .messages import (
    CloseCode,
    ObjectionError,
    json_frame,
    read_consumer_hello,
    read_object,
    read_subscribe,
)
from .outbox import Enrolment, Outbox
from .subscription import Subscription

__all__ = ["Dialogue", "DialogueDoors", "token_digest"]


def token_digest(token: str) -> bytes:
    """What tokens are compared by: digests have one length, as comparing in constant time needs."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class DialogueDoors:
    """Where what a consumer wants goes to."""

    subscribe: Callable[[Subscription], None]
    command: Callable[[str, Command], None]
    """Session id and command; raises `CommandRefused`."""
    count: Callable[[str], None]


class _Stage(Enum):
    GREETING = auto()
    ASKING = auto()
    STREAMING = auto()


class Dialogue:
    """Reads the frames of one consumer and answers its commands through the outbox.

    Args:
        token: `token_digest` of what the consumer must show; None asks for nothing.
        allows_commands: Whether commands are carried out or refused.
        outbox: Where the calls are known and the answers go.
        doors: Where the rest goes.
    """

    def __init__(
        self, token: bytes | None, *, allows_commands: bool, outbox: Outbox, doors: DialogueDoors
    ) -> None:
        self.consumer = ""
        """What the consumer calls itself; safe to print, not to be trusted."""
        self.progress = 0
        """Grows whenever an ack tells that the consumer has got further."""
        self._token = token
        self._allows_commands = allows_commands
        self._outbox = outbox
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

    def receive(self, kind: int, call: int, position: int, body: bytes) -> None:
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
                self._doors.subscribe(subscription)
            case _Stage.STREAMING, FrameKind.ACK:
                self._on_ack(call, position)
            case _Stage.STREAMING, FrameKind.COMMAND:
                self._on_command(call, body)
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

    def _on_ack(self, number: int, position: int) -> None:
        enrolment = self._outbox.enrolments.get(number)
        if enrolment is None or position <= (enrolment.acked_position or 0):
            return
        enrolment.acked_position = position
        self.progress += 1

    def _on_command(self, number: int, body: bytes) -> None:
        envelope = read_object(body, "command")
        word = envelope.get("command")
        order = Order(word[:32] if isinstance(word, str) else "", None, None, envelope)
        refusal: CommandRefused | None = None
        try:
            order = read_order(envelope)
            self._carry_out(self._find(number, order), order)
        except CommandRefused as refused:
            refusal = refused
        self._doors.count("commands_refused" if refusal else "commands")
        known = number if number in self._outbox.enrolments else CONNECTION
        self._outbox.say(json_frame(FrameKind.EVENT, known, result_body(order, refusal)))

    def _carry_out(self, enrolment: Enrolment, order: Order) -> None:
        if not self._allows_commands:
            raise CommandRefused("this gateway takes no commands on this address")
        facts = enrolment.call.facts
        self._doors.command(facts.session_id, read_command(order, facts.media.codec))

    def _find(self, number: int, order: Order) -> Enrolment:
        """The call that is meant: one that this connection has open, by number or session."""
        enrolment = self._outbox.enrolments.get(number)
        if number == CONNECTION and order.session is not None:
            session = order.session.lower()
            found = (e for e in self._outbox.enrolments.values() if e.session == session)
            enrolment = next(found, None)
        if enrolment is None or not enrolment.is_open or enrolment.call.outcome is not None:
            raise CommandRefused("no such call is open on this connection")
        return enrolment


_EXPECTED = {
    _Stage.GREETING: "hello",
    _Stage.ASKING: "subscribe",
    _Stage.STREAMING: "ack or command",
}
