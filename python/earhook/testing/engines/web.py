"""What the scripted services behind a WebSocket have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from .script import Spoken

__all__ = ["WebSocketServer"]


class WebSocketServer(ABC):
    """Serves scripts: the first connection has the first one, and so on; then the last again.

    Args:
        scripts: Utterances, or several lists of them.
        refuse_status: Answer every connection with this HTTP status; may be changed.
        drop_after_seconds: Cut a faulty connection when so much audio has come.
        close_after_seconds: Close it politely then.
        mute_after_seconds: Go on hearing it from then on, and answer nothing.
    """

    def __init__(
        self,
        *scripts: Sequence[Spoken],
        refuse_status: int | None = None,
        drop_after_seconds: float | None = None,
        close_after_seconds: float | None = None,
        mute_after_seconds: float | None = None,
    ) -> None:
        self.refuse_status = refuse_status
        self.drop_after_seconds = drop_after_seconds
        self.close_after_seconds = close_after_seconds
        self.mute_after_seconds = mute_after_seconds
        self.faulty_connections = 1
        """So many, from the first one on, have what the three words above say."""
        self.connections = 0
        self.open_connections = 0
        self.requests: list[web.Request] = []
        self.texts: list[str] = []
        """Text messages that came, of all connections."""
        self.audio_bytes: list[int] = []
        """Of each connection."""
        self._scripts = [list(script) for script in scripts] or [[]]
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """What to give to the engine."""
        return f"ws://127.0.0.1:{self._port}/"

    async def __aenter__(self) -> Self:
        """Listen on a port of the system's choice."""
        app = web.Application()
        app.router.add_get("/", self._on_request)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """End all connections."""
        if self._runner is not None:
            await self._runner.cleanup()

    @abstractmethod
    async def speak(self, socket: web.WebSocketResponse, script: list[Spoken], place: int) -> None:
        """Serve one connection to its end; `place` is its number, from 0."""

    async def has_ended(self, socket: web.WebSocketResponse, place: int, seconds: float) -> bool:
        """Do with the connection what is to be done after so much audio; whether it is over."""
        if place < self.faulty_connections and _is_due(self.drop_after_seconds, seconds):
            self.cut(socket)
            return True
        if place < self.faulty_connections and _is_due(self.close_after_seconds, seconds):
            await socket.close()
            return True
        return False

    def is_mute(self, place: int, seconds: float) -> bool:
        """Whether the connection gets no answer any more."""
        return place < self.faulty_connections and _is_due(self.mute_after_seconds, seconds)

    async def _on_request(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.refuse_status is not None:
            return web.Response(status=self.refuse_status)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        place = self.connections
        self.connections += 1
        self.open_connections += 1
        self.audio_bytes.append(0)
        try:
            await self.speak(socket, self._scripts[min(place, len(self._scripts) - 1)], place)
        finally:
            self.open_connections -= 1
        return socket

    def cut(self, socket: web.WebSocketResponse) -> None:
        """Break a connection without a word."""
        transport: Any = socket._req.transport if socket._req is not None else None  # noqa: SLF001
        if transport is not None:
            transport.abort()


def _is_due(after_seconds: float | None, seconds: float) -> bool:
    return after_seconds is not None and seconds >= after_seconds
