"""Make rust/earhook-audio/tests/data: Opus packets, and what libopus decodes from them.

Not part of the build: the results lie in the crate, and its tests need nothing of this.
Needs libopus 1.6.1 as a shared library (older ones conceal losses a little differently), opus-tools
0.2 and ffmpeg (Debian 12: apt-get install opus-tools ffmpeg).

    LIBOPUS=/path/to/libopus.so.0 bench/make_opus_cases.py [FOLDER]

A case file is: b"OPUSCASE", channels (u8), records (u16), the records, and to the end of the file
every 13th sample of the interleaved decode (i16). A record is: what to do (u8: 0 decode, 1 conceal,
2 recover from the packet of the next record), samples per channel (u16), the range coder's last
state (u32, 0 for what was lost), the packet's length (u16), the packet. All little-endian.
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

ROOT: Final = Path(__file__).resolve().parent.parent
SPEECH: Final = ROOT / "python/earhook/demo/speech.wav"
FOLDER: Final = ROOT / "rust/earhook-audio/tests/data"
RATE: Final = 48_000
STRIDE: Final = 13
DECODE, CONCEAL, RECOVER = 0, 1, 2

# Requests of opus_defines.h, and the one of opus_private.h that libopus tests itself with.
BITRATE, BANDWIDTH, FEC, LOSS, DTX, FINAL_RANGE, MODE = 4002, 4008, 4012, 4014, 4016, 4031, 11002
SILK, HYBRID, CELT = 1000, 1001, 1002
NARROW, MEDIUM, WIDE, SUPER, FULL = 1101, 1102, 1103, 1104, 1105
VOIP: Final = 2048

Pcm = npt.NDArray[np.int16]
libopus = ctypes.CDLL(os.environ.get("LIBOPUS", "libopus.so.0"))
libopus.opus_encoder_create.restype = ctypes.c_void_p
libopus.opus_decoder_create.restype = ctypes.c_void_p


class Shape(NamedTuple):
    """How some packets are to be encoded."""

    mode: int
    bandwidth: int
    samples: int


class Record(NamedTuple):
    """One packet's time in a stream."""

    action: int
    samples: int
    final_range: int
    packet: bytes


class Encoder:
    """libopus' encoder."""

    def __init__(self, channels: int, bitrate: int) -> None:
        self.channels = channels
        error = ctypes.c_int()
        self.state = ctypes.c_void_p(
            libopus.opus_encoder_create(RATE, channels, VOIP, ctypes.byref(error))
        )
        self.set(BITRATE, bitrate)

    def set(self, request: int, value: int) -> None:
        if libopus.opus_encoder_ctl(self.state, request, ctypes.c_int(value)) != 0:
            raise ValueError(request)

    def encode(self, pcm: Pcm) -> bytes:
        room = ctypes.create_string_buffer(4_000)
        samples = len(pcm) // self.channels
        length = libopus.opus_encode(self.state, pcm.tobytes(), samples, room, len(room))
        if length < 0:
            raise ValueError(length)
        return room.raw[:length]


class Decoder:
    """libopus' decoder: the reference."""

    def __init__(self, channels: int) -> None:
        self.channels = channels
        error = ctypes.c_int()
        self.state = ctypes.c_void_p(
            libopus.opus_decoder_create(RATE, channels, ctypes.byref(error))
        )

    def decode(self, packet: bytes | None, samples: int, *, fec: bool = False) -> Pcm:
        out = np.zeros(samples * self.channels, np.int16)
        pointer = out.ctypes.data_as(ctypes.c_void_p)
        made = libopus.opus_decode(
            self.state, packet, len(packet or b""), pointer, samples, int(fec)
        )
        if made != samples:
            raise ValueError(made)
        return out

    def final_range(self) -> int:
        value = ctypes.c_uint32()
        libopus.opus_decoder_ctl(self.state, FINAL_RANGE, ctypes.byref(value))
        return value.value


