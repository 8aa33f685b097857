"""What was found in a call, as events and as figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from earhook.media.format import Channel
from earhook.media.signal import Fact, LaneSummary, Summary
from earhook.sinks.base import CallEvent

from .settings import SignalSettings

__all__ = ["FACT_KINDS", "event_of", "summary_as_json"]

FACT_KINDS: Final = (
    "speech",
    "talk_over",
    "interruption",
    "dead_air",
    "dead_air_ended",
    "dtmf",
    "tone",
    "music",
    "clipping",
    "one_way",
    "one_way_ended",
)
"""Every kind of fact; of an event too."""


def event_of(fact: Fact, rate: int, settings: SignalSettings) -> CallEvent:
    """Say what was found.

    Its position is where it ended. Of what goes on, it is where it had been going on for so long
    as the settings say.
    """
    _, kind, channel, start, end, word, samples = fact
    details: dict[str, Any] = {}
    if channel is not None:
        details[_CHANNEL.get(kind, "channel")] = _WORDS[channel]
    if word is not None:
        details["digit" if kind == "dtmf" else "kind"] = word
    details["start"] = start
    if end is None:
        after_seconds: float = getattr(settings, _GOES_ON[kind])
        return CallEvent(kind, start + round(after_seconds * rate), details)
    details["end"] = end
    if samples is not None:
        details["samples"] = samples
    if kind == "dtmf":
        details["source"] = "audio"
        return CallEvent(kind, end, details, personal=True)
    return CallEvent(kind, end, details)


def summary_as_json(summary: Summary, rate: int) -> dict[str, Any]:
    """A call in figures, plain values for JSON; nothing personal."""
    one_way = summary.one_way
    return {
        "seconds": _seconds(summary.samples, rate),
        "channels": {_WORDS[lane.channel]: _lane(lane, rate) for lane in summary.lanes},
        "talk_over_seconds": _seconds(summary.talk_over_samples, rate),
        "interruptions": {_WORDS[lane.channel]: lane.interruptions for lane in summary.lanes},
        "dead_air_seconds": _seconds(summary.dead_air_samples, rate),
        "longest_dead_air_seconds": _seconds(summary.longest_dead_air_samples, rate),
        "one_way": None if one_way is None else _WORDS[one_way],
    }


def _lane(lane: LaneSummary, rate: int) -> dict[str, Any]:
    other = lane.talk_samples + lane.tone_samples + lane.music_samples
    return {
        "rms_dbfs": round(lane.rms_dbfs, 1),
        "peak_dbfs": round(lane.peak_dbfs, 1),
        "dc": round(lane.dc, 1),
        "clipped_samples": lane.clipped_samples,
        "talk_seconds": _seconds(lane.talk_samples, rate),
        "silence_seconds": _seconds(max(0, lane.samples - other), rate),
        "tone_seconds": _seconds(lane.tone_samples, rate),
        "music_seconds": _seconds(lane.music_samples, rate),
        "talk_ratio": round(lane.talk_samples / lane.samples, 3) if lane.samples else 0.0,
        "spans": lane.spans,
        "digits": lane.digits,
    }


def _seconds(samples: int, rate: int) -> float:
    return round(samples / rate, 3)


_WORDS: Final = {channel.value: channel.word for channel in Channel}
_CHANNEL: Final[Mapping[str, str]] = {
    "talk_over": "by",
    "interruption": "by",
    "one_way": "silent",
    "one_way_ended": "silent",
}
"""What the channel of a fact is called, where it is not just its channel."""
_GOES_ON: Final[Mapping[str, str]] = {
    "dead_air": "dead_air_seconds",
    "one_way": "one_way_seconds",
}
"""After how long of it a fact is told that goes on: a name of a setting."""
