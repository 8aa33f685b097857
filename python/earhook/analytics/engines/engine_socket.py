"""A WebSocket to a recogniser, with its troubles as `EngineFailed`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import aiohttp
import orjson

from earhook.errors import ConfigurationError, EngineFailed, reason_of

__all__ = ["EngineSocket", "Sockets", "checked_url"]

OPEN_SECONDS: Final = 5.0
SEND_SECONDS: Final = 10.0
"""A service that takes nothing for so long is taken for dead."""
SILENT_SECONDS: Final = 30.0
"""One that gets audio and says nothing at all for so long is taken for dead as well."""
PAUSE_SECONDS: Final = 5.0
"""Without audio for so long, it need not say anything."""
HEARTBEAT_SECONDS: Final = 20.0
MESSAGE_BYTES: Final = 1 << 20
HOPELESS: Final = frozenset({400, 401, 402, 403, 404})
"""Statuses with which a service says that asking again would change nothing."""


def checked_url(url: str, usual: str) -> str:
    """The address of a service.

    Raises:
        ConfigurationError: It is none of a WebSocket.
    """
    url = url or usual
    if not url.startswith(("ws://", "wss://")):
        remedy = "such as ws://127.0.0.1:2700"
        raise ConfigurationError.of("--engine-address", f"{url} is no ws:// or wss:// URL", remedy)
    return url


class Sockets:
    """What the connections of one engine share."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def open(self, url: str, headers: Mapping[str, str] | None = None) -> EngineSocket:
        """Connect.

        Raises:
            EngineFailed: It cannot be reached, or does not want us.
        """
        if self._session is None:
            # As many as there are lines: the usual bound would let calls wait for each other.
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                socket = await self._session.ws_connect(
                    url, headers=headers, heartbeat=HEARTBEAT_SECONDS, max_msg_size=MESSAGE_BYTES
                )
        except aiohttp.WSServerHandshakeError as error:
            text = f"the service refuses us with HTTP {error.status}"
            raise EngineFailed(text, is_hopeless=error.status in HOPELESS) from None
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is one
            raise EngineFailed(f"the service cannot be reached: {reason_of(error)}") from None
        return EngineSocket(socket)

    async def close(self) -> None:
        """Let go of all of them."""
        if self._session is not None:
            await self._session.close()
            self._session = None


class EngineSocket:
    """One connection; whatever goes wrong with it is an `EngineFailed`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._waiting_since: float | None = None
        """When audio was sent first that nothing has come after."""
        self._sent_at = 0.0

    async def send_audio(self, pcm: bytes) -> None:
        """Send a binary message.

        Raises:
            EngineFailed: The connection broke, or the service has been mute for too long.
        """
        now = asyncio.get_running_loop().time()
        if self._waiting_since is None or now - self._sent_at > PAUSE_SECONDS:
            self._waiting_since = now
        self._sent_at = now
        if now - self._waiting_since > SILENT_SECONDS:
            raise EngineFailed(f"the service has said nothing for {SILENT_SECONDS:g} s")
        await self._send(self._socket.send_bytes(pcm))

    async def send_text(self, text: str) -> None:
        """Send a text message."""
        await self._send(self._socket.send_str(text))

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """JSON objects, until the service closes; anything else is passed over.

        Raises:
            EngineFailed: The connection broke, or the service closed it for a reason.
        """
        async for message in self._socket:
            self._waiting_since = None
            if message.type is aiohttp.WSMsgType.TEXT:
                with contextlib.suppress(orjson.JSONDecodeError):
                    value = orjson.loads(message.data)
                    if isinstance(value, dict):
                        yield value
            elif message.type is aiohttp.WSMsgType.ERROR:
                raise EngineFailed("the connection to the service broke")
        code = self._socket.close_code
        if code not in (None, aiohttp.WSCloseCode.OK):
            raise EngineFailed(f"the service closed the connection with code {code}")

    async def close(self) -> None:
        """Close, without waiting for the other side."""
        with contextlib.suppress(aiohttp.ClientError, OSError):
            async with asyncio.timeout(1.0):
                await self._socket.close()

    async def _send(self, sending: Any) -> None:  # noqa: ANN401 - of either kind of message
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await sending
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            raise EngineFailed(f"the service takes nothing: {reason_of(error)}") from None
