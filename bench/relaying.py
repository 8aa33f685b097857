"""What the relay of the PCM stream costs, per audio frame and per call.

    python -m bench.relaying [--workers 2] [--calls 1000] [--consumers 1] [--seconds 10]

Workers are sinks, each in a process of its own, fed with stereo frames of 200 ms in real time; the
relay is the process that runs in production; consumers read and drop. CPU is what the relay's
process took, user and system, from `/proc`. One line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import cast

import uvloop

from earhook.config.schema import Configuration
from earhook.ids import ConversationId, CorrelationId, KeyName, OrganizationId, SessionId
from earhook.media.format import MediaFormat
from earhook.media.pipeline import Budget, Pipeline
from earhook.media.stream import FrameKind, encode_frame
from earhook.sinks.base import CallFacts, LiveCall
from earhook.sinks.pcm_stream.sink import PcmStreamSink
from earhook.workers.relay.keeper import RelayKeeper
from earhook.workers.relay.terms import private_sink, relayed_sinks

FRAME_SAMPLES = 1600
FRAMES_PER_SECOND = 5
TICKS = 20
"""A frame's time has so many: calls are spread over them, as they are in life."""


def configuration(folder: Path) -> Configuration:
    sink = {"kind": "pcm-stream", "listen": f"unix:{folder / 'pcm.sock'}"}
    return Configuration.model_validate({"sinks": [sink], "log": {"level": "error"}})


async def be_worker(folder: Path, number: int, calls: int) -> None:
    """Serve one worker's calls until standard input ends."""
    (settings,) = relayed_sinks(configuration(folder).sinks)
    sink = PcmStreamSink(private_sink(settings, str(folder / f"{number}.sock")), _refuse)
    await sink.start()
    budget = Budget(4 << 30)
    spoken = [_open(sink, budget) for _ in range(calls)]
    loop = asyncio.get_running_loop()
    told_to_end = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), told_to_end.set)
    sys.stdout.write("serving\n")
    sys.stdout.flush()
    frame = bytes(2 * FRAME_SAMPLES)
    due, tick = loop.time(), 0
    while not told_to_end.is_set():
        for call in spoken[tick % TICKS :: TICKS]:
            call.pipeline.push(frame)
        tick += 1
        due += 1 / FRAMES_PER_SECOND / TICKS
        await asyncio.sleep(max(0.0, due - loop.time()))
    await sink.stop(1.0)


def _open(sink: PcmStreamSink, budget: Budget) -> LiveCall:
    some = str(uuid.uuid4())
    media = MediaFormat("PCMU", (0, 1))
    facts = CallFacts(
        session_id=SessionId(some),
        organization_id=OrganizationId(some),
        conversation_id=ConversationId(some),
        correlation_id=CorrelationId(some),
        key_name=KeyName("key-1"),
        media=media,
        opened_wall_seconds=0.0,
    )
    pipeline = Pipeline(budget, codec="PCMU", channels=(0, 1), capacity_samples=16_000)
    call = LiveCall(facts, pipeline, frozenset({sink.name}), lambda _: None)
    sink.attach(call)
    return call


def _refuse(_session: str, _command: object) -> None:
    """Nobody commands here."""


class Reader(asyncio.Protocol):
    """A consumer that reads and drops."""

    def __init__(self) -> None:
        self.bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        hello = b'{"stream":"earhook-pcm","version":1,"role":"consumer","name":"bench"}'
        # uvloop's transports are no subclasses of asyncio's.
        transport = cast("asyncio.Transport", transport)
        transport.write(encode_frame(FrameKind.HELLO, 0, hello))
        transport.write(encode_frame(FrameKind.SUBSCRIBE, 0, b'{"start":"now"}'))

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)


def cpu_seconds(pid: int) -> float:
    """What a process has taken so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


async def measure(options: argparse.Namespace) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory(prefix="relaying-") as name:
        folder = Path(name)
        each = options.calls // options.workers
        workers = [
            await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "bench.relaying", "--worker", str(number), str(folder), str(each)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            for number in range(options.workers)
        ]
        keeper = RelayKeeper(configuration(folder))
        try:
            for worker in workers:
                assert worker.stdout is not None
                await worker.stdout.readline()
            await keeper.open()
            await keeper.start()
            for number in range(options.workers):
                keeper.worker_serves(number, {"pcm-stream": folder / f"{number}.sock"})
            readers = [
                (await loop.create_unix_connection(Reader, str(folder / "pcm.sock")))[1]
                for _ in range(options.consumers)
            ]
            await asyncio.sleep(2.0)
            relay = keeper.pid
            assert relay is not None
            workers_pids = [worker.pid for worker in workers]
            before = [cpu_seconds(pid) for pid in (relay, *workers_pids)]
            began_bytes, began = sum(reader.bytes for reader in readers), time.monotonic()
            await asyncio.sleep(options.seconds)
            after = [cpu_seconds(pid) for pid in (relay, *workers_pids)]
            seconds = time.monotonic() - began
            taken = [now - then for now, then in zip(after, before, strict=True)]
            moved = sum(reader.bytes for reader in readers) - began_bytes
            frames = moved / (2 * (24 + 2 * FRAME_SAMPLES))
            return {
                "workers": options.workers,
                "calls": each * options.workers,
                "consumers": options.consumers,
                "seconds": round(seconds, 2),
                "stereo_frames": round(frames),
                "stereo_frames_expected": round(
                    each * options.workers * options.consumers * FRAMES_PER_SECOND * seconds
                ),
                "relay_cpu_percent": round(100 * taken[0] / seconds, 1),
                "relay_us_per_stereo_frame": round(1e6 * taken[0] / frames, 2),
                "workers_cpu_percent": round(100 * sum(taken[1:]) / seconds, 1),
                "relay_resident_mib": round(resident_mib(relay), 1),
            }
        finally:
            await keeper.stop(0.0)
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.close()
                await worker.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--consumers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if options.worker:
            number, folder, calls = options.worker
            runner.run(be_worker(Path(folder), int(number), int(calls)))
            return
        sys.stdout.write(json.dumps(runner.run(measure(options))) + "\n")


if __name__ == "__main__":
    main()
