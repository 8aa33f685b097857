"""aiohttp's part of a connection, and what it takes for its transport.

Used of aiohttp: the public faces of `web.Server`, `web.RequestHandler` (an `asyncio.Protocol`) and
`web.StreamResponse`. It gives each request a task, and its body a buffer with flow control.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NoReturn

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

    from .connection import IngestConnection

__all__ = ["LAST_CHUNK", "AiohttpSide", "chunk_of", "head_of", "make_server"]

LAST_CHUNK: Final = b"0\r\n\r\n"


def head_of(body_bytes: int | None) -> bytes:
    """The head that aiohttp gets, whatever the peer's said. None: the body comes in chunks."""
    return _IN_CHUNKS if body_bytes is None else _OF_LENGTH % body_bytes


def chunk_of(payload: bytes) -> bytes:
    """A chunk, as aiohttp gets it."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def make_server() -> web.Server:
    """What all connections of a port share on aiohttp's side."""
    return web.Server(_serve, handler_cancellation=False)


class AiohttpSide(web.RequestHandler):
    """aiohttp's protocol of one connection; it is connected at once."""

    __slots__ = ("_connection",)

    def __init__(
        self, server: web.Server, connection: IngestConnection, transport: asyncio.Transport
    ) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=_FOR_EVER_SECONDS,  # our own deadlines are tighter
            access_log=None,  # type: ignore[arg-type]  # as aiohttp's runner itself passes it
            lingering_time=0.0,
            read_bufsize=_BUFFER_BYTES,
            auto_decompress=False,
        )
        self._connection = connection
        self.connection_made(_Wire(connection, transport))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Something that cannot be: aiohttp does not understand what we wrote for it."""
        self._connection.survive(exc)
        return _ENDS

    def log_exception(self, *args: Any, **kw: Any) -> None:  # noqa: ANN401 - aiohttp's
        """Say so, without words that aiohttp found for it."""
        error = kw.get("exc_info")
        self._connection.survive(error if isinstance(error, BaseException) else None)


class _Wire(asyncio.Transport):
    """The transport that aiohttp sees. It writes nothing; it holds up and resumes reading."""

    __slots__ = ("_transport", "connection")

    def __init__(self, connection: IngestConnection, transport: asyncio.Transport) -> None:
        super().__init__()
        self.connection = connection
        self._transport = transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401
        """As the real one says."""
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """As the real one says."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """The buffer of the body is full."""
        self.connection.hold_body()

    def resume_reading(self) -> None:
        """It has room again."""
        self.connection.release_body()

    def close(self) -> None:
        """Nothing: the guard knows best when, and closes the connection itself."""

    abort = close

    def write(self, _data: object) -> NoReturn:
        """Nothing of aiohttp's own goes out."""
        raise ConnectionError("answers go out through the guard")


class _Sent(web.StreamResponse):
    """Tells aiohttp that the answer has gone out already."""

    def __init__(self, *, keeps_alive: bool) -> None:
        super().__init__()
        self._keeps_alive = keeps_alive

    @property
    def keep_alive(self) -> bool:
        """Whether aiohttp shall wait for another request."""
        return self._keeps_alive

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write nothing."""
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing."""


async def _serve(request: web.BaseRequest) -> web.StreamResponse:
    """What aiohttp calls for each request."""
    wire = request.transport
    if not isinstance(wire, _Wire):  # the connection has gone meanwhile
        return _ENDS
    return _KEEPS if await wire.connection.answer(request.content) else _ENDS


_KEEPS: Final = _Sent(keeps_alive=True)
_ENDS: Final = _Sent(keeps_alive=False)
_FOR_EVER_SECONDS: Final = 1e9
_BUFFER_BYTES: Final = 65_536
"""aiohttp holds up reading at twice as much of a body that nobody takes."""
_OF_LENGTH: Final = b"POST / HTTP/1.1\r\nHost: earhook\r\nContent-Length: %d\r\n\r\n"
_IN_CHUNKS: Final = b"POST / HTTP/1.1\r\nHost: earhook\r\nTransfer-Encoding: chunked\r\n\r\n"
