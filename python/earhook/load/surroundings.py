"""What every call of one generator shares."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from earhook.testing.peer_record import Span

from .addresses import Addresses
from .agenda import Agenda
from .plan import LoadPlan
from .tally import Tally

__all__ = ["Caller", "First", "Surroundings", "Witness"]


class First(NamedTuple):
    """The first frame of a call: every later one is due by its distance from this one.

    Attributes:
        position: Of its first sample.
        due: When it leaves, on the monotonic clock.
        channels: Canonical numbers of what is sent.
    """

    position: int
    due: float
    channels: tuple[int, ...]


class Witness(Protocol):
    """Is told what a receiver must hold in the end, and when each sample was due."""

    def begins(self, number: int, first: First) -> None:
        """Audio of a call begins."""
        ...

    def shifts(self, number: int, span: Span, due: float) -> None:
        """These positions are due at `due` instead."""
        ...

    def ends(self, number: int, sent: Sequence[Span], *, broken_off: bool) -> None:
        """These positions were sent, and no others will be."""
        ...


class Caller(Protocol):
    """One call, of whatever kind."""

    async def dial(self) -> None:
        """Connect. The call then runs by itself and reports to its surroundings. Never raises."""
        ...

    def hang_up(self, due: float) -> None:
        """End it as its script says."""
        ...

    def abort(self) -> None:
        """Drop it."""
        ...


Over: TypeAlias = "Callable[[Caller], None]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Shared by the calls of one process, on one loop's thread.

    Attributes:
        process: Its number among the generators.
        addresses: Of the server.
        witness: None: nobody checks.
        is_over: To be called once by each call, when nothing of it is left.
    """

    plan: LoadPlan
    process: int
    agenda: Agenda
    tally: Tally
    ssl_context: ssl.SSLContext | None
    addresses: Addresses
    witness: Witness | None
    is_over: Over
