"""One call on disk: its files, its sidecar, and what of it could not be written.

Time in a file is position in the call: gaps are filled with silence, up to a limit, beyond which
the call goes on in another file whose sidecar entry says where it begins. The same happens when
a file is full, and after a failure as soon as the disk is well again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from earhook.media.feed import Books
from earhook.media.gaps import GapReason
from earhook.media.wav import WavFormat
from earhook.sinks.base import LiveCall, ProtocolEntry, SinkBooks

from .directory import RecordingDirectory, exists, replace_file
from .disk import Disk
from .gap_log import GapLog
from .health import Health, describe
from .levels import LevelMeter
from .naming import (
    MAX_PARTS,
    PART_SUFFIX,
    SIDECAR_SUFFIX,
    Folder,
    folder_of,
    part_name,
    stem_of,
)
from .part import PartFile
from .settings import RecordingSettings
from .sidecar import (
    Closing,
    PartEntry,
    closing_fields,
    encode_sidecar,
    opening_fields,
    protocol_field,
)
from .signal_log import SignalLog

__all__ = ["CallRecording", "SealedPart", "Shelf"]

MAX_ATTEMPTS: Final = 100
"""Names tried for one call, should earlier calls have had the same id in the same second."""
WRITTEN_SILENCE_SECONDS: Final = 600.0
"""Silence that a call may cost in bytes on the disk: a peer can ask for hours in one message."""
BLOCKED: Final = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EEXIST})
"""What stands in the way of one call's own folder or file, and of nobody else's."""
REFRESH_SECONDS: Final = 1.0
"""How often at most the sidecar of a call in progress is replaced."""


@dataclass(frozen=True, slots=True)
class SealedPart:
    """A file that nothing is written to any more, on its way to its final name."""

    recording: CallRecording
    part: PartFile
    entry: PartEntry


@dataclass(frozen=True, slots=True)
class Shelf:
    """What all recordings of one sink share.

    Attributes:
        hand_over: Takes files that are sealed, to finish them elsewhere.
    """

    settings: RecordingSettings
    directory: RecordingDirectory
    disk: Disk
    health: Health
    hand_over: Callable[[SealedPart], None]


class CallRecording:
    """Built on the loop's thread; everything else but `books` on the thread that writes.

    Attributes:
        suspicion: What the audio probably is, where it plainly is not what was announced. Set on
            the loop's thread; the sidecar has it from the next time on that it is written.
        signal: What it sounds like; the same holds. What is told often writes no sidecar.
    """

    def __init__(self, shelf: Shelf, call: LiveCall) -> None:
        settings = shelf.settings
        media = call.facts.media
        self.channels = (0, 1) if settings.layout == "stereo" else tuple(sorted(media.channels))
        self.audio = WavFormat(settings.codec, len(self.channels), media.rate)
        self.folder: Folder = folder_of(call.facts)
        self.stem = ""
        self._group_bytes = self.audio.bytes_per_group
        self.written = 0
        self.suspicion: str | None = None
        self.signal = SignalLog()
        self._shelf = shelf
        self._facts = call.facts
        self._protocol_log = call.protocol_log
        self._position = 0
        self._part: PartFile | None = None
        self._parts: list[PartEntry] = []
        self._capacity = _part_samples(settings, self.audio)
        self._silence_left = round(_silence_seconds(settings) * media.rate)
        self._gaps = GapLog()
        self._losses = GapLog()
        self._meter = LevelMeter(settings.codec, self.channels)
        self._is_broken = False
        self._is_blocked = False
        self._refreshed_at: float | None = None
        self._has_news = True

    def begin(self) -> None:
        """Open the first file and write the sidecar, if the disk is well."""
        try:
            self._part_at(0)
        except OSError as error:
            self._fail(error, "opening a file")

    def take_gap(self, position: int, samples: int, reason: int) -> None:
        """Go on after a stretch without audio; it is filled when audio follows."""
        self._gaps.add(position, samples, GapReason(reason).word)
        self._position = position + samples
        self._has_news = True

    def take_audio(self, position: int, audio: bytes) -> None:
        """Write audio, in whole groups; what cannot be written is counted as lost."""
        group = self._group_bytes
        samples = len(audio) // group
        self._position = position + samples
        rest: bytes | memoryview = audio
        at, part = position, self._part
        if part is None or part.end != position or part.room < samples:
            rest = memoryview(audio)
        try:
            while rest and (part := self._part_at(at)) is not None:
                piece = rest[: part.room * group]
                before = part.samples
                try:
                    part.write(piece)
                finally:
                    done = part.samples - before
                    at += done
                    self.written += done
                self._meter.add(piece)
                rest = rest[len(piece) :]
        except OSError as error:
            self._fail(error, "writing")
        except Exception:
            self._is_broken = True
            raise
        finally:
            if at < self._position:
                self._lose(at, self._position - at)

    def hold(self) -> None:
        """Close the file: what comes is lost until the disk is well again."""
        self._seal()

    def break_off(self) -> None:
        """Write nothing more of this call, because of a defect of ours."""
        self._is_broken = True
        self._seal()

    def finish(self) -> None:
        """Close the last file, with the silence that the call ended with."""
        part = self._part
        try:
            if part is not None and self._position - part.end <= self._silence_left:
                while part is not None and part.end < self._position:
                    part = self._fill(part, self._position)
            if not self.stem and self._shelf.health.is_healthy:
                # Nothing could be written of it; the sidecar then says so.
                with self._shelf.directory.folder(self.folder, create=True) as folder:
                    self.stem = self._free_stem(folder)
        except OSError as error:
            self._fail(error, "writing")
        self._seal()

    def refresh(self, now: float) -> None:
        """Replace the sidecar if it has something new to say and it is time."""
        due = self._refreshed_at is None or now - self._refreshed_at >= REFRESH_SECONDS
        if not (self._has_news and due and self.stem):
            return
        self._refreshed_at, self._has_news = now, False
        try:
            self.write_sidecar(None)
        except OSError as error:
            self._shelf.health.fail(error, "writing a sidecar")

    def write_sidecar(self, closing: Closing | None) -> None:
        """Put the sidecar in place.

        Raises:
            OSError: It cannot be written.
        """
        sync = closing is not None and self._shelf.settings.sync == "close"
        content = encode_sidecar(self._fields(closing))
        # The directory may be another than the one that the call began in.
        with self._shelf.directory.folder(self.folder, create=True) as folder:
            replace_file(self._shelf.disk, folder, self.stem + SIDECAR_SUFFIX, content, sync=sync)

    def books(self, read: Callable[[], Books]) -> SinkBooks:
        """Make the sink's books of this call from those of its reader; from any thread.

        What a drain has handed out is forwarded once it is written, dropped once it is lost, and
        buffered in between.

        Args:
            read: Gives the reader's books. Called after our own counters are read, so that it
                is never behind them.
        """
        written, lost = self.written, self._losses.samples
        reader = read()
        on_its_way = reader.forwarded - written - sum(lost.values())
        books = SinkBooks(reader.received, written, reader.buffered + on_its_way)
        books.merge(SinkBooks(dropped=reader.dropped))
        books.merge(SinkBooks(dropped=lost))
        return books

    def _part_at(self, position: int) -> PartFile | None:
        """Give the file in which `position` comes next: fill a gap, turn to a new file.

        Returns:
            None if no file may be opened now.
        """
        part = self._part
        if part is not None and position - part.end > self._silence_left:
            self._seal()
            part = None
        while part is not None and part.end < position:
            part = self._fill(part, position)
        if part is not None and part.room == 0:
            self._seal()
            part = None
        return part or self._open(position)

    def _fill(self, part: PartFile, position: int) -> PartFile | None:
        """Write silence up to `position` or to the end of the file; turn to a new one there."""
        if part.room == 0:
            self._seal()
            return self._open(part.end)
        samples = min(position - part.end, part.room)
        part.write_silence(samples)
        self._silence_left -= samples
        return part

    def _open(self, position: int) -> PartFile | None:
        shelf = self._shelf
        if self._is_broken or self._is_blocked or self._is_at_limit:
            return None
        if not shelf.health.is_healthy:
            return None
        with shelf.directory.folder(self.folder, create=True) as folder:
            name, file = self._create(folder)
            try:
                part = PartFile(
                    shelf.disk, file, name, self.audio, position=position, capacity=self._capacity
                )
            except OSError:
                os.close(file)
                os.unlink(name + PART_SUFFIX, dir_fd=folder)
                raise
        self._part = part
        self._parts.append(PartEntry(name, position))
        self._has_news, self._refreshed_at = True, None
        return part

    def _create(self, folder: int) -> tuple[str, int]:
        """Create the next file, under a name that no file of another call begins with."""
        if self.stem:
            name = part_name(self.stem, len(self._parts) + 1)
            return name, self._shelf.disk.create(folder, name + PART_SUFFIX)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            stem = stem_of(self._facts, attempt)
            name = part_name(stem, 1)
            if _is_taken(folder, stem):
                continue
            try:
                file = self._shelf.disk.create(folder, name + PART_SUFFIX)
            except FileExistsError:
                # Another process was quicker, just now.
                continue
            if exists(folder, name) or exists(folder, stem + SIDECAR_SUFFIX):
                # It was so quick that it has finished its file in between.
                os.close(file)
                os.unlink(name + PART_SUFFIX, dir_fd=folder)
                continue
            self.stem = stem
            return name, file
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def _free_stem(self, folder: int) -> str:
        stems = (stem_of(self._facts, attempt) for attempt in range(1, MAX_ATTEMPTS + 1))
        free = (stem for stem in stems if not _is_taken(folder, stem))
        return next(free, stem_of(self._facts, MAX_ATTEMPTS))

    def _seal(self) -> None:
        """Write nothing more to the file that is open; somebody else gives it its name."""
        part, self._part = self._part, None
        if part is None:
            return
        entry = self._parts[-1]
        entry.samples = part.samples
        try:
            part.seal()
        except OSError as error:
            entry.state, entry.detail = "damaged", describe(error)
            self._shelf.health.fail(error, "closing a file")
        self._has_news = True
        self._shelf.hand_over(SealedPart(self, part, entry))

    def _fail(self, error: OSError, doing: str) -> None:
        if error.errno in BLOCKED:
            self._is_blocked = True
            self._shelf.health.note(error, doing)
        else:
            self._shelf.health.fail(error, doing)
        self._seal()

    def _lose(self, position: int, samples: int) -> None:
        reason = "part_limit" if self._is_at_limit else "io_error"
        self._losses.add(position, samples, "fault" if self._is_broken else reason)
        self._has_news = True

    @property
    def _is_at_limit(self) -> bool:
        return self._part is None and len(self._parts) >= MAX_PARTS

    def _fields(self, closing: Closing | None) -> dict[str, Any]:
        fields = opening_fields(self._facts, self.audio, self.channels)
        fields |= {
            "position": self._position,
            "parts": [part.as_json() for part in self._parts],
            "gaps": self._gaps.as_json(),
            "gaps_omitted": self._gaps.omitted,
            "lost": self._losses.as_json(),
            "lost_omitted": self._losses.omitted,
            "levels": self._meter.as_json(),
            "protocol": protocol_field(self._protocol_so_far()),
            "suspicion": self.suspicion,
            "signal": self.signal.as_json(),
        }
        if closing is not None:
            fields |= closing_fields(closing, self._parts)
        return fields

    def _protocol_so_far(self) -> list[ProtocolEntry]:
        try:
            return list(self._protocol_log)
        except RuntimeError:
            # The loop's thread was just adding to it; the next sidecar has it.
            return []


def _is_taken(folder: int, stem: str) -> bool:
    """Whether another call's files begin so."""
    first = part_name(stem, 1)
    names = (first, first + PART_SUFFIX, stem + SIDECAR_SUFFIX)
    return any(exists(folder, name) for name in names)


def _silence_seconds(settings: RecordingSettings) -> float:
    """How much silence a call may be filled with. Only that of L16 takes no space on the disk."""
    if settings.codec == "L16":
        return settings.max_silence_seconds
    return min(settings.max_silence_seconds, WRITTEN_SILENCE_SECONDS)


def _part_samples(settings: RecordingSettings, audio: WavFormat) -> int:
    """How many samples per channel a file holds before the next begins."""
    by_size = (settings.rotate_mib << 20) // audio.bytes_per_group
    return min(by_size, round(settings.rotate_seconds * audio.rate))
