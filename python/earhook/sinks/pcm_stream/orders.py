"""What a consumer of this gateway asks of its calls, carried out: acks and commands. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from earhook.errors import CommandRefused
from earhook.media.stream import CONNECTION, FrameKind
from earhook.protocol.commands import Command

from .commands import Order, read_command, read_order, result_body
from .messages import json_frame, read_object
from .outbox import Enrolment, Outbox

__all__ = ["Orders", "judge"]


def judge(body: bytes, carry_out: Callable[[Order], None]) -> tuple[dict[str, Any], bool]:
    """Read a command and carry it out.

    Args:
        body: Of the `command` frame.
        carry_out: Raises `CommandRefused` if that cannot be.

    Returns:
        The JSON of the `event` that answers it, and whether it was refused.

    Raises:
        ObjectionError: It is no JSON object.
    """
    envelope = read_object(body, "command")
    word = envelope.get("command")
    order = Order(word[:32] if isinstance(word, str) else "", None, None, envelope)
    try:
        order = read_order(envelope)
        carry_out(order)
    except CommandRefused as refusal:
        return result_body(order, refusal), True
    return result_body(order, None), False


class Orders:
    """Knows calls by the outbox of the same consumer, and answers through it.

    Args:
        outbox: Where the calls are known and the answers go.
        command: Takes session id and command; raises `CommandRefused`.
        count: Counts something for metrics.
        allows_commands: Whether commands are carried out or refused.
    """

    def __init__(
        self,
        outbox: Outbox,
        command: Callable[[str, Command], None],
        count: Callable[[str], None],
        *,
        allows_commands: bool,
    ) -> None:
        self._outbox = outbox
        self._command = command
        self._count = count
        self._allows_commands = allows_commands

    def acknowledge(self, number: int, _channel: int, position: int) -> bool:
        """Note how far the consumer has got; says whether that is further than before."""
        enrolment = self._outbox.enrolments.get(number)
        if enrolment is None or position <= (enrolment.acked_position or 0):
            return False
        enrolment.acked_position = position
        return True

    def carry_out(self, number: int, body: bytes) -> None:
        """Do what a command asks, and answer it.

        Raises:
            ObjectionError: It is no JSON object.
        """
        answer, is_refused = judge(body, lambda order: self._carry_out(number, order))
        self._count("commands_refused" if is_refused else "commands")
        known = number if number in self._outbox.enrolments else CONNECTION
        self._outbox.say(json_frame(FrameKind.EVENT, known, answer))

    def _carry_out(self, number: int, order: Order) -> None:
        enrolment = self._find(number, order)
        if not self._allows_commands:
            raise CommandRefused("this gateway takes no commands on this address")
        facts = enrolment.call.facts
        self._command(facts.session_id, read_command(order, facts.media.codec))

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
