"""Latencies as HDR histograms: every value to three digits, mergeable, exact counts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Self

from hdrh.histogram import HdrHistogram

__all__ = ["PERCENTILES", "Latency", "write_log"]

LONGEST_MICROSECONDS: Final = 600_000_000
DIGITS: Final = 3
PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9}


class Latency:
    """A latency histogram in microseconds. Recording costs less than a microsecond."""

    __slots__ = ("_histogram", "_total_seconds")

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, LONGEST_MICROSECONDS, DIGITS)
        self._total_seconds = 0.0

    def record(self, seconds: float, count: int = 1) -> None:
        """Count a value so many times; above ten minutes it counts as ten minutes."""
        microseconds = max(int(seconds * 1e6), 1)
        self._histogram.record_value(min(microseconds, LONGEST_MICROSECONDS), count)
        self._total_seconds += seconds * count

    def add(self, other: Self) -> None:
        """Count all that the other one counted."""
        self._histogram.add(other._histogram)
        self._total_seconds += other._total_seconds

    @property
    def count(self) -> int:
        """How many values were recorded."""
        return int(self._histogram.get_total_count())

    def milliseconds(self, statistic: str) -> float | None:
        """`p50` and any other percentile, `max` or `mean`; None when nothing was recorded.

        Raises:
            KeyError: It is none of these.
        """
        if statistic not in {"max", "mean"} and not _is_percentile(statistic):
            raise KeyError(statistic)
        if not self.count:
            return None
        if statistic == "mean":
            return self._total_seconds / self.count * 1000
        if statistic == "max":
            return float(self._histogram.get_max_value()) / 1000
        rank = float(statistic.removeprefix("p"))
        return float(self._histogram.get_value_at_percentile(rank)) / 1000

    def as_json(self) -> dict[str, Any]:
        """Count, percentiles, maximum and mean, in milliseconds."""
        names = (*PERCENTILES, "max", "mean")
        values = {name: self.milliseconds(name) for name in names}
        rounded = {name: None if v is None else round(v, 3) for name, v in values.items()}
        return {"count": self.count, "milliseconds": rounded}

    def __getstate__(self) -> tuple[str, float]:
        return self.encoded(), self._total_seconds

    def __setstate__(self, state: tuple[str, float]) -> None:
        self.__init__()  # type: ignore[misc]
        self._histogram.decode_and_add(state[0].encode("ascii"))
        self._total_seconds = state[1]

    def encoded(self) -> str:
        """The compressed V2 form, base64, that every HdrHistogram library reads."""
        return str(self._histogram.encode().decode("ascii"))


def write_log(path: Path, latencies: Mapping[str, Latency], seconds: tuple[float, float]) -> None:
    """Write an interval log (`.hlog`, format 1.3), one tagged line each, microseconds inside.

    Args:
        path: Replaced if it is there.
        latencies: By tag.
        seconds: When the load began, as a wall clock has it, and how long it took.
    """
    path.write_text("\n".join(_log_lines(latencies, seconds)) + "\n", encoding="ascii")


def _log_lines(latencies: Mapping[str, Latency], seconds: tuple[float, float]) -> Iterable[str]:
    began, length = seconds
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began))
    yield "#[Histogram log format version 1.3]"
    yield f"#[StartTime: {began:.3f} (seconds since epoch), {stamp}]"
    yield '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"'
    for tag, latency in latencies.items():
        if latency.count:
            largest = (latency.milliseconds("max") or 0.0) / 1000
            yield f"Tag={tag},0.000,{length:.3f},{largest:.6f},{latency.encoded()}"


def _is_percentile(statistic: str) -> bool:
    rank = statistic.removeprefix("p")
    digits = rank.replace(".", "", 1)
    return statistic.startswith("p") and digits.isdecimal() and 0 < float(rank) <= 100
