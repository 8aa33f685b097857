"""How many calls one sender may have, and how fast it may begin them.

All of it is counted for the party that answers for a sender, and where the operator has set a
number for a credential, for all that come in by it together. So a sender that goes wild, or one
that wants to, leaves room for the others, and files and lines of the log within bounds.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from .refusal import Refusal, Word

if TYPE_CHECKING:
    from earhook.ids import KeyName

    from .credentials import Party
    from .settings import IngestSettings

__all__ = ["SENDER_CALLS", "SENDER_RATE", "CallCap", "CallShares", "Others"]

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


class Others(Protocol):
    """The other processes of this gateway: what a sender may have, it may have of all of them."""

    def held(self) -> AbstractContextManager[Any]:
        """Keep them from counting, to count and to take in one step."""
        ...

    def of_sender(self, whose: Party | KeyName) -> int:
        """What they have of a party, or of a credential."""
        ...

    def take_of_sender(self, whose: Party | KeyName, calls: int) -> None:
        """Tell them that there are so many here from now on."""
        ...


class CallShares:
    """The calls of each party. On the loop's thread only.

    Attributes:
        others: The other processes of this gateway; None: there is no other.
    """

    def __init__(self) -> None:
        self.others: Others | None = None
        self._live: Counter[Party | KeyName] = Counter()
        # What each party has left of its rate, and when that was so.
        self._left: OrderedDict[Party, tuple[float, float]] = OrderedDict()

    @property
    def parties(self) -> int:
        """Those with a call."""
        return sum(isinstance(each, tuple) for each in self._live)

    def calls_of(self, whose: Party | KeyName) -> int:
        """Live calls of a party, or of a credential, in this process."""
        return self._live.get(whose, 0)

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
        with _ALONE if self.others is None else self.others.held():
            # First take, then look: then never one too many is let in, lock or no lock.
            self._tell_others(party, 1)
            try:
                is_capped = cap is not None and self._counted(party[0]) >= cap
                if is_capped or self._counted(party) >= settings.sender_share:
                    raise Refusal.retry(429, Word.NO_ROOM, FULL_RETRY_SECONDS, SENDER_CALLS)
                self._require_rate(party, settings, now)
            except Refusal:
                self._tell_others(party, 0)
                raise

    def _tell_others(self, party: Party, more: int) -> None:
        if self.others is not None:
            for whose in (party, party[0]):
                self.others.take_of_sender(whose, self._live[whose] + more)

    def _counted(self, whose: Party | KeyName) -> int:
        """In all processes together."""
        elsewhere = 0 if self.others is None else self.others.of_sender(whose)
        return self.calls_of(whose) + elsewhere

    def _require_rate(self, party: Party, settings: IngestSettings, now: float) -> None:
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


_ALONE: Final = nullcontext()
