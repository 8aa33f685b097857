"""From the words of the protocol to the words of the hub. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from earhook.media.format import MediaFormat
from earhook.protocol import events
from earhook.sinks.base import CallEvent, CallFacts, CallOutcome, Participant, ProtocolEntry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earhook.ids import KeyName
    from earhook.media.pipeline import Pipeline
    from earhook.protocol.machine import JournalEntry
    from earhook.protocol.messages import MediaOffer
    from earhook.protocol.stream import Tally

__all__ = ["call_event", "call_facts", "call_outcome", "protocol_entries"]


def call_facts(
    facts: events.SessionFacts, media: MediaOffer, key_name: KeyName, wall_seconds: float
) -> CallFacts:
    """What the hub and the sinks know of a call when it opens."""
    person, config = facts.participant, facts.custom_config
    return CallFacts(
        session_id=facts.session_id,
        organization_id=facts.organization_id,
        conversation_id=facts.conversation_id,
        correlation_id=facts.correlation_id,
        key_name=key_name,
        media=MediaFormat(media.codec.value, media.channel_numbers, media.rate),
        opened_wall_seconds=wall_seconds,
        product=facts.product.value,
        language=facts.language,
        participant=Participant(person.id, person.ani, person.ani_name, person.dnis),
        input_variables=facts.input_variables or {},
        custom_config=None if config is None else orjson.dumps(config),
    )


def call_event(event: events.Event, position: int) -> CallEvent | None:
    """What sinks are told of an event; None if it does not concern them.

    Args:
        event: From the session.
        position: Where the stream stands, for events that do not say it.
    """
    match event:
        case events.Paused(at, by):
            return CallEvent("paused", at, {"by": by.value})
        case events.Resumed() | events.Discarded() | events.ClockJumped():
            return CallEvent(_GAP_KINDS[type(event)], event.position, _gap_details(event))
        case events.LanguageChanged(language):
            return CallEvent("language", position, {"language": language})
        case events.DtmfReceived(digit, at):
            return CallEvent("dtmf", at, {"digit": digit, "source": "protocol"}, personal=True)
        case events.PlaybackStarted(at):
            return CallEvent("playback_started", at)
        case events.PlaybackCompleted(at, all_sent):
            return CallEvent("playback_completed", at, {"all_sent": all_sent})
        case events.CloseRequested(reason, awaits_results):
            details = {"reason": reason.value, "awaits_results": awaits_results}
            return CallEvent("closing", position, details)
    return None


def call_outcome(
    outcome: events.Outcome, tally: Tally, pipeline: Pipeline, duration_seconds: float
) -> CallOutcome:
    """The closing books of a call.

    A frame that the session kept and a defect of the core lost is in neither's books; it is
    counted as dropped here, so that the books balance and the defect shows.
    """
    written = pipeline.written_samples
    dropped = {reason.value: n for reason, n in tally.samples_dropped.items() if n}
    if tally.samples_kept > written:
        dropped["fault"] = tally.samples_kept - written
    return CallOutcome(
        reason=outcome.ending.value,
        position=outcome.position,
        samples_in=tally.samples_in,
        written=written,
        dropped=dropped,
        frames=pipeline.frames,
        duration_seconds=duration_seconds,
    )


def protocol_entries(journal: Iterable[JournalEntry]) -> list[ProtocolEntry]:
    """The protocol log as sinks keep it."""
    return [
        ProtocolEntry(entry.seconds, "in" if entry.direction == "in" else "out", entry.type)
        for entry in journal
    ]


def _gap_details(gap: events.StreamGap) -> dict[str, Any]:
    return {"start": gap.start, "samples": gap.gap_samples, "reason": gap.gap_reason.word}


_GAP_KINDS = {
    events.Resumed: "resumed",
    events.Discarded: "discarded",
    events.ClockJumped: "clock_jumped",
}
