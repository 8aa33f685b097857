"""Vosk-server: Kaldi models behind a WebSocket, one connection per stretch of audio without gaps.

Its protocol: a `config` message, then PCM; every message of audio is answered with `partial`
or, at the end of an utterance, with `text` and the words with their times; `eof` asks for the
last. Times count the audio of the connection, which is why a gap begins another one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final

import orjson

from earhook.analytics.engine import EngineOptions, Line, Samples
from earhook.analytics.segment import Segment, Word
from earhook.errors import ConfigurationError, ConfigurationFault, EngineFailed

from .engine_socket import EngineSocket, Sockets, checked_url
from .stretches import Stretches

__all__ = ["VoskEngine", "make_engine"]

USUAL_URL: Final = "ws://127.0.0.1:2700"
END: Final = '{"eof" : 1}'
"""To the letter: the server compares texts."""


def make_engine(options: EngineOptions) -> VoskEngine:
    """The engine. The model and the language are those that the server was started with.

    Raises:
        ConfigurationError: An address that is none, or an option that it does not have.
    """
    url = checked_url(options.address, USUAL_URL)
    faults = [
        ConfigurationFault("--engine-option", f"vosk has no option {name}")
        for name in options.extra
    ]
    if options.model is not None:
        faults.append(ConfigurationFault("--model", "the Vosk server decides on its model"))
    if faults:
        raise ConfigurationError(faults)
    return VoskEngine(url, options.token, interim=options.interim)


class VoskEngine:
    """Connections to one server.

    Args:
        url: Of the server.
        token: Sent as a bearer token, for servers behind something that asks for one.
        interim: Whether partial results are told.
    """

    name = "vosk"

    def __init__(self, url: str, token: str | None, *, interim: bool) -> None:
        self.interim = interim
        self._url = url
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._sockets = Sockets()

    async def open(self, line: Line) -> VoskRecogniser:
        """A recogniser, which connects when there is audio."""
        recogniser = VoskRecogniser(self, line)
        await recogniser.begin(0)  # a server that is not there is to be known now
        return recogniser

    async def connect(self) -> EngineSocket:
        """One more connection."""
        return await self._sockets.open(self._url, self._headers)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._sockets.close()


class VoskRecogniser:
    """A line, in stretches."""

    def __init__(self, engine: VoskEngine, line: Line) -> None:
        self._engine = engine
        self._line = line
        self._stretches: Stretches[_Stretch] = Stretches()
        self._current: _Stretch | None = None
        self._heard = 0

    @property
    def settled(self) -> int:
        """What the server has answered for, up to an utterance that goes on."""
        oldest = self._stretches.oldest
        return self._heard if oldest is None else oldest.settled

    async def begin(self, position: int) -> _Stretch:
        """Begin a stretch."""
        stretch = _Stretch(await self._engine.connect(), self._line, position, self._engine.interim)
        await stretch.begin()
        self._current = stretch
        self._stretches.add(stretch)
        return stretch

    async def push(self, samples: Samples, position: int) -> None:
        """Send on."""
        stretch = self._current or await self.begin(position)
        await stretch.push(samples, position)
        self._heard = position + len(samples)

    async def skip(self, position: int, samples: int) -> None:
        """End the stretch; while there is no audio there is no connection to keep alive."""
        self._heard = position + samples
        stretch, self._current = self._current, None
        if stretch is not None:
            await stretch.end()

    async def finish(self) -> None:
        """End the last stretch."""
        await self.skip(self._heard, 0)
        self._stretches.end()

    def segments(self) -> AsyncIterator[Segment]:
        """Of all stretches in order."""
        return self._stretches.segments()

    async def close(self) -> None:
        """Drop all connections."""
        await self._stretches.close()


class _Stretch:
    """One connection, and the audio that went through it."""

    def __init__(self, socket: EngineSocket, line: Line, start: int, interim: bool) -> None:
        self._socket = socket
        self._line = line
        self._start = start
        self._interim = interim
        self._unanswered: deque[int] = deque()
        """Where the messages of audio end that have no answer yet."""
        self._answered = start
        self._begin: int | None = None
        """Where the utterance that goes on began, as far as answers tell."""
        self._is_over = False

    @property
    def settled(self) -> int:
        return self._answered if self._begin is None else self._begin

    async def begin(self) -> None:
        config = {"config": {"sample_rate": self._line.rate, "words": True}}
        await self._socket.send_text(orjson.dumps(config).decode())

    async def push(self, samples: Samples, position: int) -> None:
        if not self._unanswered and self._answered == self._start != position:
            self._start = self._answered = position
        self._unanswered.append(position + len(samples))
        await self._socket.send_audio(samples.astype("<i2").tobytes())

    async def end(self) -> None:
        self._is_over = True
        await self._socket.send_text(END)

    async def read(self) -> AsyncIterator[Segment]:
        async for answer in self._socket.messages():
            before = self._answered
            if self._unanswered:
                self._answered = self._unanswered.popleft()
            if "text" in answer:
                segment = self._final(answer)
                self._begin = None
                if segment is not None:
                    yield segment
            elif text := str(answer.get("partial", "")).strip():
                self._begin = before if self._begin is None else self._begin
                if self._interim:
                    end = self._answered
                    yield Segment(self._line.channel, self._begin, end, text, is_final=False)
        if not self._is_over:
            raise EngineFailed("the service closed the connection in mid call")

    async def close(self) -> None:
        await self._socket.close()

    def _final(self, answer: dict[str, Any]) -> Segment | None:
        text = str(answer["text"]).strip()
        if not text:
            return None
        words = tuple(self._word(word) for word in answer.get("result") or ())
        sure = [word.confidence for word in words if word.confidence is not None]
        start = self._begin
        if start is None:
            start = words[0].start if words else self._start
        end = max(words[-1].end if words else self._answered, start)
        confidence = sum(sure) / len(sure) if sure else None
        return Segment(self._line.channel, start, end, text, confidence, words=words)

    def _word(self, word: dict[str, Any]) -> Word:
        start, end = (self._at(float(word[name])) for name in ("start", "end"))
        return Word(str(word["word"]), start, end, min(max(float(word.get("conf", 1.0)), 0.0), 1.0))

    def _at(self, seconds: float) -> int:
        return min(self._start + round(seconds * self._line.rate), self._answered)
