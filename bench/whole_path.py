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
import base64
import json
import multiprocessing
import os
import platform
import secrets
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import trustme
import uvloop

from earhook import __version__
from earhook.client import Block, CallClosed, Gap, connect
from earhook.media.wav import read_header
from earhook.testing import CallPeer, CallPlan, CallSetup, Pace, Source
from earhook.testing.peer_setup import PeerCredential

RATE = 8000
FRAME_SAMPLES = 1600
CHANNELS = ("external", "internal")
GRACE_SECONDS = 30.0


@dataclass(frozen=True)
class Plan:
    """What the processes agree on."""

    url: str
    address: str
    cafile: str
    api_key: str
    secret: bytes
    sessions: tuple[str, ...]
    samples: int
    ramp_seconds: float


class TimedPeer(CallPeer):
    """A peer that notes when each frame was handed to the socket."""

    def __init__(self, plan: CallPlan) -> None:
        super().__init__(plan)
        self.handed: list[tuple[int, float]] = []

    def _send_frame(self, now: float) -> None:
        before, at = self.position, time.monotonic()
        super()._send_frame(now)
        if self.position > before:
            self.handed.append((self.position, at))


@dataclass
class Heard:
    """What one subscriber got."""

    right: int = 0
    wrong: int = 0
    misplaced: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    closed: int = 0
    verified: int = 0
    arrivals: dict[str, list[tuple[int, float]]] = field(default_factory=dict)


def play(plan: Plan) -> dict[str, Any]:
    """The Genesys side: all calls, in real time, on one loop."""
    return asyncio.Runner(loop_factory=uvloop.new_event_loop).run(_play(plan))


async def _play(plan: Plan) -> dict[str, Any]:
    context = ssl.create_default_context(cafile=plan.cafile)
    credential = PeerCredential(plan.api_key, plan.secret)

    async def one(number: int, session: str) -> TimedPeer:
        await asyncio.sleep(plan.ramp_seconds * number / len(plan.sessions))
        call = CallPlan(
            source=Source.random(session),
            setup=CallSetup(session_id=session),
            credential=credential,
            pace=Pace(limit_samples=plan.samples, frame_samples=FRAME_SAMPLES),
        )
        peer = await TimedPeer.connect(plan.url, call, context)
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
    heard = Heard()
    due: dict[tuple[str, str], int] = {}
    sources = {session: Source.random(session) for session in plan.sessions}
    deadline = plan.samples / RATE + plan.ramp_seconds + GRACE_SECONDS
    async with asyncio.timeout(deadline):
        async with connect(plan.address, gaps=True, events=True) as stream:
            async for item in stream:
                if isinstance(item, Block):
                    _check(item, heard, due, sources)
                elif isinstance(item, Gap):
                    place = item.call.session_id, item.channel
                    due[place] = item.position + item.samples
                    heard.missing[item.reason] = heard.missing.get(item.reason, 0) + item.samples
                elif isinstance(item, CallClosed):
                    heard.closed += 1
                    heard.verified += item.totals.verified
                    if heard.closed == len(plan.sessions):
                        break
    return heard


def _check(
    block: Block, heard: Heard, due: dict[tuple[str, str], int], sources: dict[str, Source]
) -> None:
    session, samples = block.call.session_id, len(block.samples)
    place = session, block.channel
    heard.misplaced += block.position != due.get(place, 0)
    due[place] = block.position + samples
    wanted = sources[session].pcm(CHANNELS.index(block.channel), block.position, samples)
    if block.samples.tobytes() == wanted:
        heard.right += samples
    else:
        heard.wrong += samples
    if block.channel == "internal":  # the second of the two: now the frame is complete
        heard.arrivals.setdefault(session, []).append((due[place], time.monotonic()))


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


def write_configuration(directory: Path, plan_key: str, secret: bytes) -> Path:
    """A gateway with TLS, recordings and a local PCM stream, on free ports."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.crt"))
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(str(directory / "server.crt"))
    certificate.private_key_pem.write_to_path(str(directory / "server.key"))
    (directory / "api-key").write_text(plan_key)
    (directory / "secret").write_text(base64.b64encode(secret).decode())
    for name in ("api-key", "secret", "server.key"):
        (directory / name).chmod(0o600)
    path = directory / "earhook.toml"
    path.write_text(
        """\
