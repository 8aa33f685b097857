"""The far end: subscribes to the PCM stream and proves the calls of one generator.

The generator tells it through a socket which calls begin, when their audio was due, and in the
end what was sent; it never waits for this side.
"""

from __future__ import annotations

import asyncio
import socket as sockets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson

from earhook.client import Block, CallClosed, Item, Stream, connect
from earhook.clock import SystemClock
from earhook.errors import EarhookError, OperatorError
from earhook.media.format import Channel
from earhook.testing.peer_record import Span

from .histograms import Latency
from .lanes import Lane, OpusLane, SourceLane
from .opus import OpusDecoding
from .plan import LoadPlan
from .proof import CallProof, Samples
from .surroundings import First

__all__ = ["Announcer", "FaultyCall", "Findings", "verify"]

DIAL_SECONDS: Final = 3.0
"""For the first connection, and for another one when it is lost."""
LAST_WORD_SECONDS: Final = 10.0
"""After the last call, so long may the receiver take to hear of its end."""
LOOK_SECONDS: Final = 1.0
FAULTY_CALLS: Final = 1000
BUFFER_BYTES: Final = 64 << 20
_CLOCK: Final = SystemClock()


class FaultyCall(NamedTuple):
    """A call of which not every sample came as it was sent."""

    number: int
    session: str
    samples: Samples


@dataclass(slots=True)
class Findings:
    """What was proved.

    Attributes:
        calls: Calls that were compared.
        proved: Those of which every sample came, once, in order and unchanged.
        unbalanced: Those whose totals, as the gateway tells them, are not what came.
        samples: Of all calls and channels.
        end_to_end: From when a frame was due until a program held the block with its first sample.
        faulty: The first of them.
        busiest: The largest share of a core that a process of these used within a second.
        trouble: Why the stream could not be followed; empty if it could.
    """

    calls: int = 0
    proved: int = 0
    unbalanced: int = 0
    samples: Samples = field(default_factory=Samples)
    end_to_end: Latency = field(default_factory=Latency)
    faulty: list[FaultyCall] = field(default_factory=list)
    busiest: float = 0.0
    trouble: str = ""

    def add(self, other: Findings) -> None:
        """Add those of another process."""
        self.calls += other.calls
        self.proved += other.proved
        self.unbalanced += other.unbalanced
        self.samples.add(other.samples)
        self.end_to_end.add(other.end_to_end)
        self.faulty = (self.faulty + other.faulty)[:FAULTY_CALLS]
        self.busiest = max(self.busiest, other.busiest)
        self.trouble = self.trouble or other.trouble


class Announcer:
    """The generator's end of the socket: a witness that passes everything on.

    Make it on the running loop with `open`.
    """

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    @classmethod
    async def open(cls, socket: sockets.socket) -> Announcer:
        """Take the socket over."""
        _, writer = await asyncio.open_connection(sock=socket)
        return cls(writer)

    def begins(self, number: int, first: First) -> None:
        """Audio of a call begins."""
        self._tell("begins", number, first)

    def shifts(self, number: int, span: Span, due: float) -> None:
        """These positions are due at `due` instead."""
        self._tell("shifts", number, span, due)

    def ends(self, number: int, sent: Sequence[Span], *, broken_off: bool) -> None:
        """These positions were sent, and no others will be."""
        self._tell("ends", number, sent, broken_off)

    async def close(self) -> None:
        """Say that all is said."""
        self._writer.close()
        await self._writer.wait_closed()

    def _tell(self, *words: object) -> None:
        # Named tuples are no tuples to orjson.
        self._writer.write(orjson.dumps(words, default=list) + b"\n")


async def verify(
    plan: LoadPlan, process: int, socket: sockets.socket, ready: Callable[[], None]
) -> Findings:
    """Follow the stream until every call that was announced is over.

    Args:
        plan: Whose `verify` says where the stream is.
        process: The generator whose calls are proved.
        socket: An `Announcer` writes to the other end.
        ready: Called when we are subscribed: calls may begin.

    Raises:
        OperatorError: There is no such stream, or it does not want us.
    """
    room, is_ready = _Room(plan), False
    stream = connect(
        plan.verify or "",
        organizations=[plan.organization(process)],
        gaps=False,
        events=True,
        name="earhook load",
        token=plan.verify_token,
        ssl=plan.verify_context(),
        buffer_bytes=BUFFER_BYTES,
        give_up_seconds=DIAL_SECONDS,
    )
    reader, writer = await asyncio.open_connection(sock=socket)
    try:
        async with stream:
            is_ready = True
            ready()
            await _follow(room, stream, reader)
    except (EarhookError, OSError) as error:
        if not is_ready:
            raise OperatorError(f"--verify {plan.verify}: {error}") from error
        room.findings.trouble = f"{plan.verify}: {error}"
        async for _ in reader:
            pass  # the generator shall not be told that its socket is gone
    finally:
        writer.close()
    return room.finish()


