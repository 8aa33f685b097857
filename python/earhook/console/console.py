"""The console at the admin port: what is asked for where.

docs/reference/console-feed.md is its specification. Who is asking has been settled before anything
here is called: by the admin port's guard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from earhook import __version__
from earhook.clock import Clock

from .answers import json_answer
from .events import serve_events
from .feed import FEED_SECONDS, serve_feed
from .latencies import histograms
from .listening import serve_listener
from .recordings import Catalogue, serve_recording, serve_recordings
from .settings import ConsoleSettings
from .sockets import Leave, Seats
from .source import Source
from .static_files import StaticFiles
from .totals import Totals, View

__all__ = ["Console"]

MAX_FEEDS: Final = 16
MAX_STREAMS: Final = 16
MAX_LISTENERS: Final = 8
GOODBYE_SECONDS: Final = 0.5


class Console:
    """The `Pages` of an `AdminServer`. Nothing runs while nobody is connected.

    Args:
        settings: What may be shown.
        source: What is known of calls.
        view: What the admin port knows besides.
        clock: Time.
        catalogue: The recordings of this gateway.
        workers: How many processes there are.
    """

    def __init__(
        self,
        settings: ConsoleSettings,
        source: Source,
        view: View,
        clock: Clock,
        catalogue: Catalogue,
        workers: int = 1,
    ) -> None:
        self._settings = settings
        self._source = source
        self._view = view
        self._clock = clock
        self._catalogue = catalogue
        self._workers = workers
        self._totals = Totals(view, clock)
        self._static = StaticFiles()
        self._feeds = Seats(MAX_FEEDS)
        self._streams = Seats(MAX_STREAMS)
        self._listeners = Seats(MAX_LISTENERS)
        self._asks_for_token = False

    def routes(self) -> Sequence[web.RouteDef]:
        """What is asked for where."""
        return [
            web.get("/", self._static.page),
            web.get("/static/{name:.+}", self._static.file),
            web.get("/api/v1/console", self._describe),
            web.get("/api/v1/feed", self._feed, allow_head=False),
            web.get("/api/v1/events", self._events, allow_head=False),
            web.get("/api/v1/latencies", self._latencies),
            web.get("/api/v1/recordings", self._recordings),
            web.get("/api/v1/recordings/{name:.+}", self._recording),
            web.get("/api/v1/listen/{session}", self._listen, allow_head=False),
            web.get("/api/v1/calls/{session}", self._call),
        ]

    def token_set(self, *, asked: bool) -> None:
        """Whoever is connected has shown another token than is asked for now."""
        self._asks_for_token = asked
        self._send_home(Leave.OTHER_TOKEN)

    async def stop(self) -> None:
        """Say goodbye to whoever is connected."""
        self._send_home(Leave.STOPPING)
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await asyncio.gather(*(seats.wait_empty() for seats in self._all_seats()))
        except TimeoutError:
            pass  # who does not answer is cut

    @property
    def may_listen(self) -> bool:
        """Whether live calls may be heard."""
        return self._settings.listen and self._asks_for_token

    @property
    def may_play(self) -> bool:
        """Whether recordings may be heard."""
        permitted = self._settings.recordings
        permitted = self._asks_for_token if permitted is None else permitted
        return permitted and self._catalogue.has_any

    def _send_home(self, why: Leave) -> None:
        for seats in self._all_seats():
            seats.send_home(why)

    def _all_seats(self) -> tuple[Seats, ...]:
        return self._feeds, self._streams, self._listeners

    async def _describe(self, _request: web.Request) -> web.StreamResponse:
        return json_answer(
            {
                "version": __version__,
                "listen": self.may_listen,
                "recordings": self.may_play,
                "feed_seconds": FEED_SECONDS,
                "workers": self._workers,
                "time": round(self._clock.wall_seconds(), 3),
            }
        )

    async def _feed(self, request: web.Request) -> web.StreamResponse:
        return await serve_feed(request, self._feeds, self._source, self._totals)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        return await serve_events(request, self._streams, self._source, self._clock)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        found = await self._source.call(request.match_info["session"])
        if found is None:
            raise web.HTTPNotFound(text="404: no such call; it may have ended\n")
        return json_answer(found)

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        if not self.may_listen:
            raise web.HTTPForbidden(text=_NO_LISTENING)
        return await serve_listener(request, self._listeners, self._source, self._clock)

    async def _latencies(self, _request: web.Request) -> web.StreamResponse:
        return json_answer({"histograms": histograms(await self._view.registry())})

    async def _recordings(self, request: web.Request) -> web.StreamResponse:
        self._require_playing()
        return await serve_recordings(request, self._catalogue)

    async def _recording(self, request: web.Request) -> web.StreamResponse:
        self._require_playing()
        return await serve_recording(request, self._catalogue)

    def _require_playing(self) -> None:
        if not self.may_play:
            raise web.HTTPForbidden(text=_NO_RECORDINGS)


_NO_LISTENING: Final = (
    "403: listening needs a token ([admin] token_file) and [console] listen = true\n"
)
_NO_RECORDINGS: Final = (
    "403: recordings need a sink of that kind, and a token ([admin] token_file) or "
    "[console] recordings = true\n"
)
