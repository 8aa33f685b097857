"""How two processes of one gateway talk: questions, answers, and descriptors, over a socket pair.

A frame is a header and a body of JSON:

    length of body   4 bytes, little-endian
    what             1 byte: told, asked, answered, refused
    descriptors      1 byte: how many go with it
    number           8 bytes: of the question; 0 where nothing is asked

Descriptors (open sockets and memory) travel beside the first byte of their frame, by SCM_RIGHTS
(unix(7)). The kernel never joins bytes across such a place, so they cannot come to a wrong frame.
"""

from __future__ import annotations

import array
import asyncio
import base64
import contextlib
import inspect
import os
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple, Self, TypeAlias

import orjson

from earhook.errors import (
    ChannelError,
    ChannelLost,
    ChannelRefused,
    ChannelSilent,
    ConfigurationError,
    ConfigurationFault,
)
from earhook.ops.logging import get_logger

__all__ = [
    "Answer",
    "Channel",
    "Message",
    "Receive",
    "socket_pair",
]

MAX_BODY_BYTES: Final = 64 << 20
MAX_DESCRIPTORS: Final = 250
"""The kernel takes 253 at once (SCM_MAX_FD)."""
DEFAULT_SECONDS: Final = 5.0

_LOG: Final = get_logger(__name__)


class Message(NamedTuple):
    """What the other side says.

    Attributes:
        kind: What it is about.
        body: Whatever JSON says.
        descriptors: Whoever takes the message owns them and closes them; not inheritable.
    """

    kind: str
    body: Any
    descriptors: tuple[int, ...] = ()


class Answer(NamedTuple):
    """What comes back from a question, as `Message`."""

    body: Any = None
    descriptors: tuple[int, ...] = ()


Receive: TypeAlias = Callable[[Message], object]
"""Takes a message. What it returns, or what it returns when awaited, is the answer to a question:
an `Answer`, or a body alone. `ConfigurationError` reaches whoever asked as the same error."""


class _What(IntEnum):
    TOLD = 0
    ASKED = 1
    ANSWERED = 2
    REFUSED = 3


