"""States and error events as they come: the platform tells nobody, so it is asked again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

from .cloud import GenesysCloud
from .errors import RateLimited, Unavailable
from .survey import Survey, survey
from .timing import Timing

__all__ = ["Observation", "watch"]


class Observation(NamedTuple):
    """Something new.

    Attributes:
        kind: `integrations`, `audiohooks` or `queues`: a state; `events`: an error event;
            `unseen`: a section that cannot be seen (any more), with the reason.
        row: As in a `Survey`. Gone is gone: its state is `GONE`.
        is_bad: Whether something does not work.
    """

    kind: str
    row: dict[str, Any]
    is_bad: bool


async def watch(
    cloud: GenesysCloud,
    timing: Timing,
    *,
    every_seconds: float = 10.0,
    within_seconds: float | None = None,
) -> AsyncIterator[Observation]:
    """Tell all states once, and from then on what changes, and every error event from now on.

    Args:
        cloud: The organization.
        timing: Time.
        every_seconds: How often it is asked.
        within_seconds: How long; None: for ever.

    Raises:
        LoginRefused: Now or later.
    """
    clock = timing.clock
    due = None if within_seconds is None else clock.monotonic_seconds() + within_seconds
    began_at = clock.wall_seconds()
    memory = _Memory(began_at)
    while True:
        now = clock.wall_seconds()
        # Events come late: the same span is asked for again, and what is known is not told.
        span = min(now - began_at, _LATE_SECONDS) + _MARGIN_SECONDS
        try:
            seen = await survey(cloud, now + 1, hours=span / 3600)
        except (Unavailable, RateLimited) as error:
            # It will be back, and then we shall still be here.
            seen = Survey({}, {"Genesys Cloud": str(error)})
        for observation in memory.news(seen):
            yield observation
        if due is not None and clock.monotonic_seconds() + every_seconds > due:
            return
        await timing.sleep(every_seconds)


class _Memory:
    """What has been told."""

    def __init__(self, began_at: float) -> None:
        self._began_at = began_at
        self._states: dict[tuple[str, str], tuple[str, str]] = {}
        self._rows: dict[tuple[str, str], dict[str, Any]] = {}
        self._unseen: dict[str, str] = {}
        self._events: dict[tuple[Any, ...], None] = {}

    def news(self, seen: Survey) -> list[Observation]:
        found: list[Observation] = []
        for kind, rows in seen.sections.items():
            found += self._events_of(rows) if kind == "events" else self._states_of(kind, rows)
        for kind, reason in seen.unseen.items():
            if self._unseen.get(kind) != reason:
                row = {"title": kind, "state": "NOT SEEN", "reason": reason}
                found.append(Observation("unseen", row, False))
        self._unseen = dict(seen.unseen)
        return found

    def _states_of(self, kind: str, rows: list[dict[str, Any]]) -> list[Observation]:
        found: list[Observation] = []
        there = {(kind, row["id"]) for row in rows}
        for key in [key for key in self._rows if key[0] == kind and key not in there]:
            row = {**self._rows.pop(key), "state": "GONE", "reason": "", "works": None}
            del self._states[key]
            found.append(Observation(kind, row, False))
        for row in rows:
            key, state = (kind, row["id"]), (row["state"], row["reason"])
            if self._states.get(key) != state:
                found.append(Observation(kind, row, row["works"] is False))
            self._states[key], self._rows[key] = state, row
        return found

    def _events_of(self, rows: list[dict[str, Any]]) -> list[Observation]:
        found: list[Observation] = []
        for row in rows:
            key = tuple(row.values())
            at = row["at"]
            if key in self._events or (at is not None and at < self._began_at - 1):
                continue
            self._events[key] = None
            found.append(Observation("events", row, True))
        while len(self._events) > _MOST_EVENTS:
            del self._events[next(iter(self._events))]
        return found


_LATE_SECONDS: Final = 900.0
_MARGIN_SECONDS: Final = 2.0
_MOST_EVENTS: Final = 10_000
