"""Where the console has its facts from: one gateway, or several workers together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from earhook.sinks.board.listening import Heard
from earhook.sinks.board.stream import Choice

__all__ = ["Heard", "Opened", "Seen", "Source", "Told", "Wish"]


class Wish(NamedTuple):
    """What one page wants to see.

    Attributes:
        cursor: Of what it was shown last; None: it knows nothing.
        watch: Numbers of calls whose meters it wants; None: of all.
        session: The call that it has open.
        opened: What it was shown of that last.
    """

    cursor: object = None
    watch: Sequence[int] | None = ()
    session: str | None = None
    opened: Opened | None = None


class Opened(NamedTuple):
    """What has happened in an open call.

    Attributes:
        number: Of the call; another one is another call of the same session id.
        told: Events so far, those that are missed included.
        events: What is new of them, as JSON.
        missed: How many of the new ones are no longer there.
        position: Up to where the envelope is known.
        envelope: Records of the feed.
    """

    number: int
    told: int
    events: Sequence[bytes]
    missed: int
    position: int
    envelope: bytes


class Seen(NamedTuple):
    """What has changed for a page. Records as the feed has them.

    Attributes:
        cursor: To be named next time.
        reset: What was known before is void.
        added: Rows.
        removed: Numbers of rows that are gone.
        states: Records of rows that have changed.
        meters: Records of the calls that are watched.
        opened: Of the open call; None: there is no such call.
        live: Calls that are live.
        losing: Calls that lose audio before any sink has it.
        has_more: Whether there is more to be told at once.
        unheard: Slots of workers that did not answer.
    """

    cursor: object
    reset: bool
    added: Sequence[dict[str, Any]]
    removed: Sequence[int]
    states: bytes
    meters: bytes
    opened: Opened | None
    live: int
    losing: int
    has_more: bool
    unheard: Sequence[int] = ()


class Told(NamedTuple):
    """Lines of JSON; `cursor` is to be named next time."""

    cursor: object
    lines: Sequence[bytes]
    missed: int


class Source(Protocol):
    """Everything that the console asks. All of it answers within a second or so."""

    async def look(self, wish: Wish) -> Seen:
        """What has changed for a page."""
        ...

    async def call(self, session: str) -> dict[str, Any] | None:
        """Everything of one call, for `orjson`; None: there is no such call."""
        ...

    async def tell(self, cursor: object, choice: Choice, *, history: bool) -> Told:
        """What has happened since a cursor.

        Args:
            cursor: None: from now on.
            choice: Which lines.
            history: With no cursor: begin with what is kept.
        """
        ...

    async def listen(self, session: str) -> tuple[str, dict[str, Any]] | None:
        """Begin to hear a live call: a name for `hear`, and what is heard; None: no such call."""
        ...

    async def hear(self, name: str) -> Heard | None:
        """What has come since the last time; None: nobody knows the name any more."""
        ...

    async def hang_up(self, name: str) -> None:
        """Hear no more."""
        ...