class Channel:
    """One end. Made on a running loop; everything happens on its thread.

    Messages are taken in the order in which they were sent; those whose taking is awaited are
    taken side by side. Nothing is read before `start`.

    Args:
        end: One socket of a `socket_pair`; the channel's from now on.
        on_lost: Called once, when the other side has gone or this one was closed. Questions that
            are open have failed by then.
    """

    def __init__(self, end: socket.socket, on_lost: Callable[[], None] | None = None) -> None:
        end.setblocking(False)
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._on_lost = on_lost
        self._receivers: dict[str, Receive] = {}
        self._outbox = _Outbox(end)
        self._inbox = _Inbox(end)
        self._is_writing = False
        self._is_open = True
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._last_number = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def on(self, kind: str, receive: Receive) -> None:
        """Say who takes messages of a kind. A kind that nobody takes is refused."""
        self._receivers[kind] = receive

    def start(self) -> None:
        """Read from now on."""
        if self._is_open:
            self._loop.add_reader(self._end.fileno(), self._read)
            self._write()

    @property
    def is_open(self) -> bool:
        """Whether the other side is there, as far as we know."""
        return self._is_open

    def tell(self, kind: str, body: object = None, descriptors: Sequence[int] = ()) -> None:
        """Say something that wants no answer. To a side that has gone it is said to nobody.

        Args:
            kind: What it is about.
            body: Anything that JSON can say, at most `MAX_BODY_BYTES` of it.
            descriptors: They stay the caller's, who may close them at once.

        Raises:
            ChannelSilent: So much is waiting to be read that no more is kept.
        """
        if self._is_open:
            self._send(_What.TOLD, 0, [kind, body], descriptors)

    async def ask(
        self,
        kind: str,
        body: object = None,
        descriptors: Sequence[int] = (),
        seconds: float = DEFAULT_SECONDS,
    ) -> Answer:
        """Say something and wait for the answer. Arguments as for `tell`.

        Raises:
            ChannelLost: The other side has gone, or goes before it answers.
            ChannelSilent: There was no answer within that time. One that comes later is dropped.
            ChannelRefused: The other side knows no such question, or failed over it.
            ConfigurationError: It says that the configuration is wrong.
        """
        if not self._is_open:
            raise ChannelLost(f"nobody is there to be asked for {kind!r}")
        self._last_number = number = self._last_number + 1
        answered: asyncio.Future[Answer] = self._loop.create_future()
        self._asked[number] = answered
        try:
            self._send(_What.ASKED, number, [kind, body], descriptors)
            async with asyncio.timeout(seconds):
                return await answered
        except TimeoutError:
            raise ChannelSilent(f"no answer to {kind!r} within {seconds:g} s") from None
        finally:
            self._asked.pop(number, None)

    def finish(self) -> None:
        """The other process has ended: take what it said last, then close."""
        while self._is_open and self._read():
            pass
        self.close()

    def freeze(self) -> dict[str, Any]:
        """Cease to read and write, and say where we are: for another program in this process.

        The descriptor is in it, under `descriptor`; `thaw` there, or `start` here, goes on.
        """
        self._loop.remove_reader(self._end.fileno())
        self._loop.remove_writer(self._end.fileno())
        self._is_writing = False
        return {
            "descriptor": self._end.fileno(),
            "last_number": self._last_number,
            "inbox": base64.b64encode(self._inbox.unread).decode(),
            "outbox": base64.b64encode(self._outbox.unsent).decode(),
        }

    @classmethod
    def thaw(cls, state: dict[str, Any]) -> Self:
        """Go on where `freeze` stopped; questions that were open then get no answer."""
        channel = cls(socket.socket(fileno=state["descriptor"]))
        channel._last_number = state["last_number"]
        channel._inbox.unread += base64.b64decode(state["inbox"])
        channel._outbox.go_on(base64.b64decode(state["outbox"]))
        return channel

    def close(self) -> None:
        """Close this end, at once. What was said and not yet taken by the kernel is lost."""
        if not self._is_open:
            return
        self._is_open = False
        self._loop.remove_reader(self._end.fileno())
        self._loop.remove_writer(self._end.fileno())
        self._outbox.clear()
        self._inbox.clear()
        self._end.close()
        for answered in self._asked.values():
            if not answered.done():
                answered.set_exception(ChannelLost("the other side has gone"))
                answered.exception()  # whoever asked may have gone too
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        if self._on_lost is not None:
            self._on_lost()

    async def flush(self, seconds: float) -> bool:
        """Wait until the kernel has taken what was said; False if it has not by then."""
        due = self._loop.time() + seconds
        while self._is_open and not self._outbox.is_empty:
            if self._loop.time() >= due:
                return False
            await asyncio.sleep(_FLUSH_LOOK_SECONDS)
        return self._is_open

    def _send(
        self, what: _What, number: int, content: object, descriptors: Sequence[int] = ()
    ) -> None:
        self._outbox.add(what, number, orjson.dumps(content), descriptors)
        if not self._is_writing:
            self._write()

    def _write(self) -> None:
        try:
            is_done = self._outbox.send()
        except OSError:
            self._is_writing = False
            self._loop.call_soon(self.close)  # never from within `tell`
            return
        if is_done == self._is_writing:
            self._is_writing = not is_done
            if is_done:
                self._loop.remove_writer(self._end.fileno())
            else:
                self._loop.add_writer(self._end.fileno(), self._write)

    def _read(self) -> bool:
        """Take what is there; False where nothing was."""
        try:
            frames = self._inbox.receive()
        except BlockingIOError:
            return False
        except (ConnectionError, ChannelError):
            self.close()
            return False
        for frame in frames:
            if self._is_open:
                self._take(frame)
            else:
                _close_all(frame.descriptors)
        return True

    def _take(self, frame: _Frame) -> None:
        if frame.what in (_What.ANSWERED, _What.REFUSED):
            self._take_answer(frame)
            return
        kind, body = orjson.loads(frame.body)
        receive = self._receivers.get(kind)
        number = frame.number if frame.what is _What.ASKED else None
        if receive is None or frame.is_incomplete:
            _close_all(frame.descriptors)
            why = "no descriptors left" if frame.is_incomplete else "nobody takes it"
            _LOG.error("channel.refused", kind=kind, reason=why)
            self._refuse(number, f"{kind!r}: {why}")
            return
        try:
            result = receive(Message(kind, body, frame.descriptors))
        except Exception as error:  # noqa: BLE001 - a defect must not cost the other process
            self._fail(kind, number, error)
            return
        if inspect.isawaitable(result):
            task = self._loop.create_task(self._answer_later(kind, number, result))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._answer(number, result)

    async def _answer_later(self, kind: str, number: int | None, result: Awaitable[object]) -> None:
        try:
            answer = await result
        except Exception as error:  # noqa: BLE001 - as in `_take`
            self._fail(kind, number, error)
        else:
            self._answer(number, answer)

    def _answer(self, number: int | None, result: object) -> None:
        if number is None or not self._is_open:
            return
        answer = result if isinstance(result, Answer) else Answer(result)
        self._send(_What.ANSWERED, number, answer.body, answer.descriptors)

    def _fail(self, kind: str, number: int | None, error: Exception) -> None:
        if isinstance(error, ConfigurationError):
            self._refuse(number, "", [list(fault) for fault in error.faults])
        elif isinstance(error, ChannelError):
            self._refuse(number, str(error))
        else:
            _LOG.error("channel.failed", kind=kind, exc_info=error)
            self._refuse(number, f"{kind!r} failed: {type(error).__name__}")

    def _refuse(self, number: int | None, why: str, faults: Sequence[Sequence[str]] = ()) -> None:
        if number is not None and self._is_open:
            self._send(_What.REFUSED, number, [why, faults])

    def _take_answer(self, frame: _Frame) -> None:
        answered = self._asked.get(frame.number)
        if answered is None or answered.done():
            _close_all(frame.descriptors)
        elif frame.is_incomplete:
            _close_all(frame.descriptors)
            answered.set_exception(ChannelRefused("no descriptors left for the answer"))
        elif frame.what is _What.ANSWERED:
            answered.set_result(Answer(orjson.loads(frame.body), frame.descriptors))
        else:
            why, faults = orjson.loads(frame.body)
            error = ConfigurationError([ConfigurationFault(*fault) for fault in faults])
            answered.set_exception(error if faults else ChannelRefused(why))


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends for a channel. Neither is inheritable."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


