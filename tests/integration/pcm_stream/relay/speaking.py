"""A process with a PCM stream of its own, as a worker has: `python speaking.py PATH NAME CALLS`.

Each call says at each position what can be computed from that position, twenty milliseconds at a
time. It ends when its standard input does; whoever kills it gets no word.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import uuid

import numpy as np
import uvloop

from earhook.config.schema import Configuration
from earhook.ids import ConversationId, CorrelationId, KeyName, OrganizationId, SessionId
from earhook.media.format import MediaFormat
from earhook.media.pipeline import Budget, Pipeline
from earhook.sinks.base import CallFacts, CallOutcome, LiveCall
from earhook.sinks.pcm_stream.sink import PcmStreamSink
from earhook.workers.relay.terms import private_sink, relayed_sinks

FRAME_SAMPLES = 160
NAMES = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")


def session_of(name: str, number: int) -> str:
    return str(uuid.uuid5(NAMES, f"{name}/{number}"))


def said(channel: int, position: int, samples: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return ((np.arange(position, position + samples) * 2 + channel) % 30_011).astype("<i2")


def open_call(name: str, number: int, sink: PcmStreamSink, budget: Budget) -> LiveCall:
    media = MediaFormat("L16", (0, 1))
    facts = CallFacts(
        session_id=SessionId(session_of(name, number)),
        organization_id=OrganizationId(str(NAMES)),
        conversation_id=ConversationId(str(NAMES)),
        correlation_id=CorrelationId(str(NAMES)),
        key_name=KeyName("key-1"),
        media=media,
        opened_wall_seconds=0.0,
    )
    pipeline = Pipeline(budget, codec="L16", channels=(0, 1), capacity_samples=80_000)
    call = LiveCall(facts, pipeline, frozenset({sink.name}), lambda _: None)
    sink.attach(call)
    return call


def speak(call: LiveCall) -> None:
    position = call.pipeline.position
    lanes = [said(channel, position, FRAME_SAMPLES) for channel in (0, 1)]
    call.pipeline.push(np.stack(lanes, axis=1).tobytes())


def end(call: LiveCall, sink: PcmStreamSink) -> None:
    call.pipeline.end()
    written = call.pipeline.written_samples
    position = call.pipeline.position
    call.outcome = CallOutcome("completed", position, written, written, {}, 0, 1.0)
    sink.ended(call)


async def live(path: str, name: str, calls: int) -> None:
    (settings,) = relayed_sinks(
        Configuration.model_validate(
            {"sinks": [{"kind": "pcm-stream", "listen": "unix:/anywhere"}]}
        ).sinks
    )
    sink = PcmStreamSink(private_sink(settings, path), lambda _session, _command: None)
    await sink.start()
    budget = Budget(64 << 20)
    spoken = [open_call(name, number, sink, budget) for number in range(calls)]
    loop = asyncio.get_running_loop()
    told_to_end = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), told_to_end.set)
    sys.stdout.write("serving\n")
    sys.stdout.flush()
    due = loop.time()
    while not told_to_end.is_set():
        for call in spoken:
            speak(call)
        due += FRAME_SAMPLES / 8000
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await told_to_end.wait()
    for call in spoken:
        end(call, sink)
    await sink.stop(5.0)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(live(sys.argv[1], sys.argv[2], int(sys.argv[3])))
