"""The feed of imagined calls to one page."""

from __future__ import annotations

import json
import random
import struct
import time
from typing import Any, Protocol

from aiohttp import web

from .calls import DROPPING, FakeCall
from .script import Script


class Gateway(Protocol):
    """Whose calls are shown."""

    live: dict[int, FakeCall]
    losing: bool
    failing: dict[str, str]


class Feed:
    """One page that is connected."""

    def __init__(self, gateway: Gateway, socket: web.WebSocketResponse) -> None:
        self.gateway, self.socket = gateway, socket
        self.watched: list[int] = []
        self.open: FakeCall | None = None
        self.told = self.drawn = 0
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
                "failing": list(self.gateway.failing),
                "failing_details": self.gateway.failing,
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
