"""From runs to one histogram a server, a table, and what is wrong. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from bench.ingest.figures import LATE_SHARE, sent_share
from earhook.load.histograms import Latency

__all__ = ["STATISTICS", "markdown", "merged", "wrong"]

STATISTICS = ("p50", "p90", "p99", "p99.9", "max")


def merged(runs: Sequence[dict[str, Any]]) -> dict[str, Latency]:
    """The ages of the frames that count, of all rounds of each server together."""
    found: dict[str, Latency] = {}
    for run in runs:
        latency = found.setdefault(run["server"], Latency())
        for microseconds, count in run["heard"].get("ages", {}).get("values_us", ()):
            latency.record((microseconds + 0.5) / 1e6, count)  # not a microsecond less
    return found


def wrong(run: dict[str, Any]) -> Iterator[str]:
    """What is not as it should be, in words. An empty `heard` is a subscriber that gave up."""
    where, heard = f"{run['server']}, round {run['round']}", run["heard"]
    if not heard:
        yield f"{where}: the subscriber found a fault"
        return
    wanted = {
        "calls lost": (run["lost_calls"], 0),
        "frames never sent": (run["dropped_in_all"], 0),
        "frames received": (heard["frames"], run["sent_in_all"]),
        "frames received of those that count": (heard["ages"]["count"], run["lateness"]["count"]),
    }
    for words, (is_so, should_be) in wanted.items():
        if is_so != should_be:
            yield f"{where}: {words}: {is_so:,}, not {should_be:,}"
    if abs(1 - sent_share(run)) > LATE_SHARE:
        yield f"{where}: {sent_share(run):.1%} of what was due was sent"


def markdown(runs: Sequence[dict[str, Any]], latencies: dict[str, dict[str, Any]]) -> str:
    """The table for people.

    Args:
        runs: All of them.
        latencies: By server, `Latency.as_json` of all its rounds.
    """
    statistics_row = " / ".join(STATISTICS)
    rows = [
        (
            f"| server | frames | sent to received, ms: {statistics_row} | its core | generator "
            f"| subscriber | generator late, ms: {statistics_row} |"
        ),
        "|---|---:|---|---:|---:|---:|---|",
    ]
    for name, latency in latencies.items():
        own = [run for run in runs if run["server"] == name]
        late = [
            statistics.median(run["lateness"][f"{rank}_us"] for run in own) / 1000
            for rank in STATISTICS
        ]
        cells = [
            name,
            f"{latency['count']:,}",
            _times([latency["milliseconds"][rank] for rank in STATISTICS]),
            _share([run["server_cpu_ns"] / run["window_ns"] for run in own]),
            _share([run["own_cpu_ns"] / run["window_ns"] for run in own]),
            _share([run["heard"].get("own_cpu_ns", 0) / run["window_ns"] for run in own]),
            _times(late),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _times(milliseconds: Sequence[float | None]) -> str:
    return " / ".join("-" if own is None else f"{own:.2f}" for own in milliseconds)


def _share(shares: Sequence[float]) -> str:
    return f"{statistics.median(shares):.0%}"
