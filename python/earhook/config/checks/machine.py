"""What the machine must give: descriptors, memory for rings, a listen queue, a true clock."""

from __future__ import annotations

import ctypes
import math
import resource
from collections.abc import Iterator
from pathlib import Path

from earhook.clock import Clock
from earhook.config.schema import Configuration

from .finding import Finding, doubtful, fine, wrong

__all__ = ["check_machine", "needed_descriptors"]

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
    yield from _check_backlog(configuration.limits.connections.backlog)
    yield _check_clock(clock, configuration.signature.skew_seconds)


def needed_descriptors(configuration: Configuration) -> int:
    """How many files a full gateway has open: calls, strangers, and a file per call and sink."""
    strangers = configuration.limits.connections.unproven
    files = configuration.media.max_calls * _recording_sinks(configuration)
    return configuration.media.max_calls + files + strangers + SPARE_DESCRIPTORS


def _recording_sinks(configuration: Configuration) -> int:
    return sum(sink.kind == "recording" for sink in configuration.sinks)


def _check_descriptors(configuration: Configuration) -> Finding:
    needed = needed_descriptors(configuration)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        return doubtful(
            "media.max_calls",
            f"{configuration.media.max_calls} calls need {needed} open files, this user may "
            f"have {hard}",
            f"raise it (ulimit -n {needed}, LimitNOFILE={needed}), or lower max_calls",
        )
    return fine("media.max_calls", f"{needed} open files are allowed")


def _check_rings(configuration: Configuration) -> Finding:
    samples = math.ceil(configuration.ring.seconds * RATE)
    ring_bytes = samples * BYTES_PER_RING_SAMPLE * CHANNELS
    calls = (configuration.ring.budget_mib << 20) // ring_bytes
    wanted = configuration.media.max_calls
    if calls < wanted:
        mib = math.ceil(wanted * ring_bytes / (1 << 20))
        return doubtful(
            "ring.budget_mib",
            f"holds the rings of {calls} calls, not of {wanted}",
            f"set budget_mib = {mib}, or lower ring.seconds or media.max_calls",
        )
    return fine("ring.budget_mib", f"holds the rings of {calls} calls")


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
