"""Puts right what a crash left behind. Doing it twice is doing it once; no file ever grows.

A file that a gateway is writing is locked by it and left alone.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from earhook.errors import RecordingError
from earhook.media.wav import (
    LONGEST_HEADER_BYTES,
    Correction,
    WavHeader,
    may_become_wav,
    plan_repair,
    read_header,
)

from .directory import publish, replace_file, write_all
from .disk import Disk, lock
from .finding import Found, find_recordings, load_sidecar
from .health import describe
from .naming import PART_SUFFIX
from .sidecar import encode_sidecar

__all__ = ["RepairOutcome", "RepairReport", "repair"]


class RepairOutcome(StrEnum):
    """What became of one file."""

    RIGHT = "right"
    """Nothing was to be done."""
    REPAIRED = "repaired"
    """It is right now."""
    REPAIRABLE = "repairable"
    """It would have been repaired, had this not been a dry run."""
    EMPTY = "empty"
    """It was cut within its header and holds no audio; it is left as it is."""
    BUSY = "busy"
    """Somebody is writing it; it is left as it is."""
    FAILED = "failed"
    """It cannot be repaired, and is left as it is; the detail says why."""


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What became of one file, a WAV file or a sidecar.

    Attributes:
        path: As it was found.
        outcome: What became of it.
        detail: For people.
        samples: Per channel that it holds; None if that is not known.
        seconds: How long these last.
        cut_bytes: Bytes at its end that were no whole sample group and are gone.
        renamed_to: Its final name, if it did not have that before.
    """

    path: Path
    outcome: RepairOutcome
    detail: str = ""
    samples: int | None = None
    seconds: float | None = None
    cut_bytes: int = 0
    renamed_to: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "path": str(self.path),
            "outcome": str(self.outcome),
            "detail": self.detail,
            "samples": self.samples,
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "cut_bytes": self.cut_bytes,
            "renamed_to": self.renamed_to,
        }


