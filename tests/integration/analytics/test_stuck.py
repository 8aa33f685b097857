"""A process whose engine never comes back, and one whose engine is only slow."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from earhook.analytics.analysis import AnalystSettings
from earhook.analytics.engine import EngineOptions
from earhook.analytics.plan import AnalysisPlan, Door
from integration.pcm_stream.conftest import house  # noqa: F401 - a fixture

from .test_processes import Run

STUCK_SECONDS = 2.0
ENGINE = '''
import asyncio
import os
import threading
import time
from pathlib import Path

from earhook.analytics.segment import Segment


class Engine:
    """Hears every piece as a word; the first process, from the second piece on, does as told."""

    name = "moody"

    def __init__(self, options):
        self.mood = options.extra["mood"]
        self.flag = Path(options.extra["flag"])

    async def open(self, line):
        return Recogniser(self, line)

    async def close(self):
        pass


class Recogniser:
    settled = 0

    def __init__(self, engine, line):
        self.engine, self.line = engine, line
        self.said = asyncio.Queue()

    async def push(self, samples, position):
        if self.engine.mood == "slow":
            time.sleep(0.7)  # holds up the whole process, as an engine in C may
        elif position and not self.engine.flag.exists():
            self.engine.flag.touch()
            if self.engine.mood == "deadlock":
                lock = threading.Lock()
                lock.acquire()
                lock.acquire()
            await asyncio.Event().wait()
        end = self.settled = position + len(samples)
        self.said.put_nowait(Segment(self.line.channel, position, end, "word"))

    async def skip(self, position, samples):
        pass

    async def finish(self):
        self.said.put_nowait(None)

    async def segments(self):
        while (segment := await self.said.get()) is not None:
            yield segment

    async def close(self):
        pass
'''


@pytest.fixture
def moody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A plan of processes with an engine of somebody's own."""
    (tmp_path / "moody.py").write_text(ENGINE)
    package = tmp_path / "moody-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: moody\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[earhook.engines]\nmoody = moody:Engine\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", path)

    def plan(address: str, mood: str, **more: Any) -> AnalysisPlan:
        extra = {"mood": mood, "flag": str(tmp_path / "flag")}
        return AnalysisPlan(
            door=Door(address=address, channels=("external",)),
            engine="moody",
            options=EngineOptions(extra=extra),
            analyst=AnalystSettings(sentiment=False),
            stuck_seconds=STUCK_SECONDS,
            **more,
        )

    return plan


@asynccontextmanager
async def at_work(until: Any, plan: AnalysisPlan) -> Any:
    """Processes that listen, and are stopped in the end."""
    work = Run(plan, None)
    try:
        await until(lambda: len(work.of("ready")) == plan.processes, 30)
        yield work
    finally:
        work.analyze.stop()
        await asyncio.wait([work.task])


@pytest.mark.parametrize("mood", ["deadlock", "await"])
def test_a_process_that_is_stuck_is_replaced_and_its_calls_go_on(
    run: Any,
    until: Any,
    house: Any,  # noqa: F811
    moody: Any,
    mood: str,
) -> None:
    """Whether the engine holds up the loop, or only never answers."""

    async def story() -> None:
        async with house(ring_seconds=30.0) as gateway:
            async with at_work(until, moody(gateway.address, mood)) as work:
                speaker = gateway.open()
                speaker.push(1600)
                await until(lambda: work.finals(speaker.session), 30)
                speaker.push(1600)
                await until(lambda: work.analyze.stuck == 1, 30)
                speaker.push(1600)
                await until(lambda: work.finals(speaker.session)[-1]["end"] == 4800, 30)
                gateway.end(speaker)
                await until(lambda: work.of("closed", speaker.session))

                assert work.analyze.restarts == 1
                (trouble,) = work.of("trouble")
                assert "no sign of life for 2 s" in trouble["text"]
                assert "1 calls" in trouble["text"]
                finals = work.finals(speaker.session)
                ends = [0, *(one["end"] for one in finals)]
                assert [one["start"] for one in finals] == ends[:-1]  # once, and all of it
                states = [one["details"]["state"] for one in work.of("analysis", speaker.session)]
                assert states == ["started", "failed", "started", "ended"]
                (failed,) = (
                    one for one in work.of("analysis") if one["details"]["state"] == "failed"
                )
                assert failed["details"]["why"] == (
                    "process 0 gave no sign of life for 2 s and was killed"
                )
                published = [
                    event.details for _, event in gateway.published if event.kind == "analysis"
                ]
                assert [one["state"] for one in published] == states

    run(story())


def test_a_process_that_is_stopped_without_any_call_is_replaced(
    run: Any,
    until: Any,
    house: Any,  # noqa: F811
    moody: Any,
) -> None:
    async def story() -> None:
        async with house() as gateway:
            async with at_work(until, moody(gateway.address, "await", processes=2)) as work:
                other = work.analyze._processes[1].pid
                os.kill(work.analyze._processes[0].pid, signal.SIGSTOP)
                await until(lambda: len(work.of("ready")) == 3, 30)
                assert work.analyze.stuck == 1
                assert work.analyze._processes[1].pid == other

    run(story())


def test_an_engine_that_is_slow_is_left_alone(
    run: Any,
    until: Any,
    house: Any,  # noqa: F811
    moody: Any,
) -> None:
    """Five calls, and each piece of each holds up the whole process for 0.7 s."""

    async def story() -> None:
        async with house(ring_seconds=30.0) as gateway:
            async with at_work(until, moody(gateway.address, "slow")) as work:
                speakers = [gateway.open() for _ in range(5)]
                for speaker in speakers:
                    speaker.push(1600)
                    speaker.push(1600)
                sessions = [speaker.session for speaker in speakers]
                await until(lambda: all(work.finals(one) for one in sessions), 60)
                assert work.analyze.restarts == 0
                assert not work.of("trouble")

    run(story())
