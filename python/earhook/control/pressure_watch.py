"""Measures this process ten times a second, and says in the log when new calls are refused."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from earhook.ops.logging import get_state_logger

from .cores import allowed_cores
from .pressure import Pressure, Sample, Strain

if TYPE_CHECKING:
    import asyncio

    from earhook.clock import Clock
    from earhook.ops.watchdog import LoopWatch

    from .settings import SheddingSettings

__all__ = ["Machine", "PressureWatch", "memory_limit_bytes"]

TICK_SECONDS: Final = 0.1


class PressureWatch:
    """Feeds a `Pressure` from a timer of its own.

    Args:
        pressure: What judges.
        machine: What is measured.
        watch: Knows how late the loop is.
        loop: The running loop; everything happens on its thread.
        clock: Time.
    """

    def __init__(
        self,
        pressure: Pressure,
        machine: Machine,
        watch: LoopWatch,
        *,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
    ) -> None:
        self._pressure = pressure
        self._machine = machine
        self._watch = watch
        self._loop = loop
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._began_at: float | None = None

    def start(self) -> None:
        """Begin to measure."""
        self._tick()

    def stop(self) -> None:
        """Cease to measure."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)
        now = self._clock.monotonic_seconds()
        sample = self._machine.sample(self._watch.recent_lag_seconds(_LAG_QUANTILE))
        self._pressure.observe(sample, now)
        self._say(now)

    def _say(self, now: float) -> None:
        """A line when it begins and one when it ends; strangers can cause it, so it is limited."""
        strains = self._pressure.strains
        if strains and self._began_at is None:
            self._began_at = now
            worst = strains[0]
            _LOG.warning(
                "shedding.began",
                reasons=[str(strain) for strain in strains],
                figure=self._pressure.levels[worst].text,
                remedy=_REMEDIES[worst],
            )
        elif not strains and self._began_at is not None:
            _LOG.info("shedding.ended", after_seconds=round(now - self._began_at, 1))
            self._began_at = None


class Machine:
    """Reads what this process takes, and what it may take. Linux.

    Args:
        settings: A limit on memory that the operator has set; None lets the machine decide.
        processes: How many like this one share the cores. (They share memory, too, but that is
            divided where their settings are made.)
    """

    def __init__(self, settings: SheddingSettings, processes: int = 1) -> None:
        self._page_bytes = resource.getpagesize()
        self._cores = allowed_cores() / processes
        self._given_bytes = memory_limit_bytes()
        self._memory_limit_bytes = 0
        self._open_files = 0
        self._ticks_until_list = 0
        self.replace(settings)

    def replace(self, settings: SheddingSettings) -> None:
        """Other limits."""
        set_bytes = None if settings.memory_mib is None else settings.memory_mib << 20
        self._memory_limit_bytes = self._given_bytes if set_bytes is None else set_bytes

    def sample(self, loop_lag_seconds: float) -> Sample:
        """Measure. To be called on the event loop's thread; takes some 20 microseconds."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return Sample(
            loop_cpu_seconds=time.thread_time(),
            process_cpu_seconds=time.process_time(),
            cores=self._cores,
            loop_lag_seconds=loop_lag_seconds,
            memory_bytes=self._resident_bytes(),
            memory_limit_bytes=self._memory_limit_bytes,
            open_files=self._count_open_files(),
            open_files_limit=0 if limit == resource.RLIM_INFINITY else limit,
        )

    def _resident_bytes(self) -> int:
        try:
            return int(_STATM.read_text().split()[1]) * self._page_bytes
        except (OSError, ValueError, IndexError):
            return 0  # no file descriptor left: that is seen by their number

    def _count_open_files(self) -> int:
        try:
            # Linux 6.2 and newer tell the number; before, it is 0.
            return os.stat(_DESCRIPTORS).st_size or self._list_open_files()  # noqa: PTH116
        except OSError:
            # What asks takes a descriptor itself: there is none left.
            return resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    def _list_open_files(self) -> int:
        """Their number on an older kernel.

        Ten thousand are listed in 20 ms, so the list gets one hundredth of the time. In between,
        the lowest free number shows when they grow: so many are open at least.
        """
        self._ticks_until_list -= 1
        if self._ticks_until_list < 0:
            began = time.perf_counter()
            self._open_files = len(os.listdir(_DESCRIPTORS))  # noqa: PTH208 - ten times a second
            cost_seconds = time.perf_counter() - began
            self._ticks_until_list = int(cost_seconds * _LIST_PAUSE / TICK_SECONDS)
        lowest = os.open(os.devnull, os.O_RDONLY)
        os.close(lowest)
        return max(self._open_files, lowest)


def memory_limit_bytes(root: Path = Path("/")) -> int:
    """How much memory this process may have: of its control groups and the machine, the least."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_group_limits(root)])


def _group_limits(root: Path) -> list[int]:
    """The limits of the control group we are in and of all above it, of both versions."""
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    limits = []
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mount, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            mount, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        inner = Path(path.lstrip("/"))
        for group in (inner, *inner.parents):
            with contextlib.suppress(OSError, ValueError):  # "max": none
                limits.append(int((mount / group / name).read_text()))
    return limits


_LAG_QUANTILE: Final = 0.99
_LIST_PAUSE: Final = 100.0
_STATM: Final = Path("/proc/self/statm")
_DESCRIPTORS: Final = "/proc/self/fd"
_REMEDIES: Final = {
    Strain.CPU: "lower max_calls, or run another gateway on another core",
    Strain.LOOP_LAG: "look for loop.stalled, swapping, or too many calls for the core",
    Strain.MEMORY: "lower max_calls or ring.seconds, or give it more memory",
    Strain.OPEN_FILES: "raise LimitNOFILE, or lower max_calls",
}
_LOG: Final = get_state_logger(__name__)
