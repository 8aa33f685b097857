"""The console's server (docs/reference/console-feed.md) without a gateway: its calls are imagined.

For what real calls cannot show at will: thousands of rows, every state at once, a sink that loses
audio. It keeps to the page of the feed, and knows nothing of the gateway's code.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from .answers import latencies, recordings, sinks
from .calls import CLIPPING, DEAD_AIR, DROPPING, ONE_WAY, PAUSED, TALK_OVER, FakeCall
from .feed import Feed
from .script import Script

STATIC = Path(__file__).parents[2] / "python" / "earhook" / "console" / "static"
PROTOCOL = "earhook.console.v1"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
TURN_SECONDS = 0.2


@dataclass
class FakeGateway:
    """Serves the page and the feed.

    `token`: ask for it. `losing`: a sink loses audio. `failing`: checks of readiness, and what
    each says.
    """

    calls: int = 40
    token: str | None = None
    losing: bool = False
    seed: int = 7
    listen: bool = False
    churn: bool = True
    failing: dict[str, str] = field(default_factory=dict)
    live: dict[int, FakeCall] = field(default_factory=dict)
    next_number: int = 1

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.feeds: set[Feed] = set()
        for _ in range(self.calls):
            self.open_call(time.time() - self.chance.expovariate(1 / 240))
        if self.live:
            first = self.live[1]
            first.script = Script(time.time() - 42)
            first.session = "3f1c0e7a-9b2d-4c55-8d10-4be1c2f0a001"
            first.worst_hit, first.hits, first.sentiment, first.talk = 3, 2, (-64, 12), (48, 39)

    def open_call(self, opened: float) -> FakeCall:
        """One more call, in a state of its own."""
        chance, number = self.chance, self.next_number
        self.next_number += 1
        call = FakeCall(number, opened, str(uuid.UUID(int=chance.getrandbits(128), version=4)))
        customer = chance.randint(20, 60)
        call.talk = (customer, chance.randint(20, 90 - customer))
        call.sentiment = (chance.randint(-40, 80), chance.randint(0, 60))
        for flag, share in (
            (PAUSED, 0.03),
            (DEAD_AIR, 0.02),
            (TALK_OVER, 0.03),
            (ONE_WAY, 0.004),
            (CLIPPING, 0.01),
        ):
            call.flags |= flag if chance.random() < share else 0
        call.worst_hit = chance.choices((0, 1, 2, 3), (90, 5, 4, 1))[0]
        call.hits = call.worst_hit and chance.randint(1, 4)
        if self.losing and number % 9 == 2:
            call.flags |= DROPPING
            call.lost_ms = chance.randint(200, 9000)
        self.live[number] = call
        return call

    def application(self) -> web.Application:
        """To be served."""
        application = web.Application(middlewares=[self._guard])
        get = application.router.add_get
        get("/", self._page)
        get("/static/{name:.+}", self._static)
        get("/api/v1/console", self._console)
        get("/api/v1/feed", self._feed)
        get("/api/v1/calls/{session}", self._call)
        get("/api/v1/latencies", self._latencies)
        get("/api/v1/sinks", self._sinks)
        get("/api/v1/recordings", self._recordings)
        get("/api/v1/recordings/{id:.+}", self._recording)
        application.cleanup_ctx.append(self._turning)
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        is_open = request.path == "/" or request.path.startswith("/static/")
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        shown = request.headers.get("Authorization", "")
        is_shown = shown == f"Bearer {self.token}" or "earhook.token." in offered
        if self.token and not is_open and not is_shown:
            raise web.HTTPUnauthorized(text="401: send the token\n")
        response: web.StreamResponse = await handler(request)
        return response

    async def _page(self, _request: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "index.html", headers={"Content-Security-Policy": POLICY})

    async def _static(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(
            STATIC / request.match_info["name"], headers={"Cache-Control": "no-store"}
        )

    async def _console(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "version": "0.1.0",
                "listen": self.listen,
                "recordings": True,
                "feed_seconds": TURN_SECONDS,
                "workers": 1,
                "time": time.time(),
            }
        )

    async def _feed(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=[PROTOCOL])
        await socket.prepare(request)
        feed = Feed(self, socket)
        await feed.begin()
        self.feeds.add(feed)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await feed.wish(json.loads(message.data))
        finally:
            self.feeds.discard(feed)
        return socket

    async def _turning(self, _application: web.Application) -> Any:
        task = asyncio.create_task(self._turn())
        yield
        task.cancel()

    async def _turn(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(TURN_SECONDS)
            turn += 1
            added, removed = self._churn() if self.churn else ([], [])
            for feed in list(self.feeds):
                try:
                    await feed.turn(turn, added, removed)
                except (ConnectionError, RuntimeError):
                    self.feeds.discard(feed)

    def _churn(self) -> tuple[list[FakeCall], list[int]]:
        """Calls come and go: half a per cent a second."""
        if self.chance.random() > self.calls * 0.005 * TURN_SECONDS:
            return [], []
        gone = self.chance.choice(list(self.live.values()))
        if gone.script:
            return [], []
        del self.live[gone.number]
        return [self.open_call(time.time())], [gone.number]

    async def _call(self, request: web.Request) -> web.Response:
        session = request.match_info["session"]
        found = [call for call in self.live.values() if call.session == session]
        if not found:
            raise web.HTTPNotFound(text="404: no such call\n")
        call = found[0]
        script = call.script or Script(call.opened)
        return web.json_response(
            {**call.facts(), **script.answer(time.time()), "flags": [], "attention": call.attention}
        )

    async def _latencies(self, _request: web.Request) -> web.Response:
        return web.json_response(latencies(time.time() % 1000))

    async def _sinks(self, _request: web.Request) -> web.Response:
        return web.json_response(sinks(len(self.live), losing=self.losing))

    async def _recordings(self, _request: web.Request) -> web.Response:
        return web.json_response(recordings())

    async def _recording(self, request: web.Request) -> web.Response:
        script = Script(time.time() - 42)
        if request.match_info["id"].endswith(".wav"):
            return web.Response(body=script.wav(42), content_type="audio/wav")
        return web.json_response(script.sidecar())
