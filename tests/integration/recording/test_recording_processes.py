"""Several processes record into one directory; and many calls begin in one moment."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import wave
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from earhook.sinks.recording.disk import Disk
from earhook.sinks.recording.repair import RepairOutcome, repair
from earhook.testing.sink_suite import Rehearsal

CALLS = 20


@asynccontextmanager
async def recording(directory: Path, seed: int) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("recording_process.py")),
        *(str(directory), str(CALLS), str(seed)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()


async def finish(process: asyncio.subprocess.Process) -> str:
    assert process.stdin is not None
    process.stdin.close()
    said = await line(process)
    assert await asyncio.wait_for(process.wait(), 20) == 0
    return said


def spoken(path: Path) -> Counter[int]:
    """Samples by value."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    values, counts = np.unique(samples, return_counts=True)
    return Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))


def test_two_processes_with_the_same_calls_keep_out_of_each_others_files(
    run: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, 11) as one, recording(tmp_path, 22) as other:
            for process in (one, other):
                assert await line(process) == "recording"
            # Whoever repairs now finds all files held, and changes none.
            found = Counter(report.outcome for report in repair([tmp_path]))
            assert found == {RepairOutcome.BUSY: 2 * CALLS}
            # One is killed: its files can be repaired at once, while the other one goes on.
            one.kill()
            await one.wait()
            found = Counter(
                report.outcome for report in repair([tmp_path]) if report.path.suffix == ".part"
            )
            assert found == {RepairOutcome.BUSY: CALLS, RepairOutcome.REPAIRED: CALLS}
            forwarded, errors = (await finish(other)).split()
            assert errors == "0"
        check_files(tmp_path, int(forwarded))

    run(scenario())


def check_files(directory: Path, forwarded: int) -> None:
    """Each call of each process has a file and a sidecar; nothing is left unfinished."""
    files = list(directory.rglob("*.wav"))
    assert len(files) == 2 * CALLS
    assert not list(directory.rglob("*.part"))
    speech = [spoken(file) for file in files]
    assert Counter(tuple(one) for one in speech) == {(11,): CALLS, (22,): CALLS}
    assert sum(one[22] for one in speech) == 2 * forwarded
    sidecars = [json.loads(path.read_text()) for path in directory.rglob("*.json")]
    assert len(sidecars) == 2 * CALLS
    named = {part["file"] for sidecar in sidecars for part in sidecar["parts"]}
    assert named == {file.name for file in files}


class SlowDisk(Disk):
    """Takes its time to make a file."""

    def create(self, folder: int, name: str) -> int:
        threading.Event().wait(0.005)
        return super().create(folder, name)


def test_calls_that_begin_in_one_moment_do_not_delay_those_that_run(
    run: Any, recorder: Any, until: Any
) -> None:
    async def scenario() -> None:
        sink = recorder.sink(disk=SlowDisk())
        stage = Rehearsal(sink, ring_seconds=30.0)
        async with stage.running():
            running = stage.open()
            running.speak()
            await until(lambda: sink.snapshot().books.forwarded == 1600)
            many = [stage.open() for _ in range(200)]
            # Two files each: it is two seconds before all of them are there.
            said = 1600
            while len(recorder.unfinished) < 60:
                running.speak()
                said += 1600
                await until(lambda now=said: sink.snapshot().books.forwarded == now, 1.0)
            assert len(recorder.unfinished) < 180, "there was no line"
            for call in many:
                call.speak()
            books = sink.snapshot().books
            assert books.balances()
            assert books.received == said + 200 * 1600
            await recorder.closed(sink, stage, running, *many)
            books = sink.snapshot().books
            assert (books.forwarded, books.dropped) == (said + 200 * 1600, {})
        assert len(recorder.files) == 201

    run(scenario())
