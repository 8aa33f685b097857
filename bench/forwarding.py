"""CPU per frame of the ways out alone: what one frame costs from the ring to a sink.

    python -m bench.forwarding                             all cases, 5 rounds (2 minutes)
    python -m bench.forwarding --cases push stream@0 stream@0.005
    python -m bench.forwarding --smoke                     does it work? figures mean nothing

No network and no TLS: stereo mu-law frames are pushed into pipelines in real time, evenly spread,
by the process that also runs the sinks, on core 0; consumers run on core 1. Each round measures
every case in turn. `push` is pushing alone: what another case costs is the difference to it. `raw`
is the reference: a program that writes as many bytes to the same kind of socket, every 2 ms.
`stream@S` gathers frames for S seconds before they are written, `streamx2` has two subscribers.
`signal` listens to the calls (`[signal]`); `stream+signal` does both, and consumers are told what
is found. The audio is speech, another stretch of it in each call.
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
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

import uvloop

from earhook.clock import SystemClock
from earhook.control.process import collect_rarely, raise_open_files
from earhook.demo import speech
from earhook.hub.hub import CallDoor, Hub
from earhook.hub.settings import RingSettings
from earhook.ids import KeyName
from earhook.media.format import MediaFormat
from earhook.sinks.base import CallEvent, CallFacts, CallOutcome, LiveCall, Sink
from earhook.sinks.pcm_stream.settings import PcmStreamSettings
from earhook.sinks.pcm_stream.sink import PcmStreamSink
from earhook.sinks.recording.settings import RecordingSettings
from earhook.sinks.recording.sink import RecordingSink
from earhook.sinks.signal.settings import SignalSettings
from earhook.sinks.signal.sink import SignalSink

from .ingest.servers import HERE, LOAD_CORE, SERVER_CORE, pinned
from .provenance import machine, sentence, warn_if_busy

CASES: Final = ("push", "raw", "stream", "streamx2", "recording", "signal", "stream+signal")
TICK_SECONDS: Final = 0.001
RAW_SECONDS: Final = 0.002
WARM_SECONDS: Final = 1.0
BYTES_PER_SECOND: Final = 16_000
PCM_BYTES_PER_CODE: Final = 2
STREAM_HEADERS_BYTES: Final = 48
"""Of the two channels of a frame in the PCM stream."""
RAW_READER: Final = """
import socket, sys
stream, room = socket.socket(socket.AF_UNIX), bytearray(1 << 20)
stream.connect(sys.argv[1])
while stream.recv_into(room):
    pass
"""


class Sinks:
    """Ways out that are made before the hub that they give back to."""

    def __init__(self) -> None:
        self.made: list[Sink] = []
        self.publish_to: Callable[[LiveCall, CallEvent], None] = lambda _call, _event: None

    def publish(self, call: LiveCall, event: CallEvent) -> None:
        """Tell all of them."""
        self.publish_to(call, event)


class Calls:
    """Live calls whose frames come evenly spread, each at its time.

    Attributes:
        pushed: Frames so far.
        frame_bytes: Of each.
    """

    def __init__(self, sinks: Sinks, count: int, frame_seconds: float) -> None:
        self.pushed = 0
        self.frame_bytes = round(BYTES_PER_SECOND * frame_seconds)
        self._hub = Hub(RingSettings(budget_mib=4096), sinks.made, SystemClock())
        sinks.publish_to = self._hub.publish
        door = cast("CallDoor", None)  # nobody sends commands to these
        self._live = [self._hub.open(facts(), door) for _ in range(count)]
        codes = speech().codes
        starts = range(0, len(codes) - self.frame_bytes + 1, self.frame_bytes)
        self._frames = [codes[start : start + self.frame_bytes] for start in starts]
        self._seconds_each = frame_seconds / count
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._timer: asyncio.Handle = self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        due = int((self._loop.time() - self._began) / self._seconds_each)
        calls, frames = self._live, self._frames
        for number in range(self.pushed, due):
            turn, place = divmod(number, len(calls))
            calls[place].pipeline.push(frames[(turn + place) % len(frames)])
        self.pushed = due
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    def end(self) -> None:
        """No more frames."""
        self._timer.cancel()
        for call in self._live:
            samples = call.pipeline.position
            outcome = CallOutcome("completed", samples, samples, samples, {}, 0, 0.0)
            self._hub.close(call, outcome)


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
async def subscribed(
    directory: Path, consumers: int, coalesce_seconds: float | None
) -> AsyncIterator[Sink]:
    """A PCM stream with so many consumers that have subscribed; nothing may be lost."""
    path = directory / "pcm.sock"
    settings = PcmStreamSettings(listen=f"unix:{path}")
    if coalesce_seconds is not None:
        settings = settings.model_copy(update={"coalesce_seconds": coalesce_seconds})
    sink = PcmStreamSink(settings, lambda _session, _command: None)
    await sink.start()
    command = pinned([sys.executable, HERE / "subscriber.py", path], LOAD_CORE)
    processes = [start(command) for _ in range(consumers)]
    async with asyncio.timeout(10.0):
        while len(sink.snapshot().subscribers) < consumers:  # noqa: ASYNC110 - a bench may look
            await asyncio.sleep(0.01)
    try:
        yield sink
    finally:
        await sink.stop(5.0)
        books = sink.snapshot().books
        for process in processes:
            process.communicate(timeout=10)
        if books.dropped or not books.balances():
            sys.exit(f"the consumer did not keep up, the figure means nothing: {books}")


@asynccontextmanager
async def recorded(directory: Path) -> AsyncIterator[Sink]:
    """Recordings."""
    sink = RecordingSink(RecordingSettings(directory=directory / "recordings", sync="never"))
    await sink.start()
    try:
        yield sink
    finally:
        await sink.stop(10.0)


@asynccontextmanager
async def listened_to(sinks: Sinks) -> AsyncIterator[Sink]:
    """What calls sound like; nothing may be missed."""
    sink = SignalSink(SignalSettings(), sinks.publish)
    await sink.start()
    try:
        yield sink
    finally:
        await sink.stop(5.0)
        books = sink.snapshot().books
        if books.dropped or not books.balances():
            sys.exit(f"it did not keep up, the figure means nothing: {books}")


def start(command: list[str]) -> subprocess.Popen[bytes]:
    """A consumer."""
    return subprocess.Popen(command, stdout=subprocess.PIPE)


async def write_raw(calls: Calls, path: Path) -> None:
    """Write as many bytes as the sink would, to somebody who reads them."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        reader = start(pinned([sys.executable, "-c", RAW_READER, path], LOAD_CORE))
        stream, _ = listening.accept()
    frame_bytes = PCM_BYTES_PER_CODE * calls.frame_bytes + STREAM_HEADERS_BYTES
    written = calls.pushed
    try:
        while True:
            await asyncio.sleep(RAW_SECONDS)
            due, written = calls.pushed - written, calls.pushed
            stream.sendall(bytes(frame_bytes * due))
    finally:
        stream.close()
        reader.wait(10)


