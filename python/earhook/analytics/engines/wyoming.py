"""Wyoming: the protocol of Home Assistant's voice services, such as wyoming-faster-whisper.

An event is a line of JSON, with more JSON and a payload behind it if the line says so. A service
transcribes what lies between `audio-start` and `audio-stop`, so utterances are cut here, and each
has a connection of its own: services close theirs after a transcript.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

import orjson

from earhook.address import TcpAddress, parse_address
from earhook.analytics.endpointing import Begun, Endpointer, Speech
from earhook.analytics.engine import EngineOptions, Line, Samples
from earhook.analytics.segment import Segment
from earhook.errors import ConfigurationError, ConfigurationFault, EngineFailed

from .stretches import Stretches

__all__ = ["WyomingEngine", "make_engine"]

OPEN_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 30.0
"""From the end of an utterance to its transcript."""
LINE_BYTES: Final = 64 << 10
EVENT_BYTES: Final = 1 << 20


def make_engine(options: EngineOptions) -> WyomingEngine:
    """The engine.

    Raises:
        ConfigurationError: No address, or an option that it does not have.
    """
    faults = [
        ConfigurationFault("--engine-option", f"wyoming has no option {name}")
        for name in options.extra
    ]
    address = options.address.replace("tcp://", "tcp:", 1)
    parsed = None
    with contextlib.suppress(ValueError):
        parsed = parse_address(address)
    if not isinstance(parsed, TcpAddress) or parsed.tls:
        what = f"{options.address or 'nothing'} is no address of a Wyoming service"
        faults.append(ConfigurationFault("--engine-address", what, "such as tcp:127.0.0.1:10300"))
    if options.token is not None:
        faults.append(ConfigurationFault("--engine-token", "Wyoming knows no tokens"))
    if faults:
        raise ConfigurationError(faults)
    assert isinstance(parsed, TcpAddress)
    return WyomingEngine(parsed, options.model)


class WyomingEngine:
    """Connections to one service.

    Args:
        address: Of the service.
        model: Which of its models, if it has several.
    """

    name = "wyoming"

    def __init__(self, address: TcpAddress, model: str | None) -> None:
        self._address = address
        self._model = model

    async def open(self, line: Line) -> WyomingRecogniser:
        """A recogniser, which connects for each utterance."""
        return WyomingRecogniser(self, line)

    async def connect(self, line: Line) -> _Connection:
        """Connect, and say that audio comes.

        Raises:
            EngineFailed: It cannot be reached.
        """
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                reader, writer = await asyncio.open_connection(
                    self._address.host, self._address.port, limit=LINE_BYTES
                )
        except OSError as error:  # TimeoutError is one
            why = error.strerror or type(error).__name__
            raise EngineFailed(f"the service cannot be reached: {why}") from None
        connection = _Connection(reader, writer)
        wish = {"name": self._model, "language": line.language}
        await connection.send("transcribe", {key: text for key, text in wish.items() if text})
        return connection

    async def close(self) -> None:
        """Nothing is shared."""


class WyomingRecogniser:
    """Cuts a line into utterances, and has each transcribed."""

    def __init__(self, engine: WyomingEngine, line: Line) -> None:
        self._engine = engine
        self._line = line
        self._endpointer = Endpointer(line.rate)
        self._utterances: Stretches[_Utterance] = Stretches()
        self._current: _Utterance | None = None

    @property
    def settled(self) -> int:
        """Where the oldest utterance begins that has no transcript yet."""
        oldest = self._utterances.oldest
        return self._endpointer.settled if oldest is None else oldest.settled

    async def push(self, samples: Samples, position: int) -> None:
        """Send what is speech."""
        for piece in self._endpointer.push(samples, position):
            await self._take(piece)

    async def skip(self, position: int, samples: int) -> None:
        """What was being said is over."""
        del position, samples
        for piece in self._endpointer.end():
            await self._take(piece)

    async def finish(self) -> None:
        """The last utterance is over."""
        await self.skip(0, 0)
        self._utterances.end()

    def segments(self) -> AsyncIterator[Segment]:
        """One per utterance in which something was said."""
        return self._utterances.segments()

    async def close(self) -> None:
        """Drop all connections."""
        await self._utterances.close()

    async def _take(self, piece: object) -> None:
        if isinstance(piece, Begun):
            connection = await self._engine.connect(self._line)
            self._current = _Utterance(connection, self._line, piece.position)
            await self._current.begin()
            self._utterances.add(self._current)
        elif self._current is not None:
            if isinstance(piece, Speech):
                await self._current.hear(piece.samples)
            else:
                utterance, self._current = self._current, None
                await utterance.end()


class _Utterance:
    """One connection, one transcript."""

    def __init__(self, connection: _Connection, line: Line, start: int) -> None:
        self.settled = start
        self._connection = connection
        self._line = line
        self._end = start
        self._is_over = asyncio.Event()
        self._format = {"rate": line.rate, "width": 2, "channels": 1}

    async def begin(self) -> None:
        await self._connection.send("audio-start", self._format)

    async def hear(self, samples: Samples) -> None:
        self._end += len(samples)
        await self._connection.send("audio-chunk", self._format, samples.astype("<i2").tobytes())

    async def end(self) -> None:
        await self._connection.send("audio-stop", {})
        self._is_over.set()

    async def read(self) -> AsyncIterator[Segment]:
        await self._is_over.wait()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                event = await self._connection.receive()
                while event.type not in ("transcript", "error"):
                    event = await self._connection.receive()
        except TimeoutError:
            raise EngineFailed(f"no transcript within {ANSWER_SECONDS:g} s") from None
        if event.type == "error":
            raise EngineFailed("the service reports an error")
        text = str(event.content.get("text", "")).strip()
        if text:
            language = event.content.get("language") or self._line.language
            yield Segment(self._line.channel, self.settled, self._end, text, language=language)

    async def close(self) -> None:
        self._is_over.set()
        await self._connection.close()


class _Event(NamedTuple):
    type: str
    content: dict[str, Any]


class _Connection:
    """Events over TCP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, kind: str, content: dict[str, Any], payload: bytes = b"") -> None:
        """Send an event."""
        head: dict[str, Any] = {"type": kind, "data": content}
        if payload:
            head["payload_length"] = len(payload)
        try:
            self._writer.write(orjson.dumps(head) + b"\n" + payload)
            async with asyncio.timeout(OPEN_SECONDS):
                await self._writer.drain()
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise EngineFailed(f"the service takes nothing: {why}") from None

    async def receive(self) -> _Event:
        """The next event; its payload is nothing that we want."""
        try:
            head = orjson.loads(await self._reader.readuntil(b"\n"))
            content = dict(head.get("data") or {})
            more, payload = (int(head.get(name) or 0) for name in ("data_length", "payload_length"))
            if not 0 <= more <= EVENT_BYTES or not 0 <= payload <= EVENT_BYTES:
                raise EngineFailed("the service sends an event that is too long")
            if more:
                content |= orjson.loads(await self._reader.readexactly(more))
            await self._reader.readexactly(payload)
            return _Event(str(head["type"]), content)
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            text = f"the connection to the service broke: {type(error).__name__}"
            raise EngineFailed(text) from None
        except (AttributeError, KeyError, TypeError, ValueError):
            raise EngineFailed("the service sends what is no event") from None

    async def close(self) -> None:
        """Drop it."""
        self._writer.close()
        with contextlib.suppress(OSError):
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()
