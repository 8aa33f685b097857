"""One connection with a gateway: asyncio on one side, a conversation on the other."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, cast

from earhook.errors import EarhookError

from .conversation import CommandResult, Conversation
from .items import Item

__all__ = ["Link", "LinkOwner"]

HELLO_SECONDS: Final = 10.0
"""From connecting until the gateway has carried out our `subscribe`."""


class LinkOwner(Protocol):
    """What a link needs of its stream. Called on the loop's thread."""

    def linked(self, link: Link) -> None:
        """The connection is there."""
        ...

    def accept(self, link: Link, item: Item | CommandResult) -> None:
        """Something has come."""
        ...

    def settled(self, link: Link) -> None:
        """The items of one read have all been accepted."""
        ...

    def unlinked(self, link: Link) -> None:
        """The connection is gone; `link.error` tells why, if something was wrong."""
        ...


class Link(asyncio.Protocol):
    """Runs a `Conversation` over a transport, until either side ends it."""

    def __init__(self, conversation: Conversation, owner: LinkOwner) -> None:
        loop = asyncio.get_running_loop()
        self.conversation = conversation
        self.error: Exception | None = None
        self.closed = asyncio.Event()
        """Set when the connection is gone."""
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._hello_timer = loop.call_later(HELLO_SECONDS, self._on_hello_late)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._owner.linked(self)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Take in what the gateway says, and answer."""
        if self.error is not None:
            return
        try:
            for item in self.conversation.receive(data):
                self._owner.accept(self, item)
        except EarhookError as error:
            self.error = error
        if self.conversation.is_subscribed:
            self._hello_timer.cancel()
        self.flush()
        self._owner.settled(self)
        if self.error is not None:
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the stream."""
        self._hello_timer.cancel()
        self.error = self.error or error
        self._transport = None
        self.closed.set()
        self._owner.unlinked(self)

    def flush(self) -> None:
        """Send what the conversation wants to say."""
        output = self.conversation.take_output()
        if output and self._transport is not None and not self._transport.is_closing():
            self._transport.write(output)

    def read(self, *, wanted: bool) -> None:
        """Go on reading, or stop for a while. Doing it again changes nothing."""
        if self._transport is None or self._transport.is_closing():
            return
        if wanted and not self._transport.is_reading():
            self._transport.resume_reading()
        elif not wanted and self._transport.is_reading():
            self._transport.pause_reading()

    def close(self) -> None:
        """End the connection. Nothing that we have written matters any more."""
        if self._transport is not None:
            self._transport.abort()

    def _on_hello_late(self) -> None:
        self.error = TimeoutError(f"the gateway was not ready within {HELLO_SECONDS:g} s")
        self.close()
