"""What it costs when a block comes in at another worker process than the one that has its call.

    python -m bench.passing_on [--rounds 10] [--calls 200] [--window 3] [--smoke]

`earhook serve` with two workers gets the same blocks in two ways, in turn: each call over one
connection, as a sender does that keeps it; and each call over all connections, one block after the
other, so that about half of its blocks come in at the wrong worker. The difference, by the blocks
that were passed on, is what it costs. CPU is that of all processes of the gateway; of each way, the
turn that took the least counts, because whatever else the machine does only adds to it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

from earhook.testing.http_sender import HttpConnection

from .gateway_process import SHARED, GatewayProcess, percentiles

TOKEN = "the-token-of-the-bench"
TARGET = "/stream/v1/audiohook"
BLOCK_SECONDS = 0.2
BLOCK = bytes([0xFF]) * round(8000 * BLOCK_SECONDS)
CONNECTIONS = 64
CONFIGURATION = f"""\
[workers]
count = 2
[ingest]
host = "127.0.0.1"
port = 0
plaintext = true
[[ingest.tokens]]
name = "bench"
token = "{TOKEN}"
[shedding]
enabled = false
{SHARED}"""


class Figures(NamedTuple):
    """Of one turn."""

    blocks: int
    passed: int
    cpu_seconds: float
    latencies: list[float]

    @property
    def microseconds(self) -> float:
        """CPU of a block."""
        return self.cpu_seconds / self.blocks * 1e6


class Line:
    """A connection that many calls use, one request at a time."""

    def __init__(self, connection: HttpConnection) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()

    async def send(self, session: str, sequence: int) -> None:
        """Send a block, and read its answer."""
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "audio/PCMU",
            "Audiohook-Session-Id": session,
            "Earhook-Sequence": str(sequence),
        }
        async with self._turn:
            reply = await self._connection.ask("POST", TARGET, headers, BLOCK)
        if reply.status != 200:
            sys.exit(f"{reply.status}: {reply.body!r}")

    async def close(self) -> None:
        """Close it."""
        await self._connection.close()


def main() -> None:
    """Run all rounds and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--window", type=float, default=3.0)
    parser.add_argument("--smoke", action="store_true", help="says only whether it works")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.calls, options.window = 1, 20, 1.0
    found: dict[str, list[Figures]] = {"kept": [], "spread": []}
    with tempfile.TemporaryDirectory(prefix="earhook-bench-") as name:
        with GatewayProcess(Path(name), CONFIGURATION, records=False) as gateway:
            for _ in range(options.rounds):
                for way, turns in found.items():
                    story = play(gateway, way, options.calls, options.window)
                    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                        turns.append(runner.run(story))
                    print(json.dumps(summary(way, turns[-1])), file=sys.stderr, flush=True)
    kept, spread = (min(each.microseconds for each in found[way]) for way in found)
    share = sum(each.passed for each in found["spread"]) / sum(
        each.blocks for each in found["spread"]
    )
    cost = (spread - kept) / share
    print(f"{kept:.0f} us a block; {cost:.0f} us more for one that is passed on ({share:.0%} were)")


def summary(way: str, figures: Figures) -> dict[str, Any]:
    """A turn in short."""
    return {
        "way": way,
        "blocks": figures.blocks,
        "passed": figures.passed,
        "cpu_microseconds": round(figures.microseconds, 1),
        "milliseconds": percentiles(figures.latencies),
    }


async def play(gateway: GatewayProcess, way: str, calls: int, window: float) -> Figures:
    """Play calls in real time over a window; figures of that window."""
    url = f"http://127.0.0.1:{gateway.started['ingest_port']}{TARGET}"
    lines = [Line(await HttpConnection.open(url)) for _ in range(CONNECTIONS)]
    latencies: list[float] = []
    sent = round(window / BLOCK_SECONDS)
    loop = asyncio.get_running_loop()
    began = loop.time() + 0.5

    async def call(number: int) -> None:
        session = str(uuid.uuid4())
        for sequence in range(sent):
            due = began + (sequence + number / calls) * BLOCK_SECONDS
            await asyncio.sleep(max(0.0, due - loop.time()))
            place = number + (sequence if way == "spread" else 0)
            await lines[place % CONNECTIONS].send(session, sequence)
            latencies.append(loop.time() - due)

    before, passed_before = cpu_seconds(gateway.pid), passed(gateway)
    await asyncio.gather(*(call(number) for number in range(calls)))
    cpu = cpu_seconds(gateway.pid) - before
    passed_on = passed(gateway) - passed_before
    for line in lines:
        await line.close()
    return Figures(sent * calls, round(passed_on), cpu, latencies)


def passed(gateway: GatewayProcess) -> float:
    """Requests that were passed on so far."""
    return gateway.counters().get('earhook_ingest_passed_total{reason="answered"}', 0.0)


def cpu_seconds(pid: int) -> float:
    """CPU time so far of a process and its children."""
    ticks = 0
    for each in (pid, *children_of(pid)):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def children_of(pid: int) -> list[int]:
    """Processes that a process has started, and that live."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


if __name__ == "__main__":
    main()
