"""Whether this process has more to do than it can do well. Pure: figures and time are handed in.

Each figure has a limit. Above it the gateway is under strain, and stays so until the figure is
back below a part of the limit: at the limit itself, calls would be let in and refused by turns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from .settings import SheddingSettings

__all__ = ["Level", "Pressure", "Sample", "Strain"]


class Strain(StrEnum):
    """What can be short."""

    CPU = "cpu"
    LOOP_LAG = "loop-lag"
    MEMORY = "memory"
    OPEN_FILES = "open-files"


class Sample(NamedTuple):
    """What the process takes of the machine, at one moment.

    Attributes:
        loop_cpu_seconds: CPU time of the event loop's thread, ever.
        process_cpu_seconds: CPU time of all threads, ever.
        cores: How many cores they may use.
        loop_lag_seconds: The 99th percentile of how late the loop was lately.
        memory_bytes: Resident memory.
        memory_limit_bytes: How much it may be; 0 where nothing limits it.
        open_files: File descriptors in use.
        open_files_limit: How many there may be; 0 where nothing limits them.
    """

    loop_cpu_seconds: float
    process_cpu_seconds: float
    cores: float
    loop_lag_seconds: float
    memory_bytes: int
    memory_limit_bytes: int
    open_files: int
    open_files_limit: int


class Level(NamedTuple):
    """One figure beside its limit; both are parts of 1, but for the lag, which is seconds."""

    value: float
    limit: float
    exceeded: bool

    @property
    def text(self) -> str:
        """For people."""
        return f"{self.value:.2f}, limit {self.limit:.2f}"


class Pressure:
    """Judges samples; `observe` is to be called ten times a second.

    Args:
        settings: The limits.
    """

    def __init__(self, settings: SheddingSettings) -> None:
        self._settings = settings
        self._cpu: deque[tuple[float, float, float]] = deque()
        self._levels = {strain: Level(0.0, self._limit(strain), False) for strain in Strain}

    @property
    def strains(self) -> tuple[Strain, ...]:
        """What is short now; empty while new calls are welcome."""
        return tuple(strain for strain, level in self._levels.items() if level.exceeded)

    @property
    def is_busy(self) -> bool:
        """Whether it is time that is short: then what can wait should.

        Where memory is, to wait with what has come would not free it any sooner.
        """
        return self._levels[Strain.CPU].exceeded or self._levels[Strain.LOOP_LAG].exceeded

    @property
    def levels(self) -> Mapping[Strain, Level]:
        """Every figure, as it was at the last sample."""
        return self._levels

    @property
    def enabled(self) -> bool:
        """Whether it judges at all."""
        return self._settings.enabled

    def replace(self, settings: SheddingSettings) -> None:
        """Other limits: they hold from the next sample on."""
        self._settings = settings

    def observe(self, sample: Sample, now: float) -> None:
        """Take a sample, and judge it."""
        figures = {
            Strain.CPU: self._cpu_share(sample, now),
            Strain.LOOP_LAG: sample.loop_lag_seconds,
            Strain.MEMORY: _share(sample.memory_bytes, sample.memory_limit_bytes),
            Strain.OPEN_FILES: _share(sample.open_files, sample.open_files_limit),
        }
        for strain, value in figures.items():
            self._levels[strain] = self._judged(strain, value)

    def _judged(self, strain: Strain, value: float) -> Level:
        limit = self._limit(strain)
        was_exceeded = self._levels[strain].exceeded
        bound = limit * self._settings.release_percent / 100 if was_exceeded else limit
        return Level(value, limit, self._settings.enabled and value > bound)

    def _limit(self, strain: Strain) -> float:
        settings = self._settings
        match strain:
            case Strain.CPU:
                return settings.cpu_percent / 100
            case Strain.LOOP_LAG:
                return settings.loop_lag_seconds
            case Strain.MEMORY:
                return settings.memory_percent / 100
            case Strain.OPEN_FILES:
                return settings.open_files_percent / 100

    def _cpu_share(self, sample: Sample, now: float) -> float:
        """CPU over the configured time: of the loop's thread, or of the process if that is worse.

        0 until there has been that much time: a process that starts is busy by nature.
        """
        window = self._cpu
        window.append((now, sample.loop_cpu_seconds, sample.process_cpu_seconds))
        reach = self._settings.cpu_seconds - _ROUNDING_SECONDS
        while len(window) > 2 and now - window[1][0] >= reach:
            window.popleft()
        since, loop_before, process_before = window[0]
        seconds = now - since
        if seconds < reach:
            return 0.0
        loop_seconds = sample.loop_cpu_seconds - loop_before
        process_seconds = (sample.process_cpu_seconds - process_before) / sample.cores
        return max(loop_seconds, process_seconds) / seconds


def _share(amount: int, limit: int) -> float:
    return amount / limit if limit > 0 else 0.0


_ROUNDING_SECONDS: Final = 1e-6
"""Ten times a tenth of a second is not quite a second."""
