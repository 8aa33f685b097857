"""One WAV file that grows."""

from __future__ import annotations

import os
from typing import Final

from earhook.media.wav import WavFormat, build_header

from .directory import write_all
from .disk import Disk, lock

__all__ = ["PartFile"]

SILENCE_CHUNK_BYTES: Final = 1 << 16


class PartFile:
    """One file of a call, open for writing; its time 0 is `position` of the call.

    Only whole sample groups count as written. Every method but the properties may raise
    `OSError`; the file is then as long as `samples` says once it is sealed.
    """

    __slots__ = (
        "_audio",
        "_capacity_samples",
        "_disk",
        "_file",
        "_group_bytes",
        "_header_bytes",
        "name",
        "position",
        "samples",
    )

    def __init__(
        self, disk: Disk, file: int, name: str, audio: WavFormat, *, position: int, capacity: int
    ) -> None:
        """Take over a file that was just created, and write its header.

        Args:
            disk: Where it lies.
            file: The descriptor; closed by `close` only.
            name: Its name without the suffix of an unfinished one.
            audio: What will be written.
            position: Of the call, where this file begins.
            capacity: Samples per channel that it may hold.
        """
        self._disk = disk
        self._file = file
        self._audio = audio
        self._capacity_samples = capacity
        # Kept, because they are wanted for every block.
        self._group_bytes, self._header_bytes = audio.bytes_per_group, audio.header_bytes
        self.name = name
        self.position = position
        self.samples = 0
        lock(file)
        write_all(disk, file, build_header(audio, None))

    @property
    def end(self) -> int:
        """The position that comes next."""
        return self.position + self.samples

    @property
    def room(self) -> int:
        """Samples per channel that still go in."""
        return self._capacity_samples - self.samples

    def write(self, audio: bytes | memoryview) -> None:
        """Append whole sample groups, no more than there is room for.

        On an error `samples` has grown by what reached the file.
        """
        group = self._group_bytes
        offset = self._header_bytes + self.samples * group
        written = self._disk.write_at(self._file, audio, offset)
        try:
            while written < len(audio):
                written += self._disk.write_at(self._file, audio[written:], offset + written)
        finally:
            self.samples += written // group

    def write_silence(self, samples: int) -> None:
        """Append silence, no more than there is room for.

        Silence of zeros is a hole in the file: it takes no time to write and no space on disk.
        """
        if self._audio.silent_byte == 0:
            self.samples += samples
            return
        group = self._audio.bytes_per_group
        chunk = memoryview(
            bytes([self._audio.silent_byte]) * (SILENCE_CHUNK_BYTES // group * group)
        )
        while samples > 0:
            piece = chunk[: samples * group]
            self.write(piece)
            samples -= len(piece) // group

    def seal(self) -> None:
        """Make the file exactly as long as what was written, and its header true."""
        audio_bytes = self.samples * self._audio.bytes_per_group
        padded = audio_bytes + audio_bytes % 2
        self._disk.resize(self._file, self._audio.header_bytes + padded)
        write_all(self._disk, self._file, build_header(self._audio, audio_bytes))

    def sync(self) -> None:
        """Force the file to the disk; never again if this fails."""
        self._disk.sync(self._file)

    def close(self) -> None:
        """Close the descriptor, which also gives up the lock."""
        os.close(self._file)
