"""One call that has everything, played against the clock: what a page of one call can show."""

from __future__ import annotations

import io
import math
import random
import struct
import wave
from collections.abc import Iterator
from typing import Any

RATE = 8000
STEP = 1600
"""Samples of one piece of the envelope."""

# seconds: start, end, channel, text, score, confidence
LINES = (
    (1.0, 4.2, "internal", "Thank you for calling Harbour Broadband, how can I help?", 0.62),
    (5.0, 9.6, "external", "This is the third time I am calling about the same bill.", -0.48),
    (9.2, 11.8, "internal", "I am sorry to hear that, let me have a look.", 0.1),
    (12.4, 17.8, "external", "You said I would be called back, this is unacceptable.", -0.71),
    (18.2, 21.0, "internal", "I understand. May I have your account number?", 0.05),
    (21.8, 24.4, "external", "It is • • and the card ends in ••••.", 0.0),
    (31.0, 35.5, "internal", "Thank you for waiting, I can see the charge now.", 0.36),
    (34.6, 39.8, "external", "I want to speak to a manager or I will cancel today.", -0.64),
)
HITS = (
    (
        15.0,
        None,
        "recording-disclosure",
        "Recording disclosure not said",
        "critical",
        ["not heard within the first 15 s"],
    ),
    (
        39.8,
        "external",
        "churn-risk",
        "Customer wants to cancel",
        "warning",
        ["I will cancel today"],
    ),
)
PROTOCOL = (
    (0.0, "in", "open"),
    (0.002, "out", "opened"),
    (5.0, "in", "ping"),
    (5.001, "out", "pong"),
    (10.0, "in", "ping"),
    (10.001, "out", "pong"),
    (24.6, "in", "paused"),
    (28.4, "in", "resumed"),
    (30.0, "in", "ping"),
    (30.001, "out", "pong"),
)


class Script:
    """A call that opened at a wall clock's `opened`; nothing happens in it beyond its lines."""

    def __init__(self, opened: float) -> None:
        self.opened = opened

    def seconds(self, now: float) -> float:
        """How long it has lasted."""
        return now - self.opened

    def events(self, now: float) -> list[dict[str, Any]]:
        """All that has happened, in order."""
        found = [event for at, event in _all_events() if at <= self.seconds(now)]
        return [{**event, "time": self.opened + event["position"] / RATE} for event in found]

    def envelope(self, now: float) -> list[tuple[int, ...]]:
        """Pieces as (samples, position, levels, flags)."""
        return [_piece(place) for place in range(int(self.seconds(now) * RATE / STEP))]

    def answer(self, now: float) -> dict[str, Any]:
        """What `/api/v1/calls/<session>` adds to the facts."""
        position = int(self.seconds(now) * RATE)
        written = position - int(3.8 * RATE)
        pieces = self.envelope(now)
        books = {
            "received": written,
            "forwarded": written - 400,
            "buffered": 400,
            "dropped": {},
            "settled": False,
        }
        return {
            "state": "live",
            "position": position,
            "written": written,
            "frames": position // STEP,
            "gaps": 1,
            "delay_seconds": None,
            "suspicion": None,
            "signal": _signal(position / RATE),
            "levels": {
                "external": {"peak": 21000, "rms": 1810.0},
                "internal": {"peak": 17000, "rms": 1490.0},
            },
            "participant": {"ani": "+•••••••67", "ani_name": None, "dnis": "+•••••••00"},
            "outcome": None,
            "gap_spans": [[int(24.6 * RATE), int(3.8 * RATE), "paused"]],
            "protocol": [list(entry) for entry in PROTOCOL],
            "sinks": {"pcm": books, "recording": books},
            "summary": None,
            "events": self.events(now),
            "missed": 0,
            "envelope": {
                "step": STEP,
                "position": 0,
                **{
                    word: {
                        "peak": [one[at] for one in pieces],
                        "rms": [one[at + 1] for one in pieces],
                    }
                    for word, at in (("external", 2), ("internal", 4))
                },
            },
        }

    def sidecar(self) -> dict[str, Any]:
        """What a recording of it says."""
        length = 42 * RATE
        books = {"received": length, "forwarded": length, "buffered": 0, "dropped": {}}
        spans = [
            {"type": event["type"], **event["details"]}
            for _, event in _all_events()
            if event["type"] in {"speech", "talk_over", "interruption"}
        ]
        spans.append({"type": "dead_air", "start": 12 * RATE, "end": 18 * RATE})
        return {
            "earhook": "recording",
            "version": 1,
            "state": "complete",
            "call": {"session": "3f1c0e7a", "rate": RATE, "opened": self.opened},
            "format": {
                "codec": "L16",
                "rate": RATE,
                "channels": ["external", "internal"],
                "silent": [],
            },
            "position": length,
            "parts": [{"file": "a.wav", "position": 0, "samples": length, "state": "complete"}],
            "gaps": [[int(24.6 * RATE), int(3.8 * RATE), "paused"]],
            "protocol": [list(entry) for entry in PROTOCOL],
            "books": books,
            "signal": {"spans": spans},
            "arrived": {
                "frames": 210,
                "samples": length,
                "written": length,
                "dropped": {},
                "duration_seconds": 42.0,
            },
        }

    def wav(self, seconds: int) -> bytes:
        """Hums where there is speech: 16-bit, stereo."""
        samples = bytearray()
        for place in range(seconds * RATE):
            at = place / RATE
            for channel, tone in (("external", 180), ("internal", 240)):
                loud = 6000 if _speaks(at, channel) else 30
                samples += struct.pack(
                    "<h", int(loud * math.sin(2 * math.pi * tone * at) * math.sin(9 * at))
                )
        file = io.BytesIO()
        with wave.open(file, "wb") as recording:
            recording.setparams((2, 2, RATE, 0, "NONE", ""))
            recording.writeframes(samples)
        return file.getvalue()


