"""One call of the ingest: its blocks in their order, its bytes into the ring, its end.

A call exists from the head of its first request on, so that requests on other connections find
it; the hub and the sinks know it from its first audio on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from earhook.errors import CommandRefused, CoreFault, EncryptionError, MalformedFrame
from earhook.ids import ConversationId, CorrelationId, OrganizationId, SessionId
from earhook.media.format import BYTES_PER_SAMPLE, MediaFormat
from earhook.media.intake import EncryptionKeys, Intake, StreamFormat, open_intake
from earhook.ops.logging import get_limited_logger
from earhook.protocol import commands
from earhook.protocol.events import Ending
from earhook.sinks.base import CallEvent, CallFacts, CallOutcome, LiveCall

from .block_head import (
    CONVERSATION_HEADER,
    CORRELATION_HEADER,
    ORGANIZATION_HEADER,
    SESSION_HEADER,
)
from .blocks import BlockOrder, Place, Standing
from .exchange import BodyCut
from .refusal import Word
from .taking import TakingBound, TakingStopped
from .tempo import Tempo
from .turns import Turns

if TYPE_CHECKING:
    from earhook.hub.books import LiveBooks

    from .calls import IngestCalls
    from .credentials import Accepted
    from .exchange import Exchange

__all__ = ["IngestCall", "Opening", "Taken"]


@dataclass(frozen=True, slots=True)
class Opening:
    """What the first request of a call said, completed where it said nothing.

    Attributes:
        session_id: The call's.
        organization_id: Whose call it is.
        conversation_id: Shared by all sessions of a conversation.
        correlation_id: For people who follow a call through several systems.
        sender: Who opened it; nobody else may send to it.
        stream: What is sent.
        rate: Samples per second and channel in the ring, for as long as the call lives.
        channels: Whose voices, in their order.
        encrypted: Whether bodies are.
    """

    session_id: SessionId
    organization_id: OrganizationId
    conversation_id: ConversationId
    correlation_id: CorrelationId
    sender: Accepted = field(repr=False)
    stream: StreamFormat
    rate: int
    channels: tuple[int, ...]
    encrypted: bool

    def headers(self) -> tuple[tuple[str, str], ...]:
        """The ids, as every answer about the call has them."""
        return (
            (ORGANIZATION_HEADER, self.organization_id),
            (SESSION_HEADER, self.session_id),
            (CONVERSATION_HEADER, self.conversation_id),
            (CORRELATION_HEADER, self.correlation_id),
        )


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a block, or of a whole request. Samples per channel, at the ring's rate.

    Attributes:
        standing: Only of what is next anything was taken.
        accepted_samples: Of audio.
        gap_samples: Missing before it or within it.
        fault: Why it was not taken to its end.
    """

    standing: Standing
    accepted_samples: int = 0
    gap_samples: int = 0
    fault: Word | None = None


