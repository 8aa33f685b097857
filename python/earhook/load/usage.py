"""What a server on this machine uses: CPU and memory of a process and all below it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from earhook.errors import ConfigurationError, ConfigurationFault

__all__ = ["ProcessTree", "waited_seconds"]

_PROC: Final = Path("/proc")
_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    cpu_seconds: float
    resident_bytes: int


class ProcessTree:
    """Watches a process and its children; `look` now and then.

    Args:
        pid: Of the topmost one.

    Raises:
        ConfigurationError: There is no such process.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.peak_bytes = 0
        self.cpu_seconds = 0.0
        """Of all of them since this was made, as far as they were seen."""
        self._last: dict[int, float] = {}
        found = self._processes()
        if pid not in found:
            raise ConfigurationError(
                [ConfigurationFault("--server-pid", f"{pid} is no process that can be seen here")]
            )
        self._last = {pid: own.cpu_seconds for pid, own in found.items()}

    def look(self) -> None:
        """Take note of where they stand."""
        found = self._processes()
        for pid, own in found.items():
            self.cpu_seconds += max(own.cpu_seconds - self._last.get(pid, 0.0), 0.0)
        self._last = {pid: own.cpu_seconds for pid, own in found.items()}
        self.peak_bytes = max(self.peak_bytes, sum(own.resident_bytes for own in found.values()))

    def as_json(self, seconds: float, frames: int) -> dict[str, Any]:
        """CPU as cores and per frame of the load, and the most memory that was seen."""
        return {
            "pid": self._pid,
            "cpu_seconds": round(self.cpu_seconds, 3),
            "cores": round(self.cpu_seconds / seconds, 3) if seconds else None,
            "cpu_us_per_frame": round(self.cpu_seconds / frames * 1e6, 2) if frames else None,
            "peak_mib": round(self.peak_bytes / (1 << 20), 1),
        }

    def _processes(self) -> dict[int, _Process]:
        """The process and all below it."""
        every = {int(path.name): path for path in _PROC.iterdir() if path.name.isdecimal()}
        read = {pid: own for pid, path in every.items() if (own := _read(path)) is not None}
        return {pid: own for pid, own in read.items() if self._is_below(pid, read)}

    def _is_below(self, pid: int, processes: Mapping[int, _Process]) -> bool:
        while pid != self._pid:
            own = processes.get(pid)
            if own is None or own.parent == 0:
                return False
            pid = own.parent
        return True


def waited_seconds() -> float:
    """How long this thread was ready to run and had no core; 0 where the kernel does not tell."""
    try:
        text = (_PROC / "thread-self" / "schedstat").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return int(text.split()[1]) / 1e9


def _read(path: Path) -> _Process | None:
    try:
        fields = (path / "stat").read_text(encoding="utf-8", errors="replace")
        pages = int((path / "statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return None  # it has ended meanwhile
    # The name in the middle may hold anything, spaces and brackets too.
    numbers = fields.rpartition(")")[2].split()
    cpu_ticks = int(numbers[11]) + int(numbers[12])
    return _Process(int(numbers[1]), cpu_ticks / _TICKS_PER_SECOND, pages * _PAGE_BYTES)
