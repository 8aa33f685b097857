"""How many cores this process may use, and how many workers that makes."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .settings import WorkersSettings

__all__ = ["allowed_cores", "worker_count"]


def allowed_cores() -> float:
    """Those we may run on, or less by the control group's quota."""
    cores = float(len(os.sched_getaffinity(0)))
    with contextlib.suppress(OSError, ValueError):
        quota, period = (Path("/sys/fs/cgroup") / "cpu.max").read_text().split()
        cores = min(cores, int(quota) / int(period))
    return max(cores, _LEAST_CORES)


def worker_count(settings: WorkersSettings, cores: float | None = None) -> int:
    """How many workers there are to be; `auto` is one for each whole core that we may use."""
    if settings.count != "auto":
        return settings.count
    return max(1, int(allowed_cores() if cores is None else cores))


_LEAST_CORES: Final = 0.01
