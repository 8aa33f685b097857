"""The few system calls that write a recording, in one place, so that a test can let them fail.

Nothing here is buffered by us: what `write_at` has taken is the kernel's, and survives this
process. It raises `OSError` as it comes.
"""

from __future__ import annotations

import fcntl
import os
from typing import Final, NamedTuple

__all__ = ["FOLDER_MODE", "Disk", "Space", "is_locked", "lock"]

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700


class Space(NamedTuple):
    """How full a volume is; a `total_bytes` of 0 means that it does not say."""

    free_bytes: int
    total_bytes: int


class Disk:
    """The machine's."""

    def create(self, folder: int, name: str) -> int:
        """Create a file that was not there, in an open folder; never through a symbolic link."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, FILE_MODE, dir_fd=folder)

    def write_at(self, file: int, piece: bytes | memoryview, offset: int) -> int:
        """Write as much as is taken at once; give how many bytes that were."""
        return os.pwrite(file, piece, offset)

    def resize(self, file: int, size: int) -> None:
        """Cut a file, or let it grow by a hole that reads as zeros."""
        os.ftruncate(file, size)

    def sync(self, file: int) -> None:
        """Force a file or folder to the disk. If this fails it must not be tried again."""
        os.fsync(file)

    def space(self, folder: int) -> Space:
        """Say how full the volume of an open folder is, for a user without privileges."""
        volume = os.fstatvfs(folder)
        return Space(volume.f_bavail * volume.f_frsize, volume.f_blocks * volume.f_frsize)


def lock(file: int) -> bool:
    """Claim a file for as long as it is open, whatever becomes of this process.

    Whoever writes or repairs a recording holds this lock, so that nobody repairs what is being
    written.

    Returns:
        False if somebody else holds it. True also where the file system has no locks.
    """
    return _lock(file, fcntl.LOCK_EX)


def is_locked(file: int) -> bool:
    """Whether somebody writes or repairs the file now."""
    return not _lock(file, fcntl.LOCK_SH)


def _lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
