"""One consumer's connection with one worker, in which we are the consumer."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple, Protocol, cast

__all__ = ["Farewell", "Upstream", "UpstreamOwner"]

FIRST_PAUSE_SECONDS: Final = 0.02
LONGEST_PAUSE_SECONDS: Final = 1.0
MOST_WAITING_BYTES: Final = 1 << 20
"""Acks and commands that may wait for a worker that does not read."""


class Farewell(NamedTuple):
    """What a worker says at the end of a connection."""

    code: str
    message: str


class UpstreamOwner(Protocol):
    """What an upstream needs of its consumer. Called on the loop's thread."""

    def merge(self, upstream: Upstream, chunk: bytes) -> None:
        """The worker has sent something."""
        ...

    def ended(self, upstream: Upstream) -> None:
        """The connection is gone, and all that came over it has been merged."""
        ...

    def unreachable(self, upstream: Upstream) -> bool:
        """The worker cannot be reached now; says whether to try again."""
        ...


class Upstream(asyncio.Protocol):
    """Dials a worker until it is there, greets it, and passes on what it sends.

    Attributes:
        generation: Of the worker.
        has_greeted: The worker has said hello: it lives.
        has_passed: Something of it has gone to the consumer.
        is_subscribed: The worker has opened all the calls that it had.
        is_gone: The worker's process has ended.
        farewell: What it said at the end, if it did.
    """

    def __init__(self, generation: int, path: str, greeting: bytes, owner: UpstreamOwner) -> None:
        self.generation = generation
        self.has_greeted = False
        self.has_passed = False
        self.is_subscribed = False
        self.is_gone = False
        self.farewell: Farewell | None = None
        self._path = path
        self._greeting = greeting
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._is_wanted = True

    @property
    def is_connected(self) -> bool:
        """Whether something may still come."""
        return self._transport is not None

    def dial(self, *, again: bool = False) -> None:
        """Begin; `again`: after a pause, longer each time."""
        self.farewell = None
        self._dialling = asyncio.create_task(self._dial(wait_first=again))

    def write(self, frame: bytes) -> bool:
        """Send a frame; False if the worker is not there, or takes nothing of what waits."""
        transport = self._transport
        if transport is None or transport.get_write_buffer_size() > MOST_WAITING_BYTES:
            return False
        transport.write(frame)
        return True

    def read(self, *, wanted: bool) -> None:
        """Go on reading, or stop for a while. Doing it again changes nothing."""
        transport, self._is_wanted = self._transport, wanted
        if transport is None or transport.is_closing():
            return
        if wanted and not transport.is_reading():
            transport.resume_reading()
        elif not wanted and transport.is_reading():
            transport.pause_reading()

    def subscribed(self) -> None:
        """The worker has opened what it had."""
        self.is_subscribed = True
        self._greeting = b""

    def close(self) -> None:
        """End the connection, or stop dialling."""
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._greeting)
        self.read(wanted=self._is_wanted)

    def data_received(self, data: bytes) -> None:
        """Pass on what the worker sends."""
        self._owner.merge(self, data)

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell the consumer."""
        self._transport = None
        self._owner.ended(self)

    async def _dial(self, *, wait_first: bool) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if wait_first:
                await asyncio.sleep(self._pause_seconds)
                self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
            try:
                await loop.create_unix_connection(lambda: self, self._path)
            except OSError:
                if not self._owner.unreachable(self):
                    return
                wait_first = True
            else:
                return
