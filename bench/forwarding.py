"""CPU per frame of the ways out alone: what one frame costs from the ring to a sink.

    python bench/forwarding.py [--calls 1000] [--rounds 5] [--seconds 3] [--frame-ms 200]

No network and no TLS: stereo mu-law frames are pushed into pipelines in real time, evenly spread,
by the process that also runs the sinks, pinned to core 0; consumers run on core 1. Each round
measures every case in turn, and a case's figure is its CPU time without that of pushing alone.
The reference is a program that writes as many bytes to the same kind of socket, in as many writes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import uvloop
from ingest.servers import LOAD_CORE, SERVER_CORE, pinned

from earhook.clock import SystemClock
from earhook.control.process import raise_open_files
from earhook.hub.hub import Hub
from earhook.hub.settings import RingSettings
from earhook.ids import KeyName
from earhook.media.format import MediaFormat
from earhook.sinks.base import CallFacts, CallOutcome, Sink
from earhook.sinks.pcm_stream.settings import PcmStreamSettings
from earhook.sinks.pcm_stream.sink import PcmStreamSink
from earhook.sinks.recording.settings import RecordingSettings
from earhook.sinks.recording.sink import RecordingSink

SUBSCRIBER = Path(__file__).parent / "ingest" / "subscriber.py"
TICK_SECONDS: Final = 0.001
RAW_READER: Final = """
import socket, sys
stream, room = socket.socket(socket.AF_UNIX), bytearray(1 << 20)
stream.connect(sys.argv[1])
while stream.recv_into(room):
    pass
"""


class Calls:
    """Live calls whose frames come evenly spread, each at its time."""

    def __init__(self, sinks: list[Sink], count: int, frame_seconds: float) -> None:
        self.hub = Hub(RingSettings(), sinks, SystemClock())
        self.live = [self.hub.open(facts(), None) for _ in range(count)]  # type: ignore[arg-type]
        self.pushed = 0
        self._frame = os.urandom(round(16_000 * frame_seconds))
        self._seconds_each = frame_seconds / count
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._timer = self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        due = int((self._loop.time() - self._began) / self._seconds_each)
        for number in range(self.pushed, due):
            self.live[number % len(self.live)].pipeline.push(self._frame)
        self.pushed = due
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    def end(self) -> None:
        """No more frames."""
        self._timer.cancel()
        for call in self.live:
            samples = call.pipeline.position
            outcome = CallOutcome("completed", samples, samples, samples, {}, 0, 0.0)
            self.hub.close(call, outcome)


def facts() -> CallFacts:
    """Somebody calls."""
    names = ("session_id", "organization_id", "conversation_id", "correlation_id")
    ids: dict[str, Any] = {name: str(uuid.uuid4()) for name in names}
    return CallFacts(
        **ids,
        key_name=KeyName("bench"),
        media=MediaFormat("PCMU", (0, 1)),
        opened_wall_seconds=0.0,
    )


@asynccontextmanager
async def subscribed(directory: Path, consumers: int, coalesce_seconds: float | None) -> Any:
    """A PCM stream with so many consumers that have subscribed."""
    path = directory / "pcm.sock"
    more = {} if coalesce_seconds is None else {"coalesce_seconds": coalesce_seconds}
    settings = PcmStreamSettings(listen=f"unix:{path}", **more)
    sink = PcmStreamSink(settings, lambda _session, _command: None)
    await sink.start()
    command = pinned([sys.executable, SUBSCRIBER, path], LOAD_CORE)
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(consumers)]
    while len(sink.snapshot().subscribers) < consumers:
        await asyncio.sleep(0.01)
    try:
        yield sink
    finally:
        await sink.stop(5.0)
        books = sink.snapshot().books
        assert books.balances(), books
        assert not books.dropped, f"the consumer does not keep up: {books.dropped}"
        for process in processes:
            process.communicate(timeout=10)


@asynccontextmanager
async def recorded(directory: Path) -> Any:
    """Recordings."""
    sink = RecordingSink(RecordingSettings(directory=directory / "recordings", sync="never"))
    await sink.start()
    try:
        yield sink
    finally:
        await sink.stop(10.0)


async def measure(
    sinks: list[Sink], options: argparse.Namespace, also: Callable[[Calls], Awaitable[None]] | None
) -> float:
    """Microseconds of CPU per frame."""
    calls = Calls(sinks, options.calls, options.frame_ms / 1000)
    helping = asyncio.create_task(also(calls)) if also else None  # type: ignore[arg-type]
    await asyncio.sleep(1.0)
    frames, cpu = calls.pushed, time.process_time()
    await asyncio.sleep(options.seconds)
    cost = (time.process_time() - cpu) / (calls.pushed - frames)
    if helping is not None:
        helping.cancel()
    calls.end()
    return cost * 1e6


async def raw(calls: Calls, path: Path, write_seconds: float) -> None:
    """Write as many bytes as the sink would, and as often."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        command = pinned([sys.executable, "-c", RAW_READER, path], LOAD_CORE)
        reader = subprocess.Popen(command)
        stream, _ = listening.accept()
    frame = 4 * len(calls._frame) // 2 + 2 * 24
    many = bytes(frame * 4096)
    before = calls.pushed
    try:
        while True:
            await asyncio.sleep(write_seconds)
            due, before = calls.pushed - before, calls.pushed
            with memoryview(many) as view:
                stream.sendall(view[: frame * due])
    finally:
        stream.close()
        reader.wait(10)


async def run_case(name: str, options: argparse.Namespace) -> float:
    """One case, from nothing to nothing."""
    with tempfile.TemporaryDirectory(prefix="earhook-bench-") as temporary:
        directory = Path(temporary)
        async with AsyncExitStack() as stack:
            sinks: list[Sink] = []
            also = None
            if name.startswith("stream"):
                kind, _, wait = name.partition("@")
                consumers = int(kind.partition("x")[2] or 1)
                made = subscribed(directory, consumers, float(wait) if wait else None)
                sinks.append(await stack.enter_async_context(made))
            if name == "recording":
                sinks.append(await stack.enter_async_context(recorded(directory)))
            if name.startswith("raw"):
                wait = float(name.partition("@")[2] or 0.002)
                also = lambda calls: raw(calls, directory / "raw.sock", wait)  # noqa: E731
            return await measure(sinks, options, also)


CASES: Final = ("push", "raw", "stream", "streamx2", "recording")


def main() -> None:
    """Run all rounds and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--frame-ms", type=float, default=200.0)
    parser.add_argument("--cases", default=",".join(CASES))
    options = parser.parse_args()
    os.sched_setaffinity(0, {SERVER_CORE})
    raise_open_files()
    cases = options.cases.split(",")
    costs: dict[str, list[float]] = {case: [] for case in cases}
    for _ in range(options.rounds):
        for case in cases:
            runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
            with runner:
                costs[case].append(runner.run(run_case(case, options)))
    medians = {case: statistics.median(cost) for case, cost in costs.items()}
    print(json.dumps({case: round(median, 2) for case, median in medians.items()}))


if __name__ == "__main__":
    main()