class IngestCall:
    """A call. On the loop's thread only; the hub's door to it.

    Attributes:
        opening: What it is.
        order: Which of its blocks have come.
        turns: Blocks under way.
        streaming: Whether a request that carries a stream is under way.
        sender: Of the stream that is under way: told when it is made to wait, and asked whether it
            is still there. A block's is not told, it has sent all of it.
        ending: How it ended; None while it goes on.
        quiet_ending: How it ends if nothing more comes.
        seen_at: When its last request was over, of the monotonic clock.
    """

    def __init__(self, calls: IngestCalls, opening: Opening) -> None:
        settings = calls.settings
        self.opening = opening
        self.order = BlockOrder(opening.rate, settings.call_seconds)
        self.turns = Turns()
        self.streaming = False
        self.sender: Exchange | None = None
        self.ending: Ending | None = None
        self.quiet_ending = Ending.TIMED_OUT
        self.seen_at = self.opened_at = calls.clock.monotonic_seconds()
        self._calls = calls
        self._live: LiveCall | None = None
        self._intake: Intake | None = None
        self._tempo = Tempo(opening.rate, calls.ring_seconds)
        self._step_bytes = _step_bytes(opening.stream, calls.ring_seconds)
        self._limit: asyncio.Timeout | None = None
        self._delay_seconds: float | None = None
        self._pieces = 0
        self._bytes = 0
        self._late_samples = 0

    @property
    def is_live(self) -> bool:
        """Whether the hub knows it."""
        return self._live is not None

    @property
    def is_busy(self) -> bool:
        """Whether a request about it is under way."""
        return self.streaming or self.turns.present > 0

    @property
    def position(self) -> int:
        """Where the next sample goes."""
        if self._live is None or self._intake is None:
            return 0
        return self._live.pipeline.position if self.ending else self._intake.position

    @property
    def heard_samples(self) -> int:
        """Samples accepted so far: those in the ring, and those on their way through a filter."""
        if self._live is None or self._intake is None:
            return 0
        pipeline = self._live.pipeline
        return pipeline.written_samples + self.position - pipeline.position

    # What a request does with it.

    def place(self, sequence: int | None, position: int | None) -> Place:
        """Where a block belongs.

        Args:
            sequence: Of the block.
            position: In the clock of the sender's format.
        """
        rate, wire_rate = self.opening.rate, self.opening.stream.wire_rate
        at = None if position is None else position * rate // wire_rate
        return self.order.find(sequence, at)

    async def take_block(
        self,
        body: bytes,
        sequence: int | None,
        position: int | None,
        keys: EncryptionKeys | None,
        is_gone: Callable[[], bool],
    ) -> Taken:
        """Take a block that has come completely, if it is next.

        It is not taken to its end if the call ends, if it is too long, or if its sender is too fast
        and has gone. A number of which something was taken is used up.

        Raises:
            CapacityError: As `open`.
            DuplicateSession: As `open`.
        """
        place = self.place(sequence, position)
        if place.standing is not Standing.NEXT:
            self._count_untaken(place.standing, body)
            return Taken(place.standing, fault=self.order.fault_of(sequence))
        self.open()
        before, heard = self.position, self.heard_samples
        self.skip(sequence, place)
        start = self.position
        fault: Word | None = Word.MALFORMED
        try:
            fault = await self._decode_block(body, keys, self._bound(is_gone))
        finally:
            # Whatever stopped it: what was taken is never taken again.
            if fault is None or self.position > start:
                self.order.take(sequence, self.position - start, fault)
        self._calls.tally.blocks += 1
        accepted = self.heard_samples - heard
        return Taken(Standing.NEXT, accepted, self.position - before - accepted, fault)

    def open(self) -> Intake:
        """Make it live, if it is not.

        Raises:
            CapacityError: No room for its ring.
            DuplicateSession: The session is live already, at the other door.
        """
        if self._intake is not None:
            return self._intake
        opening, calls = self.opening, self._calls
        media = MediaFormat(opening.stream.codec, opening.channels, opening.rate)
        facts = CallFacts(
            session_id=opening.session_id,
            organization_id=opening.organization_id,
            conversation_id=opening.conversation_id,
            correlation_id=opening.correlation_id,
            key_name=opening.sender.name,
            media=media,
            opened_wall_seconds=calls.clock.wall_seconds(),
            door="ingest",
        )
        live = self._live = calls.hub.open(facts, self)
        live.delay_seconds = self._delay_seconds
        self._intake = open_intake(live.pipeline, opening.stream, media)
        return self._intake

    def skip(self, sequence: int | None, place: Place) -> None:
        """Give away what is missing before the audio that comes now; the call is live."""
        self._calls.tally.missing_blocks += place.missing_blocks
        if place.gap_samples or place.missing_blocks:
            self._open_intake.lose(place.gap_samples)
        self.order.skip(sequence, place)

    def begin_body(self, keys: EncryptionKeys | None) -> None:
        """A stream's body begins."""
        self.open().begin(keys)

    async def take_piece(self, piece: bytes) -> None:
        """Take a piece of a stream's body, `begin_body` came before.

        It waits only for time to pass, where audio comes faster than eight times real time.

        Raises:
            MalformedFrame: The body cannot be read any further.
            EncryptionError: A record is not authentic; nothing of it was decoded.
            BodyCut: Its sender has gone, and what it left is more than may be in a block.
        """
        async with self._in_stream() as bound:
            await self._push(piece, bound)

    async def end_body(self) -> None:
        """A stream's body is complete.

        Raises:
            EncryptionError: Its last record is missing or not authentic.
            MalformedFrame: As `take_piece` said.
            BodyCut: As `take_piece`.
        """
        if self.ending is None:
            async with self._in_stream() as bound:
                await self._in_tempo(self._open_intake.end, bound)

    def limited(self, seconds: float) -> asyncio.Timeout:
        """Bound a stream, which `end` cuts too: `async with call.limited(…):`."""
        self._limit = asyncio.timeout(seconds)
        return self._limit

    def unlimited(self) -> None:
        """The stream is over."""
        self._limit = None

    def note_delay(self, seconds: float | None) -> None:
        """Keep how long its last audio was on its way."""
        if seconds is not None:
            self._delay_seconds = seconds
            if self._live is not None:
                self._live.delay_seconds = seconds

    # Its end.

    def submit(self, command: commands.Command) -> None:
        """Carry out a consumer's command: it can only be ended.

        Raises:
            CommandRefused: Anything but a disconnect. There is no way back to the sender.
        """
        if not isinstance(command, commands.Disconnect | commands.Drain):
            name = type(command).__name__
            raise CommandRefused(
                f"{name}: a call that comes by HTTPS POST can only be disconnected"
            )
        self.end(Ending.DISCONNECTED)

    def end(self, ending: Ending) -> None:
        """End it, if it has not ended: its books are closed, its stream is cut."""
        if self.ending is not None:
            return
        self.ending = ending
        if self._live is not None and self._intake is not None:
            self._close(self._live, self._intake, ending)
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time())
        self._calls.let_go(self)

    def add_up(self, books: LiveBooks) -> None:
        """Add it, if it is live, to the books of all live calls."""
        if self._live is None or self.ending is not None:
            return
        written, codec = self._live.pipeline.written_samples, self.opening.stream.codec
        books.frames[codec] += self._pieces
        books.audio_bytes[codec] += self._bytes
        books.samples_in += written + self._late_samples
        books.written += written
        if self._late_samples:
            books.dropped["late"] += self._late_samples

    def _close(self, live: LiveCall, intake: Intake, ending: Ending) -> None:
        calls, codec = self._calls, self.opening.stream.codec
        try:
            intake.begin(None)  # what is behind is dropped: its sender is told, or has gone
            intake.finish()
            calls.tally.packets.update(intake.tally())
        except CoreFault:
            _LOG.error("call.fault", session=self.opening.session_id, exc_info=True)
        calls.tally.blocks_by_codec[codec] += self._pieces
        calls.tally.audio_bytes[codec] += self._bytes
        written = live.pipeline.written_samples
        outcome = CallOutcome(
            reason=ending.value,
            position=live.pipeline.position,
            samples_in=written + self._late_samples,
            written=written,
            dropped={"late": self._late_samples} if self._late_samples else {},
            frames=self._pieces,
            duration_seconds=calls.clock.monotonic_seconds() - self.opened_at,
        )
        calls.hub.close(live, outcome)

    # Inside.

    @property
    def _open_intake(self) -> Intake:
        if self._intake is None:
            raise RuntimeError("a call takes audio only after it was opened")
        return self._intake

    def _bound(self, is_gone: Callable[[], bool], *, is_stream: bool = False) -> TakingBound:
        """How far what comes now is taken."""
        most_seconds = self._calls.settings.limits.block_seconds
        end_position = self.position + int(self.opening.rate * most_seconds)
        return TakingBound(end_position, is_gone, is_stream)

    @asynccontextmanager
    async def _in_stream(self) -> AsyncIterator[TakingBound]:
        """Around the taking of a piece of a stream: whatever stops it, what was taken counts."""
        sender, start = self.sender, self.position
        bound = self._bound(lambda: sender is None or sender.is_gone, is_stream=True)
        try:
            yield bound
        except TakingStopped:
            raise BodyCut("the peer has gone") from None
        finally:
            self.order.take(None, self.position - start)

    async def _push(self, piece: bytes, bound: TakingBound) -> None:
        """Push bytes of the open body, a little at a time."""
        intake, view = self._open_intake, memoryview(piece)
        self._bytes += len(piece)
        for offset in range(0, len(piece), self._step_bytes):
            if offset:
                await asyncio.sleep(0)  # others have their turn
            self._pieces += 1
            step = view[offset : offset + self._step_bytes]
            await self._in_tempo(partial(intake.push, step), bound)
            if self.ending is not None:
                return
        self._note_suspicion()

    async def _in_tempo(self, decode: Callable[[], int], bound: TakingBound) -> None:
        """Wait until it is time, then decode; what is behind is decoded so, too.

        Not the other way round: what fits is acknowledged at once.

        Raises:
            TakingStopped: As `bound` said. What is behind is dropped.
        """
        intake = self._open_intake
        try:
            while True:
                await self._wait_until_due(bound)
                if self.ending is not None:
                    return
                before = intake.position
                decode()
                self._tempo.spend(intake.position - before, self._calls.clock.monotonic_seconds())
                if not intake.is_behind:
                    return
                decode = intake.go_on
                await asyncio.sleep(0)  # others have their turn
        except (TakingStopped, asyncio.CancelledError):
            intake.begin(None)
            raise

    async def _wait_until_due(self, bound: TakingBound) -> None:
        if self.ending is not None:
            return
        calls = self._calls
        now, is_strained = calls.clock.monotonic_seconds(), calls.is_strained()
        wait = self._tempo.wait_seconds(now, is_strained=is_strained)
        bound.check(self.position, must_wait=wait > 0)
        if wait:
            if self.sender is not None:
                self.sender.hold_back(wait)
            await asyncio.sleep(wait)

    async def _decode_block(
        self, body: bytes, keys: EncryptionKeys | None, bound: TakingBound
    ) -> Word | None:
        """Decode a whole block; why not all of it, if so."""
        intake = self._open_intake
        try:
            intake.begin(keys)
            await self._push(body, bound)
            if self.ending is None:
                await self._end_block(bound)
        except (MalformedFrame, EncryptionError) as error:
            return self.note_fault(error)
        except TakingStopped as stopped:
            is_cut = stopped.word is Word.CUT
            self.quiet_ending = Ending.LOST if is_cut else Ending.VIOLATION
            _LOG.warning("call.block_stopped", session=self.opening.session_id, word=stopped.word)
            return stopped.word
        if self.ending is not None:
            return Word.ENDED
        self.quiet_ending = Ending.TIMED_OUT
        return None

    async def _end_block(self, bound: TakingBound) -> None:
        """A block is complete. Only of an encrypted one there is something left to decode."""
        if self.opening.encrypted:
            await self._in_tempo(self._open_intake.end, bound)
        else:
            self._open_intake.end()

    def note_fault(self, error: MalformedFrame | EncryptionError) -> Word:
        """Say in the log why a body was not taken to its end, and give the word for it."""
        sealed = isinstance(error, EncryptionError)
        word = Word.ENCRYPTION if sealed else Word.MALFORMED
        self.quiet_ending = Ending.VIOLATION
        _LOG.warning(f"call.{word}", session=self.opening.session_id, reason=str(error))
        return word

    def _note_suspicion(self) -> None:
        live, intake = self._live, self._intake
        if live is None or intake is None or live.suspicion is not None:
            return
        likely = intake.suspicion
        if likely is None:
            return
        live.suspicion = likely
        declared = self.opening.stream.codec
        self._calls.tally.suspects[likely] += 1
        _LOG.warning(
            "call.format_suspect",
            session=self.opening.session_id,
            key=self.opening.sender.name,
            declared=declared,
            likely=likely,
        )
        told = CallEvent(
            "format_suspect", live.pipeline.position, {"declared": declared, "likely": likely}
        )
        self._calls.hub.publish(live, told)

    def _count_untaken(self, standing: Standing, body: bytes) -> None:
        tally = self._calls.tally
        if standing is Standing.DUPLICATE:
            tally.duplicate_blocks += 1
        elif standing is Standing.LATE:
            tally.late_blocks += 1
            self._late_samples += self._samples_of(body)

    def _samples_of(self, body: bytes) -> int:
        """Samples at the ring's rate; 0 where only decoding would tell."""
        stream = self.opening.stream
        sample_bytes = BYTES_PER_SAMPLE.get(stream.codec)
        if sample_bytes is None or self.opening.encrypted:
            return 0
        groups = len(body) // (sample_bytes * stream.channels)
        return groups * self.opening.rate // stream.wire_rate


def _step_bytes(stream: StreamFormat, ring_seconds: float) -> int:
    """What is decoded at once: so little that nobody waits long for the loop, nor a ring is full.

    Half a second at most, and a quarter of a ring.
    """
    sample_bytes = BYTES_PER_SAMPLE.get(stream.codec)
    if sample_bytes is None:
        return _OPUS_STEP_BYTES
    samples = int(stream.wire_rate * min(0.5, ring_seconds / 4))
    return samples * sample_bytes * stream.channels


_OPUS_STEP_BYTES: Final = 4096
"""Packets of no sound are a few bytes for 120 ms: this much is 20 ms of work at the worst."""
_LOG: Final = get_limited_logger(__name__)
