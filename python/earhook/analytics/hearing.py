"""One channel of one call on its way through an engine: never waited for, bounded, reopened."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from earhook.client import Block, ChannelName, Gap
from earhook.errors import EngineFailed

from .engine import Engine, Line, Recogniser, Samples
from .pulse import Pulse
from .segment import Segment
from .unsettled import Unsettled

__all__ = ["Hearing", "HearingOwner", "HearingSettings"]

FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 15.0
NEXT_WORDS_SHARE: Final = 0.3
"""Of what may wait: so much of what is heard next stays, enough for a phrase."""
CLOSE_SECONDS: Final = 2.0
"""For an engine to let go; then it is left to itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HearingSettings:
    """What a slow or broken engine may cost.

    Attributes:
        backlog_seconds: Audio of a channel that waits for its engine; beyond it, half of it is
            dropped, but not what is heard next.
        finish_seconds: How long an engine may take for its last words at the end of a call.
        step_seconds: How long it may take for one piece of audio, while it goes on with those of
            other lines; then another recogniser is opened.
    """

    backlog_seconds: float = 10.0
    finish_seconds: float = 5.0
    step_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class HearingOwner:
    """What a hearing tells. Called on the loop's thread.

    Attributes:
        said: A segment, in order.
        missed: Samples from one position to another that no engine heard or will hear.
        failed: An engine did not do its part; the text is for operators.
        pulse: Told of every step that the engine is asked to take.
    """

    said: Callable[[Segment], None]
    missed: Callable[[ChannelName, int, int], None]
    failed: Callable[[ChannelName, EngineFailed], None]
    pulse: Pulse = field(default_factory=Pulse)