class _Frame(NamedTuple):
    what: _What
    number: int
    body: bytes
    descriptors: tuple[int, ...]
    is_incomplete: bool
    """Descriptors were sent that this process had no number left for."""


class _Outbox:
    """Frames that the kernel has not taken yet."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._waiting: deque[tuple[memoryview, tuple[int, ...]]] = deque()
        self._waiting_bytes = 0

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    @property
    def unsent(self) -> bytes:
        """All of it; descriptors are left behind."""
        return b"".join(frame for frame, _ in self._waiting)

    def go_on(self, unsent: bytes) -> None:
        """Begin with what another one has not sent."""
        if unsent:
            self._waiting.append((memoryview(unsent), ()))
            self._waiting_bytes += len(unsent)

    def add(self, what: _What, number: int, body: bytes, descriptors: Sequence[int]) -> None:
        if len(body) > MAX_BODY_BYTES or len(descriptors) > MAX_DESCRIPTORS:
            raise ValueError(f"{len(body)} bytes or {len(descriptors)} descriptors are too many")
        if self._waiting and self._waiting_bytes + len(body) > MAX_BODY_BYTES:
            raise ChannelSilent("the other side takes nothing; too much is waiting for it")
        frame = memoryview(_HEADER.pack(len(body), what, len(descriptors), number) + body)
        if descriptors and not self._waiting:
            # As they are: no number may be left for a duplicate. What fails now fails again later.
            with contextlib.suppress(OSError):
                if sent := self._pass_on(frame, descriptors):
                    frame, descriptors = frame[sent:], ()
        if not frame:
            return
        try:
            # Duplicates, so that the caller may close its own before the kernel has taken these.
            self._waiting.append((frame, tuple(map(os.dup, descriptors))))
        except OSError:
            raise ChannelSilent("no descriptors are left to wait until it takes them") from None
        self._waiting_bytes += len(frame)

    def send(self) -> bool:
        """Pass on what the kernel takes now; True when nothing is left."""
        while self._waiting:
            frame, descriptors = self._waiting[0]
            sent = self._pass_on(frame, descriptors)
            if not sent:
                return False
            _close_all(descriptors)
            self._waiting_bytes -= sent
            if sent == len(frame):
                self._waiting.popleft()
            else:
                self._waiting[0] = (frame[sent:], ())
        return True

    def _pass_on(self, frame: memoryview, descriptors: Sequence[int]) -> int:
        """The bytes that the kernel takes now; with the first of them go the descriptors."""
        rights = array.array("i", descriptors)
        beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else []
        try:
            return self._end.sendmsg([frame], beside, socket.MSG_NOSIGNAL)
        except (BlockingIOError, InterruptedError):
            return 0

    def clear(self) -> None:
        for _, descriptors in self._waiting:
            _close_all(descriptors)
        self._waiting.clear()


class _Inbox:
    """Bytes that are not a whole frame yet, and descriptors whose frame is not whole yet."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self.unread = bytearray()
        self._descriptors: deque[tuple[int, ...]] = deque()

    def receive(self) -> list[_Frame]:
        """Take what is there.

        Raises:
            BlockingIOError: Nothing is.
            ConnectionError: The other side has gone; whole frames before that were handed out.
            ChannelError: What it sends is no frame.
        """
        try:
            some, beside, flags, _ = self._end.recvmsg(
                _READ_BYTES, _BESIDE_BYTES, socket.MSG_CMSG_CLOEXEC
            )
        except InterruptedError:
            return []
        if not some:
            raise ConnectionResetError
        rights = array.array("i")
        for level, kind, octets in beside:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                rights.frombytes(octets[: len(octets) - len(octets) % rights.itemsize])
        if rights or flags & socket.MSG_CTRUNC:
            self._descriptors.append(tuple(rights))
        self.unread += some
        return self._whole_frames()

    def clear(self) -> None:
        for descriptors in self._descriptors:
            _close_all(descriptors)
        self._descriptors.clear()

    def _whole_frames(self) -> list[_Frame]:
        frames = []
        start = 0
        while len(self.unread) - start >= _HEADER.size:
            length, what, count, number = _HEADER.unpack_from(self.unread, start)
            if length > MAX_BODY_BYTES or what > max(_What) or count > MAX_DESCRIPTORS:
                raise ChannelError("what came over the channel is no frame")
            end = start + _HEADER.size + length
            if len(self.unread) < end:
                break
            descriptors = self._descriptors.popleft() if count and self._descriptors else ()
            body = bytes(self.unread[start + _HEADER.size : end])
            is_incomplete = len(descriptors) != count
            frames.append(_Frame(_What(what), number, body, descriptors, is_incomplete))
            start = end
        del self.unread[:start]
        return frames


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)


_HEADER: Final = struct.Struct("<IBBQ")
_READ_BYTES: Final = 256 << 10
_BESIDE_BYTES: Final = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)
_FLUSH_LOOK_SECONDS: Final = 0.005
