"""The board: a row for each live call and for the last that ended, and what happened in them.

It is told what sinks are told, and keeps what it is told; everything else is looked at when
somebody asks. Who asks says up to where he knows: so it keeps nothing for anybody, and any number
may ask.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, takewhile
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

from earhook.clock import Clock
from earhook.sinks.base import CallEvent, LiveCall, SinkBooks

from .audience import Audience
from .entry import Entry, lost_in_gaps, outcome_as_json
from .history import encoded
from .listening import Listeners
from .state import NUMBER_BITS, Flag
from .stream import MAX_BYTES, Choice, Facts, Lines, joined

__all__ = ["Board", "KeepsCallBooks", "Known", "Look"]

SWEEP_SECONDS: Final = 0.18
"""A tenth of the calls is looked at whenever somebody asks, and not more often than this."""
SWEEP_SHARE: Final = 10
TOMBSTONES: Final = 8192
ROWS_AT_ONCE: Final = 256


@runtime_checkable
class KeepsCallBooks(Protocol):
    """A sink that can say how it stands with one call that it has not settled."""

    @property
    def name(self) -> str:
        """Of the sink."""
        ...

    def call_books(self, call: LiveCall) -> SinkBooks | None:
        """Its books of the call now; None: it does not read it."""
        ...


class Known(NamedTuple):
    """Up to where somebody knows the board.

    Attributes:
        revision: He was told of changes up to this one.
        rows: He has every row that came before this one; while he is told of many rows in parts,
            one that changes meanwhile moves behind those that he has not been told of.
        removals: He was told of rows that went up to this one, whatever parts are missing.
    """

    revision: int
    rows: int
    removals: int


class Look(NamedTuple):
    """What has changed since a revision.

    Attributes:
        known: To be named next time.
        reset: What was known before is void.
        added: New rows.
        removed: Numbers of rows that are gone.
        states: Records of the rows that have changed.
        live: Calls that are live.
        losing: Calls that lose audio on its way in.
        has_more: Whether there is more to be told at once.
    """

    known: Known
    reset: bool
    added: Sequence[dict[str, Any]]
    removed: Sequence[int]
    states: bytes
    live: int
    losing: int
    has_more: bool


class Board:
    """A `Spectator` of the hub. On the loop's thread only; nothing here waits.

    Args:
        clock: Time.
        sinks: Whose books are shown.
        ended_calls: How many calls that have ended are kept.
        history_bytes: What the facts of all calls may take together.
    """

    def __init__(
        self,
        clock: Clock,
        sinks: Sequence[object] = (),
        *,
        ended_calls: int = 64,
        history_bytes: int = 64 << 20,
    ) -> None:
        self._clock = clock
        self._sinks = [sink for sink in sinks if isinstance(sink, KeepsCallBooks)]
        self._ended_calls = ended_calls
        self._history_bytes = history_bytes
        self._numbers = 0
        self._revision = 0
        # In the order in which rows were last changed.
        self._rows: dict[int, Entry] = {}
        self._by_call: dict[LiveCall, Entry] = {}
        self._by_session: dict[str, Entry] = {}
        self._ended: deque[Entry] = deque()
        self._removed: deque[tuple[int, int]] = deque()
        self._removed_floor = 0
        self._round: Iterator[Entry] = iter(())
        self._swept_at = float("-inf")
        self._losing: set[int] = set()
        self.facts = Facts()
        self.audience = Audience()
        self.listeners = Listeners(clock, self._listened)

    # What the hub says.

    def attach(self, call: LiveCall) -> None:
        """A call has opened."""
        self._numbers = self._numbers % ((1 << NUMBER_BITS) - 1) + 1
        entry = Entry(self._numbers, call)
        self._revision += 1
        entry.added_revision = self._revision
        self._by_call[call] = entry
        self._by_session[entry.session] = entry
        self._touch(entry)
        if self.facts.is_wanted:
            self._say(entry, "opened", 0, entry.row(0))

    def publish(self, call: LiveCall, event: CallEvent) -> None:
        """Something has happened in a call."""
        entry = self._by_call.get(call)
        if entry is None:
            return
        room = self._history_bytes // max(1, len(self._rows))
        fact = entry.history.add(event, self._clock.wall_seconds(), room)
        if self.facts.is_wanted:
            self.facts.add(entry.session, entry.prefix, event.kind, fact)
        if entry.state.take(event, self._clock.monotonic_seconds()):
            self._touch(entry)

    def ended(self, call: LiveCall) -> None:
        """A call is over; its row stays for a while."""
        entry = self._by_call.get(call)
        if entry is None or call.outcome is None:
            return
        outcome = call.outcome
        # Of a call that ended while it was paused, the stream stands where the pause began.
        lasted = int(outcome.duration_seconds * entry.state.rate)
        entry.state.position = max(outcome.position, lasted)
        entry.state.end()
        self._losing.discard(entry.number)
        self._touch(entry)
        self._ended.append(entry)
        while len(self._ended) > self._ended_calls:
            self._remove(self._ended.popleft())
        if self.facts.is_wanted:
            self._say(entry, "closed", outcome.position, outcome_as_json(outcome))

    def forget(self, call: LiveCall) -> None:
        """What the call holds is to be let go of."""
        entry = self._by_call.pop(call, None)
        if entry is not None:
            self.audience.leave(entry)
            self.listeners.leave(entry)
            entry.let_go()

    # What is asked.

    def find(self, session: str) -> Entry | None:
        """The call of a session id: the live one, or the last that ended."""
        return self._by_session.get(session.lower())

    def look(self, known: Known | None, tag: int = 0) -> Look:
        """What has changed.

        Args:
            known: What is known; None: nothing is.
            tag: Put above the number of each row.
        """
        self._sweep()
        now = self._revision
        reset = known is None or not self._removed_floor <= known.removals <= now
        since, rows, removals = (0, 0, now) if reset or known is None else known
        changed = list(takewhile(lambda entry: entry.revision > since, self._latest()))
        # The oldest changes come first: all rows at once would hold up the loop.
        changed, has_more = changed[-ROWS_AT_ONCE:], len(changed) > ROWS_AT_ONCE
        revision = changed[0].revision if has_more else now
        return Look(
            known=Known(revision, rows if has_more else revision, now),
            reset=reset,
            added=[entry.row(tag) for entry in reversed(changed) if entry.added_revision > rows],
            removed=self._removed_since(removals, tag),
            states=b"".join(entry.state.packed(tag | entry.number) for entry in changed),
            live=len(self._rows) - len(self._ended),
            losing=len(self._losing),
            has_more=has_more,
        )

    def in_full(self, entry: Entry) -> dict[str, Any]:
        """Everything of one call."""
        if entry.call is not None:
            self._measure(entry, entry.call, self._clock.monotonic_seconds())
            self.audience.watch(entry)
        return entry.in_full(self._books(entry))

    def history(self, choice: Choice, most: int) -> Lines:
        """What is kept of all calls, the oldest call first; of the newest, if it is too much.

        `missed` then counts all that was not looked at, chosen or not.
        """
        cursor = self.facts.since(None, choice).cursor
        calls: list[list[bytes]] = []
        kept = kept_bytes = missed = 0
        prefixes = choice.prefixes
        newest_first = sorted(self._rows.values(), key=lambda row: row.added_revision, reverse=True)
        for entry in newest_first:
            if choice.sessions and entry.session not in choice.sessions:
                continue
            facts, _ = entry.history.since(0)
            if kept + len(facts) > most or kept_bytes > MAX_BYTES:
                missed += len(facts)
                continue
            lines = [joined(entry.prefix, fact) for fact in facts if fact.startswith(prefixes)]
            calls.append(lines)
            kept += len(lines)
            kept_bytes += sum(map(len, lines))
        return Lines([line for lines in reversed(calls) for line in lines], cursor, missed)

    def entries(self, numbers: Sequence[int] | None) -> Iterator[Entry]:
        """The rows of these numbers that are there; None: all."""
        if numbers is None:
            yield from self._rows.values()
        else:
            yield from (self._rows[number] for number in numbers if number in self._rows)

    # Inside.

    def _say(self, entry: Entry, kind: str, position: int, details: Mapping[str, Any]) -> None:
        """Say something that is not kept with the call, because its row says it."""
        event = CallEvent(kind, position, details)
        fact = encoded(event, round(self._clock.wall_seconds(), 3))
        self.facts.add(entry.session, entry.prefix, kind, fact)

    def _listened(self, entry: Entry, change: int) -> None:
        entry.listeners += change
        if entry.state.set(Flag.LISTENED, on=entry.listeners > 0):
            self._touch(entry)

    def _touch(self, entry: Entry) -> None:
        self._revision += 1
        entry.revision = self._revision
        self._rows.pop(entry.number, None)
        self._rows[entry.number] = entry

    def _remove(self, entry: Entry) -> None:
        self._revision += 1
        self._rows.pop(entry.number, None)
        if self._by_session.get(entry.session) is entry:
            del self._by_session[entry.session]
        self._removed.append((self._revision, entry.number))
        if len(self._removed) > TOMBSTONES:
            self._removed_floor = self._removed.popleft()[0]

    def _latest(self) -> Iterator[Entry]:
        """All rows, the one that was changed last first."""
        return reversed(self._rows.values())

    def _removed_since(self, since: int, tag: int) -> list[int]:
        latest = takewhile(lambda removed: removed[0] > since, reversed(self._removed))
        return [tag | number for _, number in latest]

    def _sweep(self) -> None:
        """Look at some of the calls; at every one in the course of two seconds."""
        now = self._clock.monotonic_seconds()
        if now - self._swept_at < SWEEP_SECONDS:
            return
        self._swept_at = now
        share = -(-len(self._by_call) // SWEEP_SHARE)
        chosen = list(islice(self._round, share))
        if len(chosen) < share:
            self._round = iter(list(self._by_call.values()))
            chosen += islice(self._round, share - len(chosen))
        for entry in chosen:
            if entry.call is not None and not entry.state.is_ended:
                self._measure(entry, entry.call, now)

    def _measure(self, entry: Entry, call: LiveCall, now: float) -> None:
        if entry.state.is_ended:
            return
        gaps, lost = lost_in_gaps(call)
        if lost > entry.lost_coming_in and entry.state.is_fresh(now):
            self._losing.add(entry.number)
        elif not entry.state.flags & Flag.DROPPING:
            self._losing.discard(entry.number)
        entry.lost_coming_in, lag = lost, 0
        for books in self._books(entry).values():
            lag = max(lag, books.buffered)
            lost += sum(books.dropped.values()) - books.dropped.get("detached", 0)
        if entry.state.measure(call.pipeline.position, gaps, lost, lag, now):
            self._touch(entry)

    def _books(self, entry: Entry) -> dict[str, SinkBooks]:
        """Of the sinks that have not settled a call."""
        call = entry.call
        if call is None:
            return {}
        found = ((sink.name, sink.call_books(call)) for sink in self._sinks)
        settled = entry.settled
        return {name: books for name, books in found if books is not None and name not in settled}
