"""Dead air that goes on counts, once."""

from __future__ import annotations

from typing import Any

from earhook.media.signal import Summary
from earhook.sinks.base import CallEvent
from earhook.sinks.signal.dead_air import DeadAir

AFTER = 5_000


class Story:
    """A call, as the core measures it and as we are told of it."""

    def __init__(self) -> None:
        self.dead_air = DeadAir()

    def begins(self, start: int, measured: int) -> None:
        event = CallEvent("dead_air", start + AFTER, {"start": start})
        self.dead_air.note(event, measured)

    def ended(self, start: int, end: int) -> None:
        event = CallEvent("dead_air_ended", end, {"start": start, "end": end})
        self.dead_air.note(event, end)

    def shown(self, measured: int, ended: int = 0, longest: int = 0) -> tuple[Any, Any]:
        summary = self.dead_air.put_into(Summary(measured, 0, ended, longest, None, ()))
        return summary.dead_air_samples, summary.longest_dead_air_samples


def test_what_goes_on_counts_up_to_now() -> None:
    story = Story()
    assert story.shown(4_000) == (0, 0)
    story.begins(1_000, measured=6_000)
    assert story.shown(6_000) == (5_000, 5_000)
    assert story.shown(20_000) == (19_000, 19_000)


def test_its_end_is_counted_once_whether_we_have_been_told_or_not() -> None:
    story = Story()
    story.begins(1_000, measured=6_000)
    # The core knows first.
    assert story.shown(22_000, ended=20_000, longest=20_000) == (20_000, 20_000)
    story.ended(1_000, 21_000)
    assert story.shown(30_000, ended=20_000, longest=20_000) == (20_000, 20_000)


def test_the_second_is_added_to_the_first() -> None:
    story = Story()
    story.begins(0, measured=5_000)
    story.ended(0, 8_000)
    story.begins(10_000, measured=15_000)
    assert story.shown(16_000, ended=8_000, longest=8_000) == (14_000, 8_000)
    assert story.shown(40_000, ended=8_000, longest=8_000) == (38_000, 30_000)
