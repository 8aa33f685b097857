"""A service with Deepgram's streaming API that says what its script says."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import WSMsgType, web

from .script import Spoken
from .web import WebSocketServer

__all__ = ["DeepgramServer"]


class DeepgramServer(WebSocketServer):
    """Gives interim results, finals, and what `Finalize` and `CloseStream` ask for."""

    async def speak(self, socket: web.WebSocketResponse, script: list[Spoken], place: int) -> None:
        """Serve one connection."""
        request = self.requests[-1]
        rate = int(request.query["sample_rate"])
        wants_interim = request.query.get("interim_results") == "true"
        line = _Line(list(script))
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.texts.append(message.data)
                kind = orjson.loads(message.data)["type"]
                is_mute = self.is_mute(place, line.heard_seconds)
                if kind == "CloseStream" or (kind == "Finalize" and not is_mute):
                    await socket.send_str(line.final(from_finalize=kind == "Finalize"))
                if kind == "CloseStream":
                    await socket.send_str('{"type":"Metadata","channels":1}')
                    await socket.close()
                    return
                continue
            self.audio_bytes[place] += len(message.data)
            line.heard_seconds = self.audio_bytes[place] / 2 / rate
            if await self.has_ended(socket, place, line.heard_seconds):
                return
            if self.is_mute(place, line.heard_seconds):
                continue
            if line.left and line.heard_seconds >= line.left[0].end_seconds:
                await socket.send_str(line.final())
            elif wants_interim:
                await socket.send_str(line.interim())


class _Line:
    """How far one connection has come."""

    def __init__(self, left: list[Spoken]) -> None:
        self.left = left
        self.heard_seconds = 0.0
        self._begin_seconds = 0.0

    def interim(self) -> str:
        return self._result(is_final=False)

    def final(self, *, from_finalize: bool = False) -> str:
        text = self._result(is_final=True, from_finalize=from_finalize)
        self._begin_seconds = self.heard_seconds
        if self.left and self.left[0].start_seconds < self.heard_seconds:
            del self.left[0]
        return text

    def _result(self, *, is_final: bool, from_finalize: bool = False) -> str:
        spoken = self.left[0].words() if self.left else []
        words = [one for one in spoken if one[2] <= self.heard_seconds + 1e-9]
        alternative: dict[str, Any] = {
            "transcript": " ".join(text for text, _, _ in words),
            "confidence": 0.95 if words else 0.0,
            "words": [
                {"word": text, "punctuated_word": text, "start": start, "end": end,
                 "confidence": 0.95}
                for text, start, end in words
            ],
        }  # fmt: skip
        result = {
            "type": "Results",
            "channel_index": [0, 1],
            "start": self._begin_seconds,
            "duration": self.heard_seconds - self._begin_seconds,
            "is_final": is_final,
            "speech_final": is_final,
            "from_finalize": from_finalize,
            "channel": {"alternatives": [alternative]},
        }
        return orjson.dumps(result).decode()
