"""CPU per piece of audio over HTTPS POST, beside a bare aiohttp server in the same run.

    python -m bench.ingest_http [--quick]

Every load is given to both servers in turn, and the turns are repeated, so that whatever else
happens on the machine hits both. See README.md for what it needs and how to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import trustme

from .ingest.servers import LOAD_CORE, Gateway, Process, Server, pinned, spawn
from .provenance import RESULTS, machine, sentence, warn_if_busy

HERE = Path(__file__).parent
GENERATOR_SECONDS = 120.0
STARTING_SECONDS = 4.0
CONFIGURATION = """\
[media]
host = "127.0.0.1"
port = 0
{tls}
[ingest]
host = "127.0.0.1"
port = 0
[[ingest.tokens]]
name = "bench"
token = "the-token-of-the-bench"
[limits.connections]
shared_addresses = ["127.0.0.0/8"]
[shedding]
enabled = false
[admin]
port = 0
[[sinks]]
kind = "pcm-stream"
listen = "unix:pcm.sock"
"""


class Load(NamedTuple):
    """What is sent: `chunks` of 20 ms in one request a call, or `blocks` of 200 ms."""

    shape: str
    calls: int

    @property
    def words(self) -> str:
        """As the table has it."""
        pieces = {"chunks": "chunks of 20 ms", "blocks": "blocks of 200 ms"}
        return f"{self.calls:,} calls, {pieces[self.shape]}"


class Schedule(NamedTuple):
    """For how long, and how often."""

    rounds: int
    warm_seconds: float
    window_seconds: float


class BareAiohttp(Server):
    """aiohttp on uvloop that only counts."""

    name = "bare aiohttp"

    def start(self) -> Process:
        """Start the process on its core."""
        program = HERE / "bare_aiohttp.py"
        return spawn([sys.executable, program, self.certificate, self.key], stdout=subprocess.PIPE)

    def frames_received(self, frame_bytes: int) -> float:
        """The generator asks the server itself."""
        raise NotImplementedError


class Earhook(Gateway):
    """`earhook serve` with one subscriber of its PCM stream, which runs on the other core."""

    def configuration(self) -> str:
        """With a place for `tls`."""
        return CONFIGURATION

    def wait_until_listening(self) -> int:
        """The port that audio is posted to, read from the log."""
        return int(self.started()["ingest_port"])


SERVERS: tuple[type[Server], ...] = (BareAiohttp, Earhook)


def main() -> None:
    """Run all rounds, print the table and keep the figures."""
    options = read_options()
    schedule = Schedule(options.rounds, options.warm, options.window)
    loads = [Load("chunks", 200), Load("blocks", 200), Load("blocks", 1000)]
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("two cores are needed: one for the server, one for the load")
    where = machine()
    warn_if_busy(where)
    each = STARTING_SECONDS + schedule.warm_seconds + schedule.window_seconds
    minutes = schedule.rounds * len(loads) * len(SERVERS) * each / 60
    print(f"about {minutes:.1f} minutes", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="earhook-bench-") as name:
        runs = measure(loads, schedule, Path(name))
    print(f"{sentence(where)}\n\n{markdown(runs)}")
    if options.output is not None:
        report = {"machine": where, "schedule": schedule._asdict(), "runs": runs}
        options.output.write_text(json.dumps(report, indent=1) + "\n")


def read_options() -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm", type=float, default=3.0)
    parser.add_argument("--window", type=float, default=8.0)
    parser.add_argument("--output", type=Path, default=RESULTS / "ingest_http.json")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--smoke", action="store_true", help="does it work? figures not kept")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.warm, options.window = 1, 2.0, 5.0
    if options.smoke:
        options.rounds, options.warm, options.window, options.output = 1, 0.5, 1.0, None
    return options


def measure(loads: list[Load], schedule: Schedule, directory: Path) -> list[dict[str, Any]]:
    """Every load at every server, as many times as there are rounds."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.crt"))
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(str(directory / "server.crt"))
    certificate.private_key_pem.write_to_path(str(directory / "server.key"))
    (directory / "server.key").chmod(0o600)
    runs = []
    turns = product(range(schedule.rounds), loads, SERVERS)
    for number, (round_number, load, kind) in enumerate(turns):
        place = directory / str(number)
        place.mkdir()
        with kind(place) as server:
            found = generate(server, load, schedule, directory / "ca.crt")
            server.stop()
        if found["samples_received"] != found["samples_sent"]:
            sys.exit(f"{server.name}, {load.words}: not all arrived: {found}")
        run = {"round": round_number, "server": server.name, **load._asdict(), **found}
        run["cpu_microseconds"] = round(found["cpu_seconds"] / found["pieces"] * 1e6, 1)
        print(json.dumps(run), file=sys.stderr, flush=True)
        runs.append(run)
        time.sleep(0.5)
    return runs


def generate(server: Server, load: Load, schedule: Schedule, cafile: Path) -> dict[str, Any]:
    """Play a load to a server; what the generator found."""
    timing = (schedule.warm_seconds, schedule.window_seconds)
    program = HERE / "http_generator.py"
    command = [sys.executable, program, server.port, cafile, server.process.pid, *load, *timing]
    ended = subprocess.run(
        pinned(command, LOAD_CORE),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=GENERATOR_SECONDS,
    )
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def markdown(runs: list[dict[str, Any]]) -> str:
    """Medians, side by side."""
    loads = dict.fromkeys(Load(run["shape"], run["calls"]) for run in runs)
    rows = [
        "| load | bare aiohttp, us | earhook, us | earhook : bare | earhook's core | remarks |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for load in loads:
        figures = {}
        for kind in SERVERS:
            mine = [run for run in runs if Load(run["shape"], run["calls"]) == load]
            figures[kind.name] = [run for run in mine if run["server"] == kind.name]
        bare, ours = (
            statistics.median(run["cpu_microseconds"] for run in figures[kind.name])
            for kind in SERVERS
        )
        busy = statistics.median(
            run["cpu_seconds"] / run["seconds"] for run in figures[Earhook.name]
        )
        missed = sum(run["missed"] for run in figures[Earhook.name])
        remark = f"{missed} blocks waited for an answer" if missed else ""
        cells = (
            load.words,
            f"{bare:.1f}",
            f"{ours:.1f}",
            f"{ours / bare:.2f}",
            f"{busy:.0%}",
            remark,
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
