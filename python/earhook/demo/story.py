"""What happens in the call that is analysed, as it is found out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from earhook.client import CallClosed, CallEvent, CallOpened, Item

__all__ = ["Happening", "Story"]

FROM_THE_GATEWAY: Final = frozenset(
    {
        "clipping",
        "dead_air",
        "dead_air_ended",
        "dtmf",
        "interruption",
        "one_way",
        "one_way_ended",
        "paused",
        "resumed",
        "signal",
    }
)
"""Told; the gateway says more, which is for machines."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One fact: what kind, where in the call it is shown, and its details."""

    kind: str
    position: int
    details: Mapping[str, Any]


@dataclass(slots=True)
class Story:
    """Of one call after the other.

    Attributes:
        session: The call that goes on, or went on last.
        calls: How many there were so far.
        happenings: In the order in which they became known, of the last call alone.
        hearing: What somebody says who has not finished, by channel.
        mood: Sentiment of every segment, rolling, by channel.
        failure: Why there is no analysis; empty: there is.
        unheard_seconds: Audio of the last call that the recogniser had no time for.
        sessions: All calls so far.
        on_happening: Told each, as it comes.
    """

    session: str = ""
    calls: int = 0
    is_closed: bool = True
    happenings: list[Happening] = field(default_factory=list)
    hearing: dict[str, str] = field(default_factory=dict)
    mood: dict[str, list[float]] = field(default_factory=dict)
    failure: str = ""
    unheard_seconds: float = 0.0
    sessions: set[str] = field(default_factory=set)
    heard_out: set[str] = field(default_factory=set)
    """Sessions of which the analysis has told everything."""
    on_happening: Callable[[Happening], None] | None = None

    def begin(self, session: str) -> None:
        """A call is placed."""
        self.session = session.lower()
        self.sessions.add(self.session)
        self.unheard_seconds = 0.0
        self.calls += 1
        self.is_closed = False
        self.happenings, self.hearing, self.mood = [], {}, {}

    def take(self, item: Item) -> None:
        """An item of the gateway's stream."""
        if item.call.session_id.lower() != self.session:
            return
        if isinstance(item, CallEvent) and item.kind in FROM_THE_GATEWAY:
            self._add(item.kind, item.position, item.details)
        elif isinstance(item, CallOpened):
            self._add("opened", item.position, item.call.facts)
        elif isinstance(item, CallClosed):
            self.is_closed = True
            self._add("closed", item.position, {"reason": item.reason})

    def take_line(self, line: Mapping[str, Any]) -> None:
        """A line of `earhook analyze --json`."""
        session = str(line.get("session", "")).lower()
        kind, details = line.get("type"), line.get("details") or {}
        if kind == "closed":
            self.heard_out.add(session)
        if session != self.session:
            return
        channel = str(details.get("channel"))
        if kind == "transcript" and not details.get("final", True):
            self.hearing[channel] = str(details.get("text", ""))
        elif kind == "transcript":
            self.hearing.pop(channel, None)
            if details["text"]:  # else it was a tone, and what was said of it is taken back
                self._add("transcript", int(details["start"]), details)
        elif kind == "sentiment":
            self.mood.setdefault(channel, []).append(float(details["rolling"]))
        elif kind == "hit":
            self._add("hit", int(line["position"]), details)
        elif kind == "analysis":
            self.unheard_seconds = float(details.get("dropped_seconds") or 0.0)

    @property
    def is_heard_out(self) -> bool:
        """Whether the analysis has told everything of the last call."""
        return self.session in self.heard_out

    def latest(self, most: int) -> list[Happening]:
        """So many that became known last, in the order of the call.

        Words become known when they have been recognised, and so after keys that were pressed
        later.
        """
        return sorted(self.happenings[-most:], key=lambda one: one.position)

    @property
    def transcript(self) -> list[Happening]:
        """What was understood."""
        return [one for one in self.happenings if one.kind == "transcript"]

    @property
    def hits(self) -> list[Happening]:
        """What rules found."""
        return [one for one in self.happenings if one.kind == "hit"]

    def _add(self, kind: str, position: int, details: Mapping[str, Any]) -> None:
        happening = Happening(kind, position, details)
        self.happenings.append(happening)
        if self.on_happening is not None:
            self.on_happening(happening)
