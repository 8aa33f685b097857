"""Every type that an event of a call may have, as docs/reference/pcm-stream.md tells them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from typing import Final

from earhook.errors import ConfigurationFault

__all__ = ["EVENT_TYPES", "faults_of_types"]

EVENT_TYPES: Final = (
    "opened", "closed", "closing", "missed",
    "transcript", "sentiment", "hit", "analysis",
    "speech", "talk_over", "interruption", "dead_air", "dead_air_ended", "one_way",
    "one_way_ended", "dtmf", "tone", "music", "clipping", "signal", "format_suspect",
    "paused", "resumed", "pause_left", "discarded", "clock_jumped", "language",
    "playback_started", "playback_completed",
)  # fmt: skip


def faults_of_types(types: Collection[str]) -> Iterator[ConfigurationFault]:
    """Whoever asks for a type that there is not would wait for ever."""
    for kind in types:
        if kind not in EVENT_TYPES:
            near = difflib.get_close_matches(kind, EVENT_TYPES, n=1)
            guess = f"did you mean {near[0]}? " if near else ""
            remedy = f"{guess}There are {', '.join(EVENT_TYPES)}"
            yield ConfigurationFault("--type", f"no event is called {kind[:40]!r}", remedy)
