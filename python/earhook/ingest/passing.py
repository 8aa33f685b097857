"""Passing on a request whose call another worker process has.

Whoever answers there sees an `Exchange` like any other: the body is handed on as it comes, and
what the call's owner has to say of it comes back. So it is the owner's answer that the sender
gets, whichever process its connection is with.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from earhook.ops.logging import get_limited_logger

from .passed import is_of_this_user, passed_path
from .passing_frames import (
    Frame,
    FrameReader,
    Kind,
    PassedOpening,
    frame_of,
    opening_frame,
    read_reply,
)
from .refusal import Refusal, Word

if TYPE_CHECKING:
    from earhook.edge.request import RequestHead
    from earhook.edge.tls import PeerCertificate

    from .credentials import Accepted
    from .exchange import Exchange
    from .reply import Reply

__all__ = ["Passing", "PassingTally", "owner_lost"]

KEPT_BYTES: Final = 65_536
"""Of a body nothing more is handed on before its owner asks for it, so that it can be taken back
when the owner turns out to have none."""
IDLE_LINKS: Final = 64
"""Of each owner. A request needs one for itself, and leaves it for the next."""
CONNECT_SECONDS: Final = 2.0
OWNER_LOST_RETRY_SECONDS: Final = 1


def owner_lost() -> Refusal:
    """The answer where a call's process has died or cannot be reached."""
    return Refusal.retry(503, Word.OWNER_LOST, OWNER_LOST_RETRY_SECONDS)


@dataclass(slots=True)
class PassingTally:
    """Requests that were passed on. Written on the loop's thread only.

    Attributes:
        passed: Answered by their owners.
        not_there: Those that their owners knew nothing of any more.
        unreachable: Those whose owners could not be reached.
        lost: Those whose owners went before they had answered.
    """

    passed: int = 0
    not_there: int = 0
    unreachable: int = 0
    lost: int = 0


class Passing:
    """Hands requests to the workers whose calls they are about. On the loop's thread only.

    Args:
        directory: Where every worker has its socket file.
        is_ending: Whether this worker is about to stop: then its connections end with their next
            answer, and their senders come back to another one.

    Attributes:
        tally: What came of it.
        under_way: Requests that are being passed on.
    """

    def __init__(self, directory: Path, is_ending: Callable[[], bool]) -> None:
        self.tally = PassingTally()
        self.under_way = 0
        self._directory = directory
        self._is_ending = is_ending
        self._idle: dict[int, list[_Link]] = {}
        self._nothing_left = asyncio.Event()
        self._nothing_left.set()

    async def pass_on(
        self, exchange: Exchange, sender: Accepted, generation: int
    ) -> Reply | Exchange:
        """Have a request answered by its call's owner.

        Returns:
            The answer; or the request, with nothing of its body lost, if there is no such call.

        Raises:
            BodyError: The body does not come to its end.
            Refusal: The owner has gone in the middle of it.
        """
        self.under_way += 1
        self._nothing_left.clear()
        try:
            link = await self._link(generation)
            if link is None:
                self.tally.unreachable += 1
                return exchange
            return await self._pass_over(link, exchange, sender, generation)
        finally:
            self.under_way -= 1
            if not self.under_way:
                self._nothing_left.set()

    async def wait_idle(self) -> None:
        """Wait until no request is being passed on."""
        await self._nothing_left.wait()

    def stop(self) -> None:
        """Close every connection with other workers that is not in use."""
        for links in self._idle.values():
            for link in links:
                link.close()
        self._idle.clear()

    async def _pass_over(
        self, link: _Link, exchange: Exchange, sender: Accepted, generation: int
    ) -> Reply | Exchange:
        passage = _Passage(link, exchange)
        try:
            outcome = await passage.carry(sender)
        except Refusal:
            self.tally.lost += 1
            raise
        finally:
            self._release(link, generation, is_reusable=passage.is_over)
        if isinstance(outcome, Resumed):
            self.tally.not_there += 1
            return outcome
        self.tally.passed += 1
        return replace(outcome, close=True) if self._is_ending() else outcome

    async def _link(self, generation: int) -> _Link | None:
        """A connection with a worker that is not in use; None if there is no way to it."""
        idle = self._idle.get(generation, [])
        while idle:
            link = idle.pop()
            if link.is_open:
                return link
        path = str(passed_path(self._directory, generation))
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, link = await loop.create_unix_connection(_Link, path)
        except OSError as error:  # TimeoutError is one
            _LOG.warning("ingest.owner_unreachable", generation=generation, error=error.strerror)
            return None
        return link if link.is_open else None

    def _release(self, link: _Link, generation: int, *, is_reusable: bool) -> None:
        link.passage = None
        if not (is_reusable and link.is_open):
            link.close()
            if not self._idle.get(generation):
                self._idle.pop(generation, None)
            return
        idle = self._idle.setdefault(generation, [])
        if len(idle) < IDLE_LINKS:
            link.on_lost = lambda: self._drop(link, generation)
            idle.append(link)
        else:
            link.close()

    def _drop(self, link: _Link, generation: int) -> None:
        """A connection that nobody used has ended; mostly its worker has."""
        idle = self._idle.get(generation, [])
        if link in idle:
            idle.remove(link)
        if not idle:
            self._idle.pop(generation, None)


