"""One consumer, and what all workers have for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import orjson

from earhook.errors import CommandRefused, CoreFault, StreamError
from earhook.media.stream import (
    CONNECTION,
    STREAM_VERSION,
    FrameKind,
    Merger,
    encode_ack,
    encode_frame,
)
from earhook.ops.logging import get_logger, get_state_logger
from earhook.sinks.pcm_stream.commands import Order
from earhook.sinks.pcm_stream.connection import ConsumerConnection, ConsumerTerms
from earhook.sinks.pcm_stream.messages import (
    STREAM_NAME,
    CloseCode,
    json_frame,
    subscribed_frame,
)
from earhook.sinks.pcm_stream.orders import judge
from earhook.sinks.pcm_stream.subscription import Subscription

from .upstream import Farewell, Upstream

__all__ = ["RelayDesk", "RelayedConsumer"]

SILENT_SECONDS: Final = 5.0
"""How long `subscribed` waits for workers that do not even say hello."""
DOUBT_SECONDS: Final = 2.0
"""How long a worker whose connection broke may prove to be dead, before we take it for a fault."""
SHOWN_NAME_CHARACTERS: Final = 24

logger = get_logger(__name__)
state_logger = get_state_logger(__name__)


class RelayDesk(Protocol):
    """What a relayed consumer needs of its exchange. Called on the loop's thread."""

    @property
    def workers(self) -> Mapping[int, str]:
        """Paths of the workers' sockets, by generation."""
        ...

    @property
    def is_orphaned(self) -> bool:
        """Whether nobody is left who would tell that a worker has gone."""
        ...

    def welcome(self, consumer: RelayedConsumer) -> bool:
        """A connection is there; False if there are too many."""
        ...

    def may_subscribe(self, consumer: RelayedConsumer) -> bool:
        """It has said what it wants; False if it was cut instead."""
        ...

    def gone(self, consumer: RelayedConsumer) -> None:
        """The connection is closed."""
        ...

    def count(self, what: str, times: int = 1) -> None:
        """Something worth counting has happened."""
        ...


