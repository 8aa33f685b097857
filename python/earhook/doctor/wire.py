"""One connection, looked at closely: every byte and every step of TLS is ours to see.

Names, addresses and deadlines are the callers' affair: everything here waits for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import warnings
from collections.abc import Callable
from typing import Any, Final, Self, TypeVar

from cryptography import x509

__all__ = ["Endpoint", "Wire"]

Endpoint = tuple[socket.AddressFamily, Any]
"""Family and socket address, as the resolver gives them."""

READ_BYTES: Final = 65_536
_HANDSHAKE: Final = 22
_CERTIFICATE_REQUEST: Final = 13
Result = TypeVar("Result")


class Wire:
    """A connected socket, in the clear until `shake`. Close it, or use `async with`.

    Attributes:
        first_bytes: The beginning of what the other side said.
        asked_certificate: Whether the server asked for a certificate of ours.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.first_bytes = b""
        self.asked_certificate = False
        self._loop = asyncio.get_running_loop()
        self._socket = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None

    @classmethod
    async def open(cls, endpoint: Endpoint) -> Self:
        """Connect.

        Raises:
            OSError: Nobody there.
        """
        family, address = endpoint
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().sock_connect(sock, address)
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._socket.close()

    async def shake(self, context: ssl.SSLContext, server_name: str) -> None:
        """Begin TLS. The context is for this wire alone.

        Raises:
            ssl.SSLError: It did not come about; the chain can be asked for nevertheless.
            OSError: The connection went.
        """
        # The one way to see that a certificate is asked for and not demanded. Where the
        # interpreter has no such hook, only a demand is seen, by what it leads to.
        with contextlib.suppress(AttributeError):
            context._msg_callback = self._see_message  # type: ignore[attr-defined]  # noqa: SLF001
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        await self._drive(self._tls.do_handshake)

    @property
    def version(self) -> str:
        """The TLS version in use; empty if none."""
        return (self._tls.version() if self._tls is not None else None) or ""

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """The certificates that the server sent, in its order.

        Raises:
            ValueError: One of them cannot be read.
        """
        if self._tls is None:
            return ()
        # Public from Python 3.13 on, and there since 3.10.
        source: Any = self._tls
        if not hasattr(source, "get_unverified_chain"):
            source = source._sslobj  # noqa: SLF001
        chain = source.get_unverified_chain() or ()
        ders = [one if isinstance(one, bytes) else one.public_bytes(_ENCODING_DER) for one in chain]
        with warnings.catch_warnings():
            # What is odd in it and can be read all the same is judged by the steps that follow.
            warnings.simplefilter("ignore")
            return tuple(x509.load_der_x509_certificate(der) for der in ders)

    async def send(self, content: bytes) -> None:
        """Send all of it."""
        if self._tls is None:
            await self._loop.sock_sendall(self._socket, content)
            return
        tls = self._tls
        await self._drive(lambda: tls.write(content))

    async def receive(self) -> bytes:
        """What comes next; empty at the end.

        Raises:
            ssl.SSLError: An alert, or what is no TLS.
            OSError: The connection went.
        """
        if self._tls is None:
            return await self._receive_raw()
        tls = self._tls
        try:
            return await self._drive(lambda: tls.read(READ_BYTES))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    async def _receive_raw(self) -> bytes:
        received = await self._loop.sock_recv(self._socket, READ_BYTES)
        self.first_bytes = self.first_bytes or received[:64]
        return received

    async def _drive(self, step: Callable[[], Result]) -> Result:
        """Take one step of TLS, feeding it what it wants."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
                received = await self._receive_raw()
                if received:
                    self._incoming.write(received)
                else:
                    self._incoming.write_eof()
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    await self._flush()  # our alert
                raise
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._loop.sock_sendall(self._socket, self._outgoing.read())

    def _see_message(
        self,
        _tls: object,
        direction: str,
        _version: object,
        content_type: int,
        message_type: int,
        _content: bytes,
    ) -> None:
        if (direction, int(content_type), int(message_type)) == (
            "read",
            _HANDSHAKE,
            _CERTIFICATE_REQUEST,
        ):
            self.asked_certificate = True


_ENCODING_DER: Final = 2
