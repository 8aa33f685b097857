"""What a call sounded like, for its sidecar. Bounded, however long it is; nothing personal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from earhook.sinks.base import CallEvent

__all__ = ["SignalLog"]

MAX_SPANS: Final = 2048


class SignalLog:
    """Spans in the order in which they were told, and the call in figures.

    Filled on the loop's thread, read on those that write sidecars.
    """

    def __init__(self) -> None:
        self._spans: list[dict[str, Any]] = []
        self._omitted = 0
        self._figures: Mapping[str, Any] | None = None

    def take(self, event: CallEvent) -> None:
        """Take note of an event, if it is one of these and from us."""
        if event.personal or event.by != "gateway":
            return
        if event.kind == "signal":
            self._figures = event.details
        elif (word := _SPANS.get(event.kind)) is None:
            return
        elif len(self._spans) < MAX_SPANS:
            self._spans.append({"type": word, **event.details})
        else:
            self._omitted += 1

    def as_json(self) -> dict[str, Any] | None:
        """The section of the sidecar; None while nothing was told."""
        spans = self._spans.copy()
        if not spans and self._figures is None:
            return None
        return {"figures": self._figures, "spans": spans, "spans_omitted": self._omitted}


_SPANS: Final[Mapping[str, str]] = {
    "speech": "speech",
    "talk_over": "talk_over",
    "interruption": "interruption",
    "dead_air_ended": "dead_air",
    "one_way_ended": "one_way",
    "tone": "tone",
    "music": "music",
    "clipping": "clipping",
}
"""Events that tell a whole span, and what it is called. A digit is personal."""
