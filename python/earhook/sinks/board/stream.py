"""What happens in all calls, one line after the other, for as long as somebody reads it."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Final, NamedTuple

__all__ = ["Choice", "Facts", "Lines"]

MAX_LINES: Final = 8192
MAX_BYTES: Final = 16 << 20


class Choice(NamedTuple):
    """Which lines are wanted; an empty set is all. Ids in lower case."""

    sessions: Collection[str] = ()
    kinds: Collection[str] = ()

    def has(self, session: str, kind: str) -> bool:
        """Whether a line is wanted."""
        return (not self.sessions or session in self.sessions) and (
            not self.kinds or kind in self.kinds
        )

    @property
    def prefixes(self) -> tuple[bytes, ...]:
        """What a fact begins with that is wanted: its type comes first (`History`)."""
        return tuple(b'{"type":"%s",' % kind.encode() for kind in self.kinds) or (b"",)


class Lines(NamedTuple):
    """Some lines of JSON; `cursor` is to be named next time, `missed` came too late for."""

    lines: list[bytes]
    cursor: int
    missed: int


class Facts:
    """The newest lines, numbered. Nothing is kept while nobody reads.

    Nobody has to say that he leaves: when as many lines as are kept have come and none was read,
    nobody is there.
    """

    def __init__(self) -> None:
        self._lines: deque[tuple[str, str, bytes]] = deque()
        self._kept_bytes = 0
        self._next = 0
        self._unread = 0
        self.is_wanted = False

    def add(self, session: str, prefix: bytes, kind: str, fact: bytes) -> None:
        """A fact has come.

        Args:
            session: Whose, in lower case.
            prefix: A JSON object of who it is, which the fact goes on.
            kind: Of the fact.
            fact: A JSON object.
        """
        line = joined(prefix, fact)
        self._lines.append((session, kind, line))
        self._kept_bytes += len(line)
        self._next += 1
        self._unread += 1
        if self._unread > MAX_LINES:
            self.is_wanted = False
            self._lines.clear()
            self._kept_bytes = 0
        while len(self._lines) > MAX_LINES or self._kept_bytes > MAX_BYTES:
            self._kept_bytes -= len(self._lines.popleft()[2])

    def since(self, cursor: int | None, choice: Choice) -> Lines:
        """What came after a cursor; None: from now on."""
        self.is_wanted = True
        self._unread = 0
        if cursor is None or not 0 <= cursor <= self._next:
            return Lines([], self._next, 0)
        new = self._next - cursor
        missed = max(0, new - len(self._lines))
        found = []
        for session, kind, line in reversed(self._lines):
            if not new:
                break
            new -= 1
            if choice.has(session, kind):
                found.append(line)
        found.reverse()
        return Lines(found, self._next, missed)


def joined(prefix: bytes, fact: bytes) -> bytes:
    """Two JSON objects as one."""
    return prefix[:-1] + b"," + fact[1:]