class _Passage:
    """One request on its way over a link.

    Attributes:
        is_over: Whether the owner has said its last word, so that the link is free: what was sent
            behind that is passed over there.
    """

    def __init__(self, link: _Link, exchange: Exchange) -> None:
        loop = asyncio.get_running_loop()
        self.is_over = False
        self._link = link
        self._exchange = exchange
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._is_whole = False
        self._broken: BaseException | None = None
        self._wanted: asyncio.Future[None] = loop.create_future()
        self._heard: deque[Frame | None] = deque()
        self._hearing: asyncio.Future[None] | None = None

    async def carry(self, sender: Accepted) -> Reply | Resumed:
        """Hand over the request, and wait for what comes of it; see `Passing.pass_on`."""
        exchange, link = self._exchange, self._link
        link.passage = self
        opening = PassedOpening(exchange.head, exchange.address, exchange.body_bytes, sender)
        link.send(opening_frame(opening))
        exchange.when_gone(self._tell_gone)
        try:
            if not self._is_small:
                return await self._send_and_hear()
            await self._send_body()
            return await self._hear_outcome()
        finally:
            exchange.when_gone(None)

    @property
    def _is_small(self) -> bool:
        """Whether all of the body can be handed over at once, without waiting for anybody."""
        exchange = self._exchange
        size = exchange.body_bytes
        return exchange.is_whole and size is not None and size <= KEPT_BYTES

    async def _send_and_hear(self) -> Reply | Resumed:
        """Hand over the body as it comes, for as long as nothing else has come of it."""
        sending = asyncio.create_task(self._send_body())
        try:
            return await self._hear_outcome()
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _hear_outcome(self) -> Reply | Resumed:
        while True:
            while not self._heard:
                self._hearing = asyncio.get_running_loop().create_future()
                await self._hearing
            frame = self._heard.popleft()
            kind = None if frame is None else frame.kind
            self.is_over = kind in _LAST_WORDS
            if frame is not None and kind is Kind.ACKNOWLEDGED:
                await self._exchange.acknowledge(read_reply(frame.payload))
                continue
            if frame is not None and kind is Kind.NOT_HERE:
                return Resumed(self._exchange, self._kept, self._ending)
            if self._broken is not None:
                raise copy(self._broken)
            if frame is not None and kind is Kind.REPLY:
                return read_reply(frame.payload)
            raise owner_lost()

    @property
    def _ending(self) -> BaseException | bool:
        """Why the body ends where it was taken back, or whether it does."""
        return self._broken or self._is_whole

    # What goes out.

    async def _send_body(self) -> None:
        link, exchange = self._link, self._exchange
        try:
            if not exchange.is_whole and exchange.head.value("expect") is not None:
                await self._wanted  # what asks for the body, asks the sender to send it
            if exchange.body_bytes != 0:
                async for piece in exchange.body():
                    await self._send_piece(piece)
            self._is_whole = True
            link.send(frame_of(Kind.END))
        except Exception as error:  # noqa: BLE001 - raised where the outcome is waited for
            # Kept for long, and raised as a copy: what was raised holds on to all that it ended.
            self._broken = error.with_traceback(None)
            link.send(frame_of(Kind.CUT))

    async def _send_piece(self, piece: bytes) -> None:
        self._link.send_piece(piece)
        if not self._wanted.done():
            self._kept.append(piece)
            self._kept_bytes += len(piece)
            if self._kept_bytes > KEPT_BYTES:
                await self._wanted
        await self._link.drained()

    def _tell_gone(self) -> None:
        self._link.send(frame_of(Kind.GONE))

    # What the link tells.

    def hear(self, frame: Frame | None) -> None:
        """A frame of the owner's; None: there will be none any more."""
        if frame is not None and frame.kind is Kind.WANTED:
            self._kept.clear()
            if not self._wanted.done():
                self._wanted.set_result(None)
            return
        if frame is not None and frame.kind is Kind.HELD_BACK:
            self._exchange.hold_back(float(frame.payload))
            return
        self._heard.append(frame)
        if self._hearing is not None and not self._hearing.done():
            self._hearing.set_result(None)


