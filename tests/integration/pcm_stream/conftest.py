"""A PCM stream sink with calls that the tests push themselves: real sockets, the real core."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import orjson
import pytest

from earhook.address import UnixAddress, parse_address
from earhook.errors import UnknownCall
from earhook.ids import ConversationId, CorrelationId, KeyName, OrganizationId, SessionId
from earhook.media.format import MediaFormat
from earhook.media.pipeline import Budget, Pipeline
from earhook.media.stream import Frame, FrameDecoder, FrameKind, encode_frame
from earhook.protocol.commands import Command
from earhook.sinks.base import CallEvent, CallFacts, CallOutcome, LiveCall, Participant, SinkBooks
from earhook.sinks.pcm_stream.settings import PcmStreamSettings
from earhook.sinks.pcm_stream.sink import PcmStreamSink

RATE = 8000


class Speaker:
    """A call under the hand of the test: what it pushes is random and remembered."""

    def __init__(self, call: LiveCall, seed: int) -> None:
        self.call = call
        self.outcome_dropped: dict[str, int] = {}
        self._random = np.random.default_rng(seed)
        self._lanes = {channel: np.empty(0, "<i2") for channel in call.facts.media.channels}

    @property
    def session(self) -> str:
        return self.call.facts.session_id

    @property
    def position(self) -> int:
        return self.call.pipeline.position

    def push(self, samples: int) -> None:
        channels = self.call.facts.media.channels
        block = self._random.integers(-32768, 32768, (samples, len(channels)), dtype="i2")
        assert self.call.pipeline.push(block.tobytes()) == samples
        for place, channel in enumerate(channels):
            self._extend(channel, block[:, place])

    def gap(self, samples: int, reason: int) -> None:
        self.call.pipeline.gap(samples, reason)
        for channel in self.call.facts.media.channels:
            self._extend(channel, np.zeros(samples, "<i2"))

    def said(self, channel: int, position: int, samples: int) -> np.ndarray[Any, Any]:
        """What stands at these positions; zeros where there was no audio."""
        return self._lanes[channel][position : position + samples]

    def _extend(self, channel: int, samples: np.ndarray[Any, Any]) -> None:
        self._lanes[channel] = np.concatenate([self._lanes[channel], samples])


class House:
    """The hub's part, as far as the sink sees it."""

    def __init__(self, settings: PcmStreamSettings, ring_seconds: float) -> None:
        self.commands: list[tuple[str, Command]] = []
        self.published: list[tuple[str, CallEvent]] = []
        self.refuse: Exception | None = None
        self.settled: dict[str, SinkBooks] = {}
        self.budget = Budget(256 << 20)
        self.live: dict[str, Speaker] = {}
        self.sink = PcmStreamSink(settings, self._command, self._publish)
        self._ring_samples = round(ring_seconds * RATE)
        self._seed = 0

    @property
    def address(self) -> str:
        return str(self.sink.address)

    def open(self, **facts: Any) -> Speaker:
        self._seed += 1
        channels = facts.pop("media_channels", (0, 1))
        media = MediaFormat(facts.pop("codec", "L16"), channels)
        call_facts = CallFacts(
            session_id=SessionId(facts.pop("session_id", None) or str(uuid.uuid4())),
            organization_id=OrganizationId(facts.pop("organization_id", str(uuid.uuid4()))),
            conversation_id=ConversationId(facts.pop("conversation_id", str(uuid.uuid4()))),
            correlation_id=CorrelationId(str(uuid.uuid4())),
            key_name=KeyName(facts.pop("key_name", "key-1")),
            media=media,
            opened_wall_seconds=1_750_000_000.0,
            participant=Participant("p-1", "+15550100", "Ada", "+15550199"),
            **facts,
        )
        pipeline = Pipeline(
            self.budget, codec=media.codec, channels=channels, capacity_samples=self._ring_samples
        )
        names = frozenset({self.sink.name})
        speaker = Speaker(LiveCall(call_facts, pipeline, names, self._on_settled), self._seed)
        self.live[speaker.session] = speaker
        self.sink.attach(speaker.call)
        return speaker

    def publish(self, speaker: Speaker, kind: str, **details: Any) -> None:
        self.sink.publish(speaker.call, CallEvent(kind, speaker.position, details, personal=True))

    def end(self, speaker: Speaker, reason: str = "completed") -> None:
        call = speaker.call
        del self.live[speaker.session]
        call.pipeline.end()
        written = call.pipeline.written_samples
        call.outcome = CallOutcome(reason, speaker.position, written, written, {}, 0, 1.0)
        self.sink.ended(call)

    def forget(self, speaker: Speaker) -> None:
        self.sink.forget(speaker.call)

    def books(self) -> SinkBooks:
        """The sink's books of all calls so far; they always balance."""
        books = self.sink.snapshot().books
        assert books.balances()
        return books

    def counter(self, name: str) -> int:
        return self.sink.snapshot().counters.get(name, 0)

    def subscribers(self) -> int:
        return len(self.sink.snapshot().subscribers)

    def is_blocked(self) -> bool:
        """Whether some consumer takes nothing at the moment."""
        return any(not subscriber._may_write for subscriber in self.sink._reception.guests)

    def _on_settled(self, call: LiveCall) -> None:
        books = call.settled[self.sink.name]
        assert books.balances()
        self.settled[call.facts.session_id] = books

    def _publish(self, call: LiveCall, event: CallEvent) -> None:
        self.published.append((call.facts.session_id, event))
        self.sink.publish(call, event)

    def _command(self, session_id: str, command: Command) -> None:
        if self.refuse is not None:
            raise self.refuse
        if session_id not in self.live:
            raise UnknownCall("no such call")
        self.commands.append((session_id, command))


