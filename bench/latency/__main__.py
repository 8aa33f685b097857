"""How old a frame is when a local subscriber of the PCM stream has it, beside a C relay.

    python -m bench.latency                  1,000 TLS calls, stereo frames of 200 ms, in real time

The generator writes into every frame when it was sent, and a subscriber in C on the PCM stream's
Unix socket reads that back. Both are on core 1 and next to idle; the server has core 0. The
*C relay* decrypts, decodes and hands on, and nothing else: what is above it is the gateway's. The
exit code is 1 if one frame is lost, repeated or out of order, or if the generator did not keep
its schedule.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from bench.ingest.measure import Load, Schedule, compile_program, generate, prepare, say
from bench.ingest.servers import (
    LOAD_CORE,
    STOP_SECONDS,
    Floor,
    Gateway,
    Process,
    Server,
    spawn,
)
from bench.provenance import RESULTS, machine, sentence, warn_if_busy
from earhook.control.process import raise_open_files
from earhook.load.histograms import write_log

from .figures import markdown, merged, wrong

FRAMES_PER_SECOND, FRAME_BYTES, CHANNELS = 5, 3_200, 2
"""Of a call: 200 ms of stereo mu-law in real time."""
USUAL = {"calls": 1_000, "seconds": 20.0, "warm": 3.0, "rounds": 3}
QUICK = USUAL | {"seconds": 5.0, "warm": 2.0, "rounds": 1}
SMOKE = {"calls": 20, "seconds": 1.0, "warm": 0.4, "rounds": 1}


class Heard(Server):
    """A server that gives PCM to the subscriber, which runs as long as the server does."""

    def __enter__(self) -> Self:
        super().__enter__()
        program = self.directory.parent / "subscriber"
        command = [program, self.socket, FRAME_BYTES // CHANNELS]
        self._subscriber = spawn(command, core=LOAD_CORE, stdout=subprocess.PIPE)
        assert self._subscriber.stdout is not None
        assert self._subscriber.stdout.readline() == "subscribed\n"
        return self

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        if self._subscriber.poll() is None:
            self._subscriber.kill()
            self._subscriber.wait()

    @property
    def socket(self) -> Path:
        """Where the PCM stream is."""
        return self.directory / "pcm.sock"

    def heard(self) -> dict[str, Any]:
        """Stop, and give what the subscriber says; nothing if it has given up."""
        self.stop()
        output, _ = self._subscriber.communicate(timeout=STOP_SECONDS)
        found: dict[str, Any] = {} if self._subscriber.returncode else json.loads(output)
        return found

    def frames_received(self, frame_bytes: int) -> float:
        """Stop, and say how many frames the subscriber got. Not a number if it has given up."""
        del frame_bytes
        return float(self.heard().get("frames", "nan"))


class Relay(Heard, Floor):
    """The C floor, which hands on what it reads."""

    name = "C relay"

    def start(self) -> Process:
        """Start the process on its core."""
        command = [self.directory.parent / "floor", *self.identity, self.socket, FRAME_BYTES]
        return spawn(command, stdout=subprocess.PIPE)


class HeardGateway(Heard, Gateway):
    """The gateway, with no other subscriber."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, subscribers=0)


SERVERS: tuple[type[Relay | HeardGateway], ...] = (Relay, HeardGateway)


def measure(load: Load, schedule: Schedule, directory: Path) -> list[dict[str, Any]]:
    """Every round has each server once; they take turns in going first."""
    runs: list[dict[str, Any]] = []
    for number in range(schedule.rounds):
        for turn in range(len(SERVERS)):
            place = directory / f"{len(runs)}"
            place.mkdir()
            server = SERVERS[(turn + number) % len(SERVERS)](place)
            with server:
                run = generate(server, load, schedule, "stamped")
                heard = server.heard()
            named = {"round": number, "server": server.name, **load._asdict()}
            runs.append({**named, **run, "heard": heard})
            say(runs[-1] | {"complete": not list(wrong(runs[-1]))})
    return runs


def main() -> int:
    """Run all rounds, print the table, keep the figures, judge."""
    options = read_options()
    raise_open_files()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("two cores are needed: one for the server, one for the load")
    load = Load(options.calls, FRAMES_PER_SECOND, FRAME_BYTES)
    schedule = Schedule(options.rounds, options.warm, options.seconds)
    where, began = machine(), time.time()
    warn_if_busy(where)
    with tempfile.TemporaryDirectory(prefix="earhook-bench-") as name:
        prepare(Path(name))
        compile_program(Path(__file__).parent / "subscriber.c", Path(name))
        runs = measure(load, schedule, Path(name))
    latencies = {name: own for name, own in merged(runs).items() if own.count}
    report: dict[str, Any] = {
        "machine": where,
        "load": load._asdict(),
        "schedule": schedule._asdict(),
        "latencies": {name: own.as_json() for name, own in latencies.items()},
        "runs": [without_values(run) for run in runs],
    }
    print(f"{sentence(where)}\n\n{markdown(report['runs'], report['latencies'])}")
    if options.output is not None:
        options.output.parent.mkdir(exist_ok=True)
        options.output.write_text(json.dumps(report, indent=1) + "\n")
        write_log(options.output.with_suffix(".hlog"), latencies, (began, time.time() - began))
    faults = [text for run in runs for text in wrong(run)]
    print("\n".join(faults) if faults else "every frame that was sent was received, in its order")
    return 1 if faults else 0


def without_values(run: dict[str, Any]) -> dict[str, Any]:
    """A run with percentiles only: the values are in the histograms."""
    heard, late = dict(run["heard"]), dict(run["lateness"])
    late.pop("values_us", None)
    if "ages" in heard:
        heard["ages"] = {name: own for name, own in heard["ages"].items() if name != "values_us"}
    return run | {"heard": heard, "lateness": late}


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--smoke", action="store_true", help="does it work? figures not kept")
    parser.add_argument("--calls", type=int)
    parser.add_argument("--seconds", type=float, help="that count, of each round")
    parser.add_argument("--warm", type=float, help="seconds before these, with all calls open")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--output", type=Path, help="JSON; the histograms lie beside it")
    options = parser.parse_args()
    usual = SMOKE if options.smoke else QUICK if options.quick else USUAL
    for name, value in usual.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.output is None and not options.smoke:
        options.output = RESULTS / "latency.json"
    return options


if __name__ == "__main__":
    sys.exit(main())
