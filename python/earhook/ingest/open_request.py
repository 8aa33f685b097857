"""One request that is being answered: the `Exchange` of this server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Final

from aiohttp import StreamReader, web

from .exchange import BodyCut, BodyError, BodyTooSlow
from .reply import Reply

if TYPE_CHECKING:
    from earhook.edge.arrival import Arrival
    from earhook.edge.request import RequestHead
    from earhook.edge.tls import PeerCertificate

    from .connection import IngestConnection
    from .framing import Opened

__all__ = ["OpenRequest"]


class OpenRequest:
    """See `earhook.ingest.exchange.Exchange`.

    Attributes:
        head: See there.
        address: See there.
        body_bytes: See there.
        certificate: See there.
        is_last: Whether the connection ends with the answer.
        is_answered: Whether a final answer has gone out.
        is_whole: Whether all of the body has arrived.
        received_bytes: As much of the body has arrived.
        content: The body as aiohttp keeps it; None until aiohttp has come to this request.
        broken: Why the body will not come to its end.
    """

    __slots__ = (
        "_arrival",
        "_connection",
        "_owes_continue",
        "_tell_gone",
        "address",
        "body_bytes",
        "broken",
        "certificate",
        "content",
        "head",
        "is_answered",
        "is_last",
        "is_whole",
        "received_bytes",
    )

    def __init__(self, connection: IngestConnection, arrival: Arrival, opened: Opened) -> None:
        self.head: RequestHead = opened.head
        self.address: str = arrival.address
        self.body_bytes: int | None = opened.body_bytes
        self.certificate: PeerCertificate | None = arrival.certificate
        self.is_last = opened.is_last
        self.is_answered = False
        self.is_whole = False
        self.received_bytes = 0
        self.content: StreamReader | None = None
        self.broken: BodyError | None = None
        self._arrival = arrival
        self._connection = connection
        self._owes_continue = opened.expects_continue
        self._tell_gone: Callable[[], None] | None = None

    @property
    def is_gone(self) -> bool:
        """See `Exchange`."""
        return self._connection.is_gone

    def proven(self) -> None:
        """The request is authenticated."""
        self._arrival.place.leave()

    def when_gone(self, tell: Callable[[], None] | None) -> None:
        """See `Exchange`."""
        self._tell_gone = tell

    def note_gone(self) -> None:
        """The connection has ended."""
        if self._tell_gone is not None:
            self._tell_gone()

    def hold_back(self, seconds: float) -> None:
        """The peer is too fast."""
        self._connection.hold_back(seconds)

    async def body(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        self._send_continue()
        content = self.content
        assert content is not None  # it is set before anybody is asked for an answer
        while True:
            try:
                piece = await content.readany()
            except (ConnectionError, RuntimeError, web.RequestPayloadError) as error:
                broken = self.broken or BodyCut("the connection has ended")
                raise broken.anew() from error
            if not piece:
                break
            yield piece
        if self.broken is not None:
            raise self.broken.anew()

    async def acknowledge(self, reply: Reply) -> None:
        """Send the reply now."""
        if not self.is_answered and self.broken is None:
            self._send_continue()
            self._connection.send_reply(self, reply)

    # What is left over.

    async def ends_soon(self, most_bytes: int) -> bool:
        """Whether what is left of the body is short enough to be read and thrown away.

        A body in chunks gets a moment to show its end; one of told length has said it.
        """
        if self.is_whole:
            return True
        if self.body_bytes is not None:
            if self.body_bytes - self.received_bytes > most_bytes:
                return False
            # Whether a refused peer sends its body unasked, nobody could know.
            self._send_continue()
            return True
        if self._owes_continue and not self.received_bytes:
            return False
        try:
            async with asyncio.timeout(_GRACE_SECONDS):
                return await self.discard(most_bytes)
        except TimeoutError:
            return False

    async def discard(self, most_bytes: int | None = None) -> bool:
        """Read to the end of the body; False if it does not come, or not within those bytes."""
        discarded_bytes = 0
        try:
            async for piece in self.body():
                discarded_bytes += len(piece)
                if most_bytes is not None and discarded_bytes > most_bytes:
                    return False
        except (BodyCut, BodyTooSlow):
            return False
        return True

    def _send_continue(self) -> None:
        if self._owes_continue and not self.received_bytes and not self.is_answered:
            self._connection.send(_CONTINUE)
        self._owes_continue = False


_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_GRACE_SECONDS: Final = 0.25
