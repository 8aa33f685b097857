"""How connections with consumers come about: we listen, or we dial and dial again."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from earhook.address import Address, UnixAddress
from earhook.ops.logging import get_limited_logger, get_logger

from .listening import BACKLOG, Listening, listen_on
from .settings import PcmStreamSettings
from .subscriber import Subscriber
from .tls import client_context, server_context

__all__ = ["Dialer", "Endpoint", "Listener", "endpoint_of"]

TLS_HANDSHAKE_SECONDS: Final = 5.0
DIAL_SECONDS: Final = 5.0
FIRST_REDIAL_SECONDS: Final = 0.25

logger = get_logger(__name__)
limited_logger = get_limited_logger(__name__)

ConnectionFactory = Callable[[], asyncio.Protocol]
SubscriberFactory = Callable[[], Subscriber]


class Endpoint(Protocol):
    """Where connections come from."""

    @property
    def address(self) -> Address:
        """Where it is; for a port that the system chose, the chosen one."""
        ...

    @property
    def detail(self) -> str:
        """How it is doing, in a few words."""
        ...

    async def start(self) -> None:
        """Begin. Raises `ConfigurationError` where it cannot work at all."""
        ...

    async def stop(self) -> None:
        """No more connections; those that are there stay."""
        ...


def endpoint_of(settings: PcmStreamSettings, make: SubscriberFactory) -> Endpoint:
    """The endpoint that the settings ask for."""
    if settings.listen is not None:
        return Listener(settings, make)
    return Dialer(settings, make)


class Listener:
    """Accepts on a Unix socket or a TCP port.

    Args:
        settings: Where, and with what TLS.
        make: A protocol for each connection.
        inherited: Sockets that are open already, and another process's; their file stays.
    """

    def __init__(
        self,
        settings: PcmStreamSettings,
        make: ConnectionFactory,
        inherited: Sequence[socket.socket] = (),
    ) -> None:
        self.address = settings.address
        self._settings = settings
        self._make = make
        self._inherited = inherited
        self._listening: Listening | None = None
        self._servers: list[asyncio.Server] = []

    @property
    def detail(self) -> str:
        """Where it listens."""
        return f"listens on {self.address}" if self._servers else "does not listen"

    async def start(self) -> None:
        """Listen; a socket file that nobody listens on any more is replaced."""
        settings = self._settings
        tls = settings.tls
        context = None if tls is None else server_context(tls, f"sinks.{settings.name}")
        if self._inherited:
            listening = Listening(self.address, self._inherited)
        else:
            listening = await listen_on(settings)
        self._listening, self.address = listening, listening.address
        for opened in listening.sockets:
            self._servers.append(await self._accept_on(opened, context))
        logger.info("pcm_stream.listening", sink=settings.name, address=str(self.address))

    async def stop(self) -> None:
        """Close the listening sockets, and remove their file if it is ours."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        if self._listening is not None:
            self._listening.remove_file()
            self._listening = None

    async def _accept_on(
        self, opened: socket.socket, context: ssl.SSLContext | None
    ) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        if opened.family == socket.AF_UNIX:
            return await loop.create_unix_server(self._make, sock=opened, backlog=BACKLOG)
        return await loop.create_server(
            self._make,
            sock=opened,
            backlog=BACKLOG,
            ssl=context,
            ssl_handshake_timeout=None if context is None else TLS_HANDSHAKE_SECONDS,
        )


class Dialer:
    """Keeps one connection with a service that listens, dialling again whenever it is lost."""

    def __init__(self, settings: PcmStreamSettings, make: SubscriberFactory) -> None:
        self.address = settings.address
        self.detail = "has not dialled yet"
        self._settings = settings
        self._make = make
        self._context: ssl.SSLContext | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to dial; a service that is not there yet is no fault."""
        tls = self._settings.tls
        where = f"sinks.{self._settings.name}"
        self._context = None if tls is None else client_context(tls, where)
        self._task = asyncio.create_task(self._keep_connected())

    async def stop(self) -> None:
        """Stop dialling."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _keep_connected(self) -> None:
        pause_seconds = FIRST_REDIAL_SECONDS
        while True:
            try:
                async with asyncio.timeout(DIAL_SECONDS):
                    subscriber = await self._dial()
            except (OSError, UnicodeError) as error:  # of names that cannot be looked up, too
                self.detail = f"cannot reach {self.address}: {type(error).__name__}"
                limited_logger.warning(
                    "pcm_stream.dial_failed",
                    sink=self._settings.name,
                    address=str(self.address),
                    error=type(error).__name__,
                )
            else:
                self.detail = f"connected with {self.address}"
                logger.info(
                    "pcm_stream.dialled", sink=self._settings.name, address=str(self.address)
                )
                await subscriber.closed.wait()
                self.detail = f"lost {self.address}"
                if subscriber.subscription is not None:
                    pause_seconds = FIRST_REDIAL_SECONDS
            # Many gateways that lost one service shall not come back in one moment.
            await asyncio.sleep(pause_seconds * random.uniform(0.5, 1.0))  # noqa: S311
            pause_seconds = min(2 * pause_seconds, self._settings.redial_seconds)

    async def _dial(self) -> Subscriber:
        loop = asyncio.get_running_loop()
        if isinstance(self.address, UnixAddress):
            _, subscriber = await loop.create_unix_connection(self._make, self.address.path)
        else:
            _, subscriber = await loop.create_connection(
                self._make,
                self.address.host,
                self.address.port,
                ssl=self._context,
                ssl_handshake_timeout=None if self._context is None else TLS_HANDSHAKE_SECONDS,
            )
        return subscriber
