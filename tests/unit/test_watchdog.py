"""The watch on the loop: lag measured, the worst of a minute kept, one line for a stall."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from earhook.ops import watchdog
from earhook.ops.watchdog import RECENT_SECONDS, STALL_SECONDS, TICK_SECONDS, LoopWatch


class HandMovedLoop:
    """Time and timers, moved by hand: both the loop and the clock of a watch."""

    def __init__(self) -> None:
        self.now = 100.0
        self.callback: Callable[[], None] | None = None

    def monotonic_seconds(self) -> float:
        return self.now

    def wall_seconds(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[[], None]) -> HandMovedLoop:
        assert seconds == TICK_SECONDS
        self.callback = callback
        return self

    def cancel(self) -> None:
        self.callback = None

    def turn(self, late_seconds: float = 0.0) -> None:
        self.now += TICK_SECONDS + late_seconds
        assert self.callback is not None
        self.callback()


@pytest.fixture
def loop() -> HandMovedLoop:
    return HandMovedLoop()


@pytest.fixture
def watch(loop: HandMovedLoop) -> LoopWatch:
    made = LoopWatch(loop, loop)  # type: ignore[arg-type]
    made.start()
    return made


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    lines: list[tuple[str, dict[str, Any]]] = []

    class Logger:
        def warning(self, event: str, **keys: object) -> None:
            lines.append((event, keys))

    monkeypatch.setattr(watchdog, "_LOG", Logger())
    return lines


def test_a_punctual_loop_has_no_lag(loop: HandMovedLoop, watch: LoopWatch) -> None:
    for _ in range(100):
        loop.turn()
    assert watch.lag.count == 100
    assert watch.recent_maximum_seconds < 1e-6


def test_lag_is_what_the_loop_is_late_by(loop: HandMovedLoop, watch: LoopWatch) -> None:
    loop.turn(0.1)
    assert watch.lag.maximum == pytest.approx(0.1)
    assert watch.recent_maximum_seconds == pytest.approx(0.1)


def test_the_worst_lag_is_forgotten_after_a_minute(loop: HandMovedLoop, watch: LoopWatch) -> None:
    loop.turn(0.1)
    for _ in range(int((RECENT_SECONDS - 2) / TICK_SECONDS)):
        loop.turn()
    assert watch.recent_maximum_seconds == pytest.approx(0.1)
    for _ in range(int(8 / TICK_SECONDS)):
        loop.turn()
    assert watch.recent_maximum_seconds < 0.01


def test_a_stall_is_one_line_and_less_is_none(
    loop: HandMovedLoop, watch: LoopWatch, said: list[tuple[str, dict[str, Any]]]
) -> None:
    for _ in range(40):
        loop.turn(STALL_SECONDS / 2)
    assert said == []
    loop.turn(STALL_SECONDS + 1.0)
    assert said == [("loop.stalled", {"lag_seconds": pytest.approx(STALL_SECONDS + 1.0)})]
    watch.stop()
    assert loop.callback is None
