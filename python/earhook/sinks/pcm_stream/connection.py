"""A connection with a consumer, whatever it is sent: greeting, limits and goodbye."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from earhook.errors import StreamError
from earhook.media.stream import MAX_CONSUMER_FRAME_BYTES, FrameDecoder
from earhook.ops.logging import get_state_logger

from .dialogue import Dialogue, DialogueDoors
from .messages import CloseCode, ObjectionError, connection_close_frame, gateway_hello_frame
from .subscription import Subscription
from .watch import Inbound, Movement

__all__ = ["WRITE_BYTES", "ConsumerConnection", "ConsumerTerms"]

WRITE_BYTES: Final = 64 << 10
"""What one write may carry, and what may wait in the transport before we stop adding.

Well below the 128 KiB from which the C library asks the kernel for each block and gives it back,
which costs a fault for each page.
"""
GOODBYE_SECONDS: Final = 2.0
"""How long a consumer that is cut may take to read why."""
JSON_FRAME_COST: Final = 20
"""A frame with JSON counts as so many others, because it takes that much longer to read."""

logger = get_state_logger(__name__)


@dataclass(frozen=True, slots=True)
class ConsumerTerms:
    """What holds for every consumer of a sink."""

    instance: str
    token: bytes | None
    allows_commands: bool
    hello_seconds: float
    stuck_seconds: float
    coalesce_seconds: float
    control_backlog_bytes: int


class ConsumerConnection(asyncio.Protocol):
    """The gateway's side of the PCM stream with one consumer, until either side ends it.

    What is sent, and what becomes of acks and commands, is for subclasses to say. A consumer that
    breaks a rule, or takes nothing at all for too long, is cut.

    Args:
        terms: What holds for every consumer.
        count: Counts something for metrics.
    """

    def __init__(self, terms: ConsumerTerms, count: Callable[[str], None]) -> None:
        self.address = ""
        self.closed = asyncio.Event()
        """Set when the connection is gone."""
        self.subscription: Subscription | None = None
        self._terms = terms
        self._count = count
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._decoder = FrameDecoder(MAX_CONSUMER_FRAME_BYTES)
        doors = DialogueDoors(self._on_subscribe, self._acknowledge, self._command)
        self._dialogue = Dialogue(terms.token, doors)
        self._hello_timer: asyncio.TimerHandle | None = None
        self._may_write = True
        self._is_over = False
        self._inbound = Inbound()
        self._movement = Movement(self._loop.time())

    @property
    def is_streaming(self) -> bool:
        """Whether the consumer has said what it wants, and is not cut."""
        return self._dialogue.is_streaming and not self._is_over

    @property
    def is_blocked(self) -> bool:
        """Whether the consumer has not taken most of what was written."""
        return not self._may_write

    @property
    def consumer(self) -> str:
        """What the consumer calls itself; safe to print, not to be trusted."""
        return self._dialogue.consumer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, and start the clock."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = transport = cast("asyncio.Transport", transport)
        self.address = _address_of(transport)
        transport.set_write_buffer_limits(high=WRITE_BYTES)
        if not self._welcome():
            self.cut(CloseCode.TOO_MANY_SUBSCRIBERS, "the gateway has no room for more consumers")
            return
        terms = self._terms
        self._write([gateway_hello_frame(terms.instance, commands=terms.allows_commands)])
        self._hello_timer = self._loop.call_later(terms.hello_seconds, self._on_hello_late)

    def connection_lost(self, _error: Exception | None) -> None:
        """The consumer is gone, and so are its places in all calls."""
        self._leave()
        self._transport = None
        self._dialogue.end()
        self.closed.set()
        self._gone()

    def data_received(self, data: bytes) -> None:
        """Take in what the consumer says."""
        if self._is_over:
            return
        try:
            for kind, call, channel, position, _, _, body in self._decoder.feed(data):
                self._inbound.cost += JSON_FRAME_COST if body else 1
                self._dialogue.receive(kind, call, channel, position, body)
        except ObjectionError as objection:
            self.cut(objection.code, str(objection))
            return
        except StreamError as error:
            self.cut(CloseCode.BAD_FRAME, str(error))
            return
        if (rule := self._decoder.broken) is not None:
            self.cut(CloseCode.BAD_FRAME, rule)
            return
        self._on_heard()
        if self._inbound.is_too_much(len(data)) and self._transport is not None:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """The transport holds as much as it should."""
        self._may_write = False

    def resume_writing(self) -> None:
        """The consumer has taken most of what was written."""
        self._may_write = True

    def finish(self) -> None:
        """Send what there is, then say that the gateway stops."""
        raise NotImplementedError

    def cut(self, code: CloseCode, message: str) -> None:
        """End the connection and, if the consumer reads it, tell why."""
        transport = self._transport
        if self._is_over or transport is None:
            return
        self._leave()
        if code is not CloseCode.STOPPING:
            self._count(f"cut_{code.value}")
            logger.warning(
                "subscriber.cut", address=self.address, consumer=self.consumer, code=code
            )
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

    def _welcome(self) -> bool:
        """The connection is there; False if there are too many."""
        raise NotImplementedError

    def _gone(self) -> None:
        """The connection is closed, and its calls are left."""
        raise NotImplementedError

    def _begin(self, subscription: Subscription, body: bytes) -> None:
        """The consumer has said what it wants, read and as it came."""
        raise NotImplementedError

    def _acknowledge(self, number: int, channel: int, position: int) -> bool:
        """An ack has come; says whether the consumer has got further."""
        raise NotImplementedError

    def _command(self, number: int, body: bytes) -> None:
        """A command has come; may raise `ObjectionError`."""
        raise NotImplementedError

    def _on_heard(self) -> None:
        """All frames of one read have been taken in."""

    def _on_subscribe(self, subscription: Subscription, body: bytes) -> None:
        if self._hello_timer is not None:
            self._hello_timer.cancel()
        self.subscription = subscription
        self._begin(subscription, body)

    def _on_hello_late(self) -> None:
        missing = "subscribe" if self._dialogue.is_greeted else "hello"
        text = f"no {missing} within {self._terms.hello_seconds:g} s"
        self.cut(CloseCode.HELLO_TIMEOUT, text)

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

    def _leave(self) -> None:
        """Nothing is sent any more but a goodbye."""
        self._is_over = True
        if self._hello_timer is not None:
            self._hello_timer.cancel()
            self._hello_timer = None


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
