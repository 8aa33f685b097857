"""Recordings on disk, found by their names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from earhook.errors import RecordingError

from .naming import SIDECAR_SUFFIX, parse_part
from .sidecar import MAX_SIDECAR_BYTES, read_sidecar

__all__ = ["Found", "find_recordings", "load_sidecar"]

READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(slots=True)
class Found:
    """The files of one call, as far as they are there.

    Attributes:
        directory: Where they lie.
        stem: What their names begin with.
        files: Names of its WAV files in their order, unfinished ones included.
        has_sidecar: Whether something has the name of its sidecar.
    """

    directory: Path
    stem: str
    files: list[str] = field(default_factory=list)
    has_sidecar: bool = False

    @property
    def sidecar(self) -> str:
        """The name of its sidecar, there or not."""
        return self.stem + SIDECAR_SUFFIX


def find_recordings(paths: Iterable[Path]) -> Iterator[Found]:
    """Find what each path means: a WAV file or a sidecar its call, a directory all below it.

    Symbolic links below a directory are not followed.

    Raises:
        RecordingError: A path does not exist, or is no name of a recording.
    """
    for path in paths:
        if path.is_dir():
            for directory, folders, names in os.walk(path):
                folders.sort()
                yield from _group(Path(directory), names)
            continue
        if not (path.exists() or path.is_symlink()):
            raise RecordingError(f"{path}: no such file or directory")
        stem = _stem(path.name)
        if stem is None:
            raise RecordingError(f"{path}: is neither a WAV file nor a sidecar by its name")
        names = [entry.name for entry in path.parent.iterdir()]
        yield from _group(path.parent, [name for name in names if _stem(name) == stem])


def load_sidecar(folder: int, name: str) -> dict[str, object]:
    """Read a sidecar in an open folder.

    Raises:
        RecordingError: It is none, or cannot be read.
    """
    try:
        file = os.open(name, READ_FLAGS, dir_fd=folder)
        with open(file, "rb") as content:  # noqa: PTH123 - a descriptor, not a path
            return read_sidecar(content.read(MAX_SIDECAR_BYTES + 1))
    except OSError as error:
        raise RecordingError(f"cannot be read: {error.strerror}") from None


def _group(directory: Path, names: Iterable[str]) -> list[Found]:
    found: dict[str, Found] = {}
    for name in sorted(names, key=_order):
        stem = _stem(name)
        if stem is None:
            continue
        call = found.setdefault(stem, Found(directory, stem))
        if name == call.sidecar:
            call.has_sidecar = True
        else:
            call.files.append(name)
    return [found[stem] for stem in sorted(found)]


def _order(name: str) -> tuple[int, str]:
    part = parse_part(name)
    return (part.number if part else 0, name)


def _stem(name: str) -> str | None:
    part = parse_part(name)
    if part is not None:
        return part.stem
    stem = name.removesuffix(SIDECAR_SUFFIX)
    return stem if stem and stem != name else None
