"""What was found in a call, as events, figures and a section of its sidecar."""

from __future__ import annotations

from typing import Any

import pytest

from earhook.media.signal import Fact, LaneSummary, Summary
from earhook.sinks.base import CallEvent
from earhook.sinks.recording.signal_log import MAX_SPANS, SignalLog
from earhook.sinks.signal.settings import SignalSettings
from earhook.sinks.signal.telling import FACT_KINDS, event_of, summary_as_json

RATE = 8000
SPAN = {"start": 800, "end": 1600}
SETTINGS = SignalSettings(dead_air_seconds=5.0, one_way_seconds=10.0)


def fact(kind: str, channel: int | None = None, **more: Any) -> Fact:
    return Fact(1, kind, channel, 800, **{"end": 1600, "word": None, "samples": None, **more})


@pytest.mark.parametrize(
    ("found", "details", "position"),
    [
        (fact("speech", 0), {"channel": "external", **SPAN}, 1600),
        (fact("talk_over", 1), {"by": "internal", **SPAN}, 1600),
        (fact("interruption", 0), {"by": "external", **SPAN}, 1600),
        (fact("dead_air", end=None), {"start": 800}, 800 + 5 * RATE),
        (fact("dead_air_ended"), SPAN, 1600),
        (fact("tone", 1, word="busy"), {"channel": "internal", "kind": "busy", **SPAN}, 1600),
        (fact("music", 0), {"channel": "external", **SPAN}, 1600),
        (fact("clipping", 0, samples=7), {"channel": "external", "samples": 7, **SPAN}, 1600),
        (fact("one_way", 1, end=None), {"silent": "internal", "start": 800}, 800 + 10 * RATE),
        (fact("one_way_ended", 1), {"silent": "internal", **SPAN}, 1600),
    ],
    ids=lambda value: value.kind if isinstance(value, Fact) else "",
)
def test_a_fact_becomes_an_event(found: Fact, details: dict[str, Any], position: int) -> None:
    event = event_of(found, RATE, SETTINGS)
    assert event == CallEvent(found.kind, position, details)


def test_a_key_is_personal_and_says_that_it_was_heard() -> None:
    event = event_of(fact("dtmf", 0, word="#"), RATE, SETTINGS)
    assert event.personal
    assert event.details == {"channel": "external", "digit": "#", "source": "audio", **SPAN}


def test_every_kind_is_known() -> None:
    for kind in FACT_KINDS:
        end = None if kind in {"dead_air", "one_way"} else 1600
        assert event_of(fact(kind, 0, end=end), RATE, SETTINGS).position >= 1600


def test_a_call_in_figures() -> None:
    lane = LaneSummary(0, 80_000, 20_000, 4_000, 8_000, 3, 4, 2, 1, -20.04, -3.06, 1.26)
    figures = summary_as_json(Summary(80_000, 800, 41_000, 40_000, 1, (lane,)), RATE)
    assert figures == {
        "seconds": 10.0,
        "channels": {
            "external": {
                "rms_dbfs": -20.0,
                "peak_dbfs": -3.1,
                "dc": 1.3,
                "clipped_samples": 3,
                "talk_seconds": 2.5,
                "silence_seconds": 6.0,
                "tone_seconds": 0.5,
                "music_seconds": 1.0,
                "talk_ratio": 0.25,
                "spans": 4,
                "digits": 2,
            }
        },
        "talk_over_seconds": 0.1,
        "interruptions": {"external": 1},
        "dead_air_seconds": 5.125,
        "longest_dead_air_seconds": 5.0,
        "one_way": "internal",
    }


def test_a_call_without_audio_in_figures() -> None:
    lane = LaneSummary(1, 0, 0, 0, 0, 0, 0, 0, 0, -96.0, -96.0, 0.0)
    figures = summary_as_json(Summary(0, 0, 0, 0, None, (lane,)), RATE)
    assert figures["channels"]["internal"]["talk_ratio"] == 0.0
    assert figures["one_way"] is None


def test_a_sidecar_holds_whole_spans_of_ours_that_are_not_personal() -> None:
    log = SignalLog()
    for event in (
        CallEvent("dead_air", 10, {"start": 1}),
        CallEvent("dtmf", 10, {"digit": "4"}, personal=True),
        CallEvent("speech", 10, {"start": 1}, by="consumer"),
        CallEvent("paused", 10, {"by": "peer"}),
    ):
        log.take(event)
    assert log.as_json() is None
    log.take(CallEvent("dead_air_ended", 10, {"start": 1, "end": 10}))
    log.take(CallEvent("signal", 10, {"seconds": 1.0}))
    assert log.as_json() == {
        "figures": {"seconds": 1.0},
        "spans": [{"type": "dead_air", "start": 1, "end": 10}],
        "spans_omitted": 0,
    }


def test_a_sidecar_is_bounded() -> None:
    log = SignalLog()
    for number in range(MAX_SPANS + 5):
        log.take(CallEvent("speech", number, {"channel": "external", "start": 0, "end": number}))
    section = log.as_json()
    assert section is not None
    assert (len(section["spans"]), section["spans_omitted"]) == (MAX_SPANS, 5)