async def _follow(room: _Room, stream: Stream, reader: asyncio.StreamReader) -> None:
    listening = asyncio.create_task(_listen(room, stream))
    reading = asyncio.create_task(_read(room, reader))
    try:
        await asyncio.wait([listening, reading], return_when=asyncio.FIRST_COMPLETED)
        if listening.done():
            listening.result()
        try:
            async with asyncio.timeout(LAST_WORD_SECONDS):
                await room.all_complete()
        except TimeoutError:
            pass  # what has not come by now is lost
    finally:
        listening.cancel()
        reading.cancel()


async def _listen(room: _Room, stream: Stream) -> None:
    looked, cpu = _CLOCK.monotonic_seconds(), time.process_time()
    async for item in stream:
        now = _CLOCK.monotonic_seconds()
        room.take(item, now)
        if now >= looked + LOOK_SECONDS:
            used = time.process_time()
            room.findings.busiest = max(room.findings.busiest, (used - cpu) / (now - looked))
            looked, cpu = now, used


async def _read(room: _Room, reader: asyncio.StreamReader) -> None:
    async for line in reader:
        room.told(orjson.loads(line))
    room.nothing_follows()


class _Room:
    """All calls that are being compared."""

    def __init__(self, plan: LoadPlan) -> None:
        self.findings = Findings()
        self._plan = plan
        self._proofs: dict[str, CallProof] = {}
        self._early: dict[str, list[tuple[Item, float]]] = {}
        self._nothing_follows = False
        self._complete = asyncio.Event()

    async def all_complete(self) -> None:
        """Wait until every call was compared to its end."""
        await self._complete.wait()

    def nothing_follows(self) -> None:
        """All calls have been announced, and their ends too."""
        self._nothing_follows = True
        self._look()

    def told(self, words: list[Any]) -> None:
        """The generator says something."""
        kind, number = words[0], words[1]
        session = self._plan.session(number)
        if kind == "begins":
            position, due, channels = words[2]
            self._proofs[session] = self._proof(number, First(position, due, tuple(channels)))
            for item, now in self._early.pop(session, ()):
                self.take(item, now)
        elif kind == "shifts":
            self._proofs[session].shift(Span(*words[2]), words[3])
        else:
            spans = [Span(*span) for span in words[2]]
            self._proofs[session].end(spans, broken_off=words[3])
            self._settle(session)

    def take(self, item: Item, now: float) -> None:
        """Something of the stream."""
        session = item.call.session_id
        proof = self._proofs.get(session)
        if proof is None:
            # It was quicker than the generator's word; or a probe, of which nobody will speak.
            if not isinstance(item, CallClosed):
                self._early.setdefault(session, []).append((item, now))
            elif session in self._early:
                self._early[session].append((item, now))
        elif isinstance(item, Block):
            channel = Channel.from_word(item.channel)
            age = proof.hear(channel, item.position, item.samples, now)
            self.findings.end_to_end.record(age)
            if proof.is_complete:
                self._settle(session)
        elif isinstance(item, CallClosed):
            proof.closed = True
            proof.books_agree = item.totals.verified
            self._settle(session)

    def finish(self) -> Findings:
        """Settle what is left: its end was not heard of."""
        for session in tuple(self._proofs):
            self._conclude(session)
        return self.findings

    def _proof(self, number: int, first: First) -> CallProof:
        plan = self._plan
        lanes: dict[int, Lane]
        if plan.opus is not None:
            decoding = OpusDecoding(plan.opus.track(f"{plan.shape.seed}/{number}"))
            lanes = {channel: OpusLane(decoding, channel) for channel in first.channels}
        else:
            source, searchable = plan.source_of(number), plan.source is None
            lanes = {ch: SourceLane(source, ch, searchable=searchable) for ch in first.channels}
        return CallProof(number, first, plan.frame_samples, plan.late_seconds, lanes)

    def _settle(self, session: str) -> None:
        if self._proofs[session].is_complete:
            self._conclude(session)
            self._look()

    def _conclude(self, session: str) -> None:
        proof = self._proofs.pop(session)
        samples, findings = proof.settle(), self.findings
        findings.calls += 1
        findings.samples.add(samples)
        findings.unbalanced += proof.books_agree is False
        if samples.is_proved:
            findings.proved += 1
        elif len(findings.faulty) < FAULTY_CALLS:
            findings.faulty.append(FaultyCall(proof.number, session, samples))

    def _look(self) -> None:
        if self._nothing_follows and not self._proofs:
            self._complete.set()
