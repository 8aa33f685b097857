"""From runs to medians, ratios and a table."""

from __future__ import annotations

import os
import platform
import ssl
import statistics
import subprocess
import time
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

LATE_SHARE = 0.01
"""If what was sent in the window differs by more from what was due, the schedule was not kept."""
BUSY_SHARE = 0.97
REFERENCE = "C floor"


def summarise(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry a load, with the medians of each server and its ratio to the floor."""
    loads = []
    for (rate, size, calls), of_load in groupby(sorted(runs, key=load_of), key=load_of):
        in_load = list(of_load)
        names = dict.fromkeys(run["server"] for run in in_load)
        servers = {
            name: medians([run for run in in_load if run["server"] == name]) for name in names
        }
        for figures in servers.values():
            figures["ratio"] = figures["us_per_frame"] / servers[REFERENCE]["us_per_frame"]
        load = {"calls": calls, "frames_per_second": rate, "frame_bytes": size}
        loads.append({**load, "servers": servers})
    return loads


def load_of(run: dict[str, Any]) -> tuple[int, int, int]:
    """What tells loads apart, in the order of the table."""
    return run["frames_per_second"], run["frame_bytes"], run["calls"]


def medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The middle run of each figure; what went wrong in any of them."""
    each = [microseconds_per_frame(run) for run in runs]
    return {
        "us_per_frame": statistics.median(each),
        "us_per_frame_each": each,
        "server_share": statistics.median(run["server_cpu_ns"] / run["window_ns"] for run in runs),
        "generator_share": statistics.median(run["own_cpu_ns"] / run["window_ns"] for run in runs),
        "sent_share": max((sent_share(run) for run in runs), key=lambda share: abs(1 - share)),
        "memory_kib": statistics.median(run["server_memory_kib"] for run in runs),
        "complete": all(run["complete"] for run in runs),
    }


def microseconds_per_frame(run: dict[str, Any]) -> float:
    """CPU time of the server for each frame that it received.

    Where it keeps up, what was sent in the window is what was received in it. Where it does not,
    frames wait in socket buffers at the end of the window, so the time until they are gone counts.
    """
    if is_saturated(run):
        return float(run["rest_cpu_ns"] / run["rest_sent"] / 1000)
    return float(run["server_cpu_ns"] / run["sent"] / 1000)


def is_saturated(run: dict[str, Any]) -> bool:
    """Whether the load was more than the server or the generator could carry."""
    busy = run["server_cpu_ns"] / run["window_ns"] > BUSY_SHARE
    return busy or abs(1 - sent_share(run)) > LATE_SHARE


def sent_share(run: dict[str, Any]) -> float:
    """What was sent in the window of what was due in it; more than 1 makes up for time before."""
    return float(run["sent"] / run["due"])


def machine() -> dict[str, str]:
    """Where it was measured, and with what."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    compiler = subprocess.run(["cc", "--version"], check=True, capture_output=True, text=True)
    packages = ("earhook", "picows", "uvloop", "orjson")
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": f"{os.cpu_count()} x {cpu}",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "compiler": compiler.stdout.splitlines()[0],
        **{name: version(name) for name in packages},
    }


def markdown(report: dict[str, Any]) -> str:
    """The table for people."""
    names = list(report["loads"][0]["servers"])
    head = [
        "load",
        *(f"{name}, us" for name in names),
        *(f"{name} : floor" for name in names if name != REFERENCE),
        "remarks",
    ]
    rows = [row(load, names) for load in report["loads"]]
    lines = ["; ".join(f"{name} {value}" for name, value in report["machine"].items()), ""]
    lines += [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def row(load: dict[str, Any], names: list[str]) -> list[str]:
    """One load: microseconds, ratios, and what to mind."""
    servers = load["servers"]
    shape = f"{load['calls']:,} calls, {load['frames_per_second']}/s of {load['frame_bytes']:,} B"
    remarks = [text for name in names for text in remarks_on(name, servers[name])]
    return [
        shape,
        *(f"{servers[name]['us_per_frame']:.1f}" for name in names),
        *(f"{servers[name]['ratio']:.2f}" for name in names if name != REFERENCE),
        "; ".join(remarks),
    ]


def remarks_on(name: str, figures: dict[str, Any]) -> list[str]:
    """What keeps a figure from speaking for itself."""
    remarks = []
    if figures["server_share"] > BUSY_SHARE:
        remarks.append(f"{name}: its core is full")
    if abs(1 - figures["sent_share"]) > LATE_SHARE:
        remarks.append(f"{name}: {figures['sent_share']:.0%} of what was due was sent")
    if not figures["complete"]:
        remarks.append(f"{name}: NOT ALL ARRIVED")
    return remarks