async def measure(sinks: Sinks, options: argparse.Namespace, raw: Path | None) -> float:
    """Microseconds of CPU per frame."""
    calls = Calls(sinks, options.calls, options.frame_ms / 1000)
    writing = asyncio.create_task(write_raw(calls, raw)) if raw else None
    await asyncio.sleep(WARM_SECONDS)
    frames, cpu = calls.pushed, time.process_time()
    await asyncio.sleep(options.seconds)
    cost = (time.process_time() - cpu) / (calls.pushed - frames)
    if writing is not None:
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
    calls.end()
    return cost * 1e6


async def run_case(name: str, options: argparse.Namespace) -> float:
    """One case, from nothing to nothing."""
    async with AsyncExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="earhook-bench-")
        directory = Path(stack.enter_context(temporary))
        sinks = Sinks()
        kinds, _, wait = name.partition("@")
        for kind in kinds.split("+"):
            if kind.startswith("stream"):
                consumers = int(kind.removeprefix("stream").removeprefix("x") or 1)
                made = subscribed(directory, consumers, float(wait) if wait else None)
            elif kind == "recording":
                made = recorded(directory)
            elif kind == "signal":
                made = listened_to(sinks)
            else:
                continue
            sinks.made.append(await stack.enter_async_context(made))
        return await measure(sinks, options, directory / "raw" if name == "raw" else None)


def markdown(costs: dict[str, list[float]]) -> str:
    """Medians, and the difference to pushing alone."""
    medians = {case: statistics.median(own) for case, own in costs.items()}
    rows = [
        "| case | CPU per frame, us | without pushing | least and most |",
        "|---|---:|---:|---|",
    ]
    for case, own in costs.items():
        alone = f"{medians[case] - medians['push']:.1f}" if "push" in medians else ""
        span = f"{min(own):.1f} to {max(own):.1f}"
        rows.append(f"| {case} | {medians[case]:.1f} | {alone} | {span} |")
    return "\n".join(rows)


def main() -> None:
    """Run all rounds and print medians."""
    options = read_options()
    where = machine()
    warn_if_busy(where)
    os.sched_setaffinity(0, {SERVER_CORE})
    raise_open_files()
    collect_rarely()
    costs: dict[str, list[float]] = {case: [] for case in options.cases}
    for _ in range(options.rounds):
        for case in options.cases:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                costs[case].append(runner.run(run_case(case, options)))
    print(f"{sentence(where)}\n\n{markdown(costs)}")
    if options.output is not None:
        report = {"machine": where, "calls": options.calls, "us_per_frame": costs}
        options.output.write_text(json.dumps(report, indent=1) + "\n")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--frame-ms", type=float, default=200.0)
    parser.add_argument("--cases", nargs="+", default=list(CASES))
    parser.add_argument("--smoke", action="store_true", help="does it work? figures mean nothing")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.smoke:
        options.calls, options.rounds, options.seconds = 50, 1, 0.5
    return options


if __name__ == "__main__":
    main()
