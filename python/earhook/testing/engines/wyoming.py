"""A Wyoming service that says what its script says: one text per utterance that it is sent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import orjson

__all__ = ["WyomingServer"]


class WyomingServer:
    """Transcribes what lies between `audio-start` and `audio-stop`; then closes the connection.

    Args:
        texts: What it says, connection by connection; then it says nothing.
        says_error: Answer with an `error` event instead; may be changed.
        mute_connections: So many, from the first one on, are heard and never answered.
    """

    def __init__(
        self, texts: Sequence[str], *, says_error: bool = False, mute_connections: int = 0
    ) -> None:
        self.says_error = says_error
        self.mute_connections = mute_connections
        self.connections = 0
        self.audio_seconds: list[float] = []
        """Of each utterance that was sent to its end."""
        self.wishes: list[dict[str, Any]] = []
        """What `transcribe` asked for."""
        self._texts = list(texts)
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """What to give to the engine."""
        assert self._server is not None
        return f"tcp:127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        """Listen on a port of the system's choice."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Listen no more."""
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = self.connections
        self.connections += 1
        try:
            with contextlib.suppress(EOFError, OSError):
                await self._transcribe(reader, writer, place)
        finally:
            writer.close()

    async def _transcribe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: int
    ) -> None:
        samples, rate = 0, 8000
        while True:
            head = orjson.loads(await reader.readuntil(b"\n"))
            content = dict(head.get("data") or {})
            if head.get("data_length"):
                content |= orjson.loads(await reader.readexactly(head["data_length"]))
            payload = await reader.readexactly(head.get("payload_length") or 0)
            if head["type"] == "transcribe":
                self.wishes.append(content)
            elif head["type"] == "audio-chunk":
                samples, rate = samples + len(payload) // 2, content["rate"]
            elif head["type"] == "audio-stop":
                break
        self.audio_seconds.append(samples / rate)
        if place < self.mute_connections:
            await reader.read()  # until the other side has had enough
            return
        text = self._texts[place] if place < len(self._texts) else ""
        kind, answer = (
            ("error", {"text": "no"}) if self.says_error else ("transcript", {"text": text})
        )
        body = orjson.dumps(answer)
        # The form that the reference implementation writes: what is said follows the line.
        writer.write(orjson.dumps({"type": kind, "data_length": len(body)}) + b"\n" + body)
        await writer.drain()