class Hearing:
    """Feeds a line to a recogniser, and opens another one when it fails.

    Args:
        line: What is heard.
        engine: Who hears it.
        owner: Who is told.
        settings: What it may cost.
        start: Audio before this position has been told of already, by a run before this one.
    """

    def __init__(
        self,
        line: Line,
        engine: Engine,
        owner: HearingOwner,
        settings: HearingSettings,
        start: int = 0,
    ) -> None:
        self.dropped_samples = 0
        """Audio of which no engine has told what it heard: it was slow, away, refused or broke."""
        self._line = line
        self._engine = engine
        self._owner = owner
        self._settings = settings
        self._start = start
        self._waiting: deque[tuple[int, Samples | int]] = deque()
        """Audio, or the length of a gap, with its position."""
        self._waiting_samples = 0
        self._news = asyncio.Event()
        self._unsettled = Unsettled()
        self._is_ending = False
        self._has_asked_for_last = False
        self._recogniser: Recogniser | None = None
        self._reader: asyncio.Task[None] | None = None
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._deaf_until = 0.0
        self._heard = start
        """Where what came out of `_waiting` ends."""
        self._told = start
        self._interim: tuple[int, str] | None = None
        """The interim reading that was told last: where it starts, and its text."""
        self._task = asyncio.create_task(self._run())

    @property
    def settled(self) -> int:
        """Every segment that begins before it has been told, or will never be."""
        if self._recogniser is None:
            return self._heard
        return min(max(self._recogniser.settled, self._told), self._heard)

    @property
    def waiting_samples(self) -> int:
        """Audio that the engine has yet to take."""
        return self._waiting_samples

    def put(self, item: Block | Gap) -> None:
        """Take audio or a gap. Returns at once; if too much waits, a part of it is dropped."""
        if isinstance(item, Gap):
            self._waiting.append((item.position, item.samples))
        elif item.position + len(item.samples) > self._start:
            known = max(self._start - item.position, 0)
            # A copy: the frames of a socket's read share memory, and this may wait.
            samples = item.samples[known:].astype(np.int16)
            self._waiting.append((item.position + known, samples))
            self._waiting_samples += len(samples)
            self._shed()
        self._news.set()

    async def finish(self) -> None:
        """Nothing follows; returns when all has been told, or is not to be had in time."""
        self._is_ending = True
        self._news.set()
        try:
            async with asyncio.timeout(self._settings.finish_seconds):
                await asyncio.shield(self._task)
        except TimeoutError:
            self._owner.failed(self._line.channel, EngineFailed("no last words in time"))
            self._lose()
            for position, what in self._waiting:
                if not isinstance(what, int):
                    self._drop(position, len(what))
        await self.close()

    async def close(self) -> None:
        """End at once."""
        self._task.cancel()
        await asyncio.wait([self._task], timeout=CLOSE_SECONDS)
        await self._hang_up()

    def _shed(self) -> None:
        """Keep what waits within its bound.

        A hole ends what is being said. So half of it goes at once, and not what the engine hears
        next: few long holes with whole phrases between them are better than many short ones, which
        would leave nothing but single words.
        """
        most = self._settings.backlog_seconds * self._line.rate
        if self._waiting_samples <= most:
            return
        at = self._behind_next_words(round(NEXT_WORDS_SHARE * most))
        while self._waiting_samples > most / 2:
            while isinstance(self._waiting[at][1], int):
                at += 1
            position, samples = self._waiting[at]
            assert not isinstance(samples, int)
            self._waiting_samples -= len(samples)
            self._waiting[at] = (position, len(samples))
            self._drop(position, len(samples))
            self._merge(at)

    def _behind_next_words(self, most: int) -> int:
        """The place behind what is heard next without a hole, as much of it as is to be kept."""
        kept = 0
        for at, (_, what) in enumerate(self._waiting):
            if isinstance(what, int):
                if kept:
                    return at
            elif kept + len(what) > most:
                return at
            else:
                kept += len(what)
        return len(self._waiting)

    def _merge(self, at: int) -> None:
        """Two gaps in a row are one: what waits does not grow with what is dropped."""
        start, length = self._waiting[at - 1] if at else (0, None)
        dropped = self._waiting[at][1]
        if isinstance(length, int) and isinstance(dropped, int):
            self._waiting[at - 1] = (start, length + dropped)
            del self._waiting[at]

    def _drop(self, position: int, samples: int) -> None:
        self.dropped_samples += samples
        self._owner.missed(self._line.channel, position, position + samples)

    async def _run(self) -> None:
        while True:
            while not self._waiting:
                if self._is_ending:
                    await self._end()
                    return
                self._news.clear()
                await self._news.wait()
            position, what = self._waiting.popleft()
            if not isinstance(what, int):
                self._waiting_samples -= len(what)
            self._owner.pulse.begin_step()
            try:
                await self._give(position, what)
            finally:
                self._owner.pulse.end_step()
            self._heard = position + (what if isinstance(what, int) else len(what))

    async def _give(self, position: int, what: Samples | int) -> None:
        if isinstance(what, int):
            if self._recogniser is not None:
                await self._try(self._recogniser.skip(position, what))
            return
        if self._recogniser is None:
            await self._try(self._open())
        recogniser = self._recogniser
        if recogniser is None or not await self._try(recogniser.push(what, position)):
            self._drop(position, len(what))
            return
        self._unsettled.add(position, position + len(what), recogniser.settled)

    async def _try(self, step: Coroutine[Any, Any, None]) -> bool:
        """Take a step with the engine; whether it did its part."""
        asked = self._recogniser
        seconds = self._settings.step_seconds
        bound = asyncio.timeout(seconds)
        try:
            async with bound:
                await step
        except Exception as error:  # noqa: BLE001 - engines are anybody's code
            failure = _as_failure(error)
            if bound.expired():
                failure = EngineFailed(f"it gave no answer for {seconds:g} s")
            # Whoever reads the segments may have found out first.
            if self._recogniser is asked:
                await self._on_failure(failure)
            return False
        return self._recogniser is not None

    async def _open(self) -> None:
        """Open a recogniser, unless the last one failed a moment ago."""
        if asyncio.get_running_loop().time() < self._deaf_until:
            return
        self._recogniser = await self._engine.open(self._line)
        self._reader = asyncio.create_task(self._read(self._recogniser))

    async def _read(self, recogniser: Recogniser) -> None:
        try:
            async for segment in recogniser.segments():
                self._pause_seconds = FIRST_PAUSE_SECONDS
                self._say(segment)
            if not self._has_asked_for_last:
                raise EngineFailed("it ended in mid call")
        except Exception as error:  # noqa: BLE001 - as above
            if self._recogniser is recogniser:
                self._reader = None
                await self._on_failure(_as_failure(error))

    def _say(self, segment: Segment) -> None:
        """Tell, unless it was told: by another run, or by this one; or says nothing new."""
        if segment.end <= self._told:
            return
        segment = segment.bounded()
        if segment.start < self._told:
            # All its readings come after the same final one, so all get the same start.
            segment = replace(segment, start=self._told)
        if segment.is_final:
            self._told = segment.end
        elif (segment.start, segment.text) == self._interim:
            return  # some engines repeat themselves with every frame
        else:
            self._interim = (segment.start, segment.text)
        self._owner.said(segment)

    async def _end(self) -> None:
        if self._recogniser is None:
            return
        self._has_asked_for_last = True
        if await self._try(self._recogniser.finish()) and self._reader is not None:
            await asyncio.wait([self._reader])

    async def _on_failure(self, error: EngineFailed) -> None:
        now = asyncio.get_running_loop().time()
        self._deaf_until = float("inf") if error.is_hopeless else now + self._pause_seconds
        self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
        self._lose()
        self._owner.failed(self._line.channel, error)
        await self._hang_up()

    def _lose(self) -> None:
        """What the recogniser has taken and not told goes with it."""
        if self._recogniser is not None:
            for start, end in self._unsettled.take(max(self._recogniser.settled, self._told)):
                self._drop(start, end - start)

    async def _hang_up(self) -> None:
        recogniser, self._recogniser = self._recogniser, None
        reader, self._reader = self._reader, None
        if reader is not None and reader is not asyncio.current_task():
            reader.cancel()
            await asyncio.wait([reader], timeout=CLOSE_SECONDS)
        if recogniser is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await recogniser.close()


def _as_failure(error: Exception) -> EngineFailed:
    """What an engine raised, as what it may raise: a defect of one costs its own lines only."""
    if isinstance(error, EngineFailed):
        return error
    return EngineFailed(f"a defect of the engine: {type(error).__name__}")
