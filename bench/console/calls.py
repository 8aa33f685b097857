"""An imagined call, as the records and lines of the feed show it."""

from __future__ import annotations

import random
import struct
import uuid
from dataclasses import dataclass
from typing import Any

from .script import RATE, Script

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
