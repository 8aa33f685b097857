"""What stands above the list: how the gateway is, and whether audio is being lost."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from earhook.clock import Clock

from .source import Seen

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["Totals", "View"]

KEEP_SECONDS: Final = 0.9
DROPPING_SECONDS: Final = 5.0


class Passing(Protocol):
    """A check of readiness."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def passes(self) -> bool:
        """Whether all is well."""
        ...

    @property
    def detail(self) -> str:
        """What, where and what to do."""
        ...


class Listed(Protocol):
    """A list of ways out."""

    @property
    def sinks(self) -> Sequence[dict[str, Any]]:
        """As `/api/v1/sinks` shows them."""
        ...


class View(Protocol):
    """What the admin port knows besides."""

    async def checks(self) -> Sequence[Passing]:
        """What readiness depends on."""
        ...

    async def sinks(self) -> Listed:
        """The ways out."""
        ...

    async def registry(self) -> CollectorRegistry:
        """What `/metrics` exports; to be encoded at once."""
        ...


class Totals:
    """Asks once a second at most, however many pages are shown it, and only if one is."""

    def __init__(self, view: View, clock: Clock) -> None:
        self._view = view
        self._clock = clock
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[dict[str, Any]] | None = None
        self._drops: dict[str, deque[tuple[float, int]]] = {}

    def now(self) -> float:
        """Monotonic seconds."""
        return self._clock.monotonic_seconds()

    async def read(self, seen: Seen) -> dict[str, Any]:
        """The `totals` of a page."""
        now = self.now()
        if self._asking is None or now - self._asked_at >= KEEP_SECONDS:
            self._asked_at = now
            self._asking = asyncio.create_task(self._ask())
        asked = await asyncio.shield(self._asking)
        dropping = [sink["name"] for sink in asked["sinks"] if sink["dropping"]]
        if seen.losing:
            dropping.append("calls")
        return {
            "type": "totals",
            "time": round(self._clock.wall_seconds(), 3),
            "live": seen.live,
            "dropping": dropping,
            "dropping_calls": seen.losing,
            "unheard_workers": seen.unheard,
            **asked,
        }

    async def _ask(self) -> dict[str, Any]:
        checks, listed = await asyncio.gather(self._view.checks(), self._view.sinks())
        now = self.now()
        # Keys of JSON are plain strings; a name may be a member of an enumeration.
        failing = {str(check.name): check.detail for check in checks if not check.passes}
        return {
            "failing": list(failing),
            "failing_details": failing,
            "sinks": [self._summed(sink, now) for sink in listed.sinks],
        }

    def _summed(self, sink: dict[str, Any], now: float) -> dict[str, Any]:
        books = sink["books"]
        dropped = sum(books["dropped"].values())
        # What a consumer left unread when it went is its own affair.
        lost = dropped - books["dropped"].get("detached", 0)
        return {
            **{key: sink[key] for key in ("name", "kind", "healthy", "detail", "calls")},
            "subscribers": len(sink["subscribers"]),
            **{key: books[key] for key in ("received", "forwarded", "buffered")},
            "dropped": dropped,
            "dropping": self._lately(sink["name"], lost, now),
        }

    def _lately(self, name: str, lost: int, now: float) -> int:
        drops = self._drops.setdefault(name, deque(maxlen=64))
        drops.append((now, lost))
        while drops[0][0] < now - DROPPING_SECONDS and len(drops) > 1:
            drops.popleft()
        return max(0, lost - drops[0][1])
