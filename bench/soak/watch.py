"""What a gateway uses, and whether its books balance: read from outside, again and again."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["Reading", "faults", "read_tree", "total", "unbalanced"]

_PROC: Final = Path("/proc")
_MIB: Final = 1 << 20
_SINK: Final = re.compile(r'sink="([^"]+)"')
_NEVER: Final = {
    "earhook_faults_total": "defects of ours that ended a connection",
    "earhook_calls_unbalanced_total": "calls whose books do not balance",
    "earhook_log_lines_lost_total": "log lines that nobody took",
}


class Reading(NamedTuple):
    """What a process and all below it hold.

    Attributes:
        mib: Resident memory; what processes share counts for each of them.
    """

    mib: float
    descriptors: int
    threads: int
    processes: int
    cpu_seconds: float


def read_tree(pid: int) -> Reading:
    """Add it up.

    Raises:
        ProcessLookupError: There is no such process.
    """
    readings = []
    for one in _tree(pid):
        try:
            readings.append(_read(one))
        except OSError:
            if one == pid:
                raise ProcessLookupError(pid) from None
    return Reading(*(sum(column) for column in zip(*readings, strict=True)))


def _read(pid: int) -> tuple[float, int, int, int, float]:
    place = _PROC / str(pid)
    pages = int((place / "statm").read_text().split()[1])
    fields = (place / "stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return (
        pages * os.sysconf("SC_PAGE_SIZE") / _MIB,
        len(os.listdir(place / "fd")),  # noqa: PTH208 - names only, not one object for each
        int(fields[17]),
        1,
        ticks / os.sysconf("SC_CLK_TCK"),
    )


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        tasks = list((_PROC / str(pid) / "task").iterdir())
        children = " ".join((task / "children").read_text() for task in tasks)
    except OSError:
        return
    for child in children.split():
        yield from _tree(int(child))


def total(counters: Mapping[str, float], name: str) -> float:
    """A metric, added up over its labels."""
    return sum(
        value for key, value in counters.items() if key == name or key.startswith(name + "{")
    )


def unbalanced(counters: Mapping[str, float]) -> list[str]:
    """Sums that should be equal at this very moment and are not."""
    names = ("received", "written", "dropped")
    received, written, dropped = (
        total(counters, f"earhook_samples_{name}_total") for name in names
    )
    wrong = []
    if received != written + dropped:
        wrong.append(f"{received:.0f} samples received are not {written:.0f} + {dropped:.0f}")
    for sink in sorted({found[1] for key in counters if (found := _SINK.search(key))}):
        wrong += _sink_unbalanced(sink, _of_sink(counters, sink))
    return wrong


def faults(counters: Mapping[str, float]) -> list[str]:
    """What must never be counted, and was."""
    return [
        f"{total(counters, name):.0f} {words}"
        for name, words in _NEVER.items()
        if total(counters, name)
    ]


def _of_sink(counters: Mapping[str, float], sink: str) -> dict[str, float]:
    label = f'sink="{sink}"'
    return {key: value for key, value in counters.items() if label in key}


def _sink_unbalanced(sink: str, own: Mapping[str, float]) -> list[str]:
    received = total(own, "earhook_sink_received_samples_total")
    forwarded = total(own, "earhook_sink_forwarded_samples_total")
    buffered = total(own, "earhook_sink_buffered_samples")
    dropped = total(own, "earhook_sink_dropped_samples_total")
    if received == forwarded + buffered + dropped:
        return []
    sides = f"{forwarded:.0f} forwarded + {buffered:.0f} buffered + {dropped:.0f} dropped"
    return [f"{sink}: {received:.0f} samples are not {sides}"]
