"""What the machine must give: descriptors, memory for rings, a listen queue, a true clock."""

from __future__ import annotations

import ctypes
import math
import resource
from collections.abc import Iterator
from pathlib import Path

from earhook.clock import Clock
from earhook.config.schema import Configuration
from earhook.control.cores import allowed_cores, worker_count
from earhook.control.pressure_watch import memory_limit_bytes
from earhook.control.settings import WorkersSettings

from .finding import Finding, doubtful, fine, wrong

__all__ = ["check_machine", "check_workers", "most_calls", "needed_descriptors"]

SPARE_DESCRIPTORS = 256
"""Sinks' files and sockets, the admin port, the interpreter itself."""
EARLIEST_WALL_SECONDS = 1_735_689_600.0  # 2025-01-01: before that, this program did not exist
BYTES_PER_RING_SAMPLE = 2
CHANNELS = 2
RATE = 8000

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 256  # struct timex is 208 bytes on 64-bit Linux; modes = 0 only reads


def check_machine(configuration: Configuration, clock: Clock) -> Iterator[Finding]:
    """Everything that is not a file, a port or a service."""
    yield _check_descriptors(configuration)
    yield _check_rings(configuration)
    yield from _check_memory(configuration)
    yield from _check_backlog(configuration.limits.connections.backlog)
    yield _check_clock(clock, configuration.signature.skew_seconds)
    yield from check_workers(configuration.workers, allowed_cores(), memory_limit_bytes() >> 20)


def most_calls(configuration: Configuration) -> int:
    """How many calls all doors together may have live."""
    ingest = configuration.ingest
    return configuration.media.max_calls + (0 if ingest is None else ingest.max_calls)


def needed_descriptors(configuration: Configuration) -> int:
    """How many open files a full gateway must be allowed.

    For calls, strangers, and a file per call and sink; and as much more that new calls are not
    refused for it, which they are before the last one is taken.
    """
    strangers, ingest = configuration.limits.connections.unproven, configuration.ingest
    files = most_calls(configuration) * _recording_sinks(configuration)
    # A call of the ingest has a connection while it sends; others wait between two requests.
    sending = 0 if ingest is None else ingest.limits.connections
    taken = configuration.media.max_calls + sending + files + strangers + SPARE_DESCRIPTORS
    shedding = configuration.shedding
    return math.ceil(taken * 100 / shedding.open_files_percent) if shedding.enabled else taken


def check_workers(settings: WorkersSettings, cores: float, memory_mib: int) -> Iterator[Finding]:
    """Whether so many processes are of use here.

    Args:
        settings: What is asked for.
        cores: How many this user may use.
        memory_mib: The same of memory.
    """
    count = worker_count(settings, cores)
    if count > max(1, math.ceil(cores)):
        what = f"{count} workers share {cores:g} cores"
        yield doubtful("workers.count", what, 'set count = "auto", or give it more cores')
    else:
        yield fine("workers.count", f"{count} of {cores:g} cores")
    most_mib = settings.recycle_memory_mib
    if most_mib is not None and most_mib * count > memory_mib:
        yield doubtful(
            "workers.recycle_memory_mib",
            f"{count} workers may have {most_mib * count} MiB, there are {memory_mib}",
            f"set it below {memory_mib // count}, or nobody is replaced before memory is short",
        )


def _recording_sinks(configuration: Configuration) -> int:
    return sum(sink.kind == "recording" for sink in configuration.sinks)


def _check_descriptors(configuration: Configuration) -> Finding:
    needed = needed_descriptors(configuration)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        return doubtful(
            "media.max_calls",
            f"{most_calls(configuration)} calls need {needed} open files, this user may "
            f"have {hard}",
            f"raise it (ulimit -n {needed}, LimitNOFILE={needed}), or lower max_calls",
        )
    return fine("media.max_calls", f"{needed} open files are allowed")


def _check_rings(configuration: Configuration) -> Finding:
    ring_bytes = _ring_bytes(configuration, RATE)
    wanted_bytes = configuration.media.max_calls * ring_bytes
    if configuration.ingest is not None:
        ingest = configuration.ingest
        wanted_bytes += ingest.max_calls * _ring_bytes(configuration, ingest.rate)
    calls = (configuration.ring.budget_mib << 20) // ring_bytes
    if configuration.ring.budget_mib << 20 < wanted_bytes:
        mib = math.ceil(wanted_bytes / (1 << 20))
        return doubtful(
            "ring.budget_mib",
            f"holds the rings of {calls} calls, not of {most_calls(configuration)}",
            f"set budget_mib = {mib}, or lower ring.seconds or max_calls",
        )
    return fine("ring.budget_mib", f"holds the rings of {calls} calls")


def _check_memory(configuration: Configuration) -> Iterator[Finding]:
    """Whether rings alone may take so much memory that new calls are refused for it."""
    shedding = configuration.shedding
    given_mib = memory_limit_bytes() >> 20
    limit_mib = given_mib if shedding.memory_mib is None else shedding.memory_mib
    if limit_mib > given_mib:
        what = f"is more than the {given_mib} MiB that this process may have"
        yield doubtful("shedding.memory_mib", what, "leave it out, or give the process more")
    most_mib = min(limit_mib, given_mib) * shedding.memory_percent / 100
    if shedding.enabled and configuration.ring.budget_mib > most_mib:
        yield doubtful(
            "ring.budget_mib",
            f"is more than the {int(most_mib)} MiB above which new calls are refused",
            "lower it, or give the process more memory",
        )


def _ring_bytes(configuration: Configuration, rate: int) -> int:
    samples = math.ceil(configuration.ring.seconds * rate)
    return samples * BYTES_PER_RING_SAMPLE * CHANNELS


def _check_backlog(backlog: int) -> Iterator[Finding]:
    try:
        most = int(Path("/proc/sys/net/core/somaxconn").read_text())
    except (OSError, ValueError):
        return
    if most < backlog:
        yield doubtful(
            "limits.connections.backlog",
            f"the kernel cuts {backlog} to {most}",
            f"sysctl -w net.core.somaxconn={backlog}",
        )


def _check_clock(clock: Clock, skew_seconds: float) -> Finding:
    where = "clock"
    if clock.wall_seconds() < EARLIEST_WALL_SECONDS:
        return wrong(where, "shows a time before 2025", "set the machine's clock")
    if _is_unsynchronised():
        return doubtful(
            where,
            "the kernel says that nobody sets it",
            f"run an NTP client: signatures are refused when it is {skew_seconds:g} s off",
        )
    return fine(where, "plausible")


def _is_unsynchronised() -> bool:
    """Ask the kernel; where it cannot be asked, nothing is held against the clock."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return False
    return int(adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))) == _TIME_ERROR
