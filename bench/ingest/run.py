"""CPU per frame of the gateway, beside a C receiver of the same bytes and beside bare picows.

    python bench/ingest/run.py [--rounds 3] [--window 10] [--calls 200,1000,4000] [--smoke]

Every load is given to every server in turn, and the turns are repeated, so that whatever else
happens on the machine hits all of them. See ../README.md for what it needs and how to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import trustme
from servers import HERE, LOAD_CORE, SERVERS, Server, pinned
from table import machine, markdown, summarise

RESULTS = HERE.parent / "results"
COMPILE = ("cc", "-O2", "-std=c11", "-Wall", "-Wextra", "-Werror")
FRAME_SHAPES = ((5, 3_200), (50, 320))
"""Frames a second and bytes each: 200 ms and 20 ms of stereo mu-law in real time."""
IDLE_LOAD = 0.3
GENERATOR_SECONDS = 200.0
"""What opening the calls and coming to rest may take beyond warming up and the window."""


class Load(NamedTuple):
    """What is sent."""

    calls: int
    frames_per_second: int
    frame_bytes: int


class Schedule(NamedTuple):
    """For how long, and how often."""

    rounds: int
    warm_seconds: float
    window_seconds: float


def main() -> None:
    """Run all rounds, print the table and keep the figures."""
    options = read_options()
    schedule = Schedule(options.rounds, options.warm, options.window)
    loads = [Load(calls, *shape) for shape, calls in product(FRAME_SHAPES, options.calls)]
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("two cores are needed: one for the server, one for the load")
    load_average = os.getloadavg()[0]
    if load_average > IDLE_LOAD:
        print(
            f"the machine is busy (load {load_average:.1f}): do not keep figures", file=sys.stderr
        )
    with tempfile.TemporaryDirectory(prefix="earhook-bench-") as name:
        directory = Path(name)
        prepare(directory)
        runs = measure(loads, schedule, directory)
    report = {
        "machine": machine() | {"load before": f"{load_average:.2f}"},
        "schedule": schedule._asdict(),
        "loads": summarise(runs),
        "runs": runs,
    }
    print(markdown(report))
    if options.output is not None:
        options.output.parent.mkdir(exist_ok=True)
        options.output.write_text(json.dumps(report, indent=1) + "\n")
    if not all(run["complete"] for run in runs):
        sys.exit("in some runs not all that was sent arrived: their figures mean nothing")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm", type=float, default=3.0, help="seconds before the window")
    parser.add_argument("--window", type=float, default=10.0, help="seconds that are measured")
    parser.add_argument("--calls", type=numbers, default=[200, 1_000, 4_000])
    parser.add_argument("--output", type=Path, default=RESULTS / "ingest.json")
    parser.add_argument("--smoke", action="store_true", help="does it work? figures not kept")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.warm, options.window = 1, 0.5, 1.5
        options.calls, options.output = [50], None
    return options


def numbers(text: str) -> list[int]:
    """Numbers with commas between them."""
    return [int(number) for number in text.split(",")]


def prepare(directory: Path) -> None:
    """Compile the C programs and issue a certificate."""
    for program in ("floor", "generator"):
        source = HERE / f"{program}.c"
        subprocess.run(
            [*COMPILE, "-o", directory / program, source, "-lssl", "-lcrypto"], check=True
        )
    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_pem.write_to_path(str(directory / "server.key"))
    for blob in issued.cert_chain_pems:
        blob.write_to_path(str(directory / "server.crt"), append=True)


def measure(loads: list[Load], schedule: Schedule, directory: Path) -> list[dict[str, Any]]:
    """Every round gives every load to every server, which take turns in going first."""
    runs: list[dict[str, Any]] = []
    for round_number in range(schedule.rounds):
        for load in loads:
            for turn in range(len(SERVERS)):
                kind = SERVERS[(turn + round_number) % len(SERVERS)]
                place = directory / f"{len(runs)}"
                place.mkdir()
                run = measure_one(kind(place), load, schedule)
                runs.append({"round": round_number, "server": kind.name, **load._asdict(), **run})
                say(runs[-1])
    return runs


def measure_one(server: Server, load: Load, schedule: Schedule) -> dict[str, Any]:
    """One load on one server, and whether everything that was sent arrived."""
    with server:
        run = generate(server, load, schedule)
        arrived = server.frames_received(load.frame_bytes)
    run["arrived_in_all"] = arrived
    run["complete"] = arrived == run["sent_in_all"] and run["lost_calls"] == 0
    return run


def generate(server: Server, load: Load, schedule: Schedule) -> dict[str, Any]:
    """Run the generator against a server and read its line of figures."""
    words = (
        *(server.directory.parent / "generator", "127.0.0.1", server.port, server.process.pid),
        *load,
        *(schedule.warm_seconds, schedule.window_seconds),
    )
    finished = subprocess.run(
        pinned(words, LOAD_CORE),
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        timeout=GENERATOR_SECONDS + schedule.warm_seconds + schedule.window_seconds,
    )
    figures: dict[str, Any] = json.loads(finished.stdout)
    return figures


def say(run: dict[str, Any]) -> None:
    """One line of progress."""
    text = (
        f"{time.strftime('%H:%M:%S')} {run['server']:12} {run['calls']:5} calls "
        f"{run['frames_per_second']:3}/s of {run['frame_bytes']:5} B: "
        f"sent {run['sent']} of {run['due']}, "
        f"server {run['server_cpu_ns'] / run['window_ns']:4.0%}, "
        f"generator {run['own_cpu_ns'] / run['window_ns']:4.0%}"
    )
    print(text if run["complete"] else f"{text} INCOMPLETE", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
