"""Where the server is: its name is looked up once for all calls of a process."""

from __future__ import annotations

import asyncio
import socket as sockets
import ssl
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urlsplit

from earhook.transport.dial import DialError

__all__ = ["Addresses"]


class Addresses:
    """The addresses of a URL's host, the one that answered last in front.

    Args:
        known: In the order in which the resolver gave them; empty: none is known, and each call
            finds out for itself.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = list(known)

    @classmethod
    async def look_up(cls, url: str) -> Addresses:
        """Ask the resolver. A name that it does not know is no error yet: the calls will say so."""
        host = urlsplit(url).hostname
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, None, type=sockets.SOCK_STREAM)
        except OSError:
            return cls()
        return cls(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def connect(self, attempt: Callable[[str | None], Awaitable[object]]) -> None:
        """Attempt one address after the other until one can be reached; None: by name.

        Raises:
            DialError: The last one could not, or the first that could did not want us.
            OSError: As well.
        """
        left: list[str | None] = [*self._known] or [None]
        while left:
            address = left.pop(0)
            try:
                await attempt(address)
            except (DialError, OSError) as error:
                if not left or not _is_unreachable(error):
                    raise
            else:
                self._prefer(address)
                return

    def _prefer(self, address: str | None) -> None:
        if address is not None and self._known[0] != address:
            self._known.remove(address)
            self._known.insert(0, address)


def _is_unreachable(error: DialError | OSError) -> bool:
    if isinstance(error, DialError):
        return error.fault == "connect"
    return not isinstance(error, ssl.SSLError | TimeoutError)
