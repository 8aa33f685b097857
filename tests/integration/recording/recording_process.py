"""A process that records: `python recording_process.py DIRECTORY CALLS SEED`.

Its calls have the same session ids and the same second of opening in every such process. It says
`recording` once audio of all calls is on the disk, goes on, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import uuid
from pathlib import Path

import uvloop

from earhook.ids import ConversationId, CorrelationId, KeyName, OrganizationId, SessionId
from earhook.media.format import MediaFormat
from earhook.media.pipeline import Budget, Pipeline
from earhook.sinks.base import CallFacts, CallOutcome, LiveCall
from earhook.sinks.recording.settings import RecordingSettings
from earhook.sinks.recording.sink import RecordingSink

NAMES = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
FRAME_SAMPLES = 1600


def session_of(number: int) -> str:
    return str(uuid.uuid5(NAMES, str(number)))


def open_call(number: int, sink: RecordingSink, budget: Budget) -> LiveCall:
    media = MediaFormat("L16", (0, 1))
    facts = CallFacts(
        session_id=SessionId(session_of(number)),
        organization_id=OrganizationId(str(NAMES)),
        conversation_id=ConversationId(str(NAMES)),
        correlation_id=CorrelationId(str(NAMES)),
        key_name=KeyName("key-1"),
        media=media,
        opened_wall_seconds=1_750_000_000.0,
    )
    pipeline = Pipeline(budget, codec="L16", channels=(0, 1), capacity_samples=16_000)
    call = LiveCall(facts, pipeline, frozenset({sink.name}), lambda _: None)
    sink.attach(call)
    return call


def end(call: LiveCall, sink: RecordingSink) -> None:
    call.pipeline.end()
    written = call.pipeline.written_samples
    call.outcome = CallOutcome("completed", written, written, written, {}, 0, 1.0)
    sink.ended(call)


async def live(directory: Path, calls: int, seed: int) -> None:
    settings = RecordingSettings(directory=directory, codec="L16", sync="never", reserve_mib=0)
    sink = RecordingSink(settings)
    await sink.start()
    loop = asyncio.get_running_loop()
    told_to_end = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), told_to_end.set)
    budget = Budget(64 << 20)
    recorded = [open_call(number, sink, budget) for number in range(calls)]
    frame = seed.to_bytes(2, "little") * (2 * FRAME_SAMPLES)
    has_told = False
    while not told_to_end.is_set():
        for call in recorded:
            call.pipeline.push(frame)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await told_to_end.wait()
        if not has_told and sink.snapshot().books.forwarded >= calls * FRAME_SAMPLES:
            has_told = True
            sys.stdout.write("recording\n")
            sys.stdout.flush()
    for call in recorded:
        end(call, sink)
    await sink.stop(10.0)
    snapshot = sink.snapshot()
    assert snapshot.healthy, snapshot.detail
    sys.stdout.write(f"{snapshot.books.forwarded} {snapshot.counters['io_errors']}\n")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(live(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