class RelayedConsumer(ConsumerConnection):
    """Asks every worker for what a consumer wants, and sends it what they answer as one stream."""

    def __init__(self, terms: ConsumerTerms, desk: RelayDesk) -> None:
        super().__init__(terms, desk.count)
        self._desk = desk
        self._merger = Merger()
        self._merged_bytes = 0
        self._upstreams: dict[int, Upstream] = {}
        self._awaited: set[int] = set()
        self._calls_at_first = 0
        self._is_subscribed = False
        self._is_finishing = False
        self._timers: set[asyncio.TimerHandle] = set()

    def pause_writing(self) -> None:
        """The transport holds as much as it should: read no worker for the time being."""
        super().pause_writing()
        for upstream in self._upstreams.values():
            upstream.read(wanted=False)

    def resume_writing(self) -> None:
        """The consumer has taken most of what was written."""
        super().resume_writing()
        # The one that was read first last time shall not always be the first.
        turns = list(self._upstreams.items())
        self._upstreams = dict(turns[1:] + turns[:1])
        for upstream in self._upstreams.values():
            upstream.read(wanted=self._may_write)

    def worker_added(self, generation: int) -> None:
        """A worker has come; all that it ever has began after the consumer had asked."""
        if self.is_streaming and generation not in self._upstreams and self.subscription:
            self._connect(generation, self._wishes_of_later())

    def worker_gone(self, generation: int) -> None:
        """A worker's process has ended; what it sent before may still have to be read."""
        upstream = self._upstreams.get(generation)
        if upstream is not None:
            upstream.is_gone = True
            if not upstream.is_connected:
                self._close_calls(upstream)

    def finish(self) -> None:
        """Send what the workers still send, then say that the gateway stops."""
        self._is_finishing = True
        self._finish_if_done()

    def snapshot(self) -> dict[str, Any]:
        """Plain values."""
        waiting = self._transport.get_write_buffer_size() if self._transport is not None else 0
        return {
            "address": self.address,
            "consumer": self.consumer,
            "calls": self._merger.calls,
            "workers": len(self._upstreams),
            "waiting_bytes": waiting + self._merger.held_bytes,
            "merged_bytes": self._merged_bytes,
            "audio_frames": self._merger.audio_frames,
        }

    def merge(self, upstream: Upstream, chunk: bytes) -> None:
        """Pass on what a worker sends (`UpstreamOwner`)."""
        if self._is_over:
            return
        try:
            merged, notes = self._merger.feed(upstream.generation, chunk)
        except (StreamError, CoreFault) as error:
            logger.error("relay.defect", generation=upstream.generation, error=str(error))
            self.cut(CloseCode.FAULT, "the gateway has a defect")
            return
        if merged:
            upstream.has_passed = True
            self._merged_bytes += len(merged)
            self._write([merged])
        for kind, body in notes:
            self._take_note(upstream, kind, body)

    def ended(self, upstream: Upstream) -> None:
        """A connection with a worker is at its end (`UpstreamOwner`)."""
        if self._is_over:
            return
        farewell = upstream.farewell
        is_gone = upstream.is_gone or self._desk.is_orphaned
        has_begun = upstream.has_passed or upstream.is_subscribed
        if not has_begun and not is_gone and (farewell is None or farewell.code in _TRY_AGAIN):
            self._merger.lose(upstream.generation)
            self._merger.add(upstream.generation)
            upstream.dial(again=True)
        elif farewell is not None and farewell.code != CloseCode.STOPPING:
            self.cut(_close_code(farewell.code), farewell.message)
        elif farewell is not None or is_gone:
            self._close_calls(upstream)
        else:
            self._later(DOUBT_SECONDS, lambda: self._on_doubt(upstream))

    def unreachable(self, upstream: Upstream) -> bool:
        """A worker cannot be reached; says whether to try again (`UpstreamOwner`)."""
        if upstream.is_gone or self._desk.is_orphaned:
            self._close_calls(upstream)
            return False
        return not self._is_over

    def _welcome(self) -> bool:
        return self._desk.welcome(self)

    def _gone(self) -> None:
        self._desk.gone(self)

    def _begin(self, _subscription: Subscription, body: bytes) -> None:
        if not self._desk.may_subscribe(self):
            return
        for generation in self._desk.workers:
            self._awaited.add(generation)
            self._connect(generation, body)
        self._later(SILENT_SECONDS, self._on_silence)
        self._say_subscribed_if_due()

    def _acknowledge(self, number: int, channel: int, position: int) -> bool:
        route = self._merger.acknowledge(number, position)
        if route is None:
            return False
        generation, there = route
        self._upstreams[generation].write(encode_ack(there, channel, position))
        return True

    def _command(self, number: int, body: bytes) -> None:
        """Pass a command on to the worker that has the call; it will answer."""
        route = self._merger.route(number)
        if route is not None:
            generation, there = route
            if self._upstreams[generation].write(encode_frame(FrameKind.COMMAND, there, body)):
                return
        answer, is_refused = judge(body, lambda order: self._refer(number, order, body))
        if is_refused:
            self._count("commands_refused")
            self._write([json_frame(FrameKind.EVENT, CONNECTION, answer)])

    def _refer(self, number: int, order: Order, body: bytes) -> None:
        """Pass a command on to the worker that has the session."""
        if self._merger.route(number) is not None:
            raise CommandRefused(_TAKES_NOTHING)
        generation = None
        if number == CONNECTION and order.session is not None:
            generation = self._whose(order.session.lower())
        if generation is None:
            raise CommandRefused("no such call is open on this connection")
        frame = encode_frame(FrameKind.COMMAND, CONNECTION, body)
        if not self._upstreams[generation].write(frame):
            raise CommandRefused(_TAKES_NOTHING)

    def _whose(self, session: str) -> int | None:
        """The worker that has the call of a session, or had it until a while ago."""
        known = self._merger.find(session)
        route = None if known is None else self._merger.route(known)
        return self._merger.closed_by(session) if route is None else route[0]

    def _connect(self, generation: int, wishes: bytes) -> None:
        greeting = self._hello() + encode_frame(FrameKind.SUBSCRIBE, CONNECTION, wishes)
        path = self._desk.workers[generation]
        upstream = Upstream(generation, path, greeting, self)
        self._upstreams[generation] = upstream
        self._merger.add(generation)
        upstream.read(wanted=self._may_write)
        upstream.dial()

    def _hello(self) -> bytes:
        """Who the consumer is, for the worker's list and log."""
        name = f"{self.consumer[:SHOWN_NAME_CHARACTERS]} ({self.address})"
        hello = {
            "stream": STREAM_NAME,
            "version": STREAM_VERSION,
            "role": "consumer",
            "name": name,
            "capabilities": [],
        }
        return json_frame(FrameKind.HELLO, CONNECTION, hello)

    def _wishes_of_later(self) -> bytes:
        """What to ask of a worker that has come after the consumer: its calls from their start."""
        assert self.subscription is not None
        wanted = self.subscription.filter
        return orjson.dumps({"filter": wanted.as_json(), "start": "start"})

    def _take_note(self, upstream: Upstream, kind: int, body: bytes) -> None:
        facts = orjson.loads(body)
        if kind == FrameKind.HELLO:
            upstream.has_greeted = True
        elif kind == FrameKind.CLOSE:
            upstream.farewell = Farewell(str(facts.get("code")), str(facts.get("message")))
        elif facts.get("type") == "subscribed":
            upstream.subscribed()
            if upstream.generation in self._awaited:
                self._calls_at_first += facts.get("calls", 0)
                self._awaited.discard(upstream.generation)
            self._say_subscribed_if_due()
        else:
            self._write([encode_frame(FrameKind.EVENT, CONNECTION, body)])

    def _say_subscribed_if_due(self) -> None:
        if self._is_subscribed or self._awaited or self._is_over:
            return
        self._is_subscribed = True
        self._write([subscribed_frame(self._calls_at_first)])
        state_logger.info("subscriber.subscribed", address=self.address, calls=self._calls_at_first)

    def _on_silence(self) -> None:
        """Whoever has not said hello by now may never do so; its calls come when it does."""
        self._awaited = {one for one in self._awaited if self._upstreams[one].has_greeted}
        self._say_subscribed_if_due()

    def _on_doubt(self, upstream: Upstream) -> None:
        """Nobody says that the worker is dead: the consumer can have its calls by coming again."""
        if self._upstreams.get(upstream.generation) is not upstream or self._is_over:
            return
        if self._desk.is_orphaned:
            self._close_calls(upstream)
        else:
            self.cut(CloseCode.FAULT, "a connection within the gateway was lost")

    def _close_calls(self, upstream: Upstream) -> None:
        """Nothing will come of a worker any more."""
        if self._upstreams.pop(upstream.generation, None) is None:
            return
        upstream.close()
        frames, calls = self._merger.lose(upstream.generation)
        if calls:
            self._write([frames])
            self._desk.count("lost_calls", calls)
            state_logger.warning(
                "subscriber.calls_lost",
                address=self.address,
                consumer=self.consumer,
                generation=upstream.generation,
                calls=calls,
            )
        self._awaited.discard(upstream.generation)
        self._say_subscribed_if_due()
        self._finish_if_done()

    def _finish_if_done(self) -> None:
        if self._is_finishing and not self._upstreams:
            self._say_stopping()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._timers.add(self._loop.call_later(seconds, action))

    def _leave(self) -> None:
        super()._leave()
        for timer in self._timers:
            timer.cancel()
        for upstream in self._upstreams.values():
            upstream.close()
        self._upstreams.clear()


def _close_code(code: str) -> CloseCode:
    try:
        return CloseCode(code)
    except ValueError:
        return CloseCode.FAULT


_TAKES_NOTHING: Final = "the process that has the call takes nothing at the moment"
_TRY_AGAIN: Final = frozenset({CloseCode.TOO_MANY_SUBSCRIBERS, CloseCode.HELLO_TIMEOUT})
"""What a worker may say to many consumers that come back in one moment."""
