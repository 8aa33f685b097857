"""From runs to medians, ratios and tables. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from .measure import Load

__all__ = ["LATE_SHARE", "REFERENCE", "markdown", "microseconds_per_frame", "summarise"]

LATE_SHARE = 0.01
"""If what was sent in the window differs by more from what was due, the schedule was not kept."""
BUSY_SHARE = 0.97
REFERENCE = "C floor"


def summarise(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry a load, with the medians of each server and its ratio to the floor."""
    loads = []
    for load, of_load in groupby(sorted(runs, key=_place), key=_load):
        in_load = list(of_load)
        names = dict.fromkeys(run["server"] for run in sorted(in_load, key=_turn))
        servers = {
            name: medians([run for run in in_load if run["server"] == name]) for name in names
        }
        for figures in servers.values():
            if REFERENCE in servers:
                floor = servers[REFERENCE]["us_per_frame"]
                figures["ratio"] = figures["us_per_frame"] / floor
        loads.append({**load._asdict(), "servers": servers})
    return loads


def _load(run: dict[str, Any]) -> Load:
    return Load(*(run[name] for name in Load._fields))


def _place(run: dict[str, Any]) -> tuple[Any, ...]:
    """The order of tables: TLS first, then as frames come, then as calls grow."""
    load = _load(run)
    return load.transport != "tls", load.frames_per_second, load.frame_bytes, load.calls


def _turn(run: dict[str, Any]) -> tuple[bool, int]:
    return run["server"] != REFERENCE, run["round"]


def medians(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The middle run of each figure; what went wrong in any of them."""
    each = [microseconds_per_frame(run) for run in runs]
    calls = runs[0]["calls"]

    def middle(values: Iterable[float]) -> float:
        return float(statistics.median(values))

    figures = {
        "us_per_frame": middle(each),
        "us_per_frame_each": each,
        "us_to_open": middle(run["opening_cpu_ns"] / calls / 1000 for run in runs),
        "server_share": middle(run["server_cpu_ns"] / run["window_ns"] for run in runs),
        "generator_share": middle(run["own_cpu_ns"] / run["window_ns"] for run in runs),
        "sent_share": max((sent_share(run) for run in runs), key=lambda share: abs(1 - share)),
        "kib_per_call": middle(
            (run["server_memory_kib"] - run["memory_before_kib"]) / calls for run in runs
        ),
        "memory_before_kib": middle(run["memory_before_kib"] for run in runs),
        "memory_kib": middle(run["server_memory_kib"] for run in runs),
        "complete": all(run["complete"] for run in runs),
    }
    if all("memory_after_kib" in run for run in runs):
        figures["memory_after_kib"] = middle(run["memory_after_kib"] for run in runs)
    return figures


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


def markdown(loads: Sequence[dict[str, Any]]) -> str:
    """The tables for people: CPU per frame, then what calls cost in memory and to open."""
    names = list(dict.fromkeys(name for load in loads for name in load["servers"]))
    return "\n\n".join((_cpu_table(loads, names), _call_table(loads, names)))


def _cpu_table(loads: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    compared = [name for name in names if name != REFERENCE]
    with_floor = REFERENCE in names
    head = [
        "CPU per frame",
        *(f"{name}, us" for name in names),
        *(f"{name} : floor" for name in compared if with_floor),
        "remarks",
    ]
    rows = [
        [
            _words(load),
            *(_cell(load, name, "us_per_frame", "{:.1f}") for name in names),
            *(_cell(load, name, "ratio", "{:.2f}") for name in compared if with_floor),
            "; ".join(text for name in names for text in remarks_on(name, load["servers"])),
        ]
        for load in loads
    ]
    return _table(head, rows)


def _call_table(loads: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    leaving = [
        name
        for name in names
        if any("memory_after_kib" in load["servers"].get(name, {}) for load in loads)
    ]
    head = [
        "per call",
        *(f"{name}, KiB" for name in names),
        *(f"{name}, CPU us to open" for name in names),
        *(f"{name}, MiB before / with / after" for name in leaving),
    ]
    rows = [
        [
            _words(load),
            *(_cell(load, name, "kib_per_call", "{:.0f}") for name in names),
            *(_cell(load, name, "us_to_open", "{:,.0f}") for name in names),
            *(_memory(load["servers"].get(name, {})) for name in leaving),
        ]
        for load in loads
    ]
    return _table(head, rows)


def _memory(figures: dict[str, Any]) -> str:
    names = ("memory_before_kib", "memory_kib", "memory_after_kib")
    return " / ".join(f"{figures[name] / 1024:.0f}" for name in names if name in figures)


def _words(load: dict[str, Any]) -> str:
    return _load(load).words


def _cell(load: dict[str, Any], name: str, figure: str, form: str) -> str:
    value = load["servers"].get(name, {}).get(figure)
    return "" if value is None else form.format(value)


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def remarks_on(name: str, servers: dict[str, dict[str, Any]]) -> list[str]:
    """What keeps a figure from speaking for itself."""
    if name not in servers:
        return []
    figures, remarks = servers[name], []
    if figures["server_share"] > BUSY_SHARE:
        remarks.append(f"{name}: its core is full")
    if abs(1 - figures["sent_share"]) > LATE_SHARE:
        remarks.append(f"{name}: {figures['sent_share']:.0%} of what was due was sent")
    if not figures["complete"]:
        remarks.append(f"{name}: NOT ALL ARRIVED")
    return remarks
