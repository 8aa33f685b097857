"""What the console's WebSockets have in common: who may open one, and how it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import IntEnum
from typing import Final

import orjson
from aiohttp import WSMsgType, web

from earhook.ops.logging import get_logger

__all__ = ["PROTOCOL", "STUCK_SECONDS", "Leave", "Seats", "Socket", "cut", "opened_socket"]

PROTOCOL: Final = "earhook.console.v1"
MAX_MESSAGE_BYTES: Final = 8192
MAX_PINGS_A_SECOND: Final = 20
STUCK_SECONDS: Final = 30.0
_CONTROL: Final = (WSMsgType.PING, WSMsgType.PONG)


logger = get_logger(__name__)


class Leave(IntEnum):
    """Why the server closes."""

    STOPPING = 1001
    ENDED = 1000
    FAILED = 1011
    MALFORMED = 4400
    OTHER_TOKEN = 4401
    UNREAD = 4408


class Seats:
    """A number of connections of one kind, all of which can be sent home."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: dict[object, Callable[[Leave], None]] = {}
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def __len__(self) -> int:
        return len(self._taken)

    def take(self, who: object, send_home: Callable[[Leave], None]) -> None:
        """Take a seat.

        Raises:
            web.HTTPServiceUnavailable: There is none.
        """
        if len(self._taken) >= self._most:
            raise web.HTTPServiceUnavailable(text=f"503: {self._most} are connected already\n")
        self._taken[who] = send_home
        self._is_empty.clear()

    def leave(self, who: object) -> None:
        """Give it back."""
        self._taken.pop(who, None)
        if not self._taken:
            self._is_empty.set()

    def send_home(self, why: Leave) -> None:
        """Send everybody home."""
        for send_home in list(self._taken.values()):
            send_home(why)

    async def wait_empty(self) -> None:
        """Wait until everybody has gone."""
        await self._is_empty.wait()


class Socket:
    """A WebSocket that somebody reads, or it is closed.

    Attributes:
        leave: Why it is to be closed, as soon as that is known.
    """

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self.leave: Leave | None = None
        self._leaving = asyncio.Event()
        self._second = 0.0
        self._pings = 0

    @property
    def is_open(self) -> bool:
        """Whether there is somebody to be told anything."""
        return self.leave is None and not self._socket.closed

    def send_home(self, why: Leave) -> None:
        """Close it soon."""
        self.leave = self.leave or why
        self._leaving.set()

    async def rest(self, seconds: float) -> None:
        """Wait, but not longer than it is open."""
        try:
            async with asyncio.timeout(seconds):
                await self._leaving.wait()
        except TimeoutError:
            pass

    async def tell(self, message: object) -> None:
        """Send JSON."""
        await self._send(self._socket.send_str, orjson.dumps(message).decode())

    async def send(self, message: bytes) -> None:
        """Send bytes."""
        await self._send(self._socket.send_bytes, message)

    async def read(self, take: Callable[[object], None]) -> None:
        """Give each JSON message to `take`, which raises `ValueError` where it is none of ours."""
        async for message in self._socket:
            if message.type in _CONTROL:
                if message.type is WSMsgType.PING and not await self._pong(bytes(message.data)):
                    return self.send_home(Leave.MALFORMED)
                continue
            if not isinstance(message.data, str):
                return self.send_home(Leave.MALFORMED)
            try:
                take(orjson.loads(message.data))
            except ValueError:
                return self.send_home(Leave.MALFORMED)
        self.send_home(Leave.ENDED)
        return None

    async def _pong(self, data: bytes) -> bool:
        """Answer a ping; False: there are too many of them."""
        now = asyncio.get_running_loop().time()
        if now - self._second >= 1.0:
            self._second, self._pings = now, 0
        self._pings += 1
        if self._pings > MAX_PINGS_A_SECOND:
            return False
        await self._send(self._socket.pong, data)
        return True

    async def _send(self, send: Callable[..., object], message: object) -> None:
        if not self.is_open:
            return
        try:
            async with asyncio.timeout(STUCK_SECONDS):
                await send(message)  # type: ignore[misc]
        except TimeoutError:
            self.send_home(Leave.UNREAD)
        except ConnectionError:
            self.send_home(Leave.ENDED)


@asynccontextmanager
async def opened_socket(
    request: web.Request, seats: Seats, take: Callable[[object], None]
) -> AsyncIterator[tuple[web.WebSocketResponse, Socket]]:
    """Agree on a WebSocket, read it in the background, and close it at the end of the block."""
    response = web.WebSocketResponse(
        protocols=(PROTOCOL,),
        max_msg_size=MAX_MESSAGE_BYTES,
        compress=False,
        heartbeat=20.0,
        autoping=False,
        timeout=2.0,
    )
    offered = request.headers.get("Sec-WebSocket-Protocol")
    if offered is not None and PROTOCOL not in map(str.strip, offered.split(",")):
        # aiohttp would log what was offered, and a token may be among it.
        raise web.HTTPBadRequest(text=f"400: the subprotocol is {PROTOCOL}\n")
    if not response.can_prepare(request):
        raise web.HTTPUpgradeRequired(text="426: this path is a WebSocket's\n")
    socket = Socket(response)
    seats.take(socket, socket.send_home)
    reading: asyncio.Task[None] | None = None
    try:
        await response.prepare(request)
        reading = asyncio.create_task(socket.read(take))
        yield response, socket
    except Exception:
        if reading is None:
            raise  # it can still be answered in HTTP
        logger.exception("console.failed", path=request.path)
        socket.send_home(Leave.FAILED)
    finally:
        try:
            if reading is not None:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
                await _close(request, response, socket.leave or Leave.ENDED)
        finally:
            seats.leave(socket)


async def _close(request: web.Request, response: web.WebSocketResponse, why: Leave) -> None:
    if why is Leave.UNREAD:
        cut(request)
    else:
        await response.close(code=why, drain=False)


def cut(request: web.Request) -> None:
    """End a connection on which an answer has begun that cannot be ended otherwise."""
    if request.transport is not None:
        request.transport.abort()
