"""One call on the board: while it lives, and for a while after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from earhook.media.gaps import gaps_of
from earhook.media.signal import Stretch
from earhook.protocol.gaps import GapReason
from earhook.sinks.base import CallOutcome, LiveCall, ProtocolEntry, SinkBooks

from .envelope import Envelope, levels_as_json
from .history import History
from .masking import masked_number, masked_participant
from .state import CallState, flag_words

__all__ = ["Entry", "lost_in_gaps", "outcome_as_json"]


class Entry:
    """What is known of a call.

    Attributes:
        number: Of this call in this process, for the feed.
        session: Its id in lower case.
        call: None once nothing of it is needed any more but what stands here.
        added_revision: When the row came.
        revision: When it was last changed.
        listeners: How many hear it live.
        lost_coming_in: Samples that no sink could have had.
        prefix: A JSON object of who it is.
        envelope: Once somebody has looked at a call that nobody measures, and of any that was
            measured once it is let go of.
    """

    __slots__ = (
        "_frozen",
        "added_revision",
        "call",
        "envelope",
        "facts",
        "history",
        "listeners",
        "lost_coming_in",
        "number",
        "prefix",
        "revision",
        "session",
        "settled",
        "state",
    )

    def __init__(self, number: int, call: LiveCall) -> None:
        self.number = number
        self.session = call.facts.session_id.lower()
        self.call: LiveCall | None = call
        self.facts = call.facts
        self.settled: Mapping[str, SinkBooks] = call.settled
        self.state = CallState(call.facts.media.rate)
        self.history = History()
        self.envelope: Envelope | Stretch | None = None
        self.added_revision = self.revision = 0
        self.listeners = 0
        self.lost_coming_in = 0
        identity = {"session": call.facts.session_id, "conversation": call.facts.conversation_id}
        self.prefix = orjson.dumps(identity)
        self._frozen: dict[str, Any] = {}

    def row(self, tag: int) -> dict[str, Any]:
        """Who it is, as the feed says once."""
        participant = self.facts.participant
        return {
            "number": tag | self.number,
            **self.facts.as_json(personal=False),
            "door": self.facts.door,
            "caller": None if participant is None else masked_number(participant.ani) or None,
            "worker": None,
        }

    def let_go(self) -> None:
        """Drop the call and what it holds; what it was in the end stays."""
        if self.call is not None:
            self._frozen = _last(self.call)
            self.envelope = self._measured_since(0) or self.envelope
            self.call = None

    def envelope_since(self, position: int) -> Stretch | None:
        """How loud it was, in all points that end behind a position; None: nobody knows."""
        found = self._measured_since(position)
        if found is None and self.envelope is not None:
            return self.envelope.since(position)
        return found

    def in_full(self, books: Mapping[str, SinkBooks]) -> dict[str, Any]:
        """Everything, for the page of this one call.

        Args:
            books: Of the sinks that have not settled it.
        """
        state, envelope = self.state, self.envelope_since(0)
        events, missed = self.history.since(0)
        return {
            **self.row(0),
            **(self._frozen if self.call is None else _last(self.call)),
            "state": "ended" if state.is_ended else "live",
            "attention": state.attention,
            "flags": flag_words(state.flags),
            "participant": masked_participant(self.facts.participant),
            "sinks": {
                **{name: {**kept.as_json(), "settled": False} for name, kept in books.items()},
                **{n: {**kept.as_json(), "settled": True} for n, kept in self.settled.items()},
            },
            "envelope": None if envelope is None else levels_as_json(envelope),
            "summary": state.summary,
            "events": [orjson.Fragment(event) for event in events],
            "missed": missed,
        }

    def _measured_since(self, position: int) -> Stretch | None:
        signal = None if self.call is None else self.call.signal
        return None if signal is None else signal.envelope(position)


def _last(call: LiveCall) -> dict[str, Any]:
    outcome = call.outcome
    return {
        **call.as_json(),
        "gap_spans": [
            [gap.position, gap.samples, gap.reason.word] for gap in gaps_of(call.pipeline)
        ],
        "protocol": [
            [round(entry.seconds, 3), entry.direction, entry.kind] for entry in _protocol(call)
        ],
        "outcome": None if outcome is None else outcome_as_json(outcome),
    }


def outcome_as_json(outcome: CallOutcome) -> dict[str, Any]:
    """How a call ended."""
    return {
        "reason": outcome.reason,
        "samples_in": outcome.samples_in,
        "written": outcome.written,
        "dropped": dict(outcome.dropped),
        "frames": outcome.frames,
        "duration_seconds": round(outcome.duration_seconds, 3),
    }


def _protocol(call: LiveCall) -> Iterable[ProtocolEntry]:
    return call.protocol_log if call.read_protocol is None else call.read_protocol()


def lost_in_gaps(call: LiveCall) -> tuple[int, int]:
    """How many gaps there are, and the samples of those that are losses."""
    gaps = call.pipeline.gaps()
    return len(gaps), sum(samples for _, samples, reason in gaps if reason != GapReason.PAUSED)
