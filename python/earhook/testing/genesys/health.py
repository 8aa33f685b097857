"""Health checks of the fake: later, and with whatever they find, as those of the platform."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from earhook.clock import Clock

__all__ = ["Endpoint", "Examine", "Health"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is looked at.

    Attributes:
        url: Where it is.
        api_key: What the platform shows there; empty: nothing.
        client_secret: What it signs with, in base64; empty: it does not sign.
    """

    url: str
    api_key: str = field(default="", repr=False)
    client_secret: str = field(default="", repr=False)


Examine = Callable[[Endpoint], Awaitable[str]]
"""Looks at an endpoint; why it is not fit, empty: it is."""


@dataclass(slots=True)
class _Pending:
    endpoint: Endpoint
    due_at: float
    conclude: Callable[[str], None]


class Health:
    """Checks that are under way. A check is carried out by the first request after it is due.

    Attributes:
        examine: Looks at an endpoint.
        after_seconds: How long the platform takes to look.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pending: dict[str, _Pending] = {}
        self.examine: Examine = _is_fit
        self.after_seconds = 3.0

    def expect(self, subject: str, endpoint: Endpoint, conclude: Callable[[str], None]) -> None:
        """Check an endpoint later; a newer check of the same subject replaces it.

        Args:
            subject: The id of whose endpoint it is.
            endpoint: The endpoint.
            conclude: Gets what was found.
        """
        due_at = self._clock.monotonic_seconds() + self.after_seconds
        self._pending[subject] = _Pending(endpoint, due_at, conclude)

    def forget(self, subject: str) -> None:
        """No check any more."""
        self._pending.pop(subject, None)

    async def settle(self) -> None:
        """Carry out what is due."""
        now = self._clock.monotonic_seconds()
        for subject, pending in list(self._pending.items()):
            if pending.due_at <= now and self._pending.get(subject) is pending:
                del self._pending[subject]
                pending.conclude(await self.examine(pending.endpoint))


async def _is_fit(_endpoint: Endpoint) -> str:
    return ""
