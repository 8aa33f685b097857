"""What a consumer of this gateway asks of its calls, carried out: acks and commands. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from earhook.errors import CommandRefused
from earhook.media.stream import CONNECTION, FrameKind
from earhook.protocol.commands import Command
from earhook.sinks.base import CallEvent, LiveCall

from .commands import Order, read_command, read_order, result_body
from .messages import json_frame, read_object
from .outbox import Enrolment, Outbox
from .results import RESULTS, read_results

__all__ = ["OrderDoors", "Orders", "judge"]


@dataclass(frozen=True, slots=True)
class OrderDoors:
    """Where what a consumer asks goes to. Given with each command: kept, it would make a circle."""

    command: Callable[[str, Command], None]
    """Session id and command; raises `CommandRefused`."""
    publish: Callable[[LiveCall, CallEvent], None]
    """Something that the consumer has found out of a call."""
    count: Callable[[str], None]
    """Counts something for metrics."""


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
        allows_commands: Whether commands are carried out or refused.
    """

    def __init__(self, outbox: Outbox, *, allows_commands: bool) -> None:
        self._outbox = outbox
        self._allows_commands = allows_commands

    def acknowledge(self, number: int, _channel: int, position: int) -> bool:
        """Note how far the consumer has got; says whether that is further than before."""
        enrolment = self._outbox.enrolments.get(number)
        if enrolment is None or position <= (enrolment.acked_position or 0):
            return False
        enrolment.acked_position = position
        return True

    def carry_out(self, number: int, body: bytes, doors: OrderDoors) -> None:
        """Do what a command asks, and answer it.

        Raises:
            ObjectionError: It is no JSON object.
        """
        answer, is_refused = judge(body, lambda order: self._carry_out(number, order, doors))
        doors.count("commands_refused" if is_refused else "commands")
        known = number if number in self._outbox.enrolments else CONNECTION
        self._outbox.say(json_frame(FrameKind.EVENT, known, answer))

    def _carry_out(self, number: int, order: Order, doors: OrderDoors) -> None:
        enrolment = self._find(number, order)
        if order.word == RESULTS:
            self._publish(self._heard(enrolment, order), order, doors)
            return
        if enrolment is None or enrolment.call.outcome is not None:
            raise CommandRefused(_NOT_OPEN)
        self._require_leave()
        facts = enrolment.call.facts
        doors.command(facts.session_id, read_command(order, facts.media.codec))

    def _publish(self, call: LiveCall, order: Order, doors: OrderDoors) -> None:
        self._require_leave()
        for event in read_results(order.body, call.pipeline.position):
            doors.publish(call, event)

    def _require_leave(self) -> None:
        if not self._allows_commands:
            raise CommandRefused("this gateway takes no commands on this address")

    def _find(self, number: int, order: Order) -> Enrolment | None:
        """The call that is meant, by number or session, if this connection has it open."""
        enrolment = self._outbox.enrolments.get(number)
        if number == CONNECTION and order.session is not None:
            session = order.session.lower()
            found = (e for e in self._outbox.enrolments.values() if e.session == session)
            enrolment = next(found, None)
        return enrolment if enrolment is not None and enrolment.is_open else None

    def _heard(self, enrolment: Enrolment | None, order: Order) -> LiveCall:
        """The call that results are about: open, or closed here a moment ago."""
        if enrolment is not None:
            return enrolment.call
        call = self._outbox.closed.get((order.session or "").lower())
        if call is None:
            raise CommandRefused(_NOT_OPEN)
        return call


_NOT_OPEN = "no such call is open on this connection"