HouseMaker = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture
def house(tmp_path: Path) -> HouseMaker:
    """`async with house(ring_seconds=…, **settings) as house`: a sink that listens."""

    @asynccontextmanager
    async def make(*, ring_seconds: float = 2.0, **wishes: Any) -> AsyncIterator[House]:
        if "connect" not in wishes:
            wishes.setdefault("listen", f"unix:{tmp_path / 'pcm.sock'}")
        made = House(PcmStreamSettings(**wishes), ring_seconds)
        await made.sink.start()
        try:
            yield made
        finally:
            for consumer in RawConsumer.dialled:
                consumer.close()
            RawConsumer.dialled.clear()
            await made.sink.stop(2.0)
            assert made.subscribers() == 0

    return make


class RawConsumer:
    """A consumer without an SDK: bytes out, frames in. The house closes it at its end."""

    dialled: ClassVar[list[RawConsumer]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dialled.append(self)
        self.writer = writer
        self.frames: list[Frame] = []
        self._reader = reader
        self._decoder = FrameDecoder()

    @classmethod
    async def dial(cls, address: str, **options: Any) -> RawConsumer:
        parsed = parse_address(address)
        if isinstance(parsed, UnixAddress):
            return cls(*await asyncio.open_unix_connection(parsed.path, **options))
        return cls(*await asyncio.open_connection(parsed.host, parsed.port, **options))

    def say(self, kind: int, call: int = 0, **body: Any) -> None:
        self.writer.write(encode_frame(kind, call, orjson.dumps(body)))

    def hello(self, **more: Any) -> None:
        hello = {"stream": "earhook-pcm", "version": 1, "role": "consumer", "name": "raw"}
        self.say(FrameKind.HELLO, **{**hello, **more})

    def subscribe(self, **subscribe: Any) -> None:
        self.hello()
        self.say(FrameKind.SUBSCRIBE, **subscribe)

    async def until(self, kind: int, call: int | None = None) -> Frame:
        """Read until a frame of that kind (and call) has come; it and all others are kept."""
        seen = 0
        async with asyncio.timeout(10):
            while True:
                for frame in self.frames[seen:]:
                    seen += 1
                    if frame.kind == kind and call in (None, frame.call):
                        return frame
                if not await self.read():
                    raise EOFError(f"no frame of kind {kind} before the end: {self.frames[-1:]}")

    async def read(self, most_bytes: int = 1 << 16) -> bool:
        """Read some; False at the end."""
        chunk = await self._reader.read(most_bytes)
        self.frames += map(Frame._make, self._decoder.feed(chunk))
        return bool(chunk)

    async def until_end(self) -> dict[str, Any]:
        """Read to the end of the connection; the close of the connection, if there was one."""
        try:
            async with asyncio.timeout(10):
                while await self.read():
                    pass
        except ConnectionResetError:
            pass
        closes = [f for f in self.frames if f.kind == FrameKind.CLOSE and f.call == 0]
        return orjson.loads(closes[-1].body) if closes else {}

    def close(self) -> None:
        self.writer.transport.abort()


@pytest.fixture
def raw_consumer() -> type[RawConsumer]:
    return RawConsumer
