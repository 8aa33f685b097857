"""Who is live, who reads, and what became of every call."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from earhook.clock import Clock
from earhook.errors import DuplicateSession, UnknownCall
from earhook.ids import SessionId
from earhook.media.pipeline import Budget, open_pipeline
from earhook.ops.logging import call_lines, get_logger, report_suppressed
from earhook.protocol.commands import Command
from earhook.sinks.base import CallEvent, CallFacts, CallOutcome, LiveCall, Sink, Spectator

from .claims import SessionClaims, live_name
from .settings import RingSettings

__all__ = ["CallDoor", "Hub", "HubSnapshot"]

SETTLE_SECONDS = 5.0
"""How long the closing line of a call waits for a sink's books."""

logger = get_logger(__name__)


class CallDoor(Protocol):
    """The one way by which anything reaches a session from inside the house."""

    def submit(self, command: Command) -> None:
        """Pass a command to the session; raises `CommandRefused`."""
        ...


@dataclass(frozen=True, slots=True)
class HubSnapshot:
    """The hub's state as plain values."""

    live: tuple[LiveCall, ...]
    lingering_calls: int
    opened_calls: int
    closed_calls: Mapping[str, int]
    samples_in: int
    samples_written: int
    samples_dropped: Mapping[str, int]
    unbalanced_calls: int
    ring_bytes: int
    ring_limit_bytes: int


