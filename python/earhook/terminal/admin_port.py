"""The admin port of a gateway, asked by a program: JSON, lines of JSON, and the live feed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

import aiohttp
import orjson

from earhook.errors import OperatorError

__all__ = ["AdminAddress", "AdminPort", "Feed", "PortLost", "parse_admin_url"]

CONNECT_SECONDS: Final = 5.0
QUIET_SECONDS: Final = 45.0
"""Of a stream that says `alive` every 15 s: longer, and nobody is there any more."""
HEARTBEAT_SECONDS: Final = 15.0
CLOSE_SECONDS: Final = 1.0
LONGEST_LINE_BYTES: Final = 1 << 20
LONGEST_MESSAGE_BYTES: Final = 16 << 20
FEED_PROTOCOL: Final = "earhook.console.v1"
_HELP: Final = "its address is [admin] of the configuration; give another with --admin"


class AdminAddress(NamedTuple):
    """Where it is, without a slash at the end, and what it asks for."""

    url: str
    token: str | None = None


class PortLost(ConnectionError):
    """Nobody answers there, or no longer; it may be worth asking again."""


def parse_admin_url(text: str) -> str:
    """Read `host:port`, `http://host:port` or `https://…`.

    Raises:
        ValueError: It is none of these.
    """
    url = text if "://" in text else f"http://{text}"
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("an admin port is http://host:port")
    if parts.username or parts.query or parts.fragment:
        raise ValueError("only http://host:port; the token goes into --token-file")
    _ = parts.port  # raises ValueError where it is no number
    return url.rstrip("/")


class AdminPort:
    """Asks one admin port. Use it as `async with`.

    Whatever it raises tells what to do: `PortLost` for what may pass, `OperatorError` for what
    will not.
    """

    def __init__(self, address: AdminAddress) -> None:
        self.address = address
        headers = {"Authorization": f"Bearer {address.token}"} if address.token else {}
        self._headers = headers
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Get ready; nothing is asked yet."""
        timeout = aiohttp.ClientTimeout(
            total=None, connect=CONNECT_SECONDS, sock_read=QUIET_SECONDS
        )
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout)
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Hang up."""
        if self._session is not None:
            await self._session.close()

    async def ask(self, path: str) -> Any | None:  # noqa: ANN401 - whatever JSON says
        """Ask for JSON; None: there is no such call or page (404)."""
        async with self._answer(path, ()) as answer:
            if answer.status == 404:
                return None
            self._judge(answer.status, await answer.text())
            return await answer.json(loads=orjson.loads)

    async def events(
        self, choice: Sequence[tuple[str, str]]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """What happens in calls, until the gateway hangs up.

        Args:
            choice: `session`, `type` and `history` of `/api/v1/events`.
        """
        async with self._answer("/api/v1/events", choice) as answer:
            if answer.status != 200:
                self._judge(answer.status, await answer.text())
            rest = b""
            try:
                async for chunk in answer.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield orjson.loads(line)
                    if len(rest) > LONGEST_LINE_BYTES:
                        raise PortLost(f"{self.address.url} sends lines without an end")
            except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError) as error:
                raise PortLost(f"{self.address.url} went away ({_reason(error)})") from None
        raise PortLost(f"{self.address.url} hung up")

    @asynccontextmanager
    async def feed(self) -> AsyncIterator[Feed]:
        """The live list, for as long as the block runs."""
        assert self._session is not None, "enter it first"
        url = f"{self.address.url}/api/v1/feed"
        try:
            socket = await self._session.ws_connect(
                url,
                protocols=(FEED_PROTOCOL,),
                max_msg_size=LONGEST_MESSAGE_BYTES,
                heartbeat=HEARTBEAT_SECONDS,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
            )
        except aiohttp.WSServerHandshakeError as error:
            self._judge(error.status, "")
            raise PortLost(f"{url} answers with status {error.status}") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._lost(error) from None
        feed = Feed(socket, self.address.url)
        try:
            yield feed
        finally:
            await feed.close()

    @asynccontextmanager
    async def _answer(
        self, path: str, query: Sequence[tuple[str, str]]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None, "enter it first"
        try:
            answer = await self._session.get(f"{self.address.url}{path}", params=list(query))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._lost(error) from None
        async with answer:
            yield answer

    def _lost(self, error: Exception) -> PortLost:
        return PortLost(f"no admin port answers at {self.address.url} ({_reason(error)}); {_HELP}")

    def _judge(self, status: int, text: str) -> None:
        """Make an error of an answer that is none.

        Raises:
            OperatorError: Asking again would not help.
            PortLost: It might.
        """
        url = self.address.url
        if status == 200:
            return
        if status == 401:
            what = "not the token that was shown" if self.address.token else "for a token"
            raise OperatorError(
                f"{url} asks {what}: give it with --token-file or EARHOOK_ADMIN_TOKEN; "
                "the gateway has it in [admin] token or token_file"
            )
        if status == 404:
            raise OperatorError(
                f"{url} has no live view: is it the admin port of an Earhook that is new enough, "
                "and is [console] enabled there?"
            )
        said = text.strip().splitlines()[0][:200] if text.strip() else f"status {status}"
        if status >= 500:
            raise PortLost(f"{url}: {said}")
        raise OperatorError(f"{url} refuses: {said}")


class Feed:
    """One connection to the live feed."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, url: str) -> None:
        self._socket = socket
        self._url = url

    async def close(self) -> None:
        """Hang up; may be said twice."""
        await self._socket.close()

    async def wish(self, **wishes: object) -> None:
        """Say what is to be sent: `watch`, `open`, `pause`."""
        try:
            await self._socket.send_str(orjson.dumps(wishes).decode())
        except (aiohttp.ClientError, ConnectionError) as error:
            raise PortLost(f"{self._url} went away ({_reason(error)})") from None

    async def message(self) -> dict[str, Any] | bytes:
        """The next message: an object, or records.

        Raises:
            PortLost: There is none.
        """
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            return dict(orjson.loads(message.data))
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data)
        code = self._socket.close_code
        if code == 4401:
            raise OperatorError(f"the token of {self._url} was changed: give the new one")
        raise PortLost(f"{self._url} hung up" + ("" if code is None else f" (code {code})"))


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        # asyncio wraps the system's words into a sentence of its own.
        number = error.os_error.errno or 0
        return os.strerror(number).lower() if number > 0 else str(error.os_error.strerror)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