def speech(channels: int, seconds: float) -> Pcm:
    """Telephone speech, with something to hear in all of Opus' bands mixed in."""
    command = ["ffmpeg", "-v", "error", "-i", str(SPEECH), "-ac", str(channels)]
    command += ["-ar", str(RATE), "-t", str(seconds), "-f", "s16le", "-"]
    voice = np.frombuffer(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout, "<i2")
    time = np.arange(len(voice) // channels) / RATE
    sweep = np.sin(2 * np.pi * (200 * time + 2_500 * np.sin(2 * np.pi * 0.8 * time)))
    noise = np.random.default_rng(6).normal(size=(len(time), channels))
    beats = np.maximum(np.sin(2 * np.pi * 1.7 * time), 0)[:, None]
    bright = 700 * sweep[:, None] * [1.0, 0.5][:channels] + 500 * beats * noise
    mixed = 0.7 * voice.reshape(-1, channels) + bright
    pcm: Pcm = mixed.clip(-32768, 32767).astype(np.int16).ravel()
    return pcm


def shapes() -> Iterator[Shape]:
    """Every configuration of RFC 6716 table 2, and packets of several frames."""
    for bandwidth in (NARROW, MEDIUM, WIDE):
        for samples in (480, 960, 1_920, 2_880):
            yield Shape(SILK, bandwidth, samples)
    for bandwidth in (SUPER, FULL):
        for samples in (480, 960, 1_920):
            yield Shape(HYBRID, bandwidth, samples)
    for bandwidth in (NARROW, WIDE, SUPER, FULL):
        for samples in (120, 240, 480, 960):
            yield Shape(CELT, bandwidth, samples)
    for mode, bandwidth in ((SILK, WIDE), (CELT, FULL)):
        for samples in (3_840, 4_800, 5_760):
            yield Shape(mode, bandwidth, samples)
    # Back and forth, for what happens at a change of mode.
    for _ in range(3):
        yield Shape(SILK, WIDE, 960)
        yield Shape(CELT, FULL, 960)
        yield Shape(HYBRID, FULL, 960)


def all_modes(channels: int) -> list[Record]:
    pcm = speech(channels, 9.0)
    encoder, decoder = Encoder(channels, 24_000 * channels), Decoder(channels)
    records, at = [], 0
    for shape in shapes():
        # A running encoder changes SILK's bandwidth only when it finds a good moment.
        if shape.mode == SILK and shape.samples == 480:
            encoder = Encoder(channels, 24_000 * channels)
        encoder.set(MODE, shape.mode)
        encoder.set(BANDWIDTH, shape.bandwidth)
        for _ in range(max(2, 5_760 // shape.samples // (4 if shape.samples < 480 else 1))):
            block = pcm[at * channels : (at + shape.samples) * channels]
            packet = encoder.encode(block)
            decoder.decode(packet, shape.samples)
            records.append(Record(DECODE, shape.samples, decoder.final_range(), packet))
            at += shape.samples
    return records


def lossy() -> list[Record]:
    """One packet in six is lost, and now and then two in a row."""
    pcm = speech(1, 3.0)
    encoder, decoder = Encoder(1, 24_000), Decoder(1)
    for request, value in ((FEC, 1), (LOSS, 25), (MODE, SILK), (BANDWIDTH, WIDE)):
        encoder.set(request, value)
    packets = [encoder.encode(pcm[at : at + 960]) for at in range(0, len(pcm) - 959, 960)]
    lost = [index % 6 == 5 or index % 24 == 10 or index % 24 == 12 for index in range(len(packets))]
    records = []
    for index, packet in enumerate(packets[:-1]):
        if lost[index]:
            records.append(Record(CONCEAL if lost[index + 1] else RECOVER, 960, 0, b""))
            continue
        decoder.decode(packet, 960)
        records.append(Record(DECODE, 960, decoder.final_range(), packet))
    return records


def discontinuous() -> list[Record]:
    """Speech, two seconds of silence, speech: packets of one byte in between."""
    pcm = np.concatenate([speech(1, 1.0), np.zeros(2 * RATE, np.int16), speech(1, 0.5)])
    encoder, decoder = Encoder(1, 20_000), Decoder(1)
    for request, value in ((DTX, 1), (MODE, SILK), (BANDWIDTH, WIDE)):
        encoder.set(request, value)
    records = []
    for at in range(0, len(pcm) - 959, 960):
        packet = encoder.encode(pcm[at : at + 960])
        decoder.decode(packet, 960)
        records.append(Record(DECODE, 960, decoder.final_range(), packet))
    return records


def reference(records: list[Record], channels: int) -> Pcm:
    decoder = Decoder(channels)
    blocks = []
    for index, record in enumerate(records):
        if record.action == DECODE:
            blocks.append(decoder.decode(record.packet, record.samples))
        elif record.action == CONCEAL:
            blocks.append(decoder.decode(None, record.samples))
        else:
            blocks.append(decoder.decode(records[index + 1].packet, record.samples, fec=True))
    return np.concatenate(blocks)


def write_case(path: Path, records: list[Record], channels: int) -> None:
    parts = [b"OPUSCASE", struct.pack("<BH", channels, len(records))]
    for record in records:
        header = (record.action, record.samples, record.final_range, len(record.packet))
        parts += [struct.pack("<BHIH", *header), record.packet]
    parts.append(reference(records, channels)[::STRIDE].astype("<i2").tobytes())
    path.write_bytes(b"".join(parts))


def write_file(path: Path, channels: int, arguments: list[str]) -> None:
    """What opusenc makes of speech, and every 13th sample of what opusdec makes of that."""
    pcm = speech(channels, 1.5)
    raw = ["--raw", "--raw-rate", str(RATE), "--raw-chan", str(channels)]
    command = ["opusenc", "--quiet", "--serial", "7", *arguments, *raw, "-", str(path)]
    subprocess.run(command, input=pcm.tobytes(), check=True)
    # Without dither the decode is the decoder's alone.
    command = ["opusdec", "--quiet", "--no-dither", "--rate", str(RATE), str(path), "-"]
    decoded = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    samples = np.frombuffer(decoded, "<i2")
    length = struct.pack("<I", len(samples) // channels)
    path.with_suffix(".decoded").write_bytes(length + samples[::STRIDE].tobytes())


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_case(folder / "modes-mono.case", all_modes(1), 1)
    write_case(folder / "modes-stereo.case", all_modes(2), 2)
    write_case(folder / "lossy.case", lossy(), 1)
    write_case(folder / "discontinuous.case", discontinuous(), 1)
    write_file(folder / "mono.opus", 1, ["--bitrate", "16", "--framesize", "60"])
    write_file(folder / "stereo.opus", 2, ["--bitrate", "40", "--max-delay", "200"])
    for path in sorted(folder.iterdir()):
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
