"""A line that is pushed into a recogniser as fast as it takes it, and what comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from earhook.analytics.engine import Engine, Line, Recogniser
from earhook.analytics.segment import Segment
from earhook.client import Call

RATE = 8000
CHUNK = 1600


def call(**facts: Any) -> Call:
    """A call of nobody in particular."""
    return Call(
        session_id=facts.pop("session_id", "3b241101-e2bb-4255-8caf-4136c566a962"),
        conversation_id="c",
        organization_id="o",
        correlation_id="x",
        key_name="key-1",
        channels=("external", "internal"),
        codec="PCMU",
        rate=RATE,
        language=facts.pop("language", None),
        opened_wall_seconds=0.0,
        participant=None,
        facts=facts,
    )


def noise(seconds: float, level: int = 0, seed: int = 1) -> np.ndarray[Any, Any]:
    """So much noise; silence unless a level is given."""
    samples = round(seconds * RATE)
    if not level:
        return np.zeros(samples, np.int16)
    return np.random.default_rng(seed).integers(-level, level, samples).astype(np.int16)


class Ear:
    """Opens a recogniser of an engine for one line, and collects its segments."""

    def __init__(self, engine: Engine, language: str | None = None) -> None:
        self.engine = engine
        self.heard: list[Segment] = []
        self.position = 0
        self._line = Line(call(), "external", RATE, language)
        self._recogniser: Recogniser | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def finals(self) -> list[Segment]:
        return [segment for segment in self.heard if segment.is_final]

    @property
    def recogniser(self) -> Recogniser:
        assert self._recogniser is not None
        return self._recogniser

    async def open(self) -> Ear:
        self._recogniser = await self.engine.open(self._line)
        self._reading = asyncio.create_task(self._read(self._recogniser))
        return self

    async def push(self, samples: np.ndarray[Any, Any]) -> None:
        """Push in frames of 200 ms."""
        for start in range(0, len(samples), CHUNK):
            piece = samples[start : start + CHUNK]
            await self.recogniser.push(piece, self.position)
            self.position += len(piece)

    async def skip(self, seconds: float) -> None:
        samples = round(seconds * RATE)
        await self.recogniser.skip(self.position, samples)
        self.position += samples

    async def finish(self) -> list[Segment]:
        """The final readings of the whole line. Raises what the reading raised."""
        assert self._reading is not None
        await self.recogniser.finish()
        async with asyncio.timeout(10):
            await self._reading
        await self.close()
        return self.finals

    async def failure(self) -> BaseException | None:
        """What ended the reading."""
        assert self._reading is not None
        async with asyncio.timeout(10):
            await asyncio.wait([self._reading])
        return self._reading.exception()

    async def close(self) -> None:
        await self.recogniser.close()
        await self.engine.close()

    async def _read(self, recogniser: Recogniser) -> None:
        async for segment in recogniser.segments():
            self.heard.append(segment)
