"""How connections with consumers come about: we listen, or we dial and dial again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import socket
import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from earhook.address import Address, TcpAddress, UnixAddress
from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ops.logging import get_limited_logger, get_logger

from .settings import PcmStreamSettings
from .subscriber import Subscriber
from .tls import client_context, server_context

__all__ = ["Dialer", "Endpoint", "Listener", "endpoint_of"]

TLS_HANDSHAKE_SECONDS: Final = 5.0
DIAL_SECONDS: Final = 5.0
FIRST_REDIAL_SECONDS: Final = 0.25
BACKLOG: Final = 128

logger = get_logger(__name__)
limited_logger = get_limited_logger(__name__)

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
    """Listens on a Unix socket or a TCP port."""

    def __init__(self, settings: PcmStreamSettings, make: SubscriberFactory) -> None:
        self.address = settings.address
        self._settings = settings
        self._make = make
        self._server: asyncio.Server | None = None
        self._socket_file: _SocketFile | None = None

    @property
    def detail(self) -> str:
        """Where it listens."""
        return f"listens on {self.address}" if self._server else "does not listen"

    async def start(self) -> None:
        """Listen; a socket file that nobody listens on any more is replaced."""
        where = f"sinks.{self._settings.name}"
        tls = self._settings.tls
        context = None if tls is None else server_context(tls, where)
        try:
            if isinstance(self.address, UnixAddress):
                await self._listen_unix(self.address)
            else:
                await self._listen_tcp(self.address, context)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            fault = ConfigurationFault(
                f"{where}.listen",
                f"cannot listen on {self.address}: {reason}",
                _REMEDIES.get(error.errno or 0, "choose another address"),
            )
            raise ConfigurationError([fault]) from error
        logger.info("pcm_stream.listening", sink=self._settings.name, address=str(self.address))

    async def stop(self) -> None:
        """Close the listening socket and remove its file."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._socket_file is not None:
            self._socket_file.remove()
            self._socket_file = None

    async def _listen_unix(self, address: UnixAddress) -> None:
        listening = _bind(address, self._settings.unix_mode)
        self._socket_file = _SocketFile(Path(address.path))
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._make, sock=listening, backlog=BACKLOG)

    async def _listen_tcp(self, address: TcpAddress, context: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._make,
            address.host,
            address.port,
            backlog=BACKLOG,
            ssl=context,
            ssl_handshake_timeout=None if context is None else TLS_HANDSHAKE_SECONDS,
            reuse_address=True,
        )
        port = self._server.sockets[0].getsockname()[1]
        self.address = TcpAddress(address.host, port)


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


class _SocketFile:
    """A socket file of ours. Another process may have put its own in the place by now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = self._stat()

    def remove(self) -> None:
        if self._identity is not None and self._stat() == self._identity:
            self._path.unlink(missing_ok=True)

    def _stat(self) -> tuple[int, int] | None:
        try:
            found = os.lstat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino


def _bind(address: UnixAddress, mode: int) -> socket.socket:
    """A socket that is bound, and does not listen yet."""
    path = Path(address.path)
    _clear_stale(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        bound.bind(address.path)
        # Nobody can connect between bind and listen, so the mode holds from the first moment.
        path.chmod(mode)
    except OSError:
        bound.close()
        raise
    return bound


def _clear_stale(path: Path) -> None:
    """Remove a socket file that nobody listens on; whatever else is there stays.

    Raises:
        OSError: `EADDRINUSE`: somebody listens, or the file is no socket.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EADDRINUSE, "the file exists and is no socket")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        # Refused: nobody listens. EAGAIN: somebody does, and is busy.
        probe.connect(str(path))
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
        return
    except BlockingIOError:
        pass
    finally:
        probe.close()
    raise OSError(errno.EADDRINUSE, "another process listens there")


_REMEDIES: Final = {
    errno.ENOENT: "create the directory",
    errno.EACCES: "let the gateway's user write to the directory, or choose a port above 1023",
    errno.EADDRINUSE: "stop the other process or choose another address",
    errno.EADDRNOTAVAIL: "choose an address of this machine",
}
