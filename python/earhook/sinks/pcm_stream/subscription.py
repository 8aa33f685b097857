"""What one consumer wants: which calls, which channels, from where. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from earhook.media.format import Channel
from earhook.sinks.base import CallFacts, LiveCall

__all__ = ["Beginning", "Filter", "Share", "Start", "Subscription"]


class Start(StrEnum):
    """Where in a call that runs already a consumer begins."""

    START = "start"
    """Position 0; what the ring holds no more is a gap."""
    NOW = "now"


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a call begins for a consumer.

    Attributes:
        position: Of the first sample or gap; None is where the call is when it is opened.
        owed_from: The oldest position that there was when the consumer came: what is gone before
            is late, and no loss. None: the consumer has been there since `position`.
    """

    position: int | None
    owed_from: int | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """One of several consumers that divide the calls among themselves: each call has one of them.

    Which one depends on the session id alone, so that it is the same on every connection and in
    every worker.
    """

    number: int
    of: int

    def has(self, session_id: str) -> bool:
        """Whether a call is in it. The session id is in lower case."""
        return zlib.crc32(session_id.encode()) % self.of == self.number


@dataclass(frozen=True, slots=True)
class Filter:
    """Which calls. An empty set lets every value pass; ids are in lower case."""

    organizations: frozenset[str] = frozenset()
    conversations: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    channels: tuple[int, ...] = (Channel.EXTERNAL, Channel.INTERNAL)
    share: Share | None = None

    def channels_of(self, facts: CallFacts) -> tuple[int, ...]:
        """The channels to send of a call, in canonical order; none if the call is not wanted."""
        wanted = (
            _passes(self.sessions, facts.session_id.lower())
            and _passes(self.conversations, facts.conversation_id.lower())
            and _passes(self.organizations, facts.organization_id.lower())
            and _passes(self.keys, facts.key_name)
            and (self.share is None or self.share.has(facts.session_id.lower()))
        )
        if not wanted:
            return ()
        return tuple(sorted(set(self.channels) & set(facts.media.channels)))

    def as_json(self) -> dict[str, Any]:
        """The `filter` of a `subscribe` that wants the same."""
        share = self.share
        return {
            **({} if share is None else {"share": {"number": share.number, "of": share.of}}),
            "organizations": sorted(self.organizations),
            "conversations": sorted(self.conversations),
            "sessions": sorted(self.sessions),
            "keys": sorted(self.keys),
            "channels": [Channel(channel).word for channel in self.channels],
        }


@dataclass(frozen=True, slots=True)
class Subscription:
    """One `subscribe`. Session ids are in lower case."""

    filter: Filter = field(default_factory=Filter)
    start: Start = Start.START
    resume: Mapping[str, int] = field(default_factory=dict)
    """Positions from which calls go on that the consumer knew on an earlier connection."""
    done: frozenset[str] = frozenset()
    """Sessions that the consumer has had to their end."""

    def wants(self, call: LiveCall) -> bool:
        """Whether a call that was there before the consumer is opened for it."""
        session = call.facts.session_id.lower()
        if session in self.done or not self.filter.channels_of(call.facts):
            return False
        return not call.pipeline.ended or session in self.resume or self.start is Start.START

    def beginning_of(self, call: LiveCall) -> Beginning:
        """Where such a call begins for the consumer, which comes now."""
        resumed = self.resume.get(call.facts.session_id.lower())
        if resumed is not None:
            return Beginning(resumed)
        if self.start is Start.NOW:
            return Beginning(None)
        return Beginning(0, call.pipeline.oldest_position)


def _passes(wanted: frozenset[str], value: str) -> bool:
    return not wanted or value in wanted
