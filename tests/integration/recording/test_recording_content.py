"""What arrives is in the file, bit for bit, at its position, and the books balance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from earhook.media.format import MediaFormat
from earhook.media.gaps import GapReason
from earhook.media.wav import read_header
from earhook.sinks.base import Participant
from earhook.testing.sink_suite import Rehearsal


def test_audio_is_bit_for_bit_and_gaps_are_silence(
    recorder: Any, frames: Any, decoded: Any, run: Any
) -> None:
    codes = frames(10)

    async def record() -> None:
        sink = recorder.sink()
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            call.gap(400, GapReason.DISCARDED)
            for frame in codes[:5]:
                call.push(frame)
            call.gap(16_000, GapReason.PAUSED)
            for frame in codes[5:]:
                call.push(frame)
            call.gap(800, GapReason.UNREPORTED)
            call.close()

    run(record())
    silence = [np.zeros((length, 2), np.int16) for length in (400, 16_000, 800)]
    spoken = decoded(codes)
    expected = [silence[0], spoken[:8000], silence[1], spoken[8000:], silence[2]]
    assert np.array_equal(recorder.samples(), np.concatenate(expected))
    said = recorder.sidecar
    assert said["state"] == "complete"
    assert said["position"] == 400 + 8000 + 16_000 + 8000 + 800
    assert said["gaps"] == [
        {"position": 0, "samples": 400, "reason": "discarded"},
        {"position": 8400, "samples": 16_000, "reason": "paused"},
        {"position": 32_400, "samples": 800, "reason": "unreported"},
    ]
    books = {"received": 16_000, "forwarded": 16_000, "buffered": 0, "dropped": {}}
    assert said["books"] == books
    assert said["lost"] == []
    assert [part["samples"] for part in said["parts"]] == [said["position"]]


def test_levels_are_those_of_the_audio_without_its_gaps(
    recorder: Any, frames: Any, decoded: Any, run: Any
) -> None:
    codes = frames(10)

    async def record() -> None:
        sink = recorder.sink()
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            for frame in codes:
                call.push(frame)
                call.gap(1600)
            call.close()

    run(record())
    spoken = decoded(codes).astype(np.float64)
    for lane, channel in enumerate(("external", "internal")):
        level = recorder.sidecar["levels"][channel]
        assert level["peak"] == np.abs(spoken[:, lane]).max()
        assert level["rms"] == pytest.approx(np.sqrt(np.mean(spoken[:, lane] ** 2)), rel=1e-4)


@pytest.mark.parametrize("channels", [(0, 1), (1, 0), (0,), (1,)], ids=str)
@pytest.mark.parametrize("layout", ["stereo", "negotiated"])
def test_the_customer_is_left_whatever_was_negotiated(
    channels: tuple[int, ...], layout: str, recorder: Any, run: Any
) -> None:
    pcm = np.arange(1600 * len(channels), dtype=np.int16).reshape(-1, len(channels))

    async def record() -> None:
        sink = recorder.sink(layout=layout)
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open(MediaFormat("L16", channels))
            call.push(pcm.tobytes())
            call.close()

    run(record())
    kept = (0, 1) if layout == "stereo" else tuple(sorted(channels))
    recorded = recorder.samples()
    assert recorded.shape == (1600, len(kept))
    for lane, channel in enumerate(kept):
        sent = pcm[:, channels.index(channel)] if channel in channels else np.zeros(1600)
        assert np.array_equal(recorded[:, lane], sent)
    words = ["external", "internal"]
    said = recorder.sidecar["format"]
    assert said["channels"] == [words[channel] for channel in kept]
    assert said["silent"] == [words[channel] for channel in kept if channel not in channels]


def test_mu_law_passes_through(recorder: Any, run: Any) -> None:
    codes = bytes(range(256)) + bytes(reversed(range(256)))

    async def record() -> None:
        sink = recorder.sink(codec="PCMU")
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            call.push(codes)
            call.gap(100_000)
            call.push(codes)
            call.close()

    run(record())
    with recorder.files[0].open("rb") as file:
        header = read_header(file)
        file.seek(header.audio_offset)
        audio = file.read()
    assert (header.format.codec, header.format.channels) == ("PCMU", 2)
    assert header.fact_samples == 256 + 100_000 + 256
    assert audio == codes + b"\xff" * 200_000 + codes


def test_a_mono_mu_law_file_of_odd_length_is_padded(recorder: Any, run: Any) -> None:
    async def record() -> None:
        sink = recorder.sink(codec="PCMU", layout="negotiated")
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open(MediaFormat("PCMU", (0,)))
            call.push(b"\x01\x02\x03")
            call.close()

    run(record())
    content = recorder.files[0].read_bytes()
    assert content.endswith(b"data\x03\x00\x00\x00\x01\x02\x03\x00")
    assert int.from_bytes(content[4:8], "little") == len(content) - 8


def test_the_sidecar_holds_nothing_personal_and_no_content(recorder: Any, run: Any) -> None:
    person = Participant("9f0a", "+15550100", "Ada Canary", "+15550199")

    async def record() -> None:
        sink = recorder.sink()
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open(
                participant=person,
                input_variables={"card": "4111-canary"},
                custom_config={"note": "canary"},
            )
            call.close()

    run(record())
    (path,) = recorder.directory.rglob("*.json")
    text = path.read_text()
    for secret in ("15550100", "15550199", "anary", "9f0a", "4111"):
        assert secret not in text
    assert recorder.sidecar["protocol"] == [[0.0, "in", "open"]]


def test_an_overrun_is_a_gap_a_drop_and_an_incomplete_recording(recorder: Any, run: Any) -> None:
    async def record() -> None:
        sink = recorder.sink()
        stage = Rehearsal(sink, ring_seconds=1.0)
        async with stage.running():
            call = stage.open()
            # Faster than any writer: the ring goes round within one turn of it.
            call.speak(100)
            call.close()
            (books,) = await stage.settled(sink, call)
        assert books.balances()
        assert books.dropped["overrun"] > 0

    run(record())
    said = recorder.sidecar
    assert said["state"] == "incomplete"
    lost = sum(gap["samples"] for gap in said["gaps"] if gap["reason"] == "overrun")
    assert lost == said["books"]["dropped"]["overrun"]
    assert len(recorder.samples()) == said["position"] == 100 * 1600


def test_a_call_without_audio_has_a_recording_all_the_same(recorder: Any, run: Any) -> None:
    async def record() -> None:
        sink = recorder.sink()
        stage = Rehearsal(sink)
        async with stage.running():
            stage.open().close()

    run(record())
    assert recorder.samples().shape == (0, 2)
    assert recorder.sidecar["state"] == "complete"


def test_a_gateway_that_stops_closes_what_is_live(recorder: Any, run: Any) -> None:
    async def record() -> None:
        sink = recorder.sink()
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            call.speak(2)
        assert call.answers[0][1].forwarded == 3200

    run(record())
    assert len(recorder.samples()) == 3200
    assert recorder.sidecar["state"] == "incomplete"
    assert recorder.sidecar["reason"] == "gateway stopped"
