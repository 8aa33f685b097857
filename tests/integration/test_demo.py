"""`earhook demo`: ends by itself with balanced books, and says so when they do not."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import orjson

from earhook.demo.stage import Scene, Stage, staged
from earhook.demo.verdict import books, findings, recordings_of

Run = Callable[[Coroutine[Any, Any, Any]], Any]
DEMO = (sys.executable, "-m", "earhook", "demo")


async def played(directory: Path) -> Stage:
    scene = Scene(calls=2, seconds=1.5, recordings=directory)
    async with staged(scene) as stage:
        await stage.play()
        await stage.settle()
    return stage


def test_every_finding_holds_and_a_changed_recording_is_found_out(run: Run, tmp_path: Path) -> None:
    stage = run(played(tmp_path))
    assert [finding.text for finding in findings(stage) if not finding.holds] == []
    rows = list(books(stage))
    assert {row.sink for row in rows} == {"pcm-stream", "recording", "signal"}
    assert all(row.balances for row in rows)
    (recording,) = recordings_of(tmp_path, next(iter(stage.peers)))
    audio = bytearray(recording.read_bytes())
    audio[5000] ^= 1
    recording.write_bytes(audio)
    assert [f.text[:6] for f in findings(stage) if not f.holds] == ["2 of 3"]


def test_a_sample_that_differs_at_the_consumer_is_found_out(run: Run, tmp_path: Path) -> None:
    stage = run(played(tmp_path))
    next(iter(stage.audience.hearings.values())).wrong = 1
    assert [finding.holds for finding in findings(stage)].count(False) == 1


def test_the_command_ends_by_itself(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        process = await asyncio.create_subprocess_exec(
            *DEMO, "--seconds", "1.5", "--calls", "3", "--json", cwd=tmp_path, stdout=PIPE
        )
        output, _ = await process.communicate()
        report = orjson.loads(output)
        assert process.returncode == 0
        assert report["ok"] is True
        assert [call["door"] for call in report["calls"]].count("ingest") == 1
        assert len(report["calls"]) == 4
        assert Path(report["recordings"]).parent == tmp_path / "earhook-recordings"
        assert all(len(call["files"]) == 1 for call in report["calls"])

    run(scenario())


def test_ctrl_c_hangs_up_and_shows_the_books(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        process = await asyncio.create_subprocess_exec(
            *DEMO, "--calls", "2", "--recordings", "here", cwd=tmp_path, stdout=PIPE, stderr=PIPE
        )
        assert process.stdout is not None
        await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        output, complaints = await process.communicate()
        assert process.returncode == 130
        assert complaints == b""
        assert "✓ 3 of 3 recordings equal their source" in output.decode()
        assert "✗" not in output.decode()

    run(scenario())


def test_a_directory_that_cannot_be_made_is_explained(run: Run) -> None:
    async def scenario() -> None:
        process = await asyncio.create_subprocess_exec(
            *DEMO, "--recordings", f"{os.devnull}/x", stdout=PIPE, stderr=PIPE
        )
        _, complaint = await process.communicate()
        assert process.returncode == 1
        assert b"--recordings" in complaint
        assert b"Traceback" not in complaint

    run(scenario())
