"""One connection with a consumer: asyncio on one side, an outbox on the other."""

from __future__ import annotations

import asyncio
import hmac
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, Protocol

from earhook.errors import CommandRefused, CoreFault
from earhook.media.feed import Books
from earhook.media.stream import (
    CONNECTION,
    MAX_CONSUMER_FRAME_BYTES,
    FrameDecoder,
    FrameKind,
)
from earhook.ops.logging import get_limited_logger
from earhook.protocol.commands import Command
from earhook.sinks.base import CallEvent, SinkBooks

from .commands import Order, read_command, read_order, result_body
from .messages import (
    CloseCode,
    Objection,
    connection_close_frame,
    gateway_hello_frame,
    json_frame,
    read_consumer_hello,
    read_object,
    read_subscribe,
)
from .outbox import Enrolment, Outbox
from .subscription import Subscription

__all__ = ["Desk", "Subscriber", "SubscriberTerms"]

WRITE_BYTES: Final = 256 << 10
"""What one write may carry, and what may wait in the transport before we stop adding."""
GOODBYE_SECONDS: Final = 2.0
"""How long a consumer that is cut may take to read why."""
INBOUND_FRAMES: Final = 10_000
INBOUND_BYTES: Final = 4 << 20
"""What a consumer may send between two ticks (a second) before we stop reading it until the next:
acks of ten thousand calls, or twenty seconds of audio to play for each of a dozen."""
JSON_FRAME_COST: Final = 20
"""A frame with JSON counts like so many others, because it costs that much more."""

logger = get_limited_logger(__name__)


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

    def enrol(self, subscriber: Subscriber, subscription: Subscription) -> None:
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


class _Stage(Enum):
    GREETING = auto()
    ASKING = auto()
    STREAMING = auto()
    OVER = auto()


class Subscriber(asyncio.Protocol):
    """Speaks the PCM stream with one consumer, until either side ends the connection.

    A consumer that does not read loses its own oldest audio; one that breaks a rule, or takes
    nothing at all for too long, is cut. Neither costs anybody else more than bounded memory.
    """

    def __init__(self, terms: SubscriberTerms, desk: Desk) -> None:
        self.address = ""
        self.name = ""
        self.subscription: Subscription | None = None
        self._terms = terms
        self._desk = desk
        self._loop = asyncio.get_running_loop()
        self._decoder = FrameDecoder(MAX_CONSUMER_FRAME_BYTES)
        self._outbox = Outbox(self._wake, self._on_left)
        self._stage = _Stage.GREETING
        self._transport: asyncio.Transport | None = None
        self._hello_timer: asyncio.TimerHandle | None = None
        self._pump_timer: asyncio.Handle | None = None
        self._may_write = True
        self._is_finishing = False
        self._books = SinkBooks()
        self._written_bytes = 0
        self._accepted_bytes = 0
        self._moved_at = self._loop.time()
        self._inbound_cost = 0
        self._inbound_bytes = 0

    @property
    def is_streaming(self) -> bool:
        """Whether the consumer has said what it wants, and is not cut."""
        return self._stage is _Stage.STREAMING

    @property
    def outbox(self) -> Outbox:
        """What waits for the consumer."""
        return self._outbox

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, and start the clock."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.address = _address_of(transport)
        transport.set_write_buffer_limits(high=WRITE_BYTES)
        self._moved_at = self._loop.time()
        if not self._desk.welcome(self):
            self.cut(CloseCode.TOO_MANY_SUBSCRIBERS, "the gateway has no room for more consumers")
            return
        hello = gateway_hello_frame(self._terms.instance, commands=self._terms.allows_commands)
        self._write([hello])
        self._hello_timer = self._loop.call_later(self._terms.hello_seconds, self._on_hello_late)

    def connection_lost(self, _error: Exception | None) -> None:
        """The consumer is gone; so are its places in all calls."""
        self._leave()
        self._transport = None
        self._desk.gone(self)

    def data_received(self, data: bytes) -> None:
        """Take in what the consumer says."""
        if self._stage is _Stage.OVER:
            return
        try:
            for kind, call, _, position, _, _, body in self._decoder.feed(data):
                self._inbound_cost += JSON_FRAME_COST if body else 1
                self._receive(kind, call, position, body)
                if self._stage is _Stage.OVER:
                    return
        except Objection as objection:
            self.cut(objection.code, str(objection))
            return
        if (rule := self._decoder.broken) is not None:
            self.cut(CloseCode.BAD_FRAME, rule)
            return
        self._inbound_bytes += len(data)
        self._inbound_cost += 1
        if self._inbound_cost > INBOUND_FRAMES or self._inbound_bytes > INBOUND_BYTES:
            assert self._transport is not None
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """The transport holds as much as it should."""
        self._may_write = False

    def resume_writing(self) -> None:
        """The consumer has caught up with what was written."""
        self._may_write = True
        if self._outbox.has_news or self._outbox.backlog_bytes:
            self._wake_now()

    def enrol(self, enrolment_of: Mapping[Any, Any] | None = None) -> None:
        """Reserved."""

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
        self._wake_now()

    def cut(self, code: CloseCode, message: str) -> None:
        """End the connection and, if the consumer reads it, tell why."""
        transport = self._transport
        if self._stage is _Stage.OVER or transport is None:
            return
        self._leave()
        self._desk.count(f"cut_{code.value}")
        if code is not CloseCode.STOPPING:
            logger.warning("subscriber.cut", address=self.address, consumer=self.name, code=code)
        transport.write(connection_close_frame(code, message))
        transport.close()
        self._loop.call_later(GOODBYE_SECONDS, transport.abort)

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def tick(self, now: float) -> None:
        """Look for a consumer that takes nothing; read on where we had stopped. About a second."""
        transport = self._transport
        if transport is None or self._stage is _Stage.OVER:
            return
        self._inbound_cost = self._inbound_bytes = 0
        transport.resume_reading()
        waiting_bytes = transport.get_write_buffer_size()
        accepted_bytes = self._written_bytes - waiting_bytes
        if accepted_bytes != self._accepted_bytes or not waiting_bytes:
            self._accepted_bytes = accepted_bytes
            self._moved_at = now
        elif now - self._moved_at > self._terms.stuck_seconds:
            self.cut(CloseCode.STUCK, f"nothing was read for {self._terms.stuck_seconds:g} s")
            self.abort()

    def books(self) -> SinkBooks:
        """The books of the calls that the consumer reads now."""
        books = SinkBooks()
        for enrolment in self._outbox.enrolments.values():
            now = self._outbox.books(enrolment)
            if now is not None:
                books.add(now.received, now.forwarded, now.buffered, now.dropped)
        return books

    def snapshot(self) -> dict[str, Any]:
        """Plain values. The books cover all calls of this connection, ended ones included."""
        reading = self.books()
        lag_samples = reading.buffered
        reading.merge(self._books)
        return {
            "address": self.address,
            "name": self.name,
            "calls": len(self._outbox.enrolments),
            "lag_samples": lag_samples,
            "unacked_samples": self._unacked_samples(),
            "control_backlog_bytes": self._outbox.backlog_bytes,
            **reading.as_json(),
        }
