"""The small interface between the HTTP server and what answers.

Nothing here knows which server it is: whoever can make an `Exchange` of a request and send a
`Reply` can carry the calls.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from copy import copy
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

from earhook.errors import PeerError

from .reply import Reply

if TYPE_CHECKING:
    from earhook.edge.request import RequestHead
    from earhook.edge.tls import PeerCertificate

__all__ = [
    "Answer",
    "BodyCut",
    "BodyError",
    "BodyTooSlow",
    "Exchange",
]


class BodyError(PeerError):
    """A body that does not come to its end. What was read of it before is what came.

    The server ends the connection, and has answered or will answer for it: a reply that is
    returned after this error is not sent.
    """

    def anew(self) -> Self:
        """The same to be raised, for who keeps it: what is raised holds on to all that it ends."""
        return copy(self)


class BodyCut(BodyError):
    """The peer has gone, or what it sent is no HTTP any more, or we are stopping."""


class BodyTooSlow(BodyError):
    """The body came more slowly than the limits allow."""


class Exchange(Protocol):
    """One request and the way to answer it.

    Used on the loop's thread, by one task. All that it waits for is the peer.

    Attributes:
        head: The request head, well-formed. Method is GET, HEAD or POST.
        address: The client's address, as text; behind a trusted proxy, the one it names.
        body_bytes: Length of the body where the request tells it; 0: there is none; None: it is
            chunked, and nobody knows.
        certificate: What the client showed in TLS, if it showed anything; checked.
        is_gone: Whether the connection has ended, so that nobody will read the answer.
        is_whole: Whether all of the body has come, so that `body` waits for nobody.
    """

    @property
    def head(self) -> RequestHead: ...  # noqa: D102 - above
    @property
    def address(self) -> str: ...  # noqa: D102
    @property
    def body_bytes(self) -> int | None: ...  # noqa: D102
    @property
    def certificate(self) -> PeerCertificate | None: ...  # noqa: D102
    @property
    def is_gone(self) -> bool: ...  # noqa: D102
    @property
    def is_whole(self) -> bool: ...  # noqa: D102

    def proven(self) -> None:
        """The request is authenticated: its connection no longer counts among strangers."""
        ...

    def when_gone(self, tell: Callable[[], None] | None) -> None:
        """Have somebody told when `is_gone` becomes true; None: nobody, from now on."""
        ...

    def hold_back(self, seconds: float) -> None:
        """The answer takes nothing for so long because the peer sends faster than it may.

        To be said before: a socket that is left unread for that is none that waits for us.
        """
        ...

    def body(self) -> AsyncIterator[bytes]:
        """The body as it comes, in pieces of any length but 0; to be asked for once.

        The first piece asked for sends `100 Continue` where the client waits for it. A body that
        is not read to its end costs the connection, unless what is left of it is short.

        Raises:
            BodyCut: See there.
            BodyTooSlow: See there.
        """
        ...

    async def acknowledge(self, reply: Reply) -> None:
        """Send the reply now; the body goes on. What `Answer` returns is then not sent.

        Does nothing when the peer has gone or something was sent before.
        """
        ...


Answer: TypeAlias = Callable[[Exchange], Awaitable[Reply]]
"""Answers a request. It awaits nothing but the exchange, so a peer that goes away ends it; an
exception of it is counted, logged and answered with 500."""
