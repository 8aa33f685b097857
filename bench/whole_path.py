"""Calls over TLS into a gateway, every sample proved at two subscribers and in the recordings.

    .venv/bin/python bench/whole_path.py --calls 200 --seconds 30

Four processes on loopback: `earhook serve`, one that plays Genesys (real time, 200 ms stereo
frames, pseudo-random audio by session id), and two subscribers of the PCM stream. Each sample has
one right value at one right place, so that loss, repetition, swapped channels and mixed-up calls
are all seen. It ends by itself; the exit code is 1 if a single sample is wrong or missing.

Latency is counted from just before the peer hands a frame to its socket to the moment at which
a subscriber's program holds the block, so it includes TLS on both sides and the SDK.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
import uuid
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from gateway_process import GatewayProcess, Place, machine, percentiles
from proved_calls import RATE, Heard, TimedPeer, added_latency, hear

from earhook.media.wav import read_header
from earhook.testing import CallPlan, CallSetup, Pace, Source

FRAME_SAMPLES = 1600
GRACE_SECONDS = 30.0


@dataclass(frozen=True)
class Plan:
    """What the processes agree on."""

    place: Place
    sessions: tuple[str, ...]
    samples: int
    ramp_seconds: float


def play(plan: Plan) -> dict[str, Any]:
    """The Genesys side: all calls, in real time, on one loop."""
    return asyncio.Runner(loop_factory=uvloop.new_event_loop).run(_play(plan))


async def _play(plan: Plan) -> dict[str, Any]:
    context = plan.place.client_context()

    async def one(number: int, session: str) -> TimedPeer:
        await asyncio.sleep(plan.ramp_seconds * number / len(plan.sessions))
        call = CallPlan(
            source=Source.random(session),
            setup=CallSetup(session_id=session),
            credential=plan.place.credential,
            pace=Pace(limit_samples=plan.samples, frame_samples=FRAME_SAMPLES),
        )
        peer = await TimedPeer.connect(plan.place.url, call, context)
        await peer.finished()
        assert isinstance(peer, TimedPeer)
        return peer

    peers = await asyncio.gather(*(one(*item) for item in enumerate(plan.sessions)))
    return {
        "completed": sum(peer.record.outcome == "completed" for peer in peers),
        "objections": [text for peer in peers for text in peer.record.objections][:5],
        "samples": sum(peer.record.samples_sent for peer in peers),
        "connect": [peer.record.connect_seconds for peer in peers],
        "opened": [peer.record.opened_seconds for peer in peers],
        "pong": [trip for peer in peers for trip in peer.record.round_trips],
        "handed": {peer.setup.session_id: peer.handed for peer in peers},
    }


def listen(plan: Plan) -> Heard:
    """A subscriber that checks each sample as it comes."""
    return asyncio.Runner(loop_factory=uvloop.new_event_loop).run(_listen(plan))


async def _listen(plan: Plan) -> Heard:
    async with asyncio.timeout(plan.samples / RATE + plan.ramp_seconds + GRACE_SECONDS):
        return await hear(plan.place.address, plan.sessions)


def check_recordings(directory: Path, plan: Plan) -> dict[str, int]:
    """Compare every recording with its source."""
    right = wrong = files = 0
    for session in plan.sessions:
        found = sorted(directory.rglob(f"*{session}*.wav"))
        files += bool(found)
        position = 0
        for path in found:
            with path.open("rb") as file:
                header = read_header(file)
                file.seek(header.audio_offset)
                both = np.frombuffer(file.read(), "<i2").reshape(-1, 2)
            for channel in (0, 1):
                wanted = Source.random(session).pcm(channel, position, len(both))
                same = int(np.count_nonzero(both[:, channel] == np.frombuffer(wanted, "<i2")))
                right += same
                wrong += len(both) - same
            position += len(both)
    return {"files": files, "right": right, "wrong": wrong}


def measure(directory: Path, calls: int, seconds: float, ramp_seconds: float) -> dict[str, Any]:
    """Run it all once."""
    context = multiprocessing.get_context("spawn")
    with GatewayProcess(directory) as gateway:
        sessions = tuple(str(uuid.uuid4()) for _ in range(calls))
        plan = Plan(gateway.place, sessions, int(seconds * RATE), ramp_seconds)
        idle_mib, began = gateway.rss_mib(), gateway.cpu_seconds()
        with ProcessPoolExecutor(3, context) as pool:
            subscribers = [pool.submit(listen, plan) for _ in range(2)]
            playing = pool.submit(play, plan)
            time.sleep(min(seconds, ramp_seconds + seconds / 2))
            busy_mib = gateway.rss_mib()
            played = playing.result()
            heard = [subscriber.result() for subscriber in subscribers]
        spent = gateway.cpu_seconds() - began
    expected = 2 * calls * plan.samples
    closing = gateway.log_lines("call.closed")
    return {
        "calls": calls,
        "seconds": seconds,
        "completed": played["completed"],
        "objections": played["objections"],
        "expected_samples": expected,
        "subscribers": [
            {
                "right": one.right,
                "wrong": one.wrong,
                "misplaced_blocks": one.misplaced,
                "missing": one.missing,
                "verified_calls": one.verified,
                "added_latency_ms": percentiles(
                    [seconds for _, seconds in added_latency(played["handed"], one)]
                ),
            }
            for one in heard
        ],
        "recordings": check_recordings(directory / "recordings", plan),
        "connect_ms": percentiles(played["connect"]),
        "opened_ms": percentiles(played["opened"]),
        "pong_ms": percentiles(played["pong"]),
        "balanced_calls": sum(line["balanced"] for line in closing),
        "gateway_exit_code": gateway.exit_code,
        "gateway_cpu_us_per_frame": round(
            spent / sum(len(frames) for frames in played["handed"].values()) * 1e6, 1
        ),
        "gateway_kib_per_call": round((busy_mib - idle_mib) * 1024 / calls, 1),
    }


def is_right(result: dict[str, Any]) -> bool:
    """Whether every sample is where it belongs."""
    calls, expected = result["calls"], result["expected_samples"]
    recordings = result["recordings"]
    return (
        result["completed"] == result["balanced_calls"] == recordings["files"] == calls
        and not result["objections"]
        and recordings["right"] == expected
        and recordings["wrong"] == 0
        and result["gateway_exit_code"] == 0
        and all(
            one["right"] == expected
            and not one["wrong"]
            and not one["misplaced_blocks"]
            and not one["missing"]
            and one["verified_calls"] == calls
            for one in result["subscribers"]
        )
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each call")
    parser.add_argument("--ramp", type=float, default=4.0, help="seconds over which calls begin")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--output", type=Path, help="write the results as JSON")
    options = parser.parse_args()
    where, results = machine(), []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="earhook-") as directory:
            results.append(measure(Path(directory), options.calls, options.seconds, options.ramp))
            print(json.dumps(results[-1], indent=2))
    if len(results) > 1:
        medians = [result["subscribers"][0]["added_latency_ms"]["p99"] for result in results]
        print(f"median of p99 added latency: {statistics.median(medians)} ms")
    if options.output:
        options.output.write_text(json.dumps({"machine": where, "rounds": results}, indent=2))
    right = all(is_right(result) for result in results)
    print("every sample arrived, in order, bit-exact" if right else "NOT RIGHT: see above")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
