"""People who listen to live calls."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from earhook.clock import Clock
from earhook.media.feed import Feed
from earhook.media.format import Channel
from earhook.protocol.gaps import GapReason

if TYPE_CHECKING:
    from .entry import Entry

__all__ = ["Heard", "Listeners"]

FORGET_SECONDS: Final = 5.0
"""Who does not fetch for so long has gone without a word."""
DRAIN_BYTES: Final = 256 << 10
_CALL: Final = 1


class Heard(NamedTuple):
    """Audio of a call: position, samples of the gap, word of its reason, samples (see `Feed`)."""

    blocks: Sequence[tuple[int, int, str, bytes]]
    has_ended: bool


class _Listener(NamedTuple):
    entry: Entry
    feed: Feed


class Listeners:
    """Each has a reader of its own, from now on; who fetches too slowly loses the oldest.

    Args:
        clock: Time.
        changed: Told of a call and by how many its listeners have become more.
    """

    def __init__(self, clock: Clock, changed: Callable[[Entry, int], None]) -> None:
        self._clock = clock
        self._changed = changed
        self._listeners: dict[str, _Listener] = {}
        self._fetched_at: dict[str, float] = {}

    def begin(self, entry: Entry | None) -> tuple[str, dict[str, Any]] | None:
        """Begin to listen: a name for it, and what is heard; None: it is not live."""
        self._forget_gone()
        call = None if entry is None else entry.call
        if entry is None or call is None or entry.state.is_ended:
            return None
        feed, channels = Feed(), sorted(call.facts.media.channels)
        feed.attach(_CALL, call.pipeline, channels=channels, position=None)
        name = secrets.token_hex(8)
        self._listeners[name] = _Listener(entry, feed)
        self._fetched_at[name] = self._clock.monotonic_seconds()
        self._changed(entry, 1)
        return name, {
            "session": call.facts.session_id,
            "rate": call.facts.media.rate,
            "channels": [Channel(channel).word for channel in channels],
            "position": feed.books(_CALL).position,
        }

    def take(self, name: str) -> Heard | None:
        """Fetch what has come; None: there is no such listener."""
        self._forget_gone()
        found = self._listeners.get(name)
        if found is None:
            return None
        self._fetched_at[name] = self._clock.monotonic_seconds()
        blocks = found.feed.drain_blocks(DRAIN_BYTES)
        heard = [
            (position, samples, GapReason(reason).word if samples else "", audio)
            for _, position, samples, reason, audio in blocks
        ]
        return Heard(heard, bool(found.feed.finished()))

    def end(self, name: str) -> None:
        """Cease to listen."""
        found = self._listeners.pop(name, None)
        self._fetched_at.pop(name, None)
        if found is not None:
            self._changed(found.entry, -1)

    def leave(self, entry: Entry) -> None:
        """A call is forgotten: whoever still listens to it hears no more."""
        for name in [name for name, found in self._listeners.items() if found.entry is entry]:
            self.end(name)

    def _forget_gone(self) -> None:
        due = self._clock.monotonic_seconds() - FORGET_SECONDS
        for name in [name for name, at in self._fetched_at.items() if at <= due]:
            self.end(name)
