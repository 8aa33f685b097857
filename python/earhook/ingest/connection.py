"""One connection of the ingest port: our guard, and aiohttp behind it.

    socket --bytes--> RequestFraming --events--> a request of our making --> aiohttp --> Answer
       ^                    |                                                             |
       `---- refusals ------'---------------------- replies <-----------------------------'

aiohttp neither reads what the peer wrote nor writes what the peer reads: the head that it gets is
one of two constants, and answers go out from here. So there is one parser that a peer can confuse,
one place that words what leaves, and the server behind the guard can be exchanged.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from earhook.edge.tally import Closing
from earhook.ops.logging import get_limited_logger

from .aiohttp_side import LAST_CHUNK, AiohttpSide, chunk_of, head_of, make_server
from .exchange import BodyCut, BodyError, BodyTooSlow
from .framing import BodyFault, Broken, Ended, Opened, RequestFraming, Stage
from .open_request import OpenRequest
from .pace import Pace
from .reply import Reply, plain_reply
from .tally import Slow

if TYPE_CHECKING:
    from aiohttp import StreamReader

    from earhook.edge.arrival import Arrival, EdgeRules

    from .exchange import Answer
    from .settings import IngestLimits
    from .tally import IngestTally

__all__ = ["IngestConnection", "IngestHouse"]

MAX_REFUSALS: Final = 16
"""401 in a row that end a connection: whoever tries tokens shall pay for a handshake, too."""


class IngestHouse:
    """What all connections of a port share.

    Attributes:
        connections: Those that are open.
        answering: Tasks that answer a request now.
        is_ending: Whether connections that carry no call end with their next answer.
        on_gone: Called whenever a connection has ended.
    """

    def __init__(
        self, limits: IngestLimits, rules: EdgeRules, answer: Answer, tally: IngestTally
    ) -> None:
        self.limits = limits
        self.rules = rules
        self.answer = answer
        self.tally = tally
        self.loop = asyncio.get_running_loop()
        self.server = make_server()
        self.connections: set[IngestConnection] = set()
        self.answering: set[asyncio.Task[object]] = set()
        self.is_ending = False
        self.on_gone: Callable[[], None] | None = None
        self._made_room_at = -math.inf

    def make_room(self) -> None:
        """Where nearly all places are taken, end connections that nobody has used for a while.

        Otherwise one sender could keep all places, with a request a minute on each.
        """
        now = self.loop.time()
        is_crowded = len(self.connections) >= _CROWDED_SHARE * self.limits.connections
        if not is_crowded or now - self._made_room_at < _MAKE_ROOM_SECONDS:
            return
        self._made_room_at = now
        for connection in tuple(self.connections):
            connection.end_if_unused(self.limits.head_seconds)


class IngestConnection(asyncio.Protocol):
    """One connection, from the end of its TLS handshake to its own end."""

    __slots__ = (
        "_arrival",
        "_came_at",
        "_carries_call",
        "_framing",
        "_held_back_seconds",
        "_house",
        "_inner",
        "_is_behind",
        "_is_blocked",
        "_is_parting",
        "_is_reading",
        "_is_secure",
        "_is_talking",
        "_pace",
        "_paused_at",
        "_refusals",
        "_request",
        "_timer",
        "_timer_at",
        "_transport",
    )

    def __init__(self, house: IngestHouse, arrival: Arrival) -> None:
        self._house = house
        self._arrival = arrival
        self._framing = RequestFraming(house.limits)
        self._came_at = house.loop.time()
        self._pace = Pace(house.limits, self._came_at)
        self._transport: asyncio.Transport | None = None
        self._inner: AiohttpSide | None = None
        self._request: OpenRequest | None = None
        self._refusals = 0  # of whoever sends, in a row
        self._carries_call = False  # one that goes on, as far as the answers say
        self._is_secure = False
        self._is_parting = False
        self._is_reading = True
        self._is_talking = False  # the peer still sends, although we do not listen any more
        self._is_behind = False  # more has arrived than one turn of the loop shall work on
        self._is_blocked = False  # the peer does not read what we write
        self._paused_at: float | None = None  # since when the body is not taken
        self._held_back_seconds = 0.0  # of that, because the peer is too fast
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    @property
    def is_answering(self) -> bool:
        """Whether a request is open."""
        return self._request is not None and not self._is_parting

    @property
    def is_gone(self) -> bool:
        """Whether it has ended."""
        return self._transport is None

    def paused_seconds(self, now: float) -> float:
        """How long the socket has been left unread because its body is not taken.

        What a peer is held back because it is too fast does not count.
        """
        if self._paused_at is None:
            return 0.0
        return max(0.0, now - self._paused_at - self._held_back_seconds)

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS is through, or there is none."""
        house = self._house
        self._transport = cast("asyncio.Transport", transport)
        self._is_secure = transport.get_extra_info("ssl_object") is not None
        house.make_room()
        if len(house.connections) >= house.limits.connections:
            house.tally.closed_early[Closing.FULL] += 1
            self._transport.abort()
            return
        house.connections.add(self)
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Bytes of requests; those behind the last one are thrown away."""
        if self._is_parting:
            self._is_talking = True
            return
        self._pace.count(len(data), self._house.loop.time())
        self._framing.feed(data)
        self._turn()

    def eof_received(self) -> bool:
        """The peer will send no more; it may still wait for an answer (never over TLS)."""
        if self._request is None or not self._request.is_whole or self._is_secure:
            return False
        self._request.is_last = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is no more."""
        house = self._house
        self._transport = None
        self._is_parting = True
        self._stop_timer()
        self._arrival.place.leave()
        if self not in house.connections:
            return
        house.connections.discard(self)
        if self._framing.is_within_head:
            house.tally.closed_early[Closing.UNFINISHED] += 1
        if self._request is None or not self._request.is_whole:
            self._fail(BodyCut("the peer has gone"))
        # Otherwise the answer may read what has come; it goes nowhere, and ends this side, too.
        if self._request is not None:
            self._request.note_gone()
            if self._request.content is None:
                self._request = None  # it knows us, too, and only the collector would part us
        if house.on_gone is not None:
            house.on_gone()

    def pause_writing(self) -> None:
        """The peer does not read its answers: no more requests until it does."""
        self._is_blocked = True

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self._is_blocked = False
        if self._request is None and not self._is_parting:
            self._proceed()

    # What has arrived.

    def _turn(self) -> None:
        """Work on what has arrived, but not for so long that others would notice."""
        if self._is_parting:
            return
        self._is_behind = False
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - ends this connection only
            self.survive(error)
            return
        if not self._is_parting:
            self._settle()

    def _work(self) -> None:
        for_inner: list[bytes] = []
        while self._paused_at is None and not self._is_behind:
            event = self._framing.next_event()
            if event is None:
                break
            match event:
                case Opened():
                    if not self._open(event, for_inner):
                        return
                case bytes():
                    self._pass_on(event, for_inner)
                case Ended():
                    self._end_body(for_inner)
                case Broken():
                    self._feed_inner(for_inner)
                    self._refuse_broken(event)
                    return
        self._feed_inner(for_inner)

    def _open(self, opened: Opened, for_inner: list[bytes]) -> bool:
        """Begin a request; False if its connection is not wanted."""
        house, now = self._house, self._house.loop.time()
        house.tally.requests += 1
        if opened.head.method == "POST":
            # Whoever only looks whether we live has passed the list for connections.
            denial = house.rules.admit(self._arrival, opened.head)
            if denial is not None:
                if denial.reason is not None:
                    house.tally.closed_early[denial.reason] += 1
                headers = (_RETRY,) if denial.status == 429 else ()
                self._refuse(denial.status, BodyCut("not admitted"), headers)
                return False
        if self._inner is None:
            assert self._transport is not None
            self._inner = AiohttpSide(house.server, self, self._transport)
        self._request = OpenRequest(self, self._arrival, opened)
        self._pace.begin_body(now, is_stream=opened.body_bytes is None)
        self._pace.count(self._framing.waiting_bytes, now)
        for_inner.append(head_of(opened.body_bytes))
        return True

    def _pass_on(self, piece: bytes, for_inner: list[bytes]) -> None:
        request = self._request
        assert request is not None
        request.received_bytes += len(piece)
        self._house.tally.body_bytes += len(piece)
        for_inner.append(piece if request.body_bytes is not None else chunk_of(piece))
        # Small chunks are dear; whoever sends many of them at once waits for the others.
        self._is_behind = self._framing.is_behind

    def _end_body(self, for_inner: list[bytes]) -> None:
        request = self._request
        assert request is not None
        request.is_whole = True
        self._pace.begin_answer()
        if request.body_bytes is None:
            for_inner.append(LAST_CHUNK)

    def _feed_inner(self, for_inner: list[bytes]) -> None:
        if for_inner and self._inner is not None:
            self._inner.data_received(b"".join(for_inner))
            for_inner.clear()

    def _settle(self) -> None:
        """Read on or not, and set the next deadline."""
        if self._framing.is_within_head:
            self._pace.begin_head(self._house.loop.time())
        if self._is_behind:
            self._house.loop.call_soon(self._turn)
        self._set_reading()
        self._arm()

    def _set_reading(self) -> None:
        waits = self._framing.stage is Stage.ANSWER and self._framing.waiting_bytes > 0
        reads = self._paused_at is None and not self._is_behind and not waits
        transport = self._transport
        if reads == self._is_reading or transport is None or transport.is_closing():
            return
        self._is_reading = reads
        if reads:
            self._pace.forgive(self._house.loop.time())
            transport.resume_reading()
        else:
            transport.pause_reading()

    # What aiohttp and the answer ask for.

    def hold_body(self) -> None:
        """As much of the body waits to be taken as may."""
        if self._paused_at is None and not self._is_parting:
            self._paused_at = self._house.loop.time()
            self._house.tally.read_pauses += 1

    def hold_back(self, seconds: float) -> None:
        """The body is not taken for so long, and that is the peer's own doing."""
        self._held_back_seconds += seconds

    def release_body(self) -> None:
        """The body is taken again."""
        if self._paused_at is None:
            return
        tally, paused_seconds = self._house.tally, self.paused_seconds(self._house.loop.time())
        tally.read_pause_max_seconds = max(tally.read_pause_max_seconds, paused_seconds)
        self._note_pause_end()
        if not self._is_behind:
            self._is_behind = True
            self._house.loop.call_soon(self._turn)

    async def answer(self, content: StreamReader) -> bool:
        """Answer the open request; whether there may be another one after it."""
        request = self._request
        if request is None or request.content is not None:
            return False  # it has ended before aiohttp came to it
        request.content = content
        task = asyncio.current_task()
        assert task is not None
        self._house.answering.add(task)
        try:
            reply = await self._ask(request)
            keeps_alive = await self._finish(request, reply)
        finally:
            self._house.answering.discard(task)
            request.content = None  # it is done with
            if self._transport is None:
                self._request = None
            if self._transport is None or self._is_parting:
                self._drop_inner()
        return keeps_alive

    async def _ask(self, request: OpenRequest) -> Reply | None:
        try:
            return await self._house.answer(request)
        except BodyError:
            return None  # whoever broke the body has said so
        except Exception:  # noqa: BLE001 - ends this connection only
            self._house.tally.faults += 1
            _LOG.error("ingest.fault", exc_info=True)
            return plain_reply(500, close=True)

    async def _finish(self, request: OpenRequest, reply: Reply | None) -> bool:
        """Answer, if that was not done, and make room for the next request."""
        if reply is None or request.broken is not None or self._transport is None:
            return False
        if not await request.ends_soon(self._house.limits.unread_body_bytes):
            request.is_last = True
        if not request.is_answered and request.broken is None:
            self.send_reply(request, reply)
        if request.is_last:
            self._part()
            return False
        if not await self._discard(request) or self._is_parting:
            return False
        self._request = None
        if not self._is_blocked:
            self._proceed()
            return True
        self._pace.begin_writing(self._house.loop.time())
        self._arm()
        return True

    async def _discard(self, request: OpenRequest) -> bool:
        """Throw away what is left of a body; whether it came to its end."""
        seconds = self._house.limits.head_seconds if self._is_stranger else None
        try:
            async with asyncio.timeout(seconds):
                return await request.discard()
        except TimeoutError:
            self._part()
            return False

    def _proceed(self) -> None:
        self._framing.proceed()
        limits = self._house.limits
        seconds = limits.head_seconds if self._is_stranger else limits.keep_alive_seconds
        self._pace.await_request(self._house.loop.time(), seconds)
        self._turn()

    @property
    def _is_stranger(self) -> bool:
        """Whether no request of this connection was authenticated so far.

        Strangers have few places, so nobody keeps one for long: not idle, not with a body that
        nobody wants, and not with one look after the other whether we live.
        """
        return not self._arrival.place.is_left

    @property
    def _has_overstayed(self) -> bool:
        since = self._house.loop.time() - self._came_at
        return self._is_stranger and since > _STRANGER_STAYS * self._house.limits.head_seconds

    def send_reply(self, request: OpenRequest, reply: Reply) -> None:
        """Send a final answer, once."""
        if reply.carries_call is not None:
            self._carries_call = reply.carries_call
        is_over = self._house.is_ending and not self._carries_call
        self._refusals = self._refusals + 1 if reply.status == 401 else 0
        is_over = is_over or self._has_overstayed or self._refusals >= MAX_REFUSALS
        request.is_last = request.is_last or reply.close or is_over
        self._write(reply, closes=request.is_last, with_body=request.head.method != "HEAD")
        request.is_answered = True

    def send(self, message: bytes) -> None:
        """Write, if there is still somebody."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(message)

    def _write(self, reply: Reply, *, closes: bool, with_body: bool = True) -> None:
        message = reply.to_bytes(secure=self._is_secure, close=closes, with_body=with_body)
        self._house.tally.responses[reply.status] += 1
        self.send(message)

    # How it ends.

    def end_if_idle(self, *, whatever_it_carries: bool = False) -> None:
        """End now if no request is open, or has begun, and no call waits for its next block."""
        waits = self._carries_call and not whatever_it_carries
        if self._request is None and not self._framing.is_within_head and not waits:
            self._close()

    def end_if_unused(self, seconds: float) -> None:
        """End now if the last request is longer ago than that."""
        if self._request is None and self._pace.idle_seconds(self._house.loop.time()) > seconds:
            self._close()

    def abort(self) -> None:
        """End at once."""
        if self._transport is not None:
            self._transport.abort()

    def survive(self, error: BaseException | None) -> None:
        """Something of ours failed: that costs this connection, and no other."""
        self._house.tally.faults += 1
        _LOG.error("ingest.fault", exc_info=error)
        self._refuse(500, BodyCut("a fault of ours"))

    def _refuse_broken(self, broken: Broken) -> None:
        self._house.tally.request_faults[broken.reason] += 1
        headers = (_ALLOW,) if broken.reason is BodyFault.METHOD_NOT_ALLOWED else ()
        self._refuse(broken.status, BodyCut(broken.reason), headers)

    def _refuse(
        self, status: int, error: BodyError, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Answer with fixed words, if an answer is due, and end the connection."""
        if self._is_parting:
            return
        request = self._request
        if request is None or not request.is_answered:
            with_body = request is None or request.head.method != "HEAD"
            self._write(plain_reply(status, headers=headers), closes=True, with_body=with_body)
        if request is not None:
            request.is_answered = True
        self._part()
        self._fail(error)

    def _fail(self, error: BodyError) -> None:
        """Let the answer, if one is made, know that the body will not come to its end."""
        self._note_pause_end()
        request, inner = self._request, self._inner
        if request is None:
            self._drop_inner()
            return
        request.broken = error
        if request.is_whole:
            return
        self._house.tally.bodies_cut += 1
        if request.body_bytes is None and inner is not None:
            # The end that the peer did not send: so what came before it can still be read.
            inner.data_received(LAST_CHUNK)
        else:
            self._drop_inner()

    def _drop_inner(self) -> None:
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.connection_lost(ConnectionResetError("the connection has ended"))

    def _part(self) -> None:
        """Close, once the peer has had time to read the answer.

        If we closed while it still sends, the reset that follows would overtake the answer.
        """
        if self._is_parting:
            return
        is_quiet = self._framing.stage is Stage.ANSWER and not self._framing.waiting_bytes
        self._is_parting = True
        self._stop_timer()
        transport = self._transport
        if transport is None:
            return
        if is_quiet:
            self._close()
            return
        if not self._is_reading:
            transport.resume_reading()
        self._linger(_LINGER_ROUNDS)

    def _linger(self, rounds: int) -> None:
        """Close when the peer has been silent for a moment, or has had moments enough."""
        self._is_talking = False

        def look() -> None:
            if self._is_talking and rounds > 1:
                self._linger(rounds - 1)
            else:
                self._close()

        self._timer = self._house.loop.call_later(_LINGER_SECONDS, look)

    def _close(self) -> None:
        self._is_parting = True
        self._stop_timer()
        transport = self._transport
        if transport is not None:
            transport.close()
            self._timer = self._house.loop.call_later(_CLOSE_SECONDS, transport.abort)

    def _note_pause_end(self) -> None:
        """A pause that ends with the connection is none of a consumer."""
        self._paused_at = None
        self._held_back_seconds = 0.0

    # Time.

    def _arm(self) -> None:
        """Keep one timer that fires no later than the deadline; then it is set again."""
        deadline = self._pace.deadline
        if deadline == math.inf or (self._timer is not None and self._timer_at <= deadline):
            return
        self._stop_timer()
        self._timer_at = deadline
        self._timer = self._house.loop.call_at(deadline, self._wake)

    def _wake(self) -> None:
        self._timer = None
        now = self._house.loop.time()
        if not self._is_reading:
            self._pace.forgive(now)
        slow = self._pace.judge(now)
        if slow is None:
            self._arm()
            return
        self._house.tally.slow[slow] += 1
        if slow in {Slow.SILENT, Slow.KEEP_ALIVE}:
            self._close()
        elif slow is Slow.ANSWER:
            self.abort()
        else:
            _LOG.warning("ingest.too_slow", state=slow.value, address=self._arrival.address)
            self._refuse(408, BodyTooSlow(slow))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_CROWDED_SHARE: Final = 0.9
_MAKE_ROOM_SECONDS: Final = 1.0
"""To look through ten thousand connections takes some milliseconds."""
_STRANGER_STAYS: Final = 2.0
"""In times of a head's: a connection that nobody proved ends with its next answer then."""
_ALLOW: Final = ("Allow", "GET, HEAD, POST")
_RETRY: Final = ("Retry-After", "10")
_LINGER_SECONDS: Final = 0.05
_LINGER_ROUNDS: Final = 10
_CLOSE_SECONDS: Final = 2.5
"""What TLS gets to end properly; a little more than the entrance allows it."""
_LOG: Final = get_limited_logger(__name__)