[media]
host = "127.0.0.1"
port = 0
tls = { certificate = "server.crt", private_key = "server.key" }
[admin]
port = 0
[[keys]]
name = "bench"
api_key_file = "api-key"
secret_files = ["secret"]
[[sinks]]
kind = "recording"
directory = "recordings"
[[sinks]]
kind = "pcm-stream"
listen = "unix:pcm.sock"
"""
    )
    return path


def start_gateway(configuration: Path) -> tuple[subprocess.Popen[str], int]:
    """Start `earhook serve`; wait until it says on which port."""
    log = (configuration.parent / "gateway.log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "earhook", "serve", "--config", str(configuration)],
        stderr=log,
        text=True,
    )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        for line in Path(log.name).read_text().splitlines():
            if '"gateway.started"' in line:
                return process, json.loads(line)["media_port"]
        time.sleep(0.05)
    process.kill()
    sys.exit(f"the gateway did not start:\n{Path(log.name).read_text()}")


def percentiles(values: list[float]) -> dict[str, float]:
    """Milliseconds."""
    ordered = sorted(value * 1000 for value in values)
    if not ordered:
        return {}
    last = len(ordered) - 1
    ranks = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {name: round(ordered[int(last * rank)], 2) for name, rank in ranks.items()}


def added_latency(handed: dict[str, list[tuple[int, float]]], heard: Heard) -> list[float]:
    """From a frame's hand-over to the block that completes it."""
    latencies = []
    for session, frames in handed.items():
        arrivals = iter(heard.arrivals.get(session, []))
        end, at = next(arrivals, (0, 0.0))
        for position, sent_at in frames:
            while end < position:
                end, at = next(arrivals, (1 << 62, 0.0))
            if at:
                latencies.append(at - sent_at)
    return latencies


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def measure(directory: Path, calls: int, seconds: float, ramp_seconds: float) -> dict[str, Any]:
    """Run it all once."""
    api_key, secret = secrets.token_urlsafe(24), secrets.token_bytes(32)
    process, port = start_gateway(write_configuration(directory, api_key, secret))
    plan = Plan(
        url=f"wss://localhost:{port}/audiohook",
        address=f"unix:{directory}/pcm.sock",
        cafile=str(directory / "ca.crt"),
        api_key=api_key,
        secret=secret,
        sessions=tuple(str(uuid.uuid4()) for _ in range(calls)),
        samples=int(seconds * RATE),
        ramp_seconds=ramp_seconds,
    )
    idle_mib, began = rss_mib(process.pid), cpu_seconds(process.pid)
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(3, context) as pool:
            subscribers = [pool.submit(listen, plan) for _ in range(2)]
            playing = pool.submit(play, plan)
            time.sleep(min(seconds, ramp_seconds + seconds / 2))
            busy_mib = rss_mib(process.pid)
            played = playing.result()
            heard = [subscriber.result() for subscriber in subscribers]
        spent = cpu_seconds(process.pid) - began
    finally:
        process.terminate()
        code = process.wait(30)
    expected = 2 * calls * plan.samples
    lines = [json.loads(line) for line in (directory / "gateway.log").read_text().splitlines()]
    closing = [line for line in lines if line["event"] == "call.closed"]
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
                "added_latency_ms": percentiles(added_latency(played["handed"], one)),
            }
            for one in heard
        ],
        "recordings": check_recordings(directory / "recordings", plan),
        "connect_ms": percentiles(played["connect"]),
        "opened_ms": percentiles(played["opened"]),
        "pong_ms": percentiles(played["pong"]),
        "balanced_calls": sum(line["balanced"] for line in closing),
        "gateway_exit_code": code,
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
    results = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="earhook-") as directory:
            results.append(measure(Path(directory), options.calls, options.seconds, options.ramp))
            print(json.dumps(results[-1], indent=2))
    if len(results) > 1:
        medians = [result["subscribers"][0]["added_latency_ms"]["p99"] for result in results]
        print(f"median of p99 added latency: {statistics.median(medians)} ms")
    if options.output:
        machine = {"python": platform.python_version(), "kernel": platform.release()}
        machine |= {"cores": os.cpu_count(), "earhook": __version__}
        options.output.write_text(json.dumps({"machine": machine, "rounds": results}, indent=2))
    right = all(is_right(result) for result in results)
    print("every sample arrived, in order, bit-exact" if right else "NOT RIGHT: see above")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
