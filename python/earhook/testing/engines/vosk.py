"""A vosk-server that says what its script says."""

from __future__ import annotations

import orjson
from aiohttp import WSMsgType, web

from .script import Spoken
from .web import WebSocketServer

__all__ = ["VoskServer"]

EOF = '{"eof" : 1}'


class VoskServer(WebSocketServer):
    """Answers every message of audio once; `eof` gets what is left, and ends the connection."""

    async def speak(self, socket: web.WebSocketResponse, script: list[Spoken], place: int) -> None:
        """Serve one connection."""
        rate, left = 8000.0, list(script)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.texts.append(message.data)
                if message.data == EOF:
                    await socket.send_str(
                        _result(left[0] if left else None, self.audio_bytes[place] / 2 / rate)
                    )
                    await socket.close()
                    return
                rate = float(orjson.loads(message.data)["config"]["sample_rate"])
                continue
            self.audio_bytes[place] += len(message.data)
            seconds = self.audio_bytes[place] / 2 / rate
            if await self.has_ended(socket, place, seconds):
                return
            if self.is_mute(place, seconds):
                continue
            if left and seconds >= left[0].end_seconds:
                await socket.send_str(_result(left.pop(0), seconds))
            else:
                partial = left[0].until(seconds) if left else ""
                await socket.send_str(orjson.dumps({"partial": partial}).decode())


def _result(spoken: Spoken | None, seconds: float) -> str:
    """What was said, as far as it was heard."""
    heard = [] if spoken is None else [word for word in spoken.words() if word[2] <= seconds + 1e-9]
    if not heard:
        return '{"text": ""}'
    result = [
        {"word": text, "start": round(start, 3), "end": round(end, 3), "conf": 0.9}
        for text, start, end in heard
    ]
    return orjson.dumps({"result": result, "text": " ".join(one[0] for one in heard)}).decode()
