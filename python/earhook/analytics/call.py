"""One call: its channels are heard, what they say is analysed, and what is found is told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from earhook.client import Block, Call, CallEvent, ChannelName, Gap
from earhook.errors import EngineFailed

from .analysis import Analyst, CallFacts
from .engine import Engine, Line
from .hearing import Hearing, HearingOwner, HearingSettings
from .holes import Holes
from .pulse import Pulse
from .result import RESULT_KINDS, Result
from .segment import Segment

__all__ = ["Before", "CallHearing", "Outlet", "Workshop"]

ADVANCE_SECONDS: Final = 0.5
"""How often it is looked what has not been said in time."""
BEHIND_SECONDS: Final = 3.0
"""Audio that waits for an engine, from which on it is said to be behind; and how often again."""
BEHIND_AGAIN_SECONDS: Final = 30.0
CAUGHT_UP_SECONDS: Final = 1.0
LEAST_HOLE_SECONDS: Final = 0.5
"""Shorter ones are counted, and not told one by one."""
HOLE_MARGIN_SECONDS: Final = 2.0
"""Words before a hole may be on their way still when it is settled that none follow."""
PAUSED: Final = "paused"


class Outlet(Protocol):
    """Where results go. Nothing here waits."""

    def tell(self, call: Call, result: Result, segment: Segment | None) -> None:
        """Pass on a result; `segment` is what a transcript was made of."""
        ...

    def write(self, kind: str, call: Call, position: int, details: Mapping[str, Any]) -> None:
        """Pass on what is for people here, and no result."""
        ...


@dataclass(frozen=True, slots=True)
class Before:
    """What a process that was there before us has left.

    Attributes:
        heard: Where it stopped, by session and channel: nothing is told twice.
        why: How it ended; told of each of its calls.
    """

    heard: Mapping[str, Mapping[ChannelName, int]] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all calls of a process share.

    Attributes:
        language: For calls whose peer names none.
        pulse: Told of every step of an engine.
    """

    engine: Engine
    analyst: Analyst
    outlet: Outlet
    settings: HearingSettings = field(default_factory=HearingSettings)
    language: str | None = None
    before: Before = field(default_factory=Before)
    pulse: Pulse = field(default_factory=Pulse)


class CallHearing:
    """Everything that is done for one call, from its opening to its end."""

    def __init__(self, call: Call, position: int, workshop: Workshop) -> None:
        self.call = call
        self._outlet = workshop.outlet
        self._engine_name = workshop.engine.name
        language = call.language or workshop.language
        facts = CallFacts(call.rate, call.channels, position, self._engine_name, language)
        self._analysis = workshop.analyst.open(facts)
        self._advanced = position
        self._end = position
        self._has_failed = False
        self._holes = Holes()
        self._behind_since: int | None = None
        """Where it was told last that an engine is behind; None: it is not."""
        session, before = call.session_id.lower(), workshop.before
        heard = before.heard.get(session, {})
        owner = HearingOwner(self._said, self._missed, self._failed, workshop.pulse)
        self._hearings: dict[ChannelName, Hearing] = {
            channel: Hearing(
                Line(call, channel, call.rate, language),
                workshop.engine,
                owner,
                workshop.settings,
                heard.get(channel, 0),
            )
            for channel in call.channels
        }
        if session in before.heard and before.why:
            self._tell_state("failed", why=before.why)
        self._tell_state("started")

    @property
    def dropped_seconds(self) -> float:
        """Audio that no engine heard, of the channel that lost most."""
        dropped = max(one.dropped_samples for one in self._hearings.values())
        return round(dropped / self.call.rate, 3)

    @property
    def left_out(self) -> int:
        """Segments that were tones or music."""
        return self._analysis.left_out

    def take(self, item: Block | Gap) -> None:
        """Hear audio, or that there is none."""
        self._hearings[item.channel].put(item)
        if isinstance(item, Gap):
            end = item.position + item.samples
            self._end = max(self._end, end)
            if item.reason == PAUSED:  # nobody was to hear it; the call says so by itself
                self._tell(self._analysis.miss(item.channel, item.position, end))
            else:
                self._missed(item.channel, item.position, end)
        else:
            self._end = max(self._end, item.position + len(item.samples))
        settled = min(one.settled for one in self._hearings.values())
        if settled >= self._advanced + ADVANCE_SECONDS * self.call.rate:
            self._advanced = settled
            self._tell(self._analysis.advance(settled))
            margin = round(HOLE_MARGIN_SECONDS * self.call.rate)
            for channel, hearing in self._hearings.items():
                self._tell_holes(channel, hearing.settled - margin)
        self._tell_behind()

    def note(self, event: CallEvent) -> None:
        """Learn what else happens in the call."""
        # Results come back to us as they do to everybody else, ours and those of another analysis.
        if event.kind not in RESULT_KINDS:
            self._tell(self._analysis.note(event.kind, event.position, event.details))

    async def finish(self) -> None:
        """The call is over: hear the last words, and say what can be said only now."""
        await asyncio.gather(*(one.finish() for one in self._hearings.values()))
        for channel in self._hearings:
            self._tell_holes(channel)
        self._tell(self._analysis.finish(self._end))
        self._tell_state("ended")

    async def close(self) -> None:
        """Stop at once, and say nothing more."""
        await asyncio.gather(*(one.close() for one in self._hearings.values()))

    def _said(self, segment: Segment) -> None:
        if segment.is_final:
            self._tell_holes(segment.channel, segment.start)
        self._tell(self._analysis.hear(segment), segment)

    def _missed(self, channel: ChannelName, start: int, end: int) -> None:
        self._holes.add(channel, start, end)
        self._tell(self._analysis.miss(channel, start, end))

    def _failed(self, channel: ChannelName, error: EngineFailed) -> None:
        """Say so once; what it costs is in `dropped_seconds` at the end."""
        del channel
        if not self._has_failed:
            self._has_failed = True
            self._tell_state("failed", why=str(error))

    def _tell_holes(self, channel: ChannelName, position: int | None = None) -> None:
        """Between the words where they are."""
        for start, end in self._holes.take(channel, position):
            seconds = (end - start) / self.call.rate
            if seconds >= LEAST_HOLE_SECONDS:
                details = {"channel": channel, "start": start, "end": end}
                self._outlet.write("unheard", self.call, end, details)

    def _tell_behind(self) -> None:
        rate = self.call.rate
        behind = max(one.waiting_samples for one in self._hearings.values()) / rate
        since = self._behind_since
        if behind >= BEHIND_SECONDS:
            if since is None or self._end - since >= BEHIND_AGAIN_SECONDS * rate:
                self._behind_since = self._end
                self._tell_state("behind", behind_seconds=round(behind, 1))
        elif since is not None and behind < CAUGHT_UP_SECONDS:
            self._behind_since = None
            self._tell_state("caught_up")

    def _tell_state(self, state: str, **more: object) -> None:
        dropped = self.dropped_seconds if state != "started" else 0.0
        details = {"engine": self._engine_name, "state": state, "dropped_seconds": dropped}
        self._tell([Result("analysis", self._end, {**details, **more})])

    def _tell(self, results: list[Result], segment: Segment | None = None) -> None:
        for result in results:
            self._outlet.tell(self.call, result, segment if result.kind == "transcript" else None)
