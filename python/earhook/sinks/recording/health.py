"""Whether recordings can be written now, and what the operator must do if not.

One failure makes the whole sink unhealthy: no new file is opened until a probe has written one.
Files that are open go on unless the failure is one that concerns them all.
"""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass
from typing import Final

from earhook.clock import Clock
from earhook.ops.logging import get_logger

from .directory import RecordingDirectory
from .disk import Space
from .settings import RecordingSettings

__all__ = ["Health", "describe"]

WATCH_SECONDS: Final = 1.0
"""How often a healthy directory is looked at."""
PROBE_SECONDS: Final = 2.0
"""How often an unhealthy one is tried."""

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Failure:
    what: str
    is_full: bool


class Health:
    """Shared by the threads of one sink."""

    def __init__(
        self, settings: RecordingSettings, directory: RecordingDirectory, clock: Clock
    ) -> None:
        self.errors = 0
        self.recoveries = 0
        self._settings = settings
        self._directory = directory
        self._clock = clock
        self._failure: _Failure | None = None
        self._lock = threading.Lock()
        self._due_at = clock.monotonic_seconds()

    @property
    def is_healthy(self) -> bool:
        """Whether new files may be opened."""
        return self._failure is None

    @property
    def detail(self) -> str:
        """What is wrong, where, and what happens next; empty if nothing is."""
        failure = self._failure
        if failure is None:
            return ""
        remedy = "recording goes on by itself once this is put right"
        if failure.is_full:
            share = self._settings.resume_free_percent
            remedy = f"recording goes on by itself when {share:g} % of the volume are free"
        return f"{self._directory.path}: {failure.what}; calls are not affected, {remedy}"

    def fail(self, error: OSError, doing: str) -> None:
        """Report that a system call failed.

        Args:
            error: What it raised.
            doing: What was being done, as in "while writing".
        """
        self.errors += 1
        self._fail(_failure(error, doing))

    def note(self, error: OSError, doing: str) -> None:
        """Count and tell a failure that concerns one call only; the directory stays healthy."""
        self.errors += 1
        logger.error(
            "recording.blocked", sink=self._settings.name, detail=f"{describe(error)} while {doing}"
        )

    def watch(self) -> bool:
        """Look at the directory if it is time; only from the thread that writes.

        Returns:
            True if files that are open must be closed: what would be written to them is lost, or
            takes space that is not ours.
        """
        now = self._clock.monotonic_seconds()
        if now < self._due_at:
            return False
        healthy = self.is_healthy
        trouble = self._look() if healthy else self._try_again()
        self._due_at = now + (WATCH_SECONDS if self.is_healthy else PROBE_SECONDS)
        return healthy and trouble

    def _look(self) -> bool:
        try:
            if not self._directory.is_same():
                self._directory.open()
                return True
            space = self._directory.space()
        except OSError as error:
            self.fail(error, "looking at the directory")
            return True
        if self._is_in_reserve(space):
            self.errors += 1
            self._fail(self._reserve_failure())
            return True
        return False

    def _try_again(self) -> bool:
        failure = self._failure
        try:
            self._directory.open()
            space = self._directory.space()
            if self._is_in_reserve(space):
                self._fail(self._reserve_failure())
                return True
            if failure is not None and failure.is_full and self._is_still_full(space):
                return True
            self._directory.probe()
        except OSError as error:
            self._fail(_failure(error, "trying again"))
            return True
        self._recover()
        return False

    def _reserve_failure(self) -> _Failure:
        reserve = self._settings.reserve_mib
        return _Failure(f"less than {reserve} MiB are left (reserve_mib)", is_full=True)

    def _is_in_reserve(self, space: Space) -> bool:
        return space.total_bytes > 0 and space.free_bytes < self._settings.reserve_mib << 20

    def _is_still_full(self, space: Space) -> bool:
        return space.free_bytes * 100 < space.total_bytes * self._settings.resume_free_percent

    def _fail(self, failure: _Failure) -> None:
        with self._lock:
            before, self._failure = self._failure, failure
            if before is None:
                self._due_at = self._clock.monotonic_seconds() + PROBE_SECONDS
        if before is None:
            logger.error("recording.failed", sink=self._settings.name, detail=self.detail)

    def _recover(self) -> None:
        with self._lock:
            self.recoveries += 1
            self._failure = None
        logger.info("recording.recovered", sink=self._settings.name)


def _failure(error: OSError, doing: str) -> _Failure:
    return _Failure(f"{describe(error)} while {doing}", error.errno in FULL)


def describe(error: OSError) -> str:
    """Say what an operating system's error is, without the path, which may hold a call's id."""
    number = error.errno or 0
    return f"{os.strerror(number)} ({errno.errorcode.get(number, 'unknown')})"
