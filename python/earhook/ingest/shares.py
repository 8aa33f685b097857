"""How many calls one sender may have, and how fast it may begin them.

All of it is counted for the party that answers for a sender, and where the operator has set a
number for a credential, for all that come in by it together. So a sender that goes wild, or one
that wants to, leaves room for the others, and files and lines of the log within bounds.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from .refusal import Refusal, Word

if TYPE_CHECKING:
    from earhook.ids import KeyName

    from .credentials import Party
    from .settings import IngestSettings

__all__ = ["SENDER_CALLS", "SENDER_RATE", "CallCap", "CallShares"]

SENDER_CALLS: Final = "sender-calls"
"""The reason in log and metrics: the sender has as many calls as it may."""
SENDER_RATE: Final = "sender-rate"
"""It begins calls faster than it may."""
REMEMBERED_PARTIES: Final = 1000
BURST_SECONDS: Final = 10
FULL_RETRY_SECONDS: Final = 10
RATE_RETRY_SECONDS: Final = 1

CallCap: TypeAlias = "Callable[[KeyName], int | None]"
"""How many calls a credential may have at this door; None: no number was set."""


class CallShares:
    """The calls of each party. On the loop's thread only."""

    def __init__(self) -> None:
        self._live: Counter[Party | KeyName] = Counter()
        # What each party has left of its rate, and when that was so.
        self._left: OrderedDict[Party, tuple[float, float]] = OrderedDict()

    @property
    def parties(self) -> int:
        """Those with a call."""
        return sum(isinstance(each, tuple) for each in self._live)

    def enter(self, party: Party) -> None:
        """A call of a party has begun."""
        self._live.update((party, party[0]))

    def leave(self, party: Party) -> None:
        """It has ended."""
        for whose in (party, party[0]):
            self._live[whose] -= 1
            if not self._live[whose]:
                del self._live[whose]

    def require(self, party: Party, settings: IngestSettings, cap: int | None, now: float) -> None:
        """Take one of the calls that a party may begin now.

        Args:
            party: Who begins it.
            settings: Those in service.
            cap: What its credential may have, of all parties together.
            now: Of the monotonic clock.

        Raises:
            Refusal: It has as many calls as it may, or begins them too fast.
        """
        is_capped = cap is not None and self._live[party[0]] >= cap
        if is_capped or self._live[party] >= settings.sender_share:
            raise Refusal.retry(429, Word.NO_ROOM, FULL_RETRY_SECONDS, SENDER_CALLS)
        per_second = settings.limits.new_calls_per_second
        most = float(per_second * BURST_SECONDS)
        left, at = self._left.pop(party, (most, now))
        left = min(most, left + (now - at) * per_second)
        may_begin = left >= 1.0
        self._left[party] = (left - may_begin, now)
        if len(self._left) > REMEMBERED_PARTIES:
            self._left.popitem(last=False)
        if not may_begin:
            raise Refusal.retry(429, Word.NO_ROOM, RATE_RETRY_SECONDS, SENDER_RATE)
