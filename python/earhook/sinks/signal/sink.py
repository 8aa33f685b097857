"""The signal sink as the hub sees it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from earhook.errors import CoreFault
from earhook.media.format import Channel
from earhook.media.signal import Fact, Level, SignalFeed, Stretch, summary_of
from earhook.ops.logging import get_logger
from earhook.sinks.base import CallEvent, LiveCall, SinkBooks, SinkSnapshot

from .measurer import Measurer
from .settings import SIGNAL_SINK, SignalSettings
from .telling import FACT_KINDS, event_of, summary_as_json

__all__ = ["CallSignal", "SignalSink", "SignalTotals"]

FACTS_AT_ONCE: Final = 32
"""Told in a row before the loop does other things."""

logger = get_logger(__name__)


@dataclass(slots=True)
class SignalTotals:
    """What all calls that have ended add up to, for metrics.

    Attributes:
        seconds: By what they are seconds of.
        one_way_calls: Calls in which one side was silent at any time.
    """

    seconds: dict[str, float]
    one_way_calls: int = 0


class CallSignal:
    """What is known of one call: its figures while it is live and for as long as it is shown."""

    __slots__ = (
        "_envelope",
        "_feed",
        "_final",
        "_rate",
        "is_dead_air",
        "number",
        "one_way",
    )

    def __init__(self, feed: SignalFeed, number: int, rate: int) -> None:
        self.number = number
        self.is_dead_air = False
        """Whether there is dead air now."""
        self.one_way: str | None = None
        """The channel that is silent now while the other speaks."""
        self._feed = feed
        self._rate = rate
        self._final: dict[str, Any] | None = None
        self._envelope: Stretch | None = None

    def levels(self) -> list[Level]:
        """How loud each channel is now, and whether somebody speaks; nothing of an ended call."""
        return list(map(Level._make, self._feed.levels(self.number)))

    def summary(self) -> dict[str, Any] | None:
        """The call in figures so far, as in its `signal` event; None after a defect."""
        if self._final is not None:
            return self._final
        found = self._feed.summary(self.number)
        return None if found is None else summary_as_json(summary_of(found), self._rate)

    def envelope(self, since: int) -> Stretch | None:
        """How loud it has been, in all points that end behind a position; None after a defect."""
        if self._envelope is not None:
            return self._envelope.since(since)
        found = self._feed.envelope(self.number, since)
        return None if found is None else Stretch._make(found)

    def settle(self, final: dict[str, Any] | None, envelope: Stretch | None) -> None:
        """The call has ended with these figures, and was so loud."""
        self._final, self._envelope = final, envelope
        self.is_dead_air, self.one_way = False, None

    def as_json(self) -> dict[str, Any]:
        """What the API shows."""
        levels = {
            Channel(level.channel).word: {
                "rms_dbfs": round(level.rms_dbfs, 1),
                "peak_dbfs": round(level.peak_dbfs, 1),
                "speaking": level.speaking,
            }
            for level in self.levels()
        }
        now = {"dead_air": self.is_dead_air, "one_way": self.one_way, "levels": levels}
        return {"now": now, "so_far": self.summary()}

    def note(self, event: CallEvent) -> None:
        """Something of it begins or ends."""
        match event.kind:
            case "dead_air" | "dead_air_ended":
                self.is_dead_air = event.kind == "dead_air"
            case "one_way" | "one_way_ended":
                self.one_way = event.details["silent"] if event.kind == "one_way" else None


class SignalSink:
    """Measures every call, and has what it finds published.

    It comes before all other sinks: at the end of a call it measures what is left at once, so that
    the others have heard its last facts when they are told that the call has ended.

    Args:
        settings: Thresholds.
        publish: The hub's way to tell every sink.
    """

    kind: Final = "signal"
    name: Final = SIGNAL_SINK

    def __init__(
        self, settings: SignalSettings, publish: Callable[[LiveCall, CallEvent], None]
    ) -> None:
        self._settings = settings
        self._publish = publish
        self._feed = SignalFeed(**settings.model_dump(exclude={"enabled"}))
        self._measurer = Measurer(self._feed, self._post)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._numbers = count(1)
        self._calls: dict[int, LiveCall] = {}
        self._signals: dict[LiveCall, CallSignal] = {}
        self._settled = SinkBooks()
        self._found: Counter[str] = Counter()
        self.totals = SignalTotals(dict.fromkeys(SECONDS_OF, 0.0))

    @property
    def cpu_seconds(self) -> float:
        """What measuring has taken so far, beside the loop."""
        return self._measurer.cpu_seconds

    async def start(self) -> None:
        """Start the thread."""
        self._loop = asyncio.get_running_loop()
        self._measurer.start()

    def attach(self, call: LiveCall) -> None:
        """Measure a call from its start."""
        if self._loop is None:
            return
        number, media = next(self._numbers), call.facts.media
        try:
            self._feed.attach(number, call.pipeline, channels=media.channels, rate=media.rate)
        except (CoreFault, ValueError):
            logger.exception("signal.defect")
            return
        self._calls[number] = call
        self._signals[call] = call.signal = CallSignal(self._feed, number, media.rate)

    def publish(self, call: LiveCall, event: CallEvent) -> None:
        """Nothing: what others say changes no measure. Gaps come with the audio."""

    def ended(self, call: LiveCall) -> None:
        """Measure the rest, which is some frames, and tell the call in figures."""
        signal = self._signals.pop(call, None)
        if signal is not None:
            call.settle(self.name, self._finish(call, signal))
        elif self.name not in call.settled:
            call.settle(self.name, SinkBooks())

    def forget(self, call: LiveCall) -> None:
        """Nothing: references to a call are dropped when it has ended."""

    async def stop(self, deadline_seconds: float) -> None:
        """End the thread. Calls that are still live are settled."""
        if self._loop is None:
            return
        self._loop = None
        self._measurer.end()
        await asyncio.to_thread(self._measurer.join, deadline_seconds)
        for call in list(self._signals):
            self.ended(call)

    def snapshot(self) -> SinkSnapshot:
        """How measuring goes, and the books of all calls so far."""
        books = SinkBooks()
        books.merge(self._settled)
        for number in self._calls:
            books.merge(self._feed.books(number))
        detail = ""
        if self._loop is not None and not self._measurer.is_alive:
            detail = "the thread that measures has died; restart the gateway"
        return SinkSnapshot(
            name=self.name,
            kind=self.kind,
            healthy=not detail,
            detail=detail,
            books=books,
            calls=len(self._calls),
            counters={kind: self._found[kind] for kind in FACT_KINDS},
        )

    def calls_with(self) -> dict[str, int]:
        """How many live calls have dead air now, and how many one-way audio."""
        signals = self._signals.values()
        return {
            "dead_air": sum(signal.is_dead_air for signal in signals),
            "one_way": sum(signal.one_way is not None for signal in signals),
        }

    def call_books(self, call: LiveCall) -> SinkBooks | None:
        """The books of a live call; None of others."""
        signal = self._signals.get(call)
        if signal is None:
            return None
        books = SinkBooks()
        books.merge(self._feed.books(signal.number))
        return books

    def _post(self) -> None:
        """Have facts told on the loop's thread; called in the measurer's."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):
                # The loop may be closed by now, if `stop` has given up on us.
                loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        for found in self._feed.take(FACTS_AT_ONCE):
            fact = Fact._make(found)
            call = self._calls.get(fact.call)
            if call is not None:
                self._say(call, self._signals[call], fact)
        if self._loop is not None and self._feed.pending:
            self._loop.call_soon(self._tell)

    def _say(self, call: LiveCall, signal: CallSignal, fact: Fact) -> None:
        event = event_of(fact, call.facts.media.rate, self._settings)
        self._found[fact.kind] += 1
        signal.note(event)
        self._publish(call, event)

    def _finish(self, call: LiveCall, signal: CallSignal) -> SinkBooks:
        """Tell what is left to tell of a call, and let go of it. Gives its last books."""
        del self._calls[signal.number]
        books = SinkBooks()
        try:
            facts, found, drawn, last = self._feed.finish(signal.number)
        except CoreFault:
            logger.exception("signal.defect")
            return books
        for fact in facts:
            self._say(call, signal, Fact._make(fact))
        if found is not None:
            figures = summary_as_json(summary_of(found), call.facts.media.rate)
            signal.settle(figures, None if drawn is None else Stretch._make(drawn))
            self._add_up(figures)
            self._publish(call, CallEvent("signal", call.pipeline.position, figures))
        else:
            signal.settle(None, None)
        books.merge(last)
        self._settled.merge(books)
        return books

    def _add_up(self, figures: dict[str, Any]) -> None:
        seconds = self.totals.seconds
        for word, lane in figures["channels"].items():
            seconds[f"talk_{word}"] += lane["talk_seconds"]
        seconds["measured"] += figures["seconds"]
        seconds["talk_over"] += figures["talk_over_seconds"]
        seconds["dead_air"] += figures["dead_air_seconds"]
        self.totals.one_way_calls += figures["one_way"] is not None


SECONDS_OF: Final = ("measured", "talk_external", "talk_internal", "talk_over", "dead_air")
"""What the seconds of ended calls are counted of."""
