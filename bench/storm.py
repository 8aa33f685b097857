"""Many calls at once: dialled within two seconds, and all of them must be opened."""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import tempfile
import uuid
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import uvloop
from gateway_process import GatewayProcess, Place, percentiles

from earhook.control.process import raise_open_files
from earhook.errors import EarhookError
from earhook.testing import CallPeer, CallPlan, CallSetup, Source

__all__ = ["SHARED", "judge_storm", "print_storms", "run_storm"]

DIAL_SECONDS: Final = 2.0
CALL_SECONDS: Final = 2.0
STORM_SECONDS: Final = 60.0
SHARED: Final = '[limits.connections]\nshared_addresses = ["127.0.0.0/8"]\n'
"""All of it comes from one address, which is what a balancer looks like."""


def run_storm(calls: int) -> dict[str, Any]:
    """One storm against a gateway of its own."""
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory(prefix="earhook-") as directory,
        GatewayProcess(Path(directory), SHARED) as gateway,
        ProcessPoolExecutor(1, spawn) as pool,
    ):
        before = gateway.rss_mib()
        storm: dict[str, Any] = pool.submit(play_storm, gateway.place, calls).result()
        highest = gateway.rss_mib()
        faults = int(gateway.counters()["earhook_faults_total"])
    closings = gateway.log_lines("call.closed")
    return storm | {
        "balanced": sum(closing["balanced"] for closing in closings),
        "gateway_faults": faults,
        "gateway_exit_code": gateway.exit_code,
        "rss_mib": [round(before, 1), round(highest, 1)],
    }


def play_storm(place: Place, calls: int) -> dict[str, Any]:
    """Dial all calls, each at its moment; when all are open, talk a little and close them."""
    raise_open_files()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop).run(_play_storm(place, calls))


async def _play_storm(place: Place, calls: int) -> dict[str, Any]:
    context, loop = place.client_context(), asyncio.get_running_loop()
    began = loop.time()
    dialled: list[float] = []

    async def one(number: int) -> CallPeer:
        await asyncio.sleep(began + DIAL_SECONDS * number / calls - loop.time())
        dialled.append(loop.time() - began)
        session = str(uuid.uuid4())
        call = CallPlan(
            source=Source.random(session),
            setup=CallSetup(session_id=session),
            credential=place.credential,
        )
        peer = await CallPeer.connect(place.url, call, context)
        await peer.opened()
        return peer

    async with asyncio.timeout(STORM_SECONDS):
        results = await asyncio.gather(*map(one, range(calls)), return_exceptions=True)
        all_open_seconds = loop.time() - began
        peers = [result for result in results if isinstance(result, CallPeer)]
        failures = [result for result in results if isinstance(result, BaseException)]
        if not all(isinstance(failure, (EarhookError, OSError)) for failure in failures):
            raise ExceptionGroup("storm", [one for one in failures if isinstance(one, Exception)])
        await asyncio.sleep(CALL_SECONDS)
        for peer in peers:
            peer.close()
        await asyncio.gather(*(peer.finished() for peer in peers))
    return {
        "calls": calls,
        "dialled_within_seconds": round(max(dialled), 2),
        "all_open_seconds": round(all_open_seconds, 2),
        "opened": len(peers),
        "completed": sum(peer.record.outcome == "completed" for peer in peers),
        "failures": [str(failure) for failure in failures[:5]],
        "connect_ms": percentiles([peer.record.connect_seconds or 0.0 for peer in peers]),
        "opened_ms": percentiles([peer.record.opened_seconds or 0.0 for peer in peers]),
    }


def judge_storm(storms: list[dict[str, Any]]) -> list[str]:
    """What is not as it should be."""
    wrong = []
    for number, storm in enumerate(storms, 1):
        wanted = dict.fromkeys(("opened", "completed", "balanced"), storm["calls"])
        wanted |= {"gateway_faults": 0, "gateway_exit_code": 0}
        wrong += [
            f"storm {number}: {name} is {storm[name]}, not {value}"
            for name, value in wanted.items()
            if storm[name] != value
        ]
    return wrong


def print_storms(storms: list[dict[str, Any]]) -> None:
    """One line: medians, and the least of what was opened."""

    def medians(what: str) -> str:
        names = ("p50", "p99", "max")
        return " / ".join(
            f"{statistics.median(storm[what].get(name, 0) for storm in storms):.1f}"
            for name in names
        )

    def median(name: str) -> float:
        return statistics.median(storm[name] for storm in storms)

    print(
        "| calls dialled | connect p50 / p99 / max, ms | `open` to `opened` | all open | opened |"
    )
    print("|---|---|---|---|---|")
    print(
        f"| {storms[0]['calls']:,} in {median('dialled_within_seconds'):.1f} s "
        f"| {medians('connect_ms')} | {medians('opened_ms')} "
        f"| after {median('all_open_seconds'):.1f} s "
        f"| {min(storm['opened'] for storm in storms):,} |\n"
    )
