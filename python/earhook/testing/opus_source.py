"""Opus as a source: packets of 20 ms, over and over."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final, Self

from earhook.errors import ConfigurationError

__all__ = ["CLOCK", "PACKET_MILLISECONDS", "PACKET_SAMPLES", "OpusPackets", "OpusTrack"]

CLOCK: Final = 48_000
"""Samples per second in which positions of Opus are told (RFC 7587 §4.1)."""
PACKET_MILLISECONDS: Final = 20
PACKET_SAMPLES: Final = 160
_PAGE: Final = struct.Struct("<4sBBqIIIB")


@dataclass(frozen=True, slots=True)
class OpusPackets:
    """An endless recording in Opus.

    Attributes:
        framed: Packets of 20 ms, each behind its length, as a body of `audio/opus` has them.
        channels: One or two.
    """

    framed: tuple[bytes, ...] = field(repr=False)
    channels: int

    @classmethod
    def speech(cls) -> Self:
        """The conversation that is shipped, in two channels."""
        with as_file(files(__package__) / "speech.opus") as path:
            return cls.read(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Take the packets out of an Ogg file (RFC 7845).

        Raises:
            ConfigurationError: It is none, or its packets are not 20 ms long.
        """
        try:
            head, _tags, *packets = _packets(path.read_bytes())
        except (OSError, ValueError, struct.error) as error:
            raise _fault(path, f"cannot be read as Ogg: {error}") from None
        if not head.startswith(b"OpusHead") or len(head) < 19 or head[9] not in {1, 2}:
            raise _fault(path, "is no Opus of one or two channels")
        if not packets or not all(map(_is_of_20_milliseconds, packets)):
            raise _fault(path, "is not made of packets of 20 ms")
        return cls(tuple(len(own).to_bytes(2, "big") + own for own in packets), head[9])

    def track(self, seed: str) -> OpusTrack:
        """As one call says it: each begins somewhere else."""
        digest = hashlib.blake2b(seed.encode(), digest_size=8).digest()
        return OpusTrack(self, int.from_bytes(digest) % len(self.framed))

    def longest_frame(self, packets: int) -> int:
        """Bytes of so many packets at the most."""
        return packets * max(map(len, self.framed))


@dataclass(frozen=True, slots=True)
class OpusTrack:
    """Packets from some place on."""

    packets: OpusPackets
    offset: int

    def read(self, position: int, samples: int) -> bytes:
        """The packets of these samples, which begin and end with one."""
        framed = self.packets.framed
        first = self.offset + position // PACKET_SAMPLES
        count = samples // PACKET_SAMPLES
        return b"".join(framed[number % len(framed)] for number in range(first, first + count))


@lru_cache(maxsize=1)
def _durations() -> tuple[float, ...]:
    """Milliseconds of a frame by configuration (RFC 6716 §3.1, table 2)."""
    silk, hybrid, celt = (10, 20, 40, 60), (10, 20), (2.5, 5, 10, 20)
    return (*silk * 3, *hybrid * 2, *celt * 4)


def _is_of_20_milliseconds(packet: bytes) -> bool:
    frames = (1, 2, 2, packet[1] & 0x3F if len(packet) > 1 else 0)[packet[0] & 3] if packet else 0
    return bool(packet) and frames * _durations()[packet[0] >> 3] == PACKET_MILLISECONDS


def _packets(octets: bytes) -> list[bytes]:
    """All packets of the pages of one Ogg stream (RFC 3533 §6)."""
    packets, unfinished, at = [], b"", 0
    while at < len(octets):
        capture, *_, segments = _PAGE.unpack_from(octets, at)
        if capture != b"OggS":
            raise ValueError("a page does not begin where one should")
        at += _PAGE.size
        lengths = octets[at : at + segments]
        at += segments
        for length in lengths:
            unfinished += octets[at : at + length]
            at += length
            if length < 255:
                packets.append(unfinished)
                unfinished = b""
    return packets


def _fault(path: Path, what: str) -> ConfigurationError:
    remedy = "make it with opusenc --framesize 20"
    return ConfigurationError.of("--source", f"{path} {what}", remedy)