class Hub:
    """Opens and closes calls, tells sinks, and keeps the books.

    Not thread-safe: everything happens on the loop's thread. It holds no timer; its owner calls
    `sweep` about once a second.

    Args:
        settings: Of every ring.
        sinks: Who reads.
        clock: For books and lines.
        claims: Where other processes see which sessions are live here; None: there are none.
        spectators: Who is told what sinks are told, after them, and owes no books.
    """

    def __init__(
        self,
        settings: RingSettings,
        sinks: Sequence[Sink],
        clock: Clock,
        claims: SessionClaims | None = None,
        spectators: Sequence[Spectator] = (),
    ) -> None:
        self._settings = settings
        self._claims = claims
        self._told: tuple[Sink | Spectator, ...] = (*sinks, *spectators)
        self._sink_names = frozenset(sink.name for sink in sinks)
        self._clock = clock
        self._budget = Budget(settings.budget_mib << 20)
        self._live: dict[str, tuple[LiveCall, CallDoor]] = {}
        self._lingering: deque[tuple[float, LiveCall]] = deque()
        self._unreported: dict[LiveCall, float] = {}
        self._opened_calls = 0
        self._closed_calls: Counter[str] = Counter()
        self._samples_in = 0
        self._samples_written = 0
        self._samples_dropped: Counter[str] = Counter()
        self._unbalanced_calls = 0
        self._lines = call_lines(clock)

    def open(self, facts: CallFacts, door: CallDoor) -> LiveCall:
        """Make a call live: reserve its ring, tell every sink.

        Raises:
            DuplicateSession: A live call has this session id, here or in another process.
            BudgetExhausted: No room for its ring.
            TooManyCalls: No room to tell other processes of it.
        """
        key = facts.session_id.lower()
        if key in self._live:
            raise DuplicateSession(f"session {facts.session_id} is live already")
        pipeline = open_pipeline(self._budget, facts.media, ring_seconds=self._settings.seconds)
        if self._claims is not None and self._claims.take(live_name(key)) is not None:
            raise DuplicateSession(f"session {facts.session_id} is live in another process")
        call = LiveCall(facts, pipeline, self._sink_names, self._report)
        self._live[key] = (call, door)
        self._opened_calls += 1
        for one in self._told:
            one.attach(call)
        # Where there are too many lines, the closing ones say all of it.
        if logger.isEnabledFor(logging.INFO) and self._lines.admit("call.opened", spare=10.0):
            logger.info("call.opened", **self._named(call), codec=facts.media.codec)
        return call

    def publish(self, call: LiveCall, event: CallEvent) -> None:
        """Tell every sink what happened in a call."""
        for one in self._told:
            one.publish(call, event)

    def close(self, call: LiveCall, outcome: CallOutcome) -> None:
        """End a call: no audio comes any more. Sinks drain and settle in their own time."""
        key = call.facts.session_id.lower()
        if self._live.pop(key, None) is None:
            return
        if self._claims is not None:
            self._claims.give_back(live_name(key))
        call.pipeline.end()
        call.outcome = outcome
        self._closed_calls[outcome.reason] += 1
        self._samples_in += outcome.samples_in
        self._samples_written += outcome.written
        self._samples_dropped.update(outcome.dropped)
        now = self._clock.monotonic_seconds()
        # A sink may read an ended call until it is forgotten.
        self._unreported[call] = now + max(SETTLE_SECONDS, self._settings.seconds + 2.0)
        self._lingering.append((now + self._settings.seconds, call))
        for one in self._told:
            one.ended(call)
        if not call.unsettled:
            self._report(call)

    def command(self, session_id: SessionId | str, command: Command) -> None:
        """Pass a consumer's command to a live session.

        Raises:
            UnknownCall: No live call of that id.
            CommandRefused: The session's state forbids it now.
        """
        found = self._live.get(session_id.lower())
        if found is None:
            raise UnknownCall(f"no live call has session id {session_id}")
        found[1].submit(command)

    def sweep(self) -> None:
        """Forget calls that can no longer be resumed, and report those a sink never settled.

        Also say how many lines of calls were suppressed.
        """
        now = self._clock.monotonic_seconds()
        while self._lingering and self._lingering[0][0] <= now:
            _, call = self._lingering.popleft()
            for one in self._told:
                one.forget(call)
        for call in [call for call, due in self._unreported.items() if due <= now]:
            self._report(call)
        report_suppressed(self._lines)

    def finish(self) -> None:
        """The sinks have stopped: report every ended call now, and let go of all of them."""
        for call in list(self._unreported):
            self._report(call)
        for _, call in self._lingering:
            for one in self._told:
                one.forget(call)
        self._lingering.clear()
        report_suppressed(self._lines)

    @property
    def live_calls(self) -> int:
        """How many calls are live."""
        return len(self._live)

    @property
    def unreported_calls(self) -> int:
        """Ended calls whose sinks have not all settled."""
        return len(self._unreported)

    @property
    def suppressed_lines(self) -> int:
        """Lines of calls that were not written so far."""
        return self._lines.suppressed_total

    def snapshot(self) -> HubSnapshot:
        """Plain values; cheap enough for every scrape."""
        return HubSnapshot(
            live=tuple(call for call, _ in self._live.values()),
            lingering_calls=len(self._lingering),
            opened_calls=self._opened_calls,
            closed_calls=dict(self._closed_calls),
            samples_in=self._samples_in,
            samples_written=self._samples_written,
            samples_dropped=dict(self._samples_dropped),
            unbalanced_calls=self._unbalanced_calls,
            ring_bytes=self._budget.used_bytes,
            ring_limit_bytes=self._budget.limit_bytes,
        )

    def _report(self, call: LiveCall) -> None:
        """Write the one closing line of a call, with the books of every sink.

        Lines are limited; what is counted is not.
        """
        if self._unreported.pop(call, None) is None or call.outcome is None:
            return
        outcome = call.outcome
        balanced = (
            not call.unsettled
            and outcome.balances()
            and all(books.balances() and books.buffered == 0 for books in call.settled.values())
        )
        if not balanced:
            self._unbalanced_calls += 1
        level = _closing_level(call, balanced=balanced)
        # What lost audio comes before what did not.
        spare = 6.0 if level < logging.WARNING else 0.0
        if not (logger.isEnabledFor(level) and self._lines.admit("call.closed", spare=spare)):
            return
        logger.log(
            level,
            "call.closed",
            **self._named(call),
            reason=outcome.reason,
            duration_seconds=round(outcome.duration_seconds, 3),
            position=outcome.position,
            frames=outcome.frames,
            samples_in=outcome.samples_in,
            written=outcome.written,
            dropped=dict(outcome.dropped),
            sinks={name: books.as_json() for name, books in call.settled.items()},
            unsettled=sorted(call.unsettled),
            balanced=balanced,
            **_heard(call),
        )

    @staticmethod
    def _named(call: LiveCall) -> dict[str, str]:
        facts = call.facts
        return {
            "session": facts.session_id,
            "conversation": facts.conversation_id,
            "organization": facts.organization_id,
            "correlation": facts.correlation_id,
            "key": facts.key_name,
            "door": facts.door,
        }


def _heard(call: LiveCall) -> dict[str, Any]:
    """What the closing line says of the audio itself, as far as it was listened to."""
    heard: dict[str, Any] = {} if call.suspicion is None else {"suspicion": call.suspicion}
    figures = None if call.signal is None else call.signal.summary()
    if figures is not None:
        heard["talk_seconds"] = {
            channel: lane["talk_seconds"] for channel, lane in figures["channels"].items()
        }
        heard |= {key: figures[key] for key in ("talk_over_seconds", "dead_air_seconds")}
        if figures["one_way"] is not None:
            heard["one_way"] = figures["one_way"]
    return heard


def _closing_level(call: LiveCall, *, balanced: bool) -> int:
    """How loud the closing line is: books that do not balance, audio that a sink lost, or news.

    What a consumer left unread when it went (`detached`) is its own affair.
    """
    if not balanced:
        return logging.ERROR
    reasons = {reason for books in call.settled.values() for reason in books.dropped}
    return logging.WARNING if reasons - {"detached"} else logging.INFO
