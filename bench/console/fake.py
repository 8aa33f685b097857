"""The console's server (docs/reference/console-feed.md) without a gateway: its calls are imagined.

For what real calls cannot show at will: thousands of rows, every state at once, a sink that loses
audio. It keeps to the page of the feed, and knows nothing of the gateway's code.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import struct
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from .script import Script

STATIC = Path(__file__).parents[2] / "python" / "earhook" / "console" / "static"
PROTOCOL = "earhook.console.v1"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
TURN_SECONDS = 0.2
RATE = 8000

PAUSED, DROPPING, ENDED, TALK_OVER, DEAD_AIR, ONE_WAY, SUSPECT, CLIPPING = (
    1 << n for n in range(8)
)
WEIGHTS = {DROPPING: 120, ONE_WAY: 70, DEAD_AIR: 40, SUSPECT: 40, TALK_OVER: 15, CLIPPING: 10}
HIT_WEIGHTS = (0, 5, 40, 80)


@dataclass
class FakeCall:
    """One call, as much of it as the feed shows."""

    number: int
    opened: float
    session: str
    flags: int = 0
    worst_hit: int = 0
    hits: int = 0
    sentiment: tuple[int, int] = (-128, -128)
    talk: tuple[int, int] = (255, 255)
    interruptions: int = 0
    lost_ms: int = 0
    lag_ms: int = 40
    talker: int = 0
    script: Script | None = None

    @property
    def attention(self) -> int:
        """As the page of the feed adds it up."""
        total = sum(weight for flag, weight in WEIGHTS.items() if self.flags & flag)
        total += HIT_WEIGHTS[self.worst_hit]
        if -128 < self.sentiment[0] < -20:
            total += -self.sentiment[0] // 2
        return min(255, total)

    def facts(self) -> dict[str, Any]:
        """What `calls` says of it."""
        return {
            "number": self.number,
            "session": self.session,
            "conversation": str(uuid.UUID(int=self.number)),
            "organization": "d7934305-0972-4844-938e-9060eef73d05",
            "key": "us-east",
            "codec": "PCMU",
            "rate": RATE,
            "channels": ["external", "internal"],
            "opened": self.opened,
            "language": "en-US",
            "correlation": str(uuid.UUID(int=self.number + 1)),
            "door": "media",
            "caller": f"+•••••••{self.number % 100:02}",
            "worker": None,
        }

    def meter(self, phase: float, chance: random.Random) -> bytes:
        """Its `meters` record now."""
        if chance.random() < 0.02:
            self.talker = 1 - self.talker
        levels = []
        for channel in (0, 1):
            speaks = channel == self.talker and not self.flags & (DEAD_AIR | PAUSED)
            rms = int(chance.gauss(-24, 5)) if speaks else int(chance.gauss(-58, 2))
            rms = max(-90, min(-4, rms))
            peak = min(0, rms + 11)
            clips = channel == 0 and self.flags & CLIPPING
            levels += [rms + 127 | (128 if speaks else 0), peak + 127 | (128 if clips else 0)]
        return struct.pack("<I4B", self.number, *levels)

    def state(self, now: float) -> bytes:
        """Its `states` record now."""
        position_ms = int((now - self.opened) * 1000)
        if self.script:
            position_ms = int(self.script.seconds(now) * 1000)
        return struct.pack(
            "<IHBBbbHBBHIIIHH",
            self.number,
            self.flags,
            self.attention,
            self.worst_hit,
            *self.sentiment,
            self.hits,
            *self.talk,
            self.interruptions,
            position_ms,
            self.lost_ms,
            self.lag_ms,
            0,
            3,
        )


@dataclass
class FakeGateway:
    """Serves the page and the feed. `token`: ask for it. `losing`: a sink loses audio."""

    calls: int = 40
    token: str | None = None
    losing: bool = False
    seed: int = 7
    listen: bool = False
    churn: bool = True
    live: dict[int, FakeCall] = field(default_factory=dict)
    next_number: int = 1

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.feeds: set[_Feed] = set()
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
        return _json(
            {
                "version": "0.6.0",
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
        feed = _Feed(self, socket)
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
        return _json(
            {**call.facts(), **script.answer(time.time()), "flags": [], "attention": call.attention}
        )

    async def _latencies(self, _request: web.Request) -> web.Response:
        bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]
        names = {
            "earhook_open_seconds": ("From open to opened.", 3),
            "earhook_loop_lag_seconds": ("How late the loop was.", 1),
            "earhook_upgrade_seconds": ("From the connection to the answer.", 4),
            "earhook_drain_seconds": ("A turn of a sink.", 2),
        }
        age = time.time() % 1000
        histograms = {}
        for name, (description, middle) in names.items():
            counts = [int(40 * age * math.exp(-((place - middle) ** 2) / 3)) for place in range(12)]
            total = sum(count * bound for count, bound in zip(counts, bounds, strict=False))
            histograms[name] = {
                "description": description,
                "bounds": bounds,
                "counts": counts,
                "total": total,
            }
        return _json({"histograms": histograms})

    async def _sinks(self, _request: web.Request) -> web.Response:
        samples = len(self.live) * RATE * 60
        lost = {"overrun": 48_000} if self.losing else {}
        books = {
            "received": samples,
            "forwarded": samples - 1600 - sum(lost.values()),
            "buffered": 1600,
            "dropped": lost,
        }
        readers = [
            {
                "address": "unix:/run/earhook/pcm.sock",
                "consumer": "earhook analyze",
                "calls": len(self.live),
                "lag_samples": 1600,
                "unacked_samples": 0,
                "control_backlog_bytes": 0,
                **books,
            }
        ]
        common = {"healthy": True, "detail": "", "calls": len(self.live), "books": books}
        return _json(
            {
                "sinks": [
                    {
                        "name": "pcm",
                        "kind": "pcm-stream",
                        **common,
                        "counters": {"resumed": 2},
                        "gauges": {"connections": 1},
                        "subscribers": readers,
                    },
                    {
                        "name": "recording",
                        "kind": "recording",
                        **common,
                        "counters": {"files": 812},
                        "gauges": {"open_files": len(self.live)},
                        "subscribers": [],
                    },
                ]
            }
        )

    async def _recordings(self, _request: web.Request) -> web.Response:
        entry = {
            "id": "recording/3f1c/2026-01-31/120501Z-a",
            "sink": "recording",
            "session": "3f1c0e7a-9b2d-4c55-8d10-4be1c2f0a001",
            "state": "complete",
            "opened": 1769850301.25,
            "seconds": 42.0,
            "reason": "ended",
            "files": [{"name": "recording/3f1c/2026-01-31/120501Z-a.wav", "samples": 42 * RATE}],
        }
        others = [
            {
                **entry,
                "id": f"recording/3f1c/2026-01-31/{n}",
                "session": str(uuid.UUID(int=n)),
                "opened": entry["opened"] - 97 * n,
            }
            for n in range(1, 30)
        ]
        return _json({"recordings": [entry, *others], "more": False})

    async def _recording(self, request: web.Request) -> web.Response:
        script = Script(time.time() - 42)
        if request.match_info["id"].endswith(".wav"):
            return web.Response(body=script.wav(42), content_type="audio/wav")
        return _json(script.sidecar())


class _Feed:
    """One page that is connected."""

    def __init__(self, gateway: FakeGateway, socket: web.WebSocketResponse) -> None:
        self.gateway, self.socket = gateway, socket
        self.watched: list[int] = []
        self.open: FakeCall | None = None
        self.told = 0
        self.is_paused = False
        self.chance = random.Random(1)

    async def begin(self) -> None:
        calls = list(self.gateway.live.values())
        await self._say(
            {
                "type": "calls",
                "reset": True,
                "added": [call.facts() for call in calls],
                "removed": [],
            }
        )
        await self._states(calls)
        await self._totals()

    async def wish(self, wish: dict[str, Any]) -> None:
        self.watched = wish.get("watch", self.watched)
        self.is_paused = wish.get("pause", self.is_paused)
        if "open" in wish:
            found = [call for call in self.gateway.live.values() if call.session == wish["open"]]
            self.open, self.told, self.drawn = (found[0] if found else None), 0, 0

    async def turn(self, turn: int, added: list[FakeCall], removed: list[int]) -> None:
        if self.is_paused:
            return
        if added or removed:
            await self._say(
                {
                    "type": "calls",
                    "reset": False,
                    "added": [call.facts() for call in added],
                    "removed": removed,
                }
            )
            await self._states(added)
        live = self.gateway.live
        meters = [live[n].meter(turn, self.chance) for n in self.watched if n in live]
        await self._records(1, 8, meters)
        if turn % 10 == 0:
            await self._states(list(live.values()))
        if turn % 5 == 0:
            await self._totals()
        if self.open and self.open.script:
            await self._tell(self.open, self.open.script)

    async def _tell(self, call: FakeCall, script: Script) -> None:
        now = time.time()
        events = script.events(now)
        if len(events) > self.told:
            await self._say(
                {
                    "type": "events",
                    "session": call.session,
                    "missed": 0,
                    "events": events[self.told :],
                }
            )
            self.told = len(events)
        pieces = script.envelope(now)
        records = [struct.pack("<IIQ4BI", call.number, *piece) for piece in pieces[self.drawn :]]
        self.drawn = len(pieces)
        await self._records(3, 24, records)

    async def _states(self, calls: list[FakeCall]) -> None:
        now = time.time()
        await self._records(2, 32, [call.state(now) for call in calls])

    async def _totals(self) -> None:
        losing = self.gateway.losing
        sink = {
            "name": "pcm",
            "kind": "pcm-stream",
            "healthy": True,
            "detail": "",
            "calls": len(self.gateway.live),
            "subscribers": 1,
            "received": 0,
            "forwarded": 0,
            "buffered": 0,
            "dropped": 48_000 if losing else 0,
            "dropping": 48_000 if losing else 0,
        }
        dropping_calls = sum(1 for call in self.gateway.live.values() if call.flags & DROPPING)
        await self._say(
            {
                "type": "totals",
                "time": time.time(),
                "live": len(self.gateway.live),
                "dropping": ["pcm"] if losing else [],
                "failing": [],
                "sinks": [sink],
                "samples_received": 0,
                "samples_dropped": 0,
                "dropping_calls": dropping_calls,
                "unheard_workers": [],
            }
        )

    async def _records(self, kind: int, size: int, records: list[bytes]) -> None:
        if records:
            await self.socket.send_bytes(
                struct.pack("<BBHI", kind, 0, size, len(records)) + b"".join(records)
            )

    async def _say(self, message: dict[str, Any]) -> None:
        await self.socket.send_str(json.dumps(message))


def _json(value: object) -> web.Response:
    return web.json_response(value)
