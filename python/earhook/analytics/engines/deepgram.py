"""Deepgram's streaming WebSocket, `/v1/listen`; and services that speak its dialect.

Raw 16-bit PCM goes there; `Results` come back, each for a span of the audio that was sent:
readings that may change, then one with `is_final`. `Finalize` asks for what is left before a
gap, `KeepAlive` keeps the connection through it, `CloseStream` ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlencode

from earhook.analytics.engine import EngineOptions, Line, Samples
from earhook.analytics.segment import Segment, Word
from earhook.analytics.timeline import Timeline
from earhook.errors import ConfigurationError, EngineFailed

from .engine_socket import EngineSocket, Sockets, checked_url

__all__ = ["DeepgramEngine", "make_engine"]

USUAL_URL: Final = "wss://api.deepgram.com/v1/listen"
USUAL_MODEL: Final = "nova-3"
KEEP_ALIVE_SECONDS: Final = 4.0
"""The service gives up after ten."""
FINALIZE: Final = '{"type":"Finalize"}'
KEEP_ALIVE: Final = '{"type":"KeepAlive"}'
CLOSE: Final = '{"type":"CloseStream"}'


def make_engine(options: EngineOptions) -> DeepgramEngine:
    """The engine. Every `--engine-option` becomes a parameter of the URL.

    Raises:
        ConfigurationError: An address that is none, or Deepgram's own without a token.
    """
    url = checked_url(options.address, USUAL_URL)
    if options.token is None and url == USUAL_URL:
        remedy = "EARHOOK_ENGINE_TOKEN, or --engine-token"
        raise ConfigurationError.of("--engine-token", "Deepgram wants an API key", remedy)
    return DeepgramEngine(url, options)


class DeepgramEngine:
    """Connections to one service, one per line."""

    name = "deepgram"

    def __init__(self, url: str, options: EngineOptions) -> None:
        self._url = url
        self._options = options
        self._sockets = Sockets()

    async def open(self, line: Line) -> DeepgramRecogniser:
        """Connect for a line."""
        options = self._options
        parameters = {
            "encoding": "linear16",
            "sample_rate": str(line.rate),
            "channels": "1",
            "model": options.model or USUAL_MODEL,
            "interim_results": "true" if options.interim else "false",
            "endpointing": "300",
            "punctuate": "true",
        }
        if line.language is not None:
            parameters["language"] = line.language
        parameters |= options.extra
        token = options.token
        headers = None if token is None else {"Authorization": f"Token {token}"}
        joint = "&" if "?" in self._url else "?"
        socket = await self._sockets.open(self._url + joint + urlencode(parameters), headers)
        return DeepgramRecogniser(socket, line)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._sockets.close()


class DeepgramRecogniser:
    """One connection for one line, gaps included."""

    def __init__(self, socket: EngineSocket, line: Line) -> None:
        self._socket = socket
        self._line = line
        self._timeline = Timeline(line.rate)
        self._settled = 0
        self._begin: int | None = None
        """Where the reading that may change begins."""
        self._last_sent = 0.0
        self._keeper = asyncio.create_task(self._keep_alive())

    @property
    def settled(self) -> int:
        """The end of the last span that had its final reading."""
        return self._settled

    async def push(self, samples: Samples, position: int) -> None:
        """Send on."""
        self._timeline.give(position, len(samples))
        self._note_sent()
        await self._socket.send_audio(samples.astype("<i2").tobytes())

    async def skip(self, position: int, samples: int) -> None:
        """Ask for what is left; the audio after the gap is another matter."""
        del position, samples
        self._note_sent()
        await self._socket.send_text(FINALIZE)

    async def finish(self) -> None:
        """Ask for what is left, and for the end."""
        self._keeper.cancel()
        await self._socket.send_text(CLOSE)

    async def segments(self) -> AsyncIterator[Segment]:
        """Readings of spans with words."""
        async for message in self._socket.messages():
            if message.get("type") == "Results":
                try:
                    segment = self._reading(message)
                except (KeyError, IndexError, TypeError, ValueError):
                    raise EngineFailed("the service sends results of an unknown form") from None
                if segment is not None:
                    yield segment
            elif message.get("type") == "Error":
                raise EngineFailed("the service reports an error")

    async def close(self) -> None:
        """Drop the connection."""
        self._keeper.cancel()
        await self._socket.close()

    def _reading(self, message: dict[str, Any]) -> Segment | None:
        start, seconds = float(message["start"]), float(message["duration"])
        alternative = message["channel"]["alternatives"][0]
        is_final = message.get("is_final") is True
        text = str(alternative["transcript"]).strip()
        words = tuple(self._word(word) for word in alternative.get("words") or ())
        segment = None
        if text:
            if self._begin is None:
                # The span begins with silence; the words do not.
                self._begin = words[0].start if words else self._timeline.at(start)
            end = max(
                words[-1].end if words else self._timeline.end_at(start + seconds), self._begin
            )
            segment = Segment(
                self._line.channel,
                self._begin,
                end,
                text,
                min(max(float(alternative.get("confidence", 0.0)), 0.0), 1.0),
                is_final=is_final,
                words=words,
                language=next(iter(alternative.get("languages") or ()), None),
            )
        if is_final:
            self._begin = None
            self._settled = max(self._settled, self._timeline.end_at(start + seconds))
            self._timeline.forget_before(self._settled)
        return segment

    def _word(self, word: dict[str, Any]) -> Word:
        text = str(word.get("punctuated_word") or word["word"])
        start = self._timeline.at(float(word["start"]))
        end = self._timeline.end_at(float(word["end"]))
        confidence = min(max(float(word.get("confidence", 1.0)), 0.0), 1.0)
        return Word(text, start, max(end, start), confidence)

    def _note_sent(self) -> None:
        self._last_sent = asyncio.get_running_loop().time()

    async def _keep_alive(self) -> None:
        with contextlib.suppress(EngineFailed):  # whoever reads finds out too
            while True:
                await asyncio.sleep(KEEP_ALIVE_SECONDS / 2)
                silent = asyncio.get_running_loop().time() - self._last_sent
                if silent >= KEEP_ALIVE_SECONDS / 2:
                    self._note_sent()
                    await self._socket.send_text(KEEP_ALIVE)
