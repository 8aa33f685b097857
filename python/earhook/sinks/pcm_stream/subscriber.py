"""One connection with a consumer: asyncio on one side, a dialogue and an outbox on the other."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from earhook.errors import CoreFault, StreamError
from earhook.media.feed import Books
from earhook.media.stream import MAX_CONSUMER_FRAME_BYTES, FrameDecoder
from earhook.ops.logging import get_state_logger
from earhook.protocol.commands import Command
from earhook.sinks.base import CallEvent, LiveCall, SinkBooks

from .dialogue import Dialogue, DialogueDoors
from .messages import CloseCode, ObjectionError, connection_close_frame, gateway_hello_frame
from .outbox import Enrolment, Outbox
from .subscription import Subscription
from .watch import Inbound, Movement

__all__ = ["Desk", "Subscriber", "SubscriberTerms"]

WRITE_BYTES: Final = 256 << 10
"""What one write may carry, and what may wait in the transport before we stop adding."""
GOODBYE_SECONDS: Final = 2.0
"""How long a consumer that is cut may take to read why."""
JSON_FRAME_COST: Final = 20
"""A frame with JSON counts as so many others, because it takes that much longer to read."""

logger = get_state_logger(__name__)


@dataclass(frozen=True, slots=True)
class SubscriberTerms:
    """What holds for every consumer of a sink."""

    instance: str
    token: bytes | None
    allows_commands: bool
    hello_seconds: float
    stuck_seconds: float
    coalesce_seconds: float
    control_backlog_bytes: int


class Desk(Protocol):
    """What a subscriber needs of its sink. Called on the loop's thread."""

    def welcome(self, subscriber: Subscriber) -> bool:
        """A connection is there; False if there are too many."""
        ...

    def subscribe(self, subscriber: Subscriber, subscription: Subscription) -> None:
        """It has said what it wants."""
        ...

    def left(self, subscriber: Subscriber, enrolment: Enrolment, books: Books | None) -> None:
        """It reads a call no more; None if it never began to."""
        ...

    def gone(self, subscriber: Subscriber) -> None:
        """The connection is closed and its calls are left."""
        ...

    def command(self, session_id: str, command: Command) -> None:
        """It wants something of a call; raises `CommandRefused`."""
        ...

    def count(self, what: str) -> None:
        """Something worth counting has happened."""
        ...


