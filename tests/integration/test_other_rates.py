"""A call at 16 kHz is one everywhere: in recordings, on the PCM stream, for every command."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from earhook.cli.main import app
from earhook.client import Block, CallClosed, Gap, connect
from earhook.media.format import MediaFormat
from earhook.media.intake import StreamFormat, open_intake
from earhook.sinks.pcm_stream.settings import PcmStreamSettings
from earhook.sinks.pcm_stream.sink import PcmStreamSink
from earhook.sinks.recording.inspect import inspect
from earhook.sinks.recording.settings import RecordingSettings
from earhook.sinks.recording.sink import RecordingSink
from earhook.testing.sink_suite import Rehearsal, StagedCall

RATE = 16_000
MISSING = 8000
WIDEBAND = MediaFormat("OPUS", (0, 1), RATE)

Samples = np.ndarray[Any, np.dtype[np.int16]]


class Stage:
    """Both sinks that are always there, and calls that come as bodies of L16."""

    def __init__(self, place: Path, **recording: Any) -> None:
        self.recordings = place / "recordings"
        fields = {"directory": self.recordings, "sync": "never", "reserve_mib": 0, **recording}
        self.stream = PcmStreamSink(
            PcmStreamSettings(listen=f"unix:{place}/pcm.sock"), lambda *_: None
        )
        self.recording = RecordingSink(RecordingSettings.model_validate(fields))
        self.rehearsal = Rehearsal(self.recording, self.stream, ring_seconds=10.0)
        self.random = np.random.default_rng(16)

    @property
    def address(self) -> str:
        return str(self.stream.address)

    async def place_call(self, media: MediaFormat = WIDEBAND) -> tuple[StagedCall, Samples]:
        """One second, half a second that never came, and one second; and its samples."""
        call = self.rehearsal.open(media)
        stream = StreamFormat("L16BE", len(media.channels), media.rate)
        intake = open_intake(call.live.pipeline, stream, media)
        said = self.random.integers(-9000, 9000, (2 * media.rate, len(media.channels)), dtype="i2")
        for number, second in enumerate(np.split(said, 2)):
            intake.begin()
            intake.push(second.astype(">i2").tobytes())
            intake.end()
            if not number:
                intake.lose(MISSING)
        intake.finish()
        silence = np.zeros((MISSING, len(media.channels)), "i2")
        return call, np.concatenate([said[: media.rate], silence, said[media.rate :]])


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_recording_says_and_has_its_rate(run: Any, until: Any, stage: Stage) -> None:
    async def story() -> Samples:
        async with stage.rehearsal.running():
            call, samples = await stage.place_call()
            call.close()
            await until(lambda: stage.recording.snapshot().books.forwarded == 2 * RATE)
        return samples

    samples = run(story())
    (path,) = stage.recordings.rglob("*.wav")
    with wave.open(str(path)) as file:
        assert file.getparams()[:4] == (2, 2, RATE, 2 * RATE + MISSING)
        assert file.readframes(len(samples)) == samples.tobytes()
    (report,) = inspect([stage.recordings], measure=True)
    assert (report.seconds, report.rate, report.problems) == (2.5, RATE, ())
    assert report.sidecar["call"]["codec"] == "OPUS"
    assert report.sidecar["call"]["rate"] == report.sidecar["format"]["rate"] == RATE
    assert report.sidecar["gaps"] == [{"position": RATE, "samples": MISSING, "reason": "missing"}]
    shown = CliRunner().invoke(app, ["record", "inspect", str(path)])
    assert shown.exit_code == 0
    assert "L16 stereo, 16000 Hz" in shown.output
    assert "0:00:02 (2.500 s)" in shown.output
    assert "at 1.000 s for 0.500 s: missing" in shown.output
    repaired = CliRunner().invoke(app, ["record", "repair", str(stage.recordings)])
    assert (repaired.exit_code, repaired.output) == (0, "1 right\n")


def test_rotation_and_mu_law_go_by_the_rate(run: Any, until: Any, tmp_path: Path) -> None:
    stage = Stage(tmp_path, codec="PCMU", rotate_seconds=1)

    async def story() -> None:
        async with stage.rehearsal.running():
            call, _ = await stage.place_call()
            call.close()
            await until(lambda: stage.recording.snapshot().books.forwarded == 2 * RATE)

    run(story())
    (report,) = inspect([stage.recordings])
    assert [file.seconds for file in report.files] == [1.0, 1.0, 0.5]
    headers = [file.header for file in report.files]
    assert {header.format.rate for header in headers if header} == {RATE}


def test_a_consumer_hears_it_at_its_rate(run: Any, stage: Stage) -> None:
    async def story() -> None:
        async with stage.rehearsal.running():
            call, samples = await stage.place_call()
            call.close()
            heard = {"external": np.empty(0, "i2"), "internal": np.empty(0, "i2")}
            gaps = []
            everything = connect(stage.address, gaps=True, events=True)
            async with asyncio.timeout(10), everything as stream:
                async for item in stream:
                    if isinstance(item, Block):
                        assert item.call.rate == RATE
                        assert item.seconds == item.position / RATE
                        heard[item.channel] = np.concatenate([heard[item.channel], item.samples])
                    elif isinstance(item, Gap):
                        gaps.append((item.position, item.samples, item.reason))
                    elif isinstance(item, CallClosed):
                        assert item.totals.verified
                        break
            spoken = np.concatenate([samples[:RATE], samples[RATE + MISSING :]])
            for place, lane in enumerate(heard.values()):
                assert np.array_equal(lane, spoken[:, place])
            assert gaps == [(RATE, MISSING, "missing")] * 2

    run(story())


async def listen(*arguments: str) -> tuple[bytes, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "earhook", "listen", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(20):
        output, told = await process.communicate()
    return output, told.decode()


def test_listen_writes_its_rate(run: Any, stage: Stage, tmp_path: Path) -> None:
    async def story() -> None:
        async with stage.rehearsal.running():
            wide, samples = await stage.place_call()
            narrow, _ = await stage.place_call(MediaFormat("PCMU", (0, 1)))
            wide.close()
            narrow.close()
            common = (stage.address, "--calls", "2", "--format", "wav", "--fill-gaps")
            files = tmp_path / "heard"
            (output, told), _ = await asyncio.gather(
                listen(*common, "--json"), listen(*common, "--output", str(files))
            )
        # To a pipe the length is unknown: whoever reads, reads on to the end.
        with wave.open(io.BytesIO(output)) as file:
            assert file.getframerate() == RATE
        assert output[44:] == samples.tobytes()
        lines = [json.loads(line) for line in told.splitlines()]
        opened = [line["rate"] for line in lines if line["type"] == "opened"]
        assert opened == [RATE, 8000]
        assert "not heard, another rate" in {line["type"] for line in lines}
        rates = set()
        for path in files.iterdir():
            with wave.open(str(path)) as file:
                rates.add(file.getframerate())
        assert rates == {RATE, 8000}

    run(story())