def repair(paths: Iterable[Path], *, dry_run: bool = False) -> Iterator[RepairReport]:
    """Repair WAV files, or all below directories, and the sidecars that belong to them.

    Args:
        paths: Files (the whole call is repaired) or directories.
        dry_run: Only say what would be done.

    Yields:
        One report per WAV file, and one per sidecar that had to be changed.

    Raises:
        RecordingError: A path does not exist or is no name of a recording.
    """
    for found in find_recordings(paths):
        folder = os.open(found.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            reports = [
                _repair_file(folder, found.directory / name, dry_run=dry_run)
                for name in found.files
            ]
            yield from reports
            if found.has_sidecar:
                yield from _repair_sidecar(folder, found, reports, dry_run=dry_run)
        finally:
            os.close(folder)


def _repair_file(folder: int, path: Path, *, dry_run: bool) -> RepairReport:
    try:
        mode = os.O_RDONLY if dry_run else os.O_RDWR
        flags = mode | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(path.name, flags, dir_fd=folder)
        try:
            return _repair_open_file(folder, file, path, dry_run=dry_run)
        finally:
            os.close(file)
    except FileExistsError:
        detail = f"{path.name.removesuffix(PART_SUFFIX)} exists already; move one of them away"
    except OSError as error:
        detail = describe(error)
    except RecordingError as error:
        detail = str(error)
    return RepairReport(path, RepairOutcome.FAILED, detail)


def _repair_open_file(folder: int, file: int, path: Path, *, dry_run: bool) -> RepairReport:
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise RecordingError("is not a plain file")
    if not lock(file):
        return RepairReport(path, RepairOutcome.BUSY, "is being written now")
    with open(file, "rb", closefd=False) as content:
        try:
            header = read_header(content)
        except RecordingError:
            content.seek(0)
            if not may_become_wav(content.read(LONGEST_HEADER_BYTES)):
                raise
            return RepairReport(path, RepairOutcome.EMPTY, "holds no audio", 0, 0.0)
    correction = plan_repair(header, status.st_size)
    is_unfinished = path.name.endswith(PART_SUFFIX)
    outcome = RepairOutcome.RIGHT
    if correction is not None or is_unfinished:
        outcome = RepairOutcome.REPAIRABLE if dry_run else RepairOutcome.REPAIRED
    if outcome is RepairOutcome.REPAIRED:
        _apply(folder, file, path.name, correction)
    return _report(path, outcome, header, correction, status.st_size)


def _apply(folder: int, file: int, name: str, correction: Correction | None) -> None:
    disk = Disk()
    if correction is not None:
        disk.resize(file, correction.file_bytes)
        for offset, patch in correction.patches:
            write_all(disk, file, patch, offset)
        disk.sync(file)
    if name.endswith(PART_SUFFIX):
        publish(folder, name, name.removesuffix(PART_SUFFIX))
        disk.sync(folder)


def _report(
    path: Path,
    outcome: RepairOutcome,
    header: WavHeader,
    correction: Correction | None,
    file_bytes: int,
) -> RepairReport:
    kept_bytes = correction.file_bytes if correction else file_bytes
    audio_bytes = correction.audio_bytes if correction else header.audio_bytes_in(file_bytes)
    samples = header.format.samples_of(audio_bytes)
    name = path.name.removesuffix(PART_SUFFIX)
    return RepairReport(
        path,
        outcome,
        samples=samples,
        seconds=samples / header.format.rate,
        cut_bytes=file_bytes - kept_bytes,
        renamed_to=name if name != path.name else "",
    )


def _repair_sidecar(
    folder: int, found: Found, reports: list[RepairReport], *, dry_run: bool
) -> Iterator[RepairReport]:
    """Let the sidecar say what the files hold, if they were changed or it is not final."""
    path = found.directory / found.sidecar
    try:
        fields = load_sidecar(folder, found.sidecar)
    except RecordingError as error:
        if found.files:
            yield RepairReport(path, RepairOutcome.FAILED, str(error))
        return
    outcomes = {report.outcome for report in reports}
    was_changed = outcomes & {RepairOutcome.REPAIRED, RepairOutcome.REPAIRABLE}
    if RepairOutcome.BUSY in outcomes or not (was_changed or fields.get("state") == "recording"):
        return
    if dry_run:
        yield RepairReport(path, RepairOutcome.REPAIRABLE, "is not final")
        return
    _correct_parts(fields, reports)
    fields["state"], fields["repaired"] = "repaired", round(time.time(), 3)
    try:
        replace_file(Disk(), folder, found.sidecar, encode_sidecar(fields), sync=True)
    except OSError as error:
        yield RepairReport(path, RepairOutcome.FAILED, describe(error))
        return
    yield RepairReport(path, RepairOutcome.REPAIRED)


def _correct_parts(fields: dict[str, Any], reports: list[RepairReport]) -> None:
    listed = fields.get("parts")
    parts = [part for part in listed if isinstance(part, dict)] if isinstance(listed, list) else []
    by_file = {part.get("file"): part for part in parts}
    for report in reports:
        name = report.path.name.removesuffix(PART_SUFFIX)
        if name not in by_file:
            # Its file was opened in the moment in which the gateway died.
            by_file[name] = {"file": name, "position": None}
            parts.append(by_file[name])
        is_right = report.outcome in {RepairOutcome.RIGHT, RepairOutcome.REPAIRED}
        state = {"samples": report.samples, "state": "complete" if is_right else "damaged"}
        by_file[name] |= state
    fields["parts"] = parts
    ends = [part["position"] + part["samples"] for part in parts if _has_end(part)]
    position = fields.get("position")
    fields["position"] = max([position if isinstance(position, int) else 0, *ends])


def _has_end(part: dict[str, Any]) -> bool:
    return isinstance(part.get("position"), int) and isinstance(part.get("samples"), int)
