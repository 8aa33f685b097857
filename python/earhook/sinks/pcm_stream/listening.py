"""Sockets that consumers connect to. Whoever opens them need not be who accepts on them."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from earhook.address import Address, TcpAddress, UnixAddress
from earhook.errors import ConfigurationError, ConfigurationFault

from .settings import PcmStreamSettings

__all__ = ["BACKLOG", "Listening", "listen_on"]

BACKLOG: Final = 128


class Listening:
    """Open sockets of one address; a name with several addresses has several.

    Attributes:
        address: Where they are, with the port that the system chose.
        sockets: They listen: connections wait in their backlogs until somebody accepts.
    """

    def __init__(
        self, address: Address, sockets: Sequence[socket.socket], file: SocketFile | None = None
    ) -> None:
        if isinstance(address, TcpAddress):
            port = sockets[0].getsockname()[1]
            address = TcpAddress(address.host, port)
        self.address = address
        self.sockets = tuple(sockets)
        self._file = file

    @classmethod
    def adopt(cls, settings: PcmStreamSettings, sockets: Sequence[socket.socket]) -> Self:
        """Go on with what `listen_on` has opened for the same settings."""
        address = settings.address
        file = SocketFile(Path(address.path)) if isinstance(address, UnixAddress) else None
        return cls(address, sockets, file)

    def close(self) -> None:
        """Close our descriptors, and remove the socket file if it is ours."""
        for listening in self.sockets:
            listening.close()
        self.remove_file()

    def remove_file(self) -> None:
        """Remove the socket file if it is ours, and leave the sockets open."""
        if self._file is not None:
            self._file.remove()
            self._file = None


class SocketFile:
    """A socket file of ours. Another process may have put its own in the place by now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = self._stat()

    def remove(self) -> None:
        """Remove it, unless it is another one by now."""
        if self._identity is not None and self._stat() == self._identity:
            self._path.unlink(missing_ok=True)

    def _stat(self) -> tuple[int, int] | None:
        try:
            found = os.lstat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino


async def listen_on(settings: PcmStreamSettings) -> Listening:
    """Open the sockets of `settings.listen`; a socket file that nobody listens on is replaced.

    Raises:
        ConfigurationError: The address cannot be used.
    """
    address = settings.address
    try:
        if isinstance(address, UnixAddress):
            opened, file = _listen_unix(address, settings.unix_mode)
            return Listening(address, [opened], file)
        return Listening(address, await _listen_tcp(address))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        fault = ConfigurationFault(
            f"sinks.{settings.name}.listen",
            f"cannot listen on {address}: {reason}",
            _REMEDIES.get(error.errno or 0, "choose another address"),
        )
        raise ConfigurationError([fault]) from error


def _listen_unix(address: UnixAddress, mode: int) -> tuple[socket.socket, SocketFile]:
    path = Path(address.path)
    _clear_stale(path)
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        opened.bind(address.path)
        # Nobody can connect between bind and listen, so the mode holds from the first moment.
        path.chmod(mode)
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened, SocketFile(path)


async def _listen_tcp(address: TcpAddress) -> list[socket.socket]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    opened: list[socket.socket] = []
    try:
        for family, kind, _, _, place in dict.fromkeys(found):
            listening = socket.socket(family, kind | socket.SOCK_NONBLOCK)
            opened.append(listening)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # One port for all, also where the system has chosen it.
            port = opened[0].getsockname()[1] if len(opened) > 1 else place[1]
            listening.bind((place[0], port, *place[2:]))
            listening.listen(BACKLOG)
    except OSError:
        for listening in opened:
            listening.close()
        raise
    return opened


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
