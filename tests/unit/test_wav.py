"""WAV headers: what is built can be read by others, and a repair has laws."""

from __future__ import annotations

import io
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.errors import RecordingError
from earhook.media.wav import (
    MAX_AUDIO_BYTES,
    UNKNOWN_BYTES,
    Correction,
    WavFormat,
    WavHeader,
    build_header,
    may_become_wav,
    plan_repair,
    read_header,
)

FORMATS = [
    WavFormat(codec, channels, rate)
    for codec in ("L16", "PCMU", "PCMA")
    for channels in (1, 2)
    for rate in (8000, 16_000)
]
formats = st.sampled_from(FORMATS)


def applied(content: bytes, correction: Correction | None) -> bytes:
    """A file's content after a correction."""
    if correction is None:
        return content
    changed = bytearray(content[: correction.file_bytes])
    for offset, patch in correction.patches:
        changed[offset : offset + len(patch)] = patch
    return bytes(changed)


def repaired(content: bytes) -> bytes:
    return applied(content, plan_repair(read_header(io.BytesIO(content)), len(content)))


@pytest.mark.parametrize("audio", FORMATS, ids=str)
@pytest.mark.parametrize("audio_bytes", [None, 0, 4, 6400])
def test_what_is_built_can_be_read(audio: WavFormat, audio_bytes: int | None) -> None:
    built = build_header(audio, audio_bytes)
    assert len(built) == audio.header_bytes
    header = read_header(io.BytesIO(built))
    assert header.format == audio
    assert header.audio_offset == len(built)
    assert header.audio_bytes == (UNKNOWN_BYTES if audio_bytes is None else audio_bytes)


def test_a_pcm_header_is_that_of_the_standard_library() -> None:
    theirs = io.BytesIO()
    with wave.open(theirs, "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(6400))
    assert theirs.getvalue() == build_header(WavFormat("L16", 2), 6400) + bytes(6400)


def test_the_standard_library_reads_a_file_that_grows() -> None:
    audio = bytes(range(200)) * 4
    with wave.open(io.BytesIO(build_header(WavFormat("L16", 2), None) + audio)) as file:
        assert file.readframes(file.getnframes()) == audio


def test_mu_law_counts_its_samples_in_a_fact_chunk() -> None:
    header = read_header(io.BytesIO(build_header(WavFormat("PCMU", 2), 3200)))
    assert header.fact_samples == 1600


def test_more_than_four_gibibytes_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="holds"):
        build_header(WavFormat("L16", 2), MAX_AUDIO_BYTES + 1)


def test_chunks_in_any_order_and_the_extensible_form_are_read() -> None:
    guid_tail = bytes.fromhex("000000001000800000aa00389b71")
    described = struct.pack("<HHIIHH", 0xFFFE, 2, 48_000, 192_000, 4, 16)
    extensible = described + struct.pack("<HHIH", 22, 16, 3, 1) + guid_tail
    chunks = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    chunks += b"fmt " + struct.pack("<I", 40) + extensible
    chunks += b"data" + struct.pack("<I", 8) + bytes(8)
    content = b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
    header = read_header(io.BytesIO(content))
    assert header.format == WavFormat("L16", 2, 48_000)
    assert header.audio_bytes_in(len(content)) == 8
    assert repaired(content) == content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "ends before"),
        (b"ID3\x04" + bytes(60), "RIFF"),
        (b"RIFF\0\0\0\0AVI " + bytes(60), "RIFF"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "before its format"),
        (b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0\x01\0", "too short"),
        (b"RIFF\0\0\0\0WAVE" + b"JUNK\0\0\0\0" * 100, "parts"),
        (build_header(WavFormat("L16", 2), 0).replace(b"\x10\0data", b"\x18\0data"), "24 bits"),
        (build_header(WavFormat("L16", 2), 0).replace(b"\x04\0\x10", b"\x05\0\x10"), "contradicts"),
    ],
)
def test_what_is_no_wav_file_says_why(content: bytes, said: str) -> None:
    with pytest.raises(RecordingError, match=said):
        read_header(io.BytesIO(content))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_header_or_an_error(content: bytes) -> None:
    for prefix in (b"", b"RIFF\0\0\0\0WAVE", build_header(WavFormat("PCMU", 1), None)[:30]):
        try:
            header = read_header(io.BytesIO(prefix + content))
            plan_repair(header, len(prefix + content))
        except RecordingError:
            continue


@pytest.mark.parametrize("audio", FORMATS, ids=str)
@pytest.mark.parametrize("is_final", [True, False])
def test_cut_at_every_byte(audio: WavFormat, is_final: bool) -> None:
    """What is left after a cut: whole groups of what was there, under a true header."""
    sound = bytes(index % 251 for index in range(audio.bytes_per_group * 13))
    pad = b"\0" * (len(sound) % 2)
    whole = build_header(audio, len(sound) if is_final else None) + sound + pad
    offset = audio.header_bytes
    for size in range(len(whole) + 1):
        cut = whole[:size]
        if size < offset:
            assert may_become_wav(cut)
            with pytest.raises(RecordingError):
                read_header(io.BytesIO(cut))
            continue
        result = repaired(cut)
        header = read_header(io.BytesIO(result))
        kept = result[offset : offset + header.audio_bytes]
        assert len(result) <= size
        assert repaired(result) == result
        assert kept == (sound + pad)[: len(kept)]
        assert header.audio_bytes_in(len(result)) == header.audio_bytes == len(kept)
        # At most one group is lost, or two where a file of odd length could not be padded.
        assert size - offset - len(kept) < audio.bytes_per_group + 1


@given(
    audio=formats,
    stated=st.one_of(st.integers(0, 300), st.integers(0, UNKNOWN_BYTES)),
    riff=st.integers(0, UNKNOWN_BYTES),
    there=st.binary(max_size=200),
)
def test_repair_is_idempotent_and_never_grows_a_file(
    audio: WavFormat, stated: int, riff: int, there: bytes
) -> None:
    content = bytearray(build_header(audio, 0) + there)
    content[4:8] = riff.to_bytes(4, "little")
    offset = audio.header_bytes
    content[offset - 4 : offset] = stated.to_bytes(4, "little")
    once = repaired(bytes(content))
    assert len(once) <= len(content)
    assert repaired(once) == once
    assert once[offset:] == bytes(content)[offset : len(once)]


@given(
    riff=st.integers(0, UNKNOWN_BYTES),
    stated=st.integers(0, UNKNOWN_BYTES),
    offset=st.integers(44, 1 << 40),
    size=st.integers(0, 1 << 40),
    audio=formats,
)
def test_any_numbers_are_planned_for_or_refused(
    riff: int, stated: int, offset: int, size: int, audio: WavFormat
) -> None:
    header = WavHeader(audio, riff, stated, offset)
    try:
        correction = plan_repair(header, size)
    except RecordingError:
        return
    assert correction is None or correction.file_bytes <= size


@pytest.mark.parametrize(
    "head", [b"x", b"RIFX", b"RIFF\0\0\0\0AVI ", b"RIFF\0\0\0\0WAVE" + bytes(60)]
)
def test_other_bytes_are_no_header_cut_off(head: bytes) -> None:
    assert not may_become_wav(head)
