"""Calls over TLS in real time, every sample proved, and all latencies as histograms.

    python -m bench.calls                  200 calls, 1,000 calls, and a storm of 1,000
    python -m bench.calls --only storm

The gateway has a core of its own; `earhook load`, who proves what arrives, and a second subscriber
share another one. Audio is pseudo-random, so each sample has one right value at one right place:
loss, repetition, swapped channels and mixed-up calls are all seen, at the PCM stream while it runs
and in the recordings afterwards. The exit code is 1 if a single sample is wrong or missing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from earhook.load.plan import LoadPlan, Target
from earhook.load.shape import Shape
from earhook.media.wav import read_header
from earhook.testing import Source

from .gateway_process import SHARED, GatewayProcess
from .provenance import RESULTS, machine, sentence, warn_if_busy

GATEWAY_CORE, OTHERS_CORE = 0, 1
HERE: Final = Path(__file__).parent
LATENCIES: Final = ("end_to_end", "opened", "connect", "pong", "close", "lateness")


class Stage(NamedTuple):
    """One load.

    Attributes:
        ramp_seconds: Over which all calls are dialled.
        compares: Whether recordings are kept and compared with what was sent.
    """

    name: str
    calls: int
    ramp_seconds: float
    seconds: float
    compares: bool


def stages(*, quick: bool) -> list[Stage]:
    """All of them."""
    seconds = 12.0 if quick else 30.0
    return [
        Stage("200 calls", 200, 4.0, seconds, compares=True),
        Stage("1,000 calls", 1_000, 8.0, seconds, compares=False),
        Stage("storm", 1_000, 2.0, 4.0, compares=False),
    ]


def run(stage: Stage, directory: Path, logs: Path | None) -> dict[str, Any]:
    """One stage against a gateway of its own."""
    with GatewayProcess(directory, SHARED, core=GATEWAY_CORE, records=stage.compares) as gateway:
        before = gateway.rss_mib()
        counting = subprocess.Popen(
            _pinned(sys.executable, HERE / "ingest" / "subscriber.py", directory / "pcm.sock"),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            found = _load(stage, gateway, logs)
            counters = gateway.counters()
        finally:
            gateway.stop()
            counted, _ = counting.communicate(timeout=30)
    report = {
        "stage": stage.name,
        "calls": stage.calls,
        "load": found,
        "second_subscriber": json.loads(counted.splitlines()[-1]),
        "unbalanced": counters["earhook_calls_unbalanced_total"],
        "faults": counters["earhook_faults_total"],
        "gateway_exit_code": gateway.exit_code,
        "kib_per_call": round((found["server"]["peak_mib"] - before) * 1024 / stage.calls, 1),
    }
    if stage.compares:
        report["recordings"] = compare(directory / "recordings", found)
    return report | {"wrong": list(wrong(report))}


def _load(stage: Stage, gateway: GatewayProcess, logs: Path | None) -> dict[str, Any]:
    place, directory = gateway.place, gateway.directory
    words = [
        *(place.url, "--calls", stage.calls, "--ramp", f"{stage.ramp_seconds}s"),
        *("--duration", f"{stage.seconds}s", "--verify", place.address, "--json"),
        *("--cafile", place.cafile, "--server-pid", gateway.pid),
        *("--api-key-file", directory / "api-key", "--secret-file", directory / "secret"),
    ]
    if logs is not None:
        logs.mkdir(parents=True, exist_ok=True)
        words += ["--hlog", log_path(stage.name, logs)]
    ended = subprocess.run(
        _pinned(sys.executable, "-m", "earhook", "load", *words),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120 + 2 * (stage.seconds + stage.ramp_seconds),
    )
    if not ended.stdout:
        sys.exit(f"earhook load ended with {ended.returncode}")
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def log_path(stage: str, directory: Path = RESULTS) -> Path:
    """Where the histograms of a stage lie."""
    return directory / f"{stage.replace(' ', '-').replace(',', '')}.hlog"


def _pinned(*words: object) -> list[str]:
    return [str(word) for word in ("taskset", "-c", OTHERS_CORE, *words)]


def compare(directory: Path, found: dict[str, Any]) -> dict[str, int]:
    """Every recording with what its call sent."""
    plan = LoadPlan(
        target=Target(url=found["url"]),
        shape=Shape(calls=1, seed=found["seed"]),
        run=uuid.UUID(found["run"]),
    )
    right = wrong = files = 0
    for number in range(found["counts"]["due"]):
        paths = sorted(directory.rglob(f"*{plan.session(number)}*.wav"))
        files += bool(paths)
        own_right, own_wrong = _compare_call(paths, plan.source_of(number))
        right, wrong = right + own_right, wrong + own_wrong
    return {"files": files, "right": right, "wrong": wrong}


def _compare_call(paths: list[Path], source: Source) -> tuple[int, int]:
    right = wrong = position = 0
    for path in paths:
        with path.open("rb") as file:
            header = read_header(file)
            file.seek(header.audio_offset)
            both = np.frombuffer(file.read(), "<i2").reshape(-1, 2)
        for channel in (0, 1):
            wanted = np.frombuffer(source.pcm(channel, position, len(both)), "<i2")
            same = int(np.count_nonzero(both[:, channel] == wanted))
            right, wrong = right + same, wrong + len(both) - same
        position += len(both)
    return right, wrong


def wrong(report: dict[str, Any]) -> Iterator[str]:
    """What is not as it should be, in words."""
    load, counted = report["load"], report["second_subscriber"]
    counts, proof = load["counts"], load["verified"]
    sent = proof["samples"]["sent"]
    wanted = {
        "calls that failed": (counts["failed"], 0),
        "rules broken": (counts["objections"], 0),
        "calls proved": (proof["proved"], report["calls"]),
        "samples right": (proof["samples"]["right"], sent),
        "calls told otherwise": (proof["unbalanced"], 0),
        "samples at the second subscriber": (counted["samples"], sent),
        "unbalanced calls": (report["unbalanced"], 0),
        "faults of the gateway": (report["faults"], 0),
        "its exit code": (report["gateway_exit_code"], 0),
    }
    if "recordings" in report:
        wanted["recordings"] = (report["recordings"]["files"], report["calls"])
        wanted["samples right in recordings"] = (report["recordings"]["right"], sent)
    for words, (is_so, should_be) in wanted.items():
        if is_so != should_be:
            yield f"{report['stage']}: {words}: {is_so}, not {should_be}"


def markdown(reports: list[dict[str, Any]]) -> str:
    """The tables for people."""
    rows = [
        (
            "| load | samples right at a subscriber | at another | in recordings "
            "| CPU per frame, us | KiB per call | generator |"
        ),
        "|---|---|---|---|---|---|---|",
    ]
    for report in reports:
        load = report["load"]
        samples, recorded = load["verified"]["samples"], report.get("recordings")
        cells = [
            report["stage"],
            f"{samples['right']:,} of {samples['sent']:,}",
            f"{report['second_subscriber']['samples']:,}",
            f"{recorded['right']:,}" if recorded else "",
            f"{load['server']['cpu_us_per_frame']:.1f}",
            f"{report['kib_per_call']:.0f}",
            load["generator"]["bottleneck"] or "in time",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    rows += ["", "| ms: p50 / p90 / p99 / p99.9 / max | " + " | ".join(LATENCIES) + " |"]
    rows.append("|---|" + "---|" * len(LATENCIES))
    for report in reports:
        found = report["load"]["latencies"]
        cells = [report["stage"], *(_percentiles(found.get(name)) for name in LATENCIES)]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _percentiles(latency: dict[str, Any] | None) -> str:
    if latency is None:
        return ""
    own = latency["milliseconds"]
    return " / ".join(f"{own[name]:.1f}" for name in ("p50", "p90", "p99", "p99.9", "max"))


def main() -> int:
    """Run all stages, print the tables, judge."""
    options = read_options()
    where, reports = machine(), []
    warn_if_busy(where)
    chosen = [own for own in stages(quick=options.quick) if options.only in own.name]
    if options.smoke:
        chosen = [Stage("20 calls", 20, 1.0, 2.0, compares=True)]
    for stage in chosen:
        seconds = stage.seconds + 2 * stage.ramp_seconds + 6
        print(f"{stage.name}: about {seconds:.0f} s", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="earhook-") as directory:
            reports.append(run(stage, Path(directory), options.output and options.output.parent))
    print(f"{sentence(where)}\n\n{markdown(reports)}")
    if options.output is not None:
        options.output.write_text(
            json.dumps({"machine": where, "stages": reports}, indent=1) + "\n"
        )
    faults = [text for report in reports for text in report["wrong"]]
    print("\n".join(faults) if faults else "every sample is right")
    return 1 if faults else 0


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="stages whose name holds this")
    parser.add_argument("--quick", action="store_true", help="shorter calls")
    parser.add_argument("--smoke", action="store_true", help="does it work? figures not kept")
    parser.add_argument("--output", type=Path, default=RESULTS / "calls.json")
    options = parser.parse_args()
    if options.smoke:
        options.output = None
    return options


if __name__ == "__main__":
    sys.exit(main())
