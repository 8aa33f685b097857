"""`earhook listen` as people run it: a process with pipes."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "earhook", "listen"),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finish(process: asyncio.subprocess.Process) -> tuple[int | None, bytes, str]:
    async with asyncio.timeout(20):
        output, errors = await process.communicate()
    return process.returncode, output, errors.decode()


def stereo(speaker: Any, position: int, samples: int) -> bytes:
    lanes = [speaker.said(channel, position, samples) for channel in (0, 1)]
    return bytes(np.stack(lanes, axis=1).astype("<i2").tobytes())


def test_samples_of_one_call_go_to_standard_output(run: Any, house: Any, until: Any) -> None:
    async def scenario() -> None:
        async with house(ring_seconds=30.0) as gateway:
            process = await start(gateway.address, "--calls", "1")
            await until(lambda: gateway.subscribers() == 1)
            speaker = gateway.open(media_channels=(1, 0))
            speaker.push(900)
            speaker.gap(100, 1)
            speaker.push(1000)
            gateway.end(speaker)
            code, output, told = await finish(process)
            assert (code, output) == (0, stereo(speaker, 0, 900) + stereo(speaker, 1000, 1000))
            assert f"hearing {speaker.session}" in told
            assert "delivered=1900 missing=100 verified=True" in told

    run(scenario())


def test_what_was_gone_before_it_came_is_told_as_late_and_not_as_missing(
    run: Any, house: Any, until: Any
) -> None:
    async def scenario() -> None:
        async with house(ring_seconds=1.0) as gateway:
            speaker = gateway.open()
            speaker.push(10_000)
            process = await start(gateway.address, "--calls", "1")
            await until(lambda: gateway.subscribers() == 1)
            gateway.end(speaker)
            code, output, told = await finish(process)
            assert (code, output) == (0, stereo(speaker, 2000, 8000))
            assert "delivered=8000 missing=0 late=2000 verified=True" in told

    run(scenario())


def test_gaps_can_be_filled_and_a_channel_chosen(run: Any, house: Any, until: Any) -> None:
    async def scenario() -> None:
        async with house(ring_seconds=30.0) as gateway:
            wishes = ("--calls", "1", "--fill-gaps", "--channel", "internal", "--format", "wav")
            process = await start(gateway.address, *wishes)
            await until(lambda: gateway.subscribers() == 1)
            speaker = gateway.open()
            speaker.push(10)
            speaker.gap(20_000, 2)
            speaker.push(10)
            gateway.end(speaker)
            code, output, _ = await finish(process)
            assert code == 0
            assert output[:4] == b"RIFF"
            assert output[44:] == speaker.said(1, 0, 20_020).tobytes()

    run(scenario())


def test_a_mono_call_is_stereo_with_a_silent_side(run: Any, house: Any, until: Any) -> None:
    async def scenario() -> None:
        async with house() as gateway:
            process = await start(gateway.address, "--calls", "1")
            await until(lambda: gateway.subscribers() == 1)
            speaker = gateway.open(media_channels=(0,))
            speaker.push(50)
            gateway.end(speaker)
            _, output, _ = await finish(process)
            heard = np.frombuffer(output, "<i2").reshape(-1, 2)
            assert np.array_equal(heard[:, 0], speaker.said(0, 0, 50))
            assert not heard[:, 1].any()

    run(scenario())


def test_every_call_gets_a_file(run: Any, house: Any, until: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(ring_seconds=30.0) as gateway:
            heard = tmp_path / "heard"
            wishes = ("--format", "wav", "--output", str(heard), "--calls", "3", "--json")
            process = await start(gateway.address, *wishes)
            await until(lambda: gateway.subscribers() == 1)
            speakers = [gateway.open(), gateway.open()]
            speakers.append(gateway.open(session_id="../../etc/passwd"))
            for number, speaker in enumerate(speakers):
                for _ in range(3):
                    speaker.push(1600 + number)
            for speaker in speakers:
                gateway.end(speaker)
            code, output, told = await finish(process)
            assert (code, output) == (0, b"")
            lines = [json.loads(line) for line in told.splitlines()]
            assert sum(line["type"] == "closed" and line["verified"] for line in lines) == 3
            names = {path.name for path in heard.iterdir()}
            assert names == {f"{one.session}.wav" for one in speakers[:2]} | {"call.wav"}
            for speaker in speakers[:2]:
                with wave.open(str(heard / f"{speaker.session}.wav")) as file:
                    assert file.getparams()[:4] == (2, 2, 8000, speaker.position)
                    frames = file.readframes(speaker.position)
                    assert frames == stereo(speaker, 0, speaker.position)

    run(scenario())


def test_json_lines_tell_everything_of_all_calls(run: Any, house: Any, until: Any) -> None:
    async def scenario() -> None:
        async with house(ring_seconds=30.0) as gateway:
            process = await start(gateway.address, "--format", "jsonl", "--calls", "2")
            await until(lambda: gateway.subscribers() == 1)
            first, second = gateway.open(), gateway.open()
            for speaker in (first, second):
                speaker.push(40)
                gateway.publish(speaker, "dtmf", digit="5")
                speaker.gap(8, 1)
                gateway.end(speaker)
            _, output, _ = await finish(process)
            lines = [json.loads(line) for line in output.splitlines()]
            mine = [line for line in lines if line["session"] == first.session]
            kinds = [line["type"] for line in mine]
            assert sorted(kinds) == sorted(["opened", *["audio", "gap"] * 2, "event", "closed"])
            audio = next(line for line in mine if line["type"] == "audio")
            assert base64.b64decode(audio["pcm"]) == first.said(0, 0, 40).tobytes()

    run(scenario())


def test_only_the_call_that_is_asked_for(run: Any, house: Any) -> None:
    async def scenario() -> None:
        async with house(ring_seconds=30.0) as gateway:
            other, wanted = gateway.open(), gateway.open()
            for speaker in (other, wanted):
                speaker.push(70)
                gateway.end(speaker)
            process = await start(gateway.address, "--call", wanted.session, "--calls", "1")
            _, output, told = await finish(process)
            assert output == stereo(wanted, 0, 70)
            assert other.session not in told

    run(scenario())


def test_the_reader_may_leave(run: Any, house: Any, until: Any) -> None:
    async def scenario() -> None:
        async with house() as gateway:
            process = await start(gateway.address)
            await until(lambda: gateway.subscribers() == 1)
            speaker = gateway.open()
            assert process.stdout is not None
            process.stdout._transport.close()  # type: ignore[attr-defined]
            await until(lambda: speaker.push(1600) or gateway.subscribers() == 0)
            assert process.stderr is not None
            told = (await process.stderr.read()).decode()
            assert await process.wait() == 0
            assert "Traceback" not in told
            assert "Error" not in told

    run(scenario())


def test_an_interrupt_ends_it_and_its_files(
    run: Any, house: Any, until: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with house() as gateway:
            wishes = ("--format", "wav", "--output", str(tmp_path / "heard"))
            process = await start(gateway.address, *wishes)
            await until(lambda: gateway.subscribers() == 1)
            speaker = gateway.open()
            speaker.push(800)
            path = tmp_path / "heard" / f"{speaker.session}.wav"
            await until(lambda: path.exists() and path.stat().st_size == 44 + 3200)
            process.send_signal(signal.SIGINT)
            code, _, told = await finish(process)
            assert code == 130
            assert "Traceback" not in told
            with wave.open(str(path)) as file:
                assert file.getnframes() == 800

    run(scenario())


def test_faults_are_told_without_a_traceback(run: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        nowhere = f"unix:{tmp_path}/nowhere.sock"
        for arguments, words in (
            ((nowhere, "--patience", "0"), "is the gateway running"),
            (("nonsense",), "is no address"),
            ((nowhere, "--cafile", "/nowhere"), "--cafile"),
            ((nowhere, "--format", "jsonl", "-o", str(tmp_path)), "standard output"),
        ):
            code, output, told = await finish(await start(*arguments))
            assert (code, output) == (1, b"")
            assert words in " ".join(told.split())
            assert "Traceback" not in told

    run(scenario())
