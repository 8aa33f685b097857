"""One call of many over HTTPS: a request for each frame, or one request for all of it.

A block is due when it is due, also while the last one waits for its answer; it then goes out
behind it, and its latency is counted from when it was due.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

from earhook.clock import SystemClock
from earhook.testing.peer_record import PeerRecord, Span

from .http_answer import Answer, AnswerReader
from .http_request import HttpRequests
from .mix import Moment
from .plan import RATE
from .shape import Arrival
from .surroundings import First, Surroundings

__all__ = ["HttpCall"]

CONNECT_SECONDS: Final = 15.0
UNREAD_LIMIT_BYTES: Final = 1 << 20
WAITING_SECONDS: Final = 10.0
"""A server that answers so much audio too late loses the call."""
_CLOCK: Final = SystemClock()


class _Block(NamedTuple):
    due: float
    position: int


class HttpCall(asyncio.Protocol):
    """A call from its due time to the end of its connection. Arguments as of `LoadCall`."""

    def __init__(self, arrival: Arrival, due: float, around: Surroundings) -> None:
        plan = around.plan
        self._arrival = arrival
        self._around = around
        self._due = due
        self._counts = around.tally.counts
        self._streams = plan.carrier == "stream"
        self._is_probe = arrival.script.probe
        self._frame_samples = plan.frame_samples
        self._track = plan.http_track(arrival.number)
        setup = plan.setup(arrival.number, around.process, probe=False)
        self._requests = HttpRequests(plan, setup, plan.longest_frame_bytes)
        self._record = PeerRecord()
        self._position = 0
        self._answers = AnswerReader()
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[_Block] = deque()
        self._asked: float | None = None
        self._sequence = 0
        self._is_writable = True
        self._withheld: list[float] | None = None
        self._has_begun = False
        self._end_due: float | None = None
        self._end_is_asked = False
        self._broke_off = False
        self._is_opened = False
        self._is_over = False

    async def dial(self) -> None:
        """Connect. The call then runs by itself."""
        parts = urlsplit(self._around.plan.target.url)
        context = self._around.ssl_context
        port = parts.port or (443 if context else 80)
        loop, host = asyncio.get_running_loop(), parts.hostname or ""

        async def attempt(address: str | None) -> None:
            await loop.create_connection(
                lambda: self,
                address or host,
                port,
                ssl=context,
                server_hostname=host if context else None,
            )

        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._around.addresses.connect(attempt)
        except TimeoutError:
            self._finish("connect: timeout")
        except OSError as error:
            self._finish(f"connect: {type(error).__name__}")

    def hang_up(self, due: float) -> None:
        """End the call as its script says; what waits is sent before."""
        if self._end_due is not None or self._is_over or self._transport is None:
            self._end_due = due
            return
        self._end_due = due
        self._around.agenda.leave(self)
        if self._arrival.script.abrupt:
            self._broke_off = True
            self.abort()
        elif self._streams:
            self._end_is_asked = True
            self._transport.write(self._requests.end_stream())
        else:
            self._post_next()

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def send_frame(self, due: float) -> None:
        """The wheel has come round."""
        if self._withheld is not None:
            self._withheld.append(due)
        elif self._end_due is None:
            self._send(due)

    # -- the connection's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS included."""
        now = _CLOCK.monotonic_seconds()
        self._transport = cast("asyncio.Transport", transport)
        self._counts.answered += 1
        self._around.tally.note("connect", now - self._due)
        if self._is_probe:
            self._transport.write(self._requests.check())
            return
        if self._streams:
            self._transport.write(self._requests.begin_stream())
            self._open()
        agenda, script = self._around.agenda, self._arrival.script
        agenda.at(now + script.late_seconds, self._start_audio)
        for moment in script.moments:
            agenda.at(self._due + moment.begins, partial(self._befalls, moment))

    def data_received(self, data: bytes) -> None:
        """Answers, or some of one."""
        try:
            answers = self._answers.feed(data)
        except ValueError:
            self._drop("HTTP: the answer cannot be read")
            return
        for answer in answers:
            self._take(answer, _CLOCK.monotonic_seconds())

    def pause_writing(self) -> None:
        """The server reads more slowly than we send."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """It has caught up."""
        self._is_writable = True

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: before the end, that is a fault."""
        del exc
        self._finish("" if self._broke_off else "lost: the server closed the connection")

    # -- the course of the call

    def _start_audio(self, due: float) -> None:
        if self._end_due is not None:
            end, self._end_due = self._end_due, None
            self.hang_up(end)
        elif not self._is_over:
            first = First(0, self._around.agenda.join(self, due), self._around.plan.media.channels)
            if self._around.witness is not None:
                self._has_begun = True
                self._around.witness.begins(self._arrival.number, first)

    def _befalls(self, moment: Moment, due: float) -> None:
        """The network holds frames; then it lets them go, or has lost them."""
        if self._end_due is None and not self._is_over:
            self._withheld = []
            ends = due + moment.ends - moment.begins
            self._around.agenda.at(
                ends, self._lose if moment.incident == "discard" else self._release
            )

    def _lose(self, _due: float) -> None:
        """What follows says by its position that something is missing."""
        withheld, self._withheld = self._withheld or [], None
        self._position += len(withheld) * self._frame_samples

    def _release(self, due: float) -> None:
        withheld, self._withheld = self._withheld or [], None
        if self._end_due is not None:
            return
        if self._around.witness is not None and withheld:
            span = Span(self._position, len(withheld) * self._frame_samples)
            self._around.witness.shifts(self._arrival.number, span, due)
        for _ in withheld:
            self._send(due)

    def _send(self, due: float) -> None:
        transport, position = self._transport, self._position
        if transport is None or self._is_over:
            return
        if not self._is_writable:
            self._counts.held_frames += 1
            if transport.get_write_buffer_size() > UNREAD_LIMIT_BYTES:
                self._drop("stalled: the server reads no more")
                return
        self._position += self._frame_samples
        if self._streams:
            transport.write(self._requests.chunk(self._payload(position)))
            return
        self._waiting.append(_Block(due, position))
        if len(self._waiting) * self._frame_samples > WAITING_SECONDS * RATE:
            self._drop("stalled: the server answers no more")
        elif self._asked is None:
            self._post_next()

    def _post_next(self) -> None:
        """Send the next block that waits, or the mark of the end behind the last one."""
        if self._asked is not None or self._transport is None:
            return
        if self._waiting:
            self._asked, position = self._waiting.popleft()
            payload = self._payload(position)
            self._transport.write(self._requests.block(self._sequence, position, payload))
            self._sequence += 1
        elif self._end_due is not None and not self._end_is_asked:
            self._asked, self._end_is_asked = self._end_due, True
            self._transport.write(self._requests.end())

    def _payload(self, position: int) -> bytes:
        samples = self._frame_samples
        payload = self._track.read(position, samples)
        self._record.count_sent(position, samples)
        counts = self._counts
        counts.frames += 1
        counts.octets += len(payload)
        counts.samples += samples
        return payload

    def _take(self, answer: Answer, now: float) -> None:
        asked, self._asked = self._asked, None
        if answer.status != 200:
            self._drop(f"HTTP {answer.status} {_word(answer)}".rstrip())
        elif self._is_probe:
            self._counts.probes += 1
            self._drop("")
        elif self._end_is_asked:
            self._around.tally.note("close", now - (self._end_due or now))
            self._judge_end(answer)
        elif asked is not None:
            self._around.tally.note("block", now - asked)
            if not self._is_opened:
                self._around.tally.note("opened", now - asked)
                self._open()
            self._post_next()

    def _open(self) -> None:
        self._is_opened = True
        self._counts.opened += 1
        self._counts.live += 1

    def _judge_end(self, answer: Answer) -> None:
        told = answer.fields().get("total_samples", self._record.samples_sent)
        right = told == self._record.samples_sent
        self._drop("" if right else "incomplete: the server tells other totals than were sent")

    def _drop(self, fault: str) -> None:
        self._finish(fault)
        self.abort()

    def _finish(self, fault: str) -> None:
        if self._is_over:
            return
        self._is_over = True
        around = self._around
        around.agenda.leave(self)
        self._counts.live -= self._is_opened
        if fault:
            around.tally.fail(fault)
        else:
            self._counts.completed += 1
            self._counts.broken_off += self._broke_off
        if around.witness is not None and self._has_begun:
            cut = bool(fault) or self._broke_off
            around.witness.ends(self._arrival.number, self._record.sent, broken_off=cut)
        around.is_over(self)


def _word(answer: Answer) -> str:
    word = answer.fields().get("error", "")
    return word if isinstance(word, str) else ""