class Resumed:
    """A request that was handed on, and taken back with nothing of its body lost.

    See `earhook.ingest.exchange.Exchange`.
    """

    def __init__(self, exchange: Exchange, kept: list[bytes], ending: BaseException | bool) -> None:
        self._exchange = exchange
        self._kept = kept
        self._ending = ending

    @property
    def head(self) -> RequestHead:
        """As it came."""
        return self._exchange.head

    @property
    def address(self) -> str:
        """The client's."""
        return self._exchange.address

    @property
    def body_bytes(self) -> int | None:
        """As it was told."""
        return self._exchange.body_bytes

    @property
    def certificate(self) -> PeerCertificate | None:
        """The client's."""
        return self._exchange.certificate

    @property
    def is_gone(self) -> bool:
        """Whether nobody waits any more."""
        return self._exchange.is_gone

    @property
    def is_whole(self) -> bool:
        """Whether the rest of it waits for nobody."""
        return self._exchange.is_whole

    def proven(self) -> None:
        """As the request itself."""
        self._exchange.proven()

    def when_gone(self, tell: Callable[[], None] | None) -> None:
        """As the request itself."""
        self._exchange.when_gone(tell)

    def hold_back(self, seconds: float) -> None:
        """As the request itself."""
        self._exchange.hold_back(seconds)

    async def body(self) -> AsyncIterator[bytes]:
        """What was taken back, and what follows it."""
        for piece in self._kept:
            yield piece
        if isinstance(self._ending, BaseException):
            raise copy(self._ending)
        if self._ending:
            return
        async for piece in self._exchange.body():
            yield piece

    async def acknowledge(self, reply: Reply) -> None:
        """As the request itself."""
        await self._exchange.acknowledge(reply)


class _Link(asyncio.Protocol):
    """A connection with a worker: one request at a time.

    Attributes:
        passage: What is on its way over it.
        on_lost: Called when it ends while it is not in use.
        is_open: Whether it can be used.
    """

    def __init__(self) -> None:
        self.passage: _Passage | None = None
        self.on_lost: Callable[[], None] | None = None
        self.is_open = False
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._is_writable = asyncio.Event()
        self._is_writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = is_of_this_user(transport)
        if not self.is_open:
            _LOG.error("ingest.stranger_inside", remedy="see who else can reach the directory")
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The worker has gone, or we are done with it."""
        self.is_open = False
        self._is_writable.set()
        if self.passage is not None:
            self.passage.hear(None)
        elif self.on_lost is not None:
            self.on_lost()

    def data_received(self, data: bytes) -> None:
        """Frames, or parts of them."""
        try:
            frames = self._reader.feed(data)
        except ValueError:
            _LOG.error("ingest.passing_fault", exc_info=True)
            self.close()
            return
        for frame in frames:
            if self.passage is not None:
                self.passage.hear(frame)

    def pause_writing(self) -> None:
        """The worker does not keep up."""
        self._is_writable.clear()

    def resume_writing(self) -> None:
        """It does again."""
        self._is_writable.set()

    async def drained(self) -> None:
        """Wait until more may be written."""
        if not self._is_writable.is_set():
            await self._is_writable.wait()

    def send(self, frame: bytes) -> None:
        """Write, if there is still somebody."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)

    def send_piece(self, piece: bytes) -> None:
        """Write a piece of the body."""
        self.send(frame_of(Kind.PIECE, piece))

    def close(self) -> None:
        """End it."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()


_LAST_WORDS: Final = frozenset({Kind.REPLY, Kind.UNANSWERED, Kind.NOT_HERE})
_LOG: Final = get_limited_logger(__name__)
