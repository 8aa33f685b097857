"""The doors of the SDK: `connect`, `subscribe` and `serve`."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, Unpack

from earhook.address import Address, TcpAddress, UnixAddress, parse_address
from earhook.errors import StreamError, StreamRefused

from .items import Block
from .link import Link
from .settings import StreamSettings, Wishes
from .stream import Stream

__all__ = ["connect", "serve", "subscribe"]

DIAL_SECONDS: Final = 5.0
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 10.0
HOPELESS: Final = frozenset(
    {"bad_frame", "bad_message", "unexpected_frame", "unauthorized", "unsupported_version"}
)
"""Codes with which a gateway says that asking again would change nothing."""


def connect(address: str, **wishes: Unpack[Wishes]) -> Stream:
    """Make a stream of a gateway's calls; enter it with `async with` to begin.

    Args:
        address: `unix:/path`, `tcp:host:port` or `tls:host:port`.
        **wishes: See `StreamSettings`.

    Raises:
        ValueError: The address is none.
    """
    settings = StreamSettings(**wishes)
    parsed = parse_address(address)
    return Stream(settings, _Dialling(parsed, settings).run, several=False)


async def subscribe(address: str, **wishes: Unpack[Wishes]) -> AsyncIterator[Block]:
    """Give the blocks of a gateway's calls; the short form of `connect`.

    ```python
    async for block in subscribe("unix:/run/earhook/pcm.sock", start="now"):
        print(block.call.conversation_id, block.channel, block.position, block.samples.shape)
    ```

    Args:
        address: As of `connect`.
        **wishes: See `StreamSettings`; `gaps` and `events` change nothing.
    """
    async with connect(address, **wishes) as stream:
        async for item in stream:
            if isinstance(item, Block):
                yield item


def serve(address: str, **wishes: Unpack[Wishes]) -> Stream:
    """Make a stream of the calls of gateways that dial us (`connect` in their configuration).

    Any number of them may be connected. One that loses its connection and dials again goes on
    where it was; the calls of one that stays away for a minute are closed as lost.

    Args:
        address: Where to listen: `unix:/path` or `tcp:host:port` (port 0: `stream.address` then
            tells which); with `ssl`, a server's context, in TLS.
        **wishes: See `StreamSettings`; `reconnect` and `give_up_seconds` mean nothing here.

    Raises:
        ValueError: The address is none.
    """
    settings = StreamSettings(**wishes)
    parsed = parse_address(address)
    if isinstance(parsed, TcpAddress) and parsed.tls and settings.ssl is None:
        raise ValueError("to serve TLS, give ssl: a context with a certificate")
    return Stream(settings, _Listening(parsed, settings).run, several=True)


class _Dialling:
    """Keeps one connection up, for as long as the settings say."""

    def __init__(self, address: Address, settings: StreamSettings) -> None:
        self._address = address
        self._settings = settings
        self._context = settings.ssl
        if isinstance(address, TcpAddress) and address.tls and self._context is None:
            self._context = ssl.create_default_context()

    async def run(self, stream: Stream) -> None:
        """Dial, wait for the end, dial again. Returns if the gateway stops and that is enough."""
        stream.address = str(self._address)
        loop = asyncio.get_running_loop()
        alone_since, pause_seconds = loop.time(), FIRST_PAUSE_SECONDS
        while True:
            was_served, error = await self._dial_once(stream)
            if _is_hopeless(error):
                raise error
            if was_served:
                alone_since, pause_seconds = loop.time(), FIRST_PAUSE_SECONDS
            if not self._settings.reconnect:
                if isinstance(error, StreamRefused) and error.code == "stopping":
                    return
                raise error
            patience = self._settings.give_up_seconds
            if patience is not None and loop.time() - alone_since >= patience:
                raise error
            if self._settings.on_trouble is not None:
                self._settings.on_trouble(error)
            # Many consumers that lost one gateway shall not come back in one moment.
            await asyncio.sleep(pause_seconds * random.uniform(0.5, 1.0))  # noqa: S311
            pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)

    async def _dial_once(self, stream: Stream) -> tuple[bool, Exception]:
        """One connection from its beginning to its end: whether it was of use, and why it ended."""
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                link = await self._dial(stream)
        except OSError as error:  # TimeoutError and ssl.SSLError are some
            return False, error
        await link.closed.wait()
        lost = ConnectionResetError(f"{self._address} closed the connection")
        return link.conversation.is_subscribed, link.error or lost

    async def _dial(self, stream: Stream) -> Link:
        loop = asyncio.get_running_loop()
        if isinstance(self._address, UnixAddress):
            _, link = await loop.create_unix_connection(stream.new_link, self._address.path)
        else:
            host, port = self._address.host, self._address.port
            _, link = await loop.create_connection(stream.new_link, host, port, ssl=self._context)
        return link


class _Listening:
    """Takes connections until the stream is closed."""

    def __init__(self, address: Address, settings: StreamSettings) -> None:
        self._address = address
        self._settings = settings

    async def run(self, stream: Stream) -> None:
        """Listen, and never return."""
        server = await self._listen(stream)
        stream.is_ready()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            server.close()
            if isinstance(self._address, UnixAddress):
                _remove(self._address.path)

    async def _listen(self, stream: Stream) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        address = self._address
        stream.address = str(address)
        if isinstance(address, UnixAddress):
            return await loop.create_unix_server(stream.new_link, address.path)
        server = await loop.create_server(
            stream.new_link, address.host, address.port, ssl=self._settings.ssl
        )
        port = server.sockets[0].getsockname()[1]
        stream.address = str(TcpAddress(address.host, port, tls=self._settings.ssl is not None))
        return server


def _is_hopeless(error: Exception) -> bool:
    if isinstance(error, StreamRefused):
        return error.code in HOPELESS
    # A certificate does not become another by asking again; garbled bytes are a defect.
    return isinstance(error, StreamError | ssl.SSLCertVerificationError)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        Path(path).unlink()
