"""The calls of the ingest: which session is which call, and when one has ended by itself."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from earhook.hub.books import LiveBooks
from earhook.hub.claims import posted_name
from earhook.protocol.events import Ending

from .call import IngestCall, Opening
from .call_tally import CallTally
from .held import HeldBlocks
from .shares import CallShares

if TYPE_CHECKING:
    from earhook.clock import Clock
    from earhook.hub.claims import SessionClaims
    from earhook.hub.hub import Hub

    from .settings import IngestSettings

__all__ = ["NOBODY", "EndedCall", "IngestCalls", "IsElsewhere"]

REMEMBERED_CALLS: Final = 10_000


NOBODY: Final = 0
"""The generation of no process."""


class IsElsewhere(Exception):
    """A session's call is not here. It never leaves the room.

    Attributes:
        generation: Of the process that has it; `NOBODY` where that is not known.
    """

    def __init__(self, generation: int) -> None:
        super().__init__(generation)
        self.generation = generation


@dataclass(frozen=True, slots=True)
class EndedCall:
    """What is remembered of a call for a while, so that a repeated last block is recognised.

    Attributes:
        opening: What it was.
        ending: How it ended; never such that the session may begin anew.
        next_sequence: Above the numbers of all its blocks; None where they had none.
        partly_taken: Numbers of those of which the end was not taken.
        position: Where it ended.
        forgotten_at: Of the monotonic clock.
    """

    opening: Opening
    ending: Ending
    next_sequence: int | None
    partly_taken: frozenset[int]
    position: int
    forgotten_at: float


class IngestCalls:
    """All calls of one ingest port. On the loop's thread only.

    It holds no timer: its owner calls `sweep` about once a second.

    Args:
        claims: Where other processes see which calls are here; None: there are none.

    Attributes:
        settings: Those in service.
        hub: Where calls are opened and closed.
        clock: Time of all of them.
        ring_seconds: What a ring holds.
        tally: Where everything is counted.
        held: Blocks that are being read, wait or are taken.
        is_strained: Whether the gateway has more to do than it can do well.
        shares: The calls of each sender.
    """

    def __init__(
        self,
        settings: IngestSettings,
        hub: Hub,
        clock: Clock,
        ring_seconds: float,
        is_strained: Callable[[], bool] = lambda: False,
        claims: SessionClaims | None = None,
    ) -> None:
        self.settings = settings
        self.hub = hub
        self.clock = clock
        self.ring_seconds = ring_seconds
        self.is_strained = is_strained
        self.tally = CallTally()
        self._claims = claims
        self._calls: dict[str, IngestCall] = {}
        self._ended: OrderedDict[str, EndedCall] = OrderedDict()
        self.held = HeldBlocks()
        self.shares = CallShares()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def buffered_bytes(self) -> int:
        """What all blocks that are under way keep of memory."""
        return self.held.buffered_bytes

    @property
    def count(self) -> int:
        """Calls that have begun and not ended."""
        return len(self._calls)

    def replace(self, settings: IngestSettings) -> None:
        """Put other settings in service; what a live call was opened with, it keeps."""
        self.settings = settings

    def find(self, session_id: str) -> IngestCall | EndedCall | None:
        """The call of a session, or what is remembered of it."""
        key = session_id.lower()
        return self._calls.get(key) or self._ended.get(key)

    def require_here(self, session_id: str) -> None:
        """Look whether a call that is not known here is another process's.

        Raises:
            IsElsewhere: It is.
        """
        if self._claims is None:
            return
        owner = self._claims.owner(posted_name(session_id))
        if owner is not None:
            raise IsElsewhere(owner)

    def make(self, opening: Opening) -> IngestCall:
        """Begin a call; no consumer is told of it before its first audio, other processes are.

        Raises:
            CapacityError: There is no room to tell them.
            IsElsewhere: Another one was quicker.
        """
        if self._claims is not None:
            owner = self._claims.take(posted_name(opening.session_id))
            if owner is not None:
                raise IsElsewhere(owner)
        call = IngestCall(self, opening)
        self._calls[opening.session_id.lower()] = call
        self.shares.enter(opening.sender.party)
        self._empty.clear()
        return call

    def rest(self, call: IngestCall) -> None:
        """A request about a call is over: from now on the call is idle, or never was one."""
        call.seen_at = self.clock.monotonic_seconds()
        if not call.is_live and not call.is_busy:
            self.let_go(call)

    def let_go(self, call: IngestCall) -> None:
        """A call has ended, or never came to be."""
        key = call.opening.session_id.lower()
        if self._calls.get(key) is not call:
            return
        del self._calls[key]
        self.shares.leave(call.opening.sender.party)
        if not self._calls:
            self._empty.set()
        # A session whose sender was lost, or fell silent, may begin anew.
        if not (call.is_live and call.ending in _FINAL):
            self._give_back(key)
        else:
            seconds = self.settings.call_idle_seconds
            self._ended[key] = EndedCall(
                opening=call.opening,
                ending=call.ending,
                next_sequence=call.order.next_sequence,
                partly_taken=call.order.partly_taken,
                position=call.position,
                forgotten_at=self.clock.monotonic_seconds() + seconds,
            )
            self._ended.move_to_end(key)
            if len(self._ended) > REMEMBERED_CALLS:
                self._forget_oldest()

    def sweep(self) -> None:
        """End calls that are idle or too long, and forget those that have ended long ago."""
        now = self.clock.monotonic_seconds()
        for call in list(self._calls.values()):
            if now - call.opened_at >= self.settings.call_seconds:
                call.end(Ending.DISCONNECTED)
            elif not call.is_busy and now - call.seen_at >= self.settings.call_idle_seconds:
                call.end(call.quiet_ending)
        while self._ended and next(iter(self._ended.values())).forgotten_at <= now:
            self._forget_oldest()

    def disconnect(self) -> None:
        """The gateway stops: end every call. Their senders get 410 from now on."""
        for call in list(self._calls.values()):
            call.end(Ending.DISCONNECTED)

    async def wait_idle(self) -> None:
        """Wait until there is no call."""
        await self._empty.wait()

    def books(self) -> LiveBooks:
        """The books of the calls that are live."""
        books = LiveBooks()
        for call in self._calls.values():
            call.add_up(books)
        return books

    def _forget_oldest(self) -> None:
        """Who repeats a block of it now, begins it anew, wherever that is."""
        self._give_back(self._ended.popitem(last=False)[0])

    def _give_back(self, key: str) -> None:
        if self._claims is not None:
            self._claims.give_back(posted_name(key))


_FINAL: Final = frozenset({Ending.COMPLETED, Ending.DISCONNECTED})