def _signal(seconds: float) -> dict[str, Any]:
    """The call in figures so far, and a moment that is unlike them."""
    figures = {
        channel: {
            "rms_dbfs": level,
            "peak_dbfs": level + 14,
            "clipped_samples": clipped,
            "talk_seconds": round(share * seconds, 2),
            "talk_ratio": share,
        }
        for channel, level, clipped, share in (
            ("external", -24.5, 12, 0.48),
            ("internal", -26.5, 0, 0.39),
        )
    }
    level = {"rms_dbfs": -100.0, "peak_dbfs": -100.0, "speaking": False}
    return {
        "now": {
            "dead_air": False,
            "one_way": None,
            "levels": dict.fromkeys(("external", "internal"), level),
        },
        "so_far": {
            "seconds": round(seconds, 2),
            "channels": figures,
            "talk_over_seconds": 1.3,
            "interruptions": {"external": 1, "internal": 0},
            "dead_air_seconds": 0.0,
            "longest_dead_air_seconds": 0.0,
            "one_way": None,
        },
    }


def _speaks(at: float, channel: str) -> bool:
    return any(start <= at < end and channel == who for start, end, who, _, _ in LINES)


def _piece(place: int) -> tuple[int, ...]:
    at = place * STEP / RATE
    if 24.6 <= at < 28.4:
        return (STEP, place * STEP, 0, 0, 0, 0, 1)
    chance = random.Random(place)
    levels, flags = [], 0
    for channel, bit in (("external", 2), ("internal", 4)):
        speaks = _speaks(at, channel)
        rms = chance.gauss(-22, 4) if speaks else chance.gauss(-57, 2)
        flags |= bit if speaks else 0
        levels += [max(0, min(255, int(2 * (rms + 9) + 255))), max(0, min(255, int(2 * rms + 255)))]
    return (STEP, place * STEP, *levels, flags)


def _all_events() -> list[tuple[float, dict[str, Any]]]:
    events = [*_said(), *_found(), *_happened()]
    return sorted(events, key=lambda pair: pair[0])


def _event(at: float, kind: str, **details: Any) -> tuple[float, dict[str, Any]]:
    return at, {"type": kind, "position": int(at * RATE), "details": details}


def _said() -> Iterator[tuple[float, dict[str, Any]]]:
    rolling = {"external": 0.0, "internal": 0.0}
    for place, (start, end, channel, text, score) in enumerate(LINES):
        span = {"channel": channel, "start": int(start * RATE), "end": int(end * RATE)}
        rolling[channel] = 0.5 * rolling[channel] + 0.5 * score
        about = {"segment": f"{channel}-{place}", **span}
        heard = {**about, "engine": "fake", "language": "en"}
        half = text[: len(text) // 2]
        yield _event(start + 1, "transcript", **heard, text=half, confidence=0.5, final=False)
        yield _event(end, "transcript", **heard, text=text, confidence=0.9, final=True)
        mood = {"score": score, "rolling": round(rolling[channel], 2)}
        yield _event(end + 0.1, "sentiment", **about, **mood)
        yield _event(end + 0.2, "speech", **span)


def _found() -> Iterator[tuple[float, dict[str, Any]]]:
    for at, channel, rule, name, severity, evidence in HITS:
        what = {"rule": rule, "name": name, "severity": severity, "evidence": evidence}
        span = {"channel": channel, "start": int((at - 2) * RATE), "end": int(at * RATE)}
        yield _event(at, "hit", **what, **span, action=None)


def _happened() -> Iterator[tuple[float, dict[str, Any]]]:
    yield _event(0.5, "analysis", engine="fake", state="started", dropped_seconds=0)
    yield _event(24.6, "paused", by="peer")
    yield _event(28.4, "resumed")
    overlap = {"start": int(34.6 * RATE), "end": int(35.5 * RATE), "by": "external"}
    yield _event(9.8, "talk_over", start=int(9.2 * RATE), end=int(9.6 * RATE), by="internal")
    yield _event(35.7, "talk_over", **overlap)
    yield _event(35.8, "interruption", **overlap)
    yield _event(44.8, "dead_air", start=int(39.8 * RATE))
    for at in (22.6, 23.1, 23.6):
        span = {"start": int(at * RATE), "end": int((at + 0.08) * RATE)}
        yield _event(at, "dtmf", channel="external", digit="•", **span, source="audio")
