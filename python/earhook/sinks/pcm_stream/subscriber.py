"""One connection with a consumer of our own calls: what the outbox holds, written as it reads."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from earhook.errors import CoreFault
from earhook.media.feed import Books
from earhook.protocol.commands import Command
from earhook.sinks.base import CallEvent, LiveCall, SinkBooks

from .connection import WRITE_BYTES, ConsumerConnection, ConsumerTerms
from .messages import CloseCode
from .orders import OrderDoors, Orders
from .outbox import Enrolment, Outbox
from .subscription import Beginning, Subscription

__all__ = ["Desk", "Subscriber"]

RESULT_COST: Final = 4
"""What a result counts besides its frame: it is told to everybody who reads the call."""


class Desk(Protocol):
    """What a subscriber needs of its sink. Called on the loop's thread."""

    def welcome(self, subscriber: Subscriber) -> bool:
        """A connection is there; False if there are too many."""
        ...

    def gone(self, subscriber: Subscriber) -> None:
        """The connection is closed and its calls are left."""
        ...

    def count(self, what: str) -> None:
        """Something worth counting has happened."""
        ...

    def subscribe(self, subscriber: Subscriber, subscription: Subscription) -> None:
        """It has said what it wants."""
        ...

    def left(self, subscriber: Subscriber, enrolment: Enrolment, books: Books | None) -> None:
        """It reads a call no more; None if it never began to."""
        ...

    def command(self, subscriber: Subscriber, session_id: str, command: Command) -> None:
        """It wants something of a call; raises `CommandRefused`."""
        ...

    def tell(self, subscriber: Subscriber, call: LiveCall, event: CallEvent) -> None:
        """It has found something out of a call; everybody else shall know."""
        ...


class Subscriber(ConsumerConnection):
    """Sends one consumer the calls that it wants.

    A consumer that does not read loses its own oldest audio. It costs nobody else more than
    bounded memory.
    """

    def __init__(self, terms: ConsumerTerms, desk: Desk) -> None:
        super().__init__(terms, desk.count)
        self._desk = desk
        self._outbox = Outbox(self._wake, self._on_left)
        self._orders = Orders(self._outbox, allows_commands=terms.allows_commands)
        self._pump_timer: asyncio.Handle | None = None
        self._is_finishing = False
        self._past_books = SinkBooks()

    def resume_writing(self) -> None:
        """The consumer has taken most of what was written."""
        super().resume_writing()
        self._wake_now()

    def enrol(self, call: LiveCall, channels: tuple[int, ...], beginning: Beginning) -> Enrolment:
        """Let the consumer read a call."""
        return self._outbox.enrol(call, channels, beginning)

    def say_in_line(self, frame: bytes) -> None:
        """Send a frame once the calls enrolled so far have been opened."""
        self._outbox.say_in_line(frame)

    def publish(self, enrolment: Enrolment, event: CallEvent, body: bytes) -> None:
        """Tell what happened in a call that the consumer reads."""
        self._outbox.say_at(enrolment, event.position, body)
        self._check_backlog()

    def give_up(self, enrolment: Enrolment) -> None:
        """A call cannot be read any longer: what is unread becomes a gap, and the call closes."""
        self._outbox.give_up(enrolment)
        self._check_backlog()

    def forget(self, call: LiveCall) -> None:
        """Nothing more can be said of an ended call."""
        self._outbox.forget(call)

    def finish(self) -> None:
        """Send what there is, then say that the gateway stops."""
        self._is_finishing = True
        if self._dialogue.is_streaming:
            self._wake_now()
        else:
            self._say_stopping()

    def books(self) -> SinkBooks:
        """The books of the calls that the consumer reads now."""
        books = SinkBooks()
        for enrolment in self._outbox.enrolments.values():
            now = self._outbox.books(enrolment)
            if now is not None:
                books.merge(now)
        return books

    def call_books(self, enrolment: Enrolment) -> Books | None:
        """The books of one of these calls; None while it is in line."""
        return self._outbox.books(enrolment)

    def snapshot(self) -> dict[str, Any]:
        """Plain values. The books cover all calls of this connection, ended ones included."""
        books = self.books()
        lag_samples = books.buffered
        books.merge(self._past_books)
        return {
            "address": self.address,
            "consumer": self.consumer,
            "calls": len(self._outbox.enrolments),
            "lag_samples": lag_samples,
            "unacked_samples": self._outbox.unacked_samples(),
            "control_backlog_bytes": self._outbox.backlog_bytes,
            **books.as_json(),
        }

    def _welcome(self) -> bool:
        return self._desk.welcome(self)

    def _gone(self) -> None:
        self._desk.gone(self)

    def _begin(self, subscription: Subscription, _body: bytes) -> None:
        self._desk.subscribe(self, subscription)

    def _acknowledge(self, number: int, channel: int, position: int) -> bool:
        return self._orders.acknowledge(number, channel, position)

    def _command(self, number: int, body: bytes) -> None:
        doors = OrderDoors(self._submit, self._tell, self._desk.count)
        self._orders.carry_out(number, body, doors)

    def _on_heard(self) -> None:
        self._check_backlog()

    def _submit(self, session_id: str, command: Command) -> None:
        self._desk.command(self, session_id, command)

    def _tell(self, call: LiveCall, event: CallEvent) -> None:
        self._inbound.cost += RESULT_COST
        self._desk.tell(self, call, event)

    def _on_left(self, enrolment: Enrolment, books: Books | None) -> None:
        if books is not None:
            past = self._past_books
            past.merge(books)
        self._desk.left(self, enrolment, books)

    def _wake(self) -> None:
        """Something waits: send it in a moment, together with what comes until then."""
        if self._pump_timer is None and self._may_write and not self._is_over:
            delay_seconds = self._terms.coalesce_seconds
            self._pump_timer = self._loop.call_later(delay_seconds, self._pump)

    def _wake_now(self) -> None:
        if self._pump_timer is not None:
            self._pump_timer.cancel()
        self._pump_timer = None if self._is_over else self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_timer = None
        if not self._may_write or self._is_over:
            return
        try:
            parts = self._outbox.take(WRITE_BYTES)
        except CoreFault:
            self.cut(CloseCode.FAULT, "the gateway has a defect")
            return
        if parts:
            self._write(parts)
        if self._outbox.has_news:
            # What is left did not fit: let the transport and everybody else have their turn.
            if self._may_write:
                self._wake_now()
        elif self._is_finishing:
            self._say_stopping()

    def _check_backlog(self) -> None:
        # While the consumer reads, what waits goes out with the next pump, however much it is.
        has_room = self._outbox.backlog_bytes <= self._terms.control_backlog_bytes
        if not self._may_write and not has_room:
            self.cut(CloseCode.CONTROL_BACKLOG, "too much waits for a consumer that does not read")

    def _leave(self) -> None:
        super()._leave()
        if self._pump_timer is not None:
            self._pump_timer.cancel()
            self._pump_timer = None
        self._outbox.abandon()
