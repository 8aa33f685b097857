"""A recording sink with calls that the tests push themselves: a real directory, the real core."""

from __future__ import annotations

import json
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earhook.clock import Clock
from earhook.media.g711 import decode_g711
from earhook.sinks.recording.disk import Disk
from earhook.sinks.recording.settings import RecordingSettings
from earhook.sinks.recording.sink import RecordingSink
from earhook.testing.sink_suite import Rehearsal, StagedCall

Until = Callable[..., Awaitable[None]]
Samples = np.ndarray[Any, np.dtype[np.int16]]


class Recorder:
    """What the tests of this folder do all the time."""

    def __init__(self, directory: Path, until: Until) -> None:
        self.directory = directory
        self._until = until

    def sink(
        self, *, disk: Disk | None = None, clock: Clock | None = None, **changes: Any
    ) -> RecordingSink:
        """A sink that needs no free space and waits for no disk."""
        fields = {"directory": self.directory, "sync": "never", "reserve_mib": 0, **changes}
        return RecordingSink(RecordingSettings.model_validate(fields), disk=disk, clock=clock)

    async def closed(self, sink: RecordingSink, stage: Rehearsal, *calls: StagedCall) -> None:
        """End calls and wait until their files are final."""
        for call in calls:
            call.close()
        await stage.settled(sink, *calls)
        await self._until(lambda: not sink.snapshot().gauges["finishing"])

    @property
    def files(self) -> list[Path]:
        """Finished WAV files; those of one call in their order."""
        return sorted(self.directory.rglob("*.wav"), key=lambda path: (len(path.name), path.name))

    @property
    def unfinished(self) -> list[Path]:
        return sorted(self.directory.rglob("*.wav.part"))

    def samples(self, number: int = 0) -> Samples:
        """A file as the standard library reads it, one row per sample group."""
        with wave.open(str(self.files[number])) as file:
            pcm = file.readframes(file.getnframes())
            return np.frombuffer(pcm, np.int16).reshape(-1, file.getnchannels())

    @property
    def sidecar(self) -> dict[str, Any]:
        """The only sidecar."""
        (path,) = self.directory.rglob("*.json")
        return dict(json.loads(path.read_text()))


@pytest.fixture
def recorder(tmp_path: Path, until: Until) -> Recorder:
    return Recorder(tmp_path / "recordings", until)


@pytest.fixture
def frames() -> Callable[[int], list[bytes]]:
    """Random mu-law frames of 200 ms, both sides."""

    def make(number: int) -> list[bytes]:
        generator = np.random.default_rng(7)
        return [generator.bytes(3200) for _ in range(number)]

    return make


def decoded(frames: list[bytes]) -> Samples:
    """What a receiver must hold."""
    return np.frombuffer(decode_g711(b"".join(frames), "PCMU"), np.int16).reshape(-1, 2)


@pytest.fixture(name="decoded")
def decoded_fixture() -> Callable[[list[bytes]], Samples]:
    return decoded