class Subscriber(asyncio.Protocol):
    """Speaks the PCM stream with one consumer, until either side ends the connection.

    A consumer that does not read loses its own oldest audio; one that breaks a rule, or takes
    nothing at all for too long, is cut. Neither costs anybody else more than bounded memory.
    """

    def __init__(self, terms: SubscriberTerms, desk: Desk) -> None:
        self.address = ""
        self.closed = asyncio.Event()
        """Set when the connection is gone."""
        self.subscription: Subscription | None = None
        self._terms = terms
        self._desk = desk
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._decoder = FrameDecoder(MAX_CONSUMER_FRAME_BYTES)
        self._outbox = Outbox(self._wake, self._on_left)
        doors = DialogueDoors(self._on_subscribe, desk.command, desk.count)
        self._dialogue = Dialogue(
            terms.token, allows_commands=terms.allows_commands, outbox=self._outbox, doors=doors
        )
        self._hello_timer: asyncio.TimerHandle | None = None
        self._pump_timer: asyncio.Handle | None = None
        self._may_write = True
        self._is_finishing = False
        self._is_over = False
        self._past_books = SinkBooks()
        self._inbound = Inbound()
        self._movement = Movement(self._loop.time())

    @property
    def is_streaming(self) -> bool:
        """Whether the consumer has said what it wants, and is not cut."""
        return self._dialogue.is_streaming and not self._is_over

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, and start the clock."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = transport = cast("asyncio.Transport", transport)
        self.address = _address_of(transport)
        transport.set_write_buffer_limits(high=WRITE_BYTES)
        if not self._desk.welcome(self):
            self.cut(CloseCode.TOO_MANY_SUBSCRIBERS, "the gateway has no room for more consumers")
            return
        terms = self._terms
        self._write([gateway_hello_frame(terms.instance, commands=terms.allows_commands)])
        self._hello_timer = self._loop.call_later(terms.hello_seconds, self._on_hello_late)

    def connection_lost(self, _error: Exception | None) -> None:
        """The consumer is gone, and so are its places in all calls."""
        self._leave()
        self._transport = None
        self.closed.set()
        self._desk.gone(self)

    def data_received(self, data: bytes) -> None:
        """Take in what the consumer says."""
        if self._is_over:
            return
        try:
            for kind, call, _, position, _, _, body in self._decoder.feed(data):
                self._inbound.cost += JSON_FRAME_COST if body else 1
                self._dialogue.receive(kind, call, position, body)
        except ObjectionError as objection:
            self.cut(objection.code, str(objection))
            return
        except StreamError as error:
            self.cut(CloseCode.BAD_FRAME, str(error))
            return
        if (rule := self._decoder.broken) is not None:
            self.cut(CloseCode.BAD_FRAME, rule)
            return
        self._check_backlog()
        if self._inbound.is_too_much(len(data)) and self._transport is not None:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """The transport holds as much as it should."""
        self._may_write = False

    def resume_writing(self) -> None:
        """The consumer has taken most of what was written."""
        self._may_write = True
        self._wake_now()

    def enrol(self, call: LiveCall, channels: tuple[int, ...], position: int | None) -> Enrolment:
        """Let the consumer read a call."""
        return self._outbox.enrol(call, channels, position)

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

    def finish(self) -> None:
        """Send what there is, then say that the gateway stops."""
        self._is_finishing = True
        if self._dialogue.is_streaming:
            self._wake_now()
        else:
            self._say_stopping()

    def cut(self, code: CloseCode, message: str) -> None:
        """End the connection and, if the consumer reads it, tell why."""
        transport = self._transport
        if self._is_over or transport is None:
            return
        self._leave()
        if code is not CloseCode.STOPPING:
            self._desk.count(f"cut_{code.value}")
            consumer = self._dialogue.consumer
            logger.warning("subscriber.cut", address=self.address, consumer=consumer, code=code)
        transport.write(connection_close_frame(code, message))
        # Closing with something unread would reset the connection, and with it the reason: let
        # the consumer close first, where only one direction can be closed.
        if transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()
        self._loop.call_later(GOODBYE_SECONDS, transport.abort)

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def tick(self, now: float) -> None:
        """Look whether the consumer takes anything; read on where we had stopped. Each second."""
        transport = self._transport
        if transport is None or self._is_over:
            return
        if self._inbound.renew():
            transport.resume_reading()
        waiting_bytes = transport.get_write_buffer_size()
        still_seconds = self._movement.still_seconds(waiting_bytes, self._dialogue.progress, now)
        if still_seconds > self._terms.stuck_seconds:
            self.cut(CloseCode.STUCK, f"nothing was read for {self._terms.stuck_seconds:g} s")

    def books(self) -> SinkBooks:
        """The books of the calls that the consumer reads now."""
        books = SinkBooks()
        for enrolment in self._outbox.enrolments.values():
            now = self._outbox.books(enrolment)
            if now is not None:
                books.merge(now)
        return books

    def snapshot(self) -> dict[str, Any]:
        """Plain values. The books cover all calls of this connection, ended ones included."""
        books = self.books()
        lag_samples = books.buffered
        books.merge(self._past_books)
        return {
            "address": self.address,
            "consumer": self._dialogue.consumer,
            "calls": len(self._outbox.enrolments),
            "lag_samples": lag_samples,
            "unacked_samples": self._outbox.unacked_samples(),
            "control_backlog_bytes": self._outbox.backlog_bytes,
            **books.as_json(),
        }

    def _on_subscribe(self, subscription: Subscription) -> None:
        if self._hello_timer is not None:
            self._hello_timer.cancel()
        self.subscription = subscription
        self._desk.subscribe(self, subscription)

    def _on_hello_late(self) -> None:
        missing = "subscribe" if self._dialogue.is_greeted else "hello"
        text = f"no {missing} within {self._terms.hello_seconds:g} s"
        self.cut(CloseCode.HELLO_TIMEOUT, text)

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

    def _say_stopping(self) -> None:
        self.cut(CloseCode.STOPPING, "the gateway stops")

    def _write(self, parts: list[bytes]) -> None:
        if self._transport is None:
            return
        self._movement.written_bytes += sum(map(len, parts))
        if len(parts) == 1:
            self._transport.write(parts[0])
        else:
            self._transport.writelines(parts)

    def _check_backlog(self) -> None:
        # While the consumer reads, what waits goes out with the next pump, however much it is.
        has_room = self._outbox.backlog_bytes <= self._terms.control_backlog_bytes
        if not self._may_write and not has_room:
            self.cut(CloseCode.CONTROL_BACKLOG, "too much waits for a consumer that does not read")

    def _leave(self) -> None:
        self._is_over = True
        for timer in (self._hello_timer, self._pump_timer):
            if timer is not None:
                timer.cancel()
        self._hello_timer = self._pump_timer = None
        self._outbox.abandon()


def _address_of(transport: asyncio.Transport) -> str:
    peer = transport.get_extra_info("peername")
    if isinstance(peer, tuple):
        host, port = peer[0], peer[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family == socket.AF_UNIX:
        size = _CREDENTIALS.size
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        process, user, _ = _CREDENTIALS.unpack(credentials)
        return f"process {process} of user {user}"
    return "unknown"


_CREDENTIALS: Final = struct.Struct("3i")
"""What unix(7) tells of the other side: process, user and group."""
