"""Requests that other worker processes pass on, because the calls that they are about are ours.

They come over a socket file in a directory that nobody else can look into, from processes of the
same user: who sends a request was found out where it came in, and is believed here.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from earhook.errors import ConfigurationError
from earhook.ops.logging import get_logger

from .exchange import BodyCut, BodyError
from .passing_frames import (
    Frame,
    FrameReader,
    Kind,
    PassedOpening,
    frame_of,
    read_opening,
    reply_frame,
)
from .reply import Reply, plain_reply

if TYPE_CHECKING:
    from earhook.edge.request import RequestHead

    from .credentials import Accepted
    from .exchange import Exchange
    from .tally import IngestTally

__all__ = ["AnswerPassed", "PassedServer", "is_of_this_user", "passed_path"]

BACKLOG: Final = 4096
QUEUED_BYTES: Final = 131_072
"""Of a body that nobody takes; more is left in the socket."""

AnswerPassed: TypeAlias = "Callable[[Exchange, Accepted], Awaitable[Reply | None]]"
"""Answers a request whose sender is known; None: its call is not here."""


def passed_path(directory: Path, generation: int) -> Path:
    """Where the worker of a generation is to be found."""
    return directory / f"ingest-{generation}.sock"


def is_of_this_user(transport: asyncio.BaseTransport) -> bool:
    """Whether the process at the other end of a socket file runs as the user we run as."""
    connection = transport.get_extra_info("socket")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(credentials)
    return bool(user == os.geteuid())


class PassedServer:
    """Listens for what other workers pass on. On the loop's thread only.

    Args:
        path: Of the socket file, in a directory of our own.
        answer: Answers requests.
        tally: Where faults of ours are counted.
    """

    def __init__(self, path: Path, answer: AnswerPassed, tally: IngestTally) -> None:
        self._path = path
        self._answer = answer
        self._tally = tally
        self._server: asyncio.Server | None = None
        self._connections: set[_PassedConnection] = set()
        self._answering: set[asyncio.Task[None]] = set()
        self._left_alone = asyncio.Event()
        self._left_alone.set()

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: The socket cannot be made, or others could get at it.
        """
        where = str(self._path.parent)
        found = os.lstat(where)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            remedy = "whoever can write there could post audio as anybody"
            raise _fault(where, "is no directory that only this user can look into", remedy)
        try:
            listening = _bind(self._path)
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(
                lambda: _PassedConnection(self), sock=listening, backlog=BACKLOG
            )
        except OSError as error:
            what = f"cannot listen: {error.strerror or error}"
            raise _fault(str(self._path), what, "see to the directory") from error

    async def stop(self, deadline_seconds: float) -> None:
        """Take no more; what is being answered gets that long to come to its end.

        Connections are ended by us for writing only: what the other worker still sends of a
        request that has its answer would fail there, and be taken for the loss of the answer.
        """
        if self._server is None:
            return
        deadline = asyncio.get_running_loop().time() + deadline_seconds
        self._server.close()
        self._server = None
        self._path.unlink(missing_ok=True)
        if self._answering:
            await asyncio.wait(tuple(self._answering), timeout=deadline_seconds)
        late = tuple(self._answering)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for connection in tuple(self._connections):
            connection.say_no_more()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._left_alone.wait()
        for connection in tuple(self._connections):
            connection.close()

    # What its connections ask for.

    def note_made(self, connection: _PassedConnection) -> None:
        """A connection has come in."""
        self._connections.add(connection)
        self._left_alone.clear()

    def note_lost(self, connection: _PassedConnection) -> None:
        """It has ended."""
        self._connections.discard(connection)
        if not self._connections:
            self._left_alone.set()

    def begin(self, connection: _PassedConnection, exchange: _PassedExchange) -> None:
        """Answer a request; none that comes when we stop, which is about a call that has ended."""
        if self._server is None:
            connection.finish(frame_of(Kind.NOT_HERE))
            return
        task = asyncio.create_task(self._answer_one(connection, exchange))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer_one(self, connection: _PassedConnection, exchange: _PassedExchange) -> None:
        frame = frame_of(Kind.UNANSWERED)
        try:
            reply = await self._answer(exchange, exchange.sender)
        except BodyError:
            pass  # where the request came in, it is known why
        except Exception:  # noqa: BLE001 - ends this request only
            self._tally.faults += 1
            _LOG.error("ingest.fault", exc_info=True)
            frame = reply_frame(Kind.REPLY, plain_reply(500, close=True))
        else:
            frame = frame_of(Kind.NOT_HERE) if reply is None else reply_frame(Kind.REPLY, reply)
        connection.finish(frame)


