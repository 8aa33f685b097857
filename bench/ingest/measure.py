"""Gives loads to servers in turn, again and again, and reads what each of them used."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import trustme

from .servers import HERE, LOAD_CORE, Server, pinned

__all__ = [
    "Contestant",
    "Load",
    "Row",
    "Schedule",
    "compile_program",
    "estimate_seconds",
    "generate",
    "measure",
    "prepare",
    "say",
]

COMPILE = ("cc", "-O2", "-std=c11", "-Wall", "-Wextra", "-Werror")
GENERATOR_SECONDS = 200.0
"""What opening the calls and coming to rest may take beyond warming up and the window."""
STARTING_SECONDS = 2.0
OPENED_PER_SECOND = 700
LEAVING_SECONDS = 6.0
"""In which memory may come back when all calls are gone."""
LOOK_SECONDS = 0.25


class Load(NamedTuple):
    """What is sent."""

    calls: int
    frames_per_second: int
    frame_bytes: int
    transport: str = "tls"

    @property
    def words(self) -> str:
        """As tables have it."""
        plain = "" if self.transport == "tls" else ", plain TCP"
        shape = f"{self.frames_per_second}/s of {self.frame_bytes:,} B"
        return f"{self.calls:,} calls, {shape}{plain}"


class Contestant(NamedTuple):
    """A server under the name that it has in the table."""

    name: str
    make: Callable[..., Server]


class Row(NamedTuple):
    """One load, and who gets it."""

    load: Load
    contestants: Sequence[Contestant]


class Schedule(NamedTuple):
    """For how long, and how often.

    Attributes:
        leave: Whether to wait for memory to come back when the calls are gone.
    """

    rounds: int
    warm_seconds: float
    window_seconds: float
    leave: bool = False


def estimate_seconds(rows: Sequence[Row], schedule: Schedule) -> float:
    """How long it will take, about."""
    fixed = STARTING_SECONDS + schedule.warm_seconds + schedule.window_seconds
    fixed += LEAVING_SECONDS if schedule.leave else 0.0
    opening = sum(len(row.contestants) * row.load.calls / OPENED_PER_SECOND for row in rows)
    return schedule.rounds * (fixed * sum(len(row.contestants) for row in rows) + opening)


def compile_program(source: Path, directory: Path) -> None:
    """Make a C program, called as its source is without the ending."""
    command: list[str | Path] = [
        *COMPILE,
        "-o",
        directory / source.stem,
        source,
        "-lssl",
        "-lcrypto",
    ]
    subprocess.run(command, check=True)


def prepare(directory: Path) -> None:
    """Compile the C programs and issue a certificate."""
    for program in ("floor.c", "generator.c"):
        compile_program(HERE / program, directory)
    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_pem.write_to_path(str(directory / "server.key"))
    for blob in issued.cert_chain_pems:
        blob.write_to_path(str(directory / "server.crt"), append=True)


def measure(rows: Sequence[Row], schedule: Schedule, directory: Path) -> list[dict[str, Any]]:
    """Every round gives every load to its servers, which take turns in going first."""
    runs: list[dict[str, Any]] = []
    for round_number in range(schedule.rounds):
        for load, contestants in rows:
            for turn in range(len(contestants)):
                name, make = contestants[(turn + round_number) % len(contestants)]
                place = directory / f"{len(runs)}"
                place.mkdir()
                server = make(place, tls=load.transport == "tls")
                run = measure_one(server, load, schedule)
                runs.append({"round": round_number, "server": name, **load._asdict(), **run})
                say(runs[-1])
    return runs


def measure_one(server: Server, load: Load, schedule: Schedule) -> dict[str, Any]:
    """One load on one server, and whether everything that was sent arrived."""
    with server:
        before = server.memory_kib()
        run = generate(server, load, schedule)
        run["memory_before_kib"] = before
        if schedule.leave:
            run["memory_after_kib"] = least_memory(server)
        arrived = server.frames_received(load.frame_bytes)
    run["arrived_in_all"] = arrived
    run["complete"] = arrived == run["sent_in_all"] and run["lost_calls"] == 0
    return run


def least_memory(server: Server) -> int:
    """What the server comes down to."""
    due, least = time.monotonic() + LEAVING_SECONDS, server.memory_kib()
    while time.monotonic() < due:
        time.sleep(LOOK_SECONDS)
        least = min(least, server.memory_kib())
    return least


def generate(server: Server, load: Load, schedule: Schedule, *more: str) -> dict[str, Any]:
    """Run the generator against a server, with more words if it is to do more; its figures."""
    words = (
        *(server.directory.parent / "generator", "127.0.0.1", server.port, server.process.pid),
        *(load.transport, load.calls, load.frames_per_second, load.frame_bytes),
        *(schedule.warm_seconds, schedule.window_seconds, *more),
    )
    longest = GENERATOR_SECONDS + schedule.warm_seconds + schedule.window_seconds
    return figures_of(words, longest)


def figures_of(words: Sequence[object], timeout_seconds: float) -> dict[str, Any]:
    """Run a program on the core of the load; what it prints is one JSON object."""
    finished = subprocess.run(
        pinned(words, LOAD_CORE),
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        timeout=timeout_seconds,
    )
    figures: dict[str, Any] = json.loads(finished.stdout)
    return figures


def say(run: dict[str, Any]) -> None:
    """One line of progress."""
    load = Load(*(run[name] for name in Load._fields))
    text = (
        f"{time.strftime('%H:%M:%S')} {run['server']:22} {load.words}: "
        f"sent {run['sent']} of {run['due']}, "
        f"server {run['server_cpu_ns'] / run['window_ns']:4.0%}, "
        f"generator {run['own_cpu_ns'] / run['window_ns']:4.0%}"
    )
    print(text if run["complete"] else f"{text} INCOMPLETE", file=sys.stderr, flush=True)
