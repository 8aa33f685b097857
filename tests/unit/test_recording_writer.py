"""When the thread that writes recordings has done its turn, and when it is behind."""

from __future__ import annotations

from typing import Any, cast

import pytest

from earhook.clock import SystemClock
from earhook.sinks.recording.settings import RecordingSettings
from earhook.sinks.recording.writer import DRAINS_IN_A_TURN, Begun, Writer


class FakeFeed:
    """Has audio for so many drains."""

    def __init__(self, drains: int) -> None:
        self.left = drains
        self.drains = 0

    def attach(self, number: int, _pipeline: object, *, channels: object) -> None: ...

    def drain_blocks(self, _most: int, *, codec: str) -> list[tuple[int, int, int, int, bytes]]:
        self.drains += 1
        if not self.left:
            return []
        self.left -= 1
        return [(1, 0, 0, 0, b"audio")]

    def finished(self) -> list[int]:
        return []


class FakeRecording:
    """Takes anything."""

    channels = ("external", "internal")

    def __init__(self) -> None:
        self.blocks = 0

    def begin(self) -> None: ...

    def refresh(self, _now: float) -> None: ...

    def take_audio(self, _position: int, _audio: bytes) -> None:
        self.blocks += 1


class NoWorry:
    """A directory that is well."""

    def watch(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("drains", "is_behind"),
    [
        (0, False),
        (1, False),
        (DRAINS_IN_A_TURN - 1, False),
        (DRAINS_IN_A_TURN, True),
        (DRAINS_IN_A_TURN + 1, True),
    ],
)
def test_only_what_is_left_in_the_rings_asks_for_another_turn(
    drains: int, is_behind: bool, tmp_path: Any
) -> None:
    feed, recording = FakeFeed(drains), FakeRecording()
    settings = RecordingSettings(directory=tmp_path)
    parts = cast("list[Any]", [feed, NoWorry(), None])
    writer = Writer(settings, *parts, SystemClock(), lambda _number: None)
    writer.tell(Begun(1, cast("Any", recording), cast("Any", None)))
    assert writer._turn() is is_behind
    assert recording.blocks == min(drains, DRAINS_IN_A_TURN)
    while is_behind:
        is_behind = writer._turn()
    assert recording.blocks == drains
    assert feed.left == 0
