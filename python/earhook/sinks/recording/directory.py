"""The directory that recordings go to, held open, so that no path is walked twice.

Everything is opened relative to it, one name at a time and never through a symbolic link: no name
leads out of it, and one that is swapped while we run changes nothing.
"""

from __future__ import annotations

import errno
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from .disk import FOLDER_MODE, Disk, Space
from .naming import Folder

__all__ = ["RecordingDirectory", "exists", "publish", "replace_file", "write_all"]

PROBE_BYTES: Final = 4096
TEMPORARY_SUFFIX: Final = ".tmp"

_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NO_LINKS: Final = frozenset(
    {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
)


class RecordingDirectory:
    """The configured directory. Any thread may use it; every method may wait for the disk."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self._disk = disk
        self._root: int | None = None
        self._has_been_there = False
        self._root_lock = threading.Lock()

    def open(self) -> None:
        """Open it, or open it again if it is another one now.

        It is made if it is missing, but only until it has been there once: if it vanishes later,
        a volume is missing, and the one beneath must not be filled instead.

        Raises:
            OSError: It cannot be had.
        """
        if not self._has_been_there:
            self.path.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        # The operator may well have made this one path a symbolic link.
        root = os.open(self.path, _FOLDER_FLAGS)
        self._has_been_there = True
        with self._root_lock:
            previous, self._root = self._root, root
        if previous is not None:
            os.close(previous)

    def close(self) -> None:
        """Let go of it."""
        with self._root_lock:
            root, self._root = self._root, None
        if root is not None:
            os.close(root)

    def is_same(self) -> bool:
        """Whether the path still leads to what we hold open.

        Raises:
            OSError: It leads nowhere.
        """
        there = self.path.stat()
        with self._root_lock:
            held = os.fstat(self._held())
        return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)

    def space(self) -> Space:
        """Say how full the volume is."""
        with self._root_lock:
            return self._disk.space(self._held())

    def probe(self) -> None:
        """Find out whether files can be made and written here.

        Raises:
            OSError: They cannot.
        """
        # Of no other process, not even of one with our number in another container.
        name = f".earhook-probe-{secrets.token_hex(8)}"
        with self._root_lock:
            root = os.dup(self._held())
        try:
            file = self._disk.create(root, name)
            try:
                write_all(self._disk, file, bytes(PROBE_BYTES))
                self._disk.sync(file)
            finally:
                os.close(file)
                os.unlink(name, dir_fd=root)
        finally:
            os.close(root)

    @contextmanager
    def folder(self, folder: Folder, *, create: bool = False) -> Iterator[int]:
        """Open a call's folder for as long as the block runs.

        Raises:
            OSError: It cannot be had, or one of its names is a symbolic link.
        """
        with self._root_lock:
            descriptor = os.dup(self._held())
        try:
            for name in folder:
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(name, FOLDER_MODE, dir_fd=descriptor)
                inner = os.open(name, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)

    def _held(self) -> int:
        if self._root is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))
        return self._root


def write_all(disk: Disk, file: int, content: bytes, offset: int = 0) -> None:
    """Write all of it."""
    rest = memoryview(content)
    while rest:
        written = disk.write_at(file, rest, offset)
        rest, offset = rest[written:], offset + written


def replace_file(disk: Disk, folder: int, name: str, content: bytes, *, sync: bool) -> None:
    """Put a new file in the place of an old one; whoever looks sees one of them, whole."""
    temporary = name + TEMPORARY_SUFFIX
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=folder)
    file = disk.create(folder, temporary)
    try:
        write_all(disk, file, content)
        if sync:
            disk.sync(file)
    finally:
        os.close(file)
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    if sync:
        disk.sync(folder)


def publish(folder: int, name: str, final: str) -> None:
    """Give a finished file its final name. What has that name already is never overwritten.

    Raises:
        FileExistsError: Another file has the final name.
    """
    try:
        os.link(name, final, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        # A process that died right here has left both names on one file.
        if not _same_file(folder, name, final):
            raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if exists(folder, final):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), final) from None
        os.rename(name, final, src_dir_fd=folder, dst_dir_fd=folder)
        return
    os.unlink(name, dir_fd=folder)


def _same_file(folder: int, name: str, other: str) -> bool:
    left = os.stat(name, dir_fd=folder, follow_symlinks=False)
    right = os.stat(other, dir_fd=folder, follow_symlinks=False)
    return (left.st_dev, left.st_ino) == (right.st_dev, right.st_ino)


def exists(folder: int, name: str) -> bool:
    """Whether anything has the name, a symbolic link that leads nowhere included."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