class _PassedConnection(asyncio.Protocol):
    """A connection with another worker: one request at a time, as many as come."""

    def __init__(self, server: PassedServer) -> None:
        self._server = server
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._exchange: _PassedExchange | None = None
        self._is_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody who can reach the socket."""
        self._transport = cast("asyncio.Transport", transport)
        if not is_of_this_user(transport):
            _LOG.error("ingest.stranger_inside", remedy="see who else can reach the directory")
            self._transport.abort()
            return
        self._server.note_made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The other worker has gone, or is done with us."""
        self._transport = None
        self._server.note_lost(self)
        if self._exchange is not None:
            self._exchange.lose()

    def data_received(self, data: bytes) -> None:
        """Frames, or parts of them."""
        try:
            for frame in self._reader.feed(data):
                self._take(frame)
        except ValueError:
            _LOG.error("ingest.passing_fault", exc_info=True)
            self.abort()

    def _take(self, frame: Frame) -> None:
        exchange = self._exchange
        match frame.kind:
            case Kind.OPENING if exchange is None:
                self._exchange = _PassedExchange(self, read_opening(frame.payload))
                self._server.begin(self, self._exchange)
            case Kind.PIECE | Kind.END | Kind.CUT | Kind.GONE:
                if exchange is not None:  # otherwise it has been answered meanwhile
                    exchange.take(frame)
            case _:
                raise ValueError(f"a {frame.kind.name} out of its turn")

    def send(self, frame: bytes) -> None:
        """Write, if there is still somebody."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)

    def finish(self, frame: bytes) -> None:
        """The last word about a request."""
        self._exchange = None
        self.send(frame)
        self.set_reading(is_wanted=True)

    def set_reading(self, *, is_wanted: bool) -> None:
        """Read on, or leave what comes in the socket."""
        if self._transport is None or self._is_paused is not is_wanted:
            return
        self._is_paused = not is_wanted
        if is_wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def say_no_more(self) -> None:
        """Tell the other worker that nothing will follow what was written; it ends it then."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()
            self.set_reading(is_wanted=True)

    def close(self) -> None:
        """End it; what was written gets out first."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()


class _PassedExchange:
    """A request that came in elsewhere; see `earhook.ingest.exchange.Exchange`.

    Attributes:
        sender: Who it was found to be.
    """

    certificate = None  # nobody asks for it behind the place where it came in

    def __init__(self, connection: _PassedConnection, opening: PassedOpening) -> None:
        self.head: RequestHead = opening.head
        self.address = opening.address
        self.body_bytes = opening.body_bytes
        self.sender = opening.sender
        self.is_gone = False
        self._connection = connection
        self._pieces: deque[bytes] = deque()
        self._queued_bytes = 0
        self.is_whole = False
        self._is_wanted = False
        self._broken: BodyError | None = None
        self._arriving: asyncio.Future[None] | None = None
        self._tell_gone: Callable[[], None] | None = None

    def proven(self) -> None:
        """It was, before it came here."""

    def when_gone(self, tell: Callable[[], None] | None) -> None:
        """See `Exchange`."""
        self._tell_gone = tell

    def hold_back(self, seconds: float) -> None:
        """Say so to who reads the sender's socket."""
        self._connection.send(frame_of(Kind.HELD_BACK, b"%f" % seconds))

    async def body(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        while True:
            if self._pieces:
                piece = self._pieces.popleft()
                self._queued_bytes -= len(piece)
                self._connection.set_reading(is_wanted=self._queued_bytes < QUEUED_BYTES)
                yield piece
            elif self.is_whole:
                return
            elif self._broken is not None:
                raise self._broken.anew()
            else:
                self._want()
                self._arriving = asyncio.get_running_loop().create_future()
                await self._arriving

    async def acknowledge(self, reply: Reply) -> None:
        """Have the reply sent now."""
        self._want()  # the body that follows is ours from here on
        self._connection.send(reply_frame(Kind.ACKNOWLEDGED, reply))

    # What the connection tells.

    def take(self, frame: Frame) -> None:
        """More of the body, or how it ends."""
        match frame.kind:
            case Kind.PIECE:
                self._pieces.append(frame.payload)
                self._queued_bytes += len(frame.payload)
                self._connection.set_reading(is_wanted=self._queued_bytes < QUEUED_BYTES)
            case Kind.END:
                self.is_whole = True
            case Kind.CUT:
                self._broken = BodyCut("the body was cut where it came in")
            case _:
                self._note_gone()
        if self._arriving is not None and not self._arriving.done():
            self._arriving.set_result(None)

    def lose(self) -> None:
        """The connection with the other worker has ended."""
        self._note_gone()
        self._broken = self._broken or BodyCut("the process where it came in has gone")
        if self._arriving is not None and not self._arriving.done():
            self._arriving.set_result(None)

    def _note_gone(self) -> None:
        self.is_gone = True
        if self._tell_gone is not None:
            self._tell_gone()

    def _want(self) -> None:
        if not self._is_wanted:
            self._is_wanted = True
            self._connection.send(frame_of(Kind.WANTED))


def _bind(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(str(path))
        path.chmod(0o600)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def _fault(where: str, what: str, remedy: str) -> ConfigurationError:
    return ConfigurationError.of(where, what, remedy)


_CREDENTIALS: Final = struct.Struct("3i")
"""`struct ucred` of unix(7): process, user, group."""
_LOG: Final = get_logger(__name__)
