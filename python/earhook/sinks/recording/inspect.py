"""Says what a recording holds and whether its files are right. Changes nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from earhook.errors import RecordingError
from earhook.media.format import SAMPLE_RATE
from earhook.media.wav import (
    LONGEST_HEADER_BYTES,
    WavHeader,
    may_become_wav,
    plan_repair,
    read_header,
)

from .disk import is_locked
from .finding import READ_FLAGS, Found, find_recordings, load_sidecar
from .health import describe
from .levels import LevelMeter
from .naming import PART_SUFFIX

__all__ = ["FileReport", "RecordingReport", "inspect"]

MEASURE_SAMPLES: Final = 8000


@dataclass(frozen=True, slots=True)
class FileReport:
    """One WAV file.

    Attributes:
        file: Its name.
        state: `complete`, `live` (a gateway is writing it), `unfinished` (one has died),
            `wrong` (its header does not tell the truth) or `unreadable`.
        detail: Why it is unreadable.
        header: What its header states; None if unreadable.
        file_bytes: Its size.
        samples: Per channel that it holds.
        seconds: How long these last.
    """

    file: str
    state: str
    detail: str = ""
    header: WavHeader | None = None
    file_bytes: int = 0
    samples: int = 0
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        audio = self.header.format if self.header else None
        return {
            "file": self.file,
            "state": self.state,
            "detail": self.detail,
            "codec": audio and audio.codec,
            "channels": audio and audio.channels,
            "rate": audio and audio.rate,
            "bytes": self.file_bytes,
            "samples": self.samples,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class RecordingReport:
    """One call's recording.

    Attributes:
        directory: Where it lies.
        stem: What its files' names begin with.
        files: Its WAV files in their order.
        sidecar: The sidecar's fields; empty if there is none that can be read.
        levels: Per channel, measured now if that was asked for, otherwise the sidecar's; empty if
            that was never told them.
        problems: What does not fit together, for people; empty if all does.
    """

    directory: Path
    stem: str
    files: tuple[FileReport, ...]
    sidecar: dict[str, Any] = field(default_factory=dict)
    levels: dict[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """The sidecar's word, or that of the files if there is none or they know better."""
        states = {file.state for file in self.files}
        for state in ("live", "unreadable", "unfinished", "wrong"):
            if state in states:
                return state
        return str(self.sidecar.get("state", "no sidecar"))

    @property
    def rate(self) -> int:
        """Samples per second and channel: of the files, or of the sidecar if there are none."""
        for file in self.files:
            if file.header is not None:
                return file.header.format.rate
        rate = _dictionary(self.sidecar.get("format")).get("rate")
        return rate if isinstance(rate, int) and rate > 0 else SAMPLE_RATE

    @property
    def seconds(self) -> float:
        """How long all files last together."""
        return sum(file.seconds for file in self.files)

    @property
    def needs_attention(self) -> bool:
        """Whether `repair` or the operator has something to do."""
        broken = {"unreadable", "unfinished", "wrong", "recording"}
        return self.state in broken or bool(self.problems)

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "directory": str(self.directory),
            "name": self.stem,
            "state": self.state,
            "seconds": round(self.seconds, 3),
            "files": [file.as_json() for file in self.files],
            "levels": self.levels,
            "problems": list(self.problems),
            "sidecar": self.sidecar,
        }


