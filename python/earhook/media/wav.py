"""WAV headers: build, read, and put right what a crash left behind. No file is opened here.

The layout is RIFF/WAVE of the Multimedia Programming Interface and Data Specifications 1.0 (IBM
and Microsoft, 1991), with the compressed formats of their 1994 revision (`fact` chunk, format 6
A-law, 7 mu-law). Headers built here are always of the same length for the same format, so that
the one of a file that grows can be replaced in place.

While a file grows its header states `UNKNOWN_BYTES` as its lengths: SoX, FFmpeg, libsndfile and
Python's `wave` then read to the end of the file.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Literal, TypeAlias

from earhook.errors import RecordingError

from .format import SAMPLE_RATE

__all__ = [
    "LONGEST_HEADER_BYTES",
    "MAX_AUDIO_BYTES",
    "UNKNOWN_BYTES",
    "Correction",
    "WavCodec",
    "WavFormat",
    "WavHeader",
    "build_header",
    "may_become_wav",
    "plan_repair",
    "read_header",
]

WavCodec: TypeAlias = Literal["L16", "PCMU", "PCMA"]

UNKNOWN_BYTES: Final = 0xFFFF_FFFF
"""The length that a header states while nobody knows it."""

MAX_AUDIO_BYTES: Final = UNKNOWN_BYTES - 4096
"""Audio that a file may hold; the rest of 4 GiB is left for chunks."""

LONGEST_HEADER_BYTES: Final = 58
"""Of those that `build_header` makes."""

MAX_CHUNKS: Final = 64
"""Chunks before the audio, beyond which a file is not worth more reading."""


@dataclass(frozen=True, slots=True)
class WavFormat:
    """What the audio of a WAV file is.

    Attributes:
        codec: `L16` (16-bit signed, low byte first), `PCMU` or `PCMA`.
        channels: How many are interleaved.
        rate: Samples per second and channel.
    """

    codec: WavCodec
    channels: int
    rate: int = SAMPLE_RATE

    @property
    def bytes_per_group(self) -> int:
        """Bytes of one sample of every channel; the unit that audio is never cut within."""
        return _FORMS[self.codec].sample_bytes * self.channels

    @property
    def silent_byte(self) -> int:
        """The byte that silence consists of."""
        return _FORMS[self.codec].silent_byte

    @property
    def header_bytes(self) -> int:
        """Length of the header that `build_header` makes."""
        return 44 if self.codec == "L16" else 58

    def samples_of(self, audio_bytes: int) -> int:
        """Whole samples per channel in so many bytes."""
        return audio_bytes // self.bytes_per_group


@dataclass(frozen=True, slots=True)
class WavHeader:
    """What a header states, and where.

    Attributes:
        format: Of the audio.
        riff_bytes: Length of the RIFF chunk as stated.
        audio_bytes: Length of the audio as stated; see `UNKNOWN_BYTES`.
        audio_offset: Where in the file the audio begins.
        fact_samples: Samples per channel as stated by a `fact` chunk.
        fact_offset: Where in the file that number lies.
    """

    format: WavFormat
    riff_bytes: int
    audio_bytes: int
    audio_offset: int
    fact_samples: int | None = None
    fact_offset: int | None = None

    def is_believable(self, file_bytes: int) -> bool:
        """Whether a file of this size can hold as much audio as the header states.

        A header that states nothing is believed only if the rest of it agrees that the file
        holds nothing: writers also leave the length at 0 until they know it.
        """
        if self.audio_bytes == 0:
            return self.riff_bytes + 8 == file_bytes
        return self.audio_offset + self.audio_bytes <= file_bytes

    def audio_bytes_in(self, file_bytes: int) -> int:
        """Audio in a file of this size, in whole groups: as stated, or up to the end."""
        there = max(0, file_bytes - self.audio_offset)
        audio_bytes = self.audio_bytes if self.is_believable(file_bytes) else there
        return audio_bytes - audio_bytes % self.format.bytes_per_group


@dataclass(frozen=True, slots=True)
class Correction:
    """What makes a file's header true. Apply `file_bytes` first, then the patches.

    Attributes:
        audio_bytes: Audio that the file has then.
        file_bytes: Its size then; never more than before.
        patches: Offsets and what to write there.
    """

    audio_bytes: int
    file_bytes: int
    patches: tuple[tuple[int, bytes], ...]


def build_header(audio: WavFormat, audio_bytes: int | None) -> bytes:
    """Make the header that stands right before the audio.

    Args:
        audio: What the audio is.
        audio_bytes: How much there is, or None while the file grows. An odd number must be
            followed by one more byte in the file, which the outer length counts.

    Raises:
        ValueError: More audio than a WAV file can hold.
    """
    if audio_bytes is not None and audio_bytes > MAX_AUDIO_BYTES:
        raise ValueError(f"{audio_bytes} bytes of audio: a WAV file holds {MAX_AUDIO_BYTES}")
    form = _FORMS[audio.codec]
    group, rate = audio.bytes_per_group, audio.rate
    described = struct.pack(
        "<HHIIHH", form.tag, audio.channels, rate, rate * group, group, form.sample_bytes * 8
    )
    chunks = _chunk(b"fmt ", described)
    if audio.codec != "L16":
        # A reader that finds no audio length must not find a sample count either.
        samples = 0 if audio_bytes is None else audio.samples_of(audio_bytes)
        chunks = _chunk(b"fmt ", described + _NO_EXTENSION) + _chunk(b"fact", _U32.pack(samples))
    stated, riff = UNKNOWN_BYTES, UNKNOWN_BYTES
    if audio_bytes is not None:
        stated = audio_bytes
        riff = 4 + len(chunks) + 8 + audio_bytes + audio_bytes % 2
    return b"RIFF" + _U32.pack(riff) + b"WAVE" + chunks + b"data" + _U32.pack(stated)


def read_header(file: BinaryIO) -> WavHeader:
    """Read the header of an open file, from its beginning to the audio.

    Chunks may come in any order and unknown ones are skipped. The file is left somewhere.

    Raises:
        RecordingError: Not a WAV file, or not audio of a kind we know; the text says which.
    """
    file.seek(0)
    riff, riff_bytes, kind = _unpack("<4sI4s", file)
    if riff != b"RIFF" or kind != b"WAVE":
        raise RecordingError("is not a WAV file: it does not begin with RIFF and WAVE")
    audio: WavFormat | None = None
    fact: tuple[int, int] | tuple[None, None] = (None, None)
    for _ in range(MAX_CHUNKS):
        chunk, length = _unpack("<4sI", file)
        begin = file.tell()
        if chunk == b"data":
            if audio is None:
                raise RecordingError("is not a WAV file: its audio comes before its format")
            return WavHeader(audio, riff_bytes, length, begin, *fact)
        if chunk == b"fmt ":
            audio = _read_format(file, length)
        elif chunk == b"fact" and length >= 4:
            fact = (_unpack("<I", file)[0], begin)
        file.seek(begin + length + length % 2)
    raise RecordingError(f"is not a WAV file we can read: no audio in its first {MAX_CHUNKS} parts")


def may_become_wav(head: bytes) -> bool:
    """Whether these bytes, all that a file has, are where one of our headers was cut off."""
    begins = head[:4] == b"RIFF"[: len(head)] and head[8:12] == b"WAVE"[: max(0, len(head) - 8)]
    return begins and len(head) < LONGEST_HEADER_BYTES


def plan_repair(header: WavHeader, file_bytes: int) -> Correction | None:
    """Say what must change so that the header tells the truth; None if it does.

    The header is believed where it can be true. Where it states no length, or one that the file
    does not have, the size of the file decides, rounded down to whole groups (and, for groups of
    an odd number of bytes, to an even one). Applying the
    correction and planning again gives None.

    Raises:
        RecordingError: The file is longer than a WAV file can be, or ends within its header.
    """
    if not header.audio_offset <= file_bytes <= UNKNOWN_BYTES:
        raise RecordingError("cannot be a WAV file of this size")
    audio_bytes, new_file_bytes = header.audio_bytes, file_bytes
    if not header.is_believable(file_bytes):
        audio_bytes = header.audio_bytes_in(file_bytes)
        # An odd length would need one byte more, and a repair never lets a file grow.
        audio_bytes -= header.format.bytes_per_group * (audio_bytes % 2)
        new_file_bytes = header.audio_offset + audio_bytes
    patches = _patches(header, audio_bytes, new_file_bytes)
    if not patches and new_file_bytes == file_bytes:
        return None
    return Correction(audio_bytes, new_file_bytes, patches)


@dataclass(frozen=True, slots=True)
class _Form:
    tag: int
    sample_bytes: int
    silent_byte: int


_FORMS: Final[dict[WavCodec, _Form]] = {
    "L16": _Form(tag=1, sample_bytes=2, silent_byte=0x00),
    # ITU-T G.711: the code of the smallest positive amplitude, as it is transmitted.
    "PCMU": _Form(tag=7, sample_bytes=1, silent_byte=0xFF),
    "PCMA": _Form(tag=6, sample_bytes=1, silent_byte=0xD5),
}
_U32: Final = struct.Struct("<I")
_NO_EXTENSION: Final = b"\0\0"
_EXTENSIBLE: Final = 0xFFFE
_EXTENSIBLE_GUID_TAIL: Final = bytes.fromhex("000000001000800000aa00389b71")


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + _U32.pack(len(body)) + body


def _unpack(form: str, file: BinaryIO) -> tuple[Any, ...]:
    wanted = struct.calcsize(form)
    piece = file.read(wanted)
    if len(piece) < wanted:
        raise RecordingError("ends before its audio begins")
    return struct.unpack(form, piece)


def _read_format(file: BinaryIO, length: int) -> WavFormat:
    if length < 16:
        raise RecordingError("is not a WAV file: its format is too short")
    described = file.read(min(length, 40))
    if len(described) < 16:
        raise RecordingError("ends before its audio begins")
    tag, channels, rate, _, group, bits = struct.unpack_from("<HHIIHH", described)
    if tag == _EXTENSIBLE and len(described) == 40 and described[26:] == _EXTENSIBLE_GUID_TAIL:
        (tag,) = struct.unpack_from("<H", described, 24)
    for codec, form in _FORMS.items():
        if tag == form.tag and bits == form.sample_bytes * 8:
            audio = WavFormat(codec, channels, rate)
            if channels == 0 or rate == 0 or group != audio.bytes_per_group:
                raise RecordingError("is not a WAV file: its format contradicts itself")
            return audio
    raise RecordingError(
        f"holds audio of WAV format {tag} with {bits} bits: only PCM with 16 bits, mu-law and "
        "A-law can be read; convert it first"
    )


def _patches(header: WavHeader, audio_bytes: int, file_bytes: int) -> tuple[tuple[int, bytes], ...]:
    patches: list[tuple[int, bytes]] = []
    samples = header.format.samples_of(audio_bytes)
    counts_samples = header.fact_offset is not None and header.format.codec != "L16"
    if counts_samples and header.fact_offset is not None and header.fact_samples != samples:
        patches.append((header.fact_offset, _U32.pack(samples)))
    if header.audio_bytes != audio_bytes:
        patches.append((header.audio_offset - 4, _U32.pack(audio_bytes)))
    # The pad byte of an odd length may be missing; whoever wrote the file counted it or not.
    missing_pad = audio_bytes % 2 and header.audio_offset + audio_bytes == file_bytes
    true_riff = {file_bytes - 8, file_bytes - 7} if missing_pad else {file_bytes - 8}
    if header.riff_bytes not in true_riff:
        patches.append((4, _U32.pack(file_bytes - 8)))
    return tuple(patches)
