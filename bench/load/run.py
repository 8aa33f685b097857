"""How many calls one core of `earhook load` carries, against a server that does nothing.

    python -m bench.load.run [--calls 1000,4000] [--window 10] [--plain] [--smoke]

The server, `hollow.c` on another core, answers what has to be answered and looks at no audio. The
window lies behind the ramp: CPU of the generator in it is what frames and pings cost; the whole
run tells what connects and hanging up add. See ../README.md.
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
from typing import Any

import trustme

from bench.ingest.measure import compile_program

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results"
SERVER_CORE, LOAD_CORE = 0, 1
FRAMES_PER_SECOND = 5
SETTLE_SECONDS = 2.0
LATE_MILLISECONDS = 20.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
SECRET = "c2VjcmV0IG9mIHRoZSBiZW5jaA=="


def main() -> None:
    """Run each load, print the table and keep the figures."""
    options = read_options()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("two cores are needed: one for the server, one for the load")
    runs = []
    with tempfile.TemporaryDirectory(prefix="earhook-bench-") as name:
        directory = Path(name)
        prepare(directory)
        for calls in options.calls:
            runs.append(measure(directory, calls, options))
            print(line(runs[-1]), flush=True)
    if options.output is not None:
        report = {"load_average": os.getloadavg()[0], "window_seconds": options.window}
        options.output.write_text(json.dumps(report | {"runs": runs}, indent=1) + "\n")
    if not all(run["complete"] for run in runs):
        sys.exit("the generator was late, or not all of it arrived")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--calls", type=numbers, default=[1_000, 2_000, 4_000])
    parser.add_argument("--window", type=float, default=10.0, help="seconds that are measured")
    parser.add_argument("--rate", type=float, default=100.0, help="new calls a second")
    parser.add_argument("--plain", action="store_true", help="without TLS")
    parser.add_argument("--output", type=Path, default=RESULTS / "load.json")
    parser.add_argument("--smoke", action="store_true", help="does it work? figures not kept")
    options = parser.parse_args()
    if options.smoke:
        options.calls, options.window, options.output = [50], 1.0, None
    return options


def numbers(text: str) -> list[int]:
    """Numbers with commas between them."""
    return [int(number) for number in text.split(",")]


def prepare(directory: Path) -> None:
    """Compile the server and issue a certificate."""
    compile_program(HERE / "hollow.c", directory)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.crt"))
    issued = authority.issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(str(directory / "server.pem"))


def measure(directory: Path, calls: int, options: argparse.Namespace) -> dict[str, Any]:
    """One load."""
    secured = [] if options.plain else [directory / "server.pem"] * 2
    server = spawn([directory / "hollow", *secured], SERVER_CORE)
    try:
        assert server.stdout is not None
        port = server.stdout.readline().split()[1]
        url = f"{'ws' if options.plain else 'wss'}://localhost:{port}/audiohook"
        duration = SETTLE_SECONDS + options.window + 1
        words = [sys.executable, "-m", "earhook", "load", url, "--cafile", directory / "ca.crt"]
        words += ["--calls", calls, "--rate", options.rate, "--duration", f"{duration}s", "--json"]
        load = spawn(words, LOAD_CORE)
        busy = watch(load.pid, calls / options.rate + SETTLE_SECONDS, options.window)
        report = json.loads(load.communicate()[0])
        server.terminate()
        frames = int(server.communicate()[0].split()[1])
    finally:
        server.kill()
        server.wait()
    return summary(report, frames, busy, options.window)


def summary(
    report: dict[str, Any], frames: int, busy_seconds: float, window: float
) -> dict[str, Any]:
    """The figures of one run."""
    counts, late = report["counts"], report["latencies"]["lateness"]["milliseconds"]
    calls, sent = counts["due"], counts["frames"]
    arrived = frames == sent and counts["completed"] == calls
    return {
        "calls": calls,
        "share_of_a_core": round(busy_seconds / window, 3),
        "us_per_frame": round(busy_seconds / (calls * FRAMES_PER_SECOND * window) * 1e6, 1),
        "us_per_frame_with_connects": report["generator"]["cpu_us_per_frame"],
        "busiest_second": report["generator"]["busiest_share_of_a_core"],
        "lateness_milliseconds": late,
        "frames": sent,
        "frames_arrived": frames,
        "complete": arrived and late["p99"] <= LATE_MILLISECONDS,
    }


def watch(pid: int, wait_seconds: float, window: float) -> float:
    """CPU seconds that the process and its children use in the window."""
    time.sleep(wait_seconds + 1)  # until it has begun
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pids = [pid, *map(int, children)]
    before = sum(map(cpu_seconds, pids))
    time.sleep(window)
    return sum(map(cpu_seconds, pids)) - before


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def spawn(words: list[Any], core: int) -> subprocess.Popen[str]:
    """Start a program on a core."""
    command = [str(word) for word in ("taskset", "-c", core, *words)]
    environment = os.environ | {"EARHOOK_API_KEY": "bench", "EARHOOK_SECRET": SECRET}
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, env=environment)


def line(run: dict[str, Any]) -> str:
    """One run as a line."""
    late = run["lateness_milliseconds"]
    return (
        f"{run['calls']:6,} calls  {run['share_of_a_core']:4.0%} of a core  "
        f"{run['us_per_frame']:5.1f} us a frame  busiest second {run['busiest_second']:4.0%}  "
        f"late p50 {late['p50']:.1f} p99 {late['p99']:.1f} max {late['max']:.1f} ms  "
        f"{run['frames_arrived']:,} of {run['frames']:,} frames"
        + ("" if run["complete"] else "  NOT CARRIED")
    )


if __name__ == "__main__":
    main()