def inspect(paths: Iterable[Path], *, measure: bool = False) -> Iterator[RecordingReport]:
    """Look at recordings.

    Args:
        paths: WAV files or sidecars (the whole call is shown) or directories.
        measure: Read all audio to measure its levels, instead of taking the sidecar's word.

    Raises:
        RecordingError: A path does not exist or is no name of a recording.
    """
    for found in find_recordings(paths):
        folder = os.open(found.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            report = _inspect(folder, found, measure=measure)
        finally:
            os.close(folder)
        if report.files or report.sidecar:
            yield report


def _inspect(folder: int, found: Found, *, measure: bool) -> RecordingReport:
    problems: list[str] = []
    sidecar: dict[str, Any] = {}
    if found.has_sidecar:
        try:
            sidecar = load_sidecar(folder, found.sidecar)
        except RecordingError as error:
            problems.append(f"{found.sidecar} {error}")
    files = tuple(_inspect_file(folder, name) for name in found.files)
    levels = _told_levels(sidecar)
    if measure:
        levels = _measure(folder, files, sidecar)
    problems += _contradictions(files, sidecar)
    return RecordingReport(found.directory, found.stem, files, sidecar, levels, tuple(problems))


def _told_levels(sidecar: dict[str, Any]) -> dict[str, Any]:
    """What the sidecar knows of them. One that was never closed may have been told of none."""
    levels = _dictionary(sidecar.get("levels"))
    if sidecar.get("state") in ("complete", "incomplete"):
        return levels
    return levels if any(_dictionary(one).get("peak") for one in levels.values()) else {}


def _inspect_file(folder: int, name: str) -> FileReport:
    try:
        with _open(folder, name) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return FileReport(name, "unreadable", "is not a plain file")
            return _read_file(name, file, status.st_size)
    except OSError as error:
        return FileReport(name, "unreadable", describe(error))
    except RecordingError as error:
        return FileReport(name, "unreadable", str(error))


def _read_file(name: str, file: BinaryIO, file_bytes: int) -> FileReport:
    is_live = is_locked(file.fileno())
    try:
        header = read_header(file)
    except RecordingError:
        file.seek(0)
        if not may_become_wav(file.read(LONGEST_HEADER_BYTES)):
            raise
        state = "live" if is_live else "unfinished"
        return FileReport(name, state, "holds no audio", file_bytes=file_bytes)
    state = "complete"
    if is_live:
        state = "live"
    elif name.endswith(PART_SUFFIX):
        state = "unfinished"
    elif plan_repair(header, file_bytes) is not None:
        state = "wrong"
    samples = header.format.samples_of(header.audio_bytes_in(file_bytes))
    seconds = samples / header.format.rate
    return FileReport(name, state, "", header, file_bytes, samples, seconds)


def _measure(folder: int, files: Iterable[FileReport], sidecar: dict[str, Any]) -> dict[str, Any]:
    """Measure all files as one; channels that are not ours by the sidecar go by their place."""
    meter: LevelMeter | None = None
    audio = None
    for report in files:
        if report.header is None or report.header.format.channels > 2:
            continue
        if meter is None:
            audio = report.header.format
            meter = LevelMeter(audio.codec, _channels(audio.channels, sidecar))
        if report.header.format == audio:
            with _open(folder, report.file) as file:
                _measure_file(file, report, meter)
    return meter.as_json() if meter else {}


def _measure_file(file: BinaryIO, report: FileReport, meter: LevelMeter) -> None:
    if report.header is None:
        return
    group = report.header.format.bytes_per_group
    file.seek(report.header.audio_offset)
    left = report.samples
    while left > 0:
        piece = file.read(min(left, MEASURE_SAMPLES) * group)
        piece = piece[: len(piece) // group * group]
        if not piece:
            return
        meter.add(piece)
        left -= len(piece) // group


def _contradictions(files: Iterable[FileReport], sidecar: dict[str, Any]) -> Iterator[str]:
    """What sidecar and files say differently."""
    names = {file.file.removesuffix(PART_SUFFIX): file for file in files}
    parts = sidecar.get("parts")
    for part in parts if isinstance(parts, list) else []:
        if not isinstance(part, dict):
            continue
        name, samples = part.get("file"), part.get("samples")
        if name not in names:
            yield f"{name} is missing"
        elif isinstance(samples, int) and samples != names[name].samples:
            yield f"{name} holds {names[name].samples} samples; its sidecar says {samples}"
    books = _dictionary(sidecar.get("books"))
    if books and not _balances(books):
        yield "the books in the sidecar do not balance"


def _balances(books: dict[str, Any]) -> bool:
    try:
        dropped = sum(books["dropped"].values())
        return bool(books["received"] == books["forwarded"] + books["buffered"] + dropped)
    except (KeyError, TypeError, AttributeError):
        return False


def _channels(count: int, sidecar: dict[str, Any]) -> tuple[int, ...]:
    named = _dictionary(sidecar.get("format")).get("channels")
    return (1,) if count == 1 and named == ["internal"] else tuple(range(count))


def _dictionary(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _open(folder: int, name: str) -> BinaryIO:
    return open(os.open(name, READ_FLAGS, dir_fd=folder), "rb")  # noqa: PTH123 - a descriptor
