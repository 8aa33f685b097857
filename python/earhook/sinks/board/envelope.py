"""How loud a call was, for whoever shows it, and drawn here where nobody measures it."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from earhook.media.levels import measure_levels
from earhook.media.signal import POINT_BYTES, Stretch

__all__ = [
    "Envelope",
    "Point",
    "dbfs_byte",
    "level_byte",
    "levels_as_json",
    "meter_byte",
    "records",
]

MAX_POINTS: Final = 2048
POINT_SECONDS: Final = 0.1
_RECORD: Final = struct.Struct("<IIQBBBBI")


class Point(NamedTuple):
    """Peaks (0 to 32768) and energies of both channels in some samples.

    `heard` of them have audio; of a point of none there is nothing to say.
    """

    peaks: tuple[int, int] = (0, 0)
    energies: tuple[int, int] = (0, 0)
    heard: int = 0

    def joined(self, other: Point) -> Point:
        """Both together."""
        (left, right), (theirs_left, theirs_right) = self.peaks, other.peaks
        energies = (self.energies[0] + other.energies[0], self.energies[1] + other.energies[1])
        peaks = (max(left, theirs_left), max(right, theirs_right))
        return Point(peaks, energies, self.heard + other.heard)


class Envelope:
    """Takes stereo PCM (external, internal) and gaps, in their order, however they are cut.

    A point stands for a tenth of a second. It holds at most `MAX_POINTS`: when it is full, two
    become one.

    Attributes:
        step_samples: What a point stands for.
        position: Where the next sample belongs.
    """

    def __init__(self, rate: int) -> None:
        self.step_samples = max(1, round(rate * POINT_SECONDS))
        self.position = 0
        self._points: list[Point] = []
        # Theirs, worked out once: a page asks for all of them again and again.
        self._levels = bytearray()
        self._open = Point()

    def add(self, audio: bytes) -> None:
        """Take audio."""
        view = memoryview(audio)
        while view:
            samples = min(len(view) // _GROUP_BYTES, self._samples_to_fill)
            (left, right) = measure_levels(view[: samples * _GROUP_BYTES], "L16", 2)
            peaks, energies = (left[0], right[0]), (left[1], right[1])
            self._open = self._open.joined(Point(peaks, energies, samples))
            self._advance(samples)
            view = view[samples * _GROUP_BYTES :]

    def add_gap(self, samples: int) -> None:
        """Take a span without audio."""
        while samples:
            part = min(samples, self._samples_to_fill)
            self._advance(part)
            samples -= part

    def since(self, position: int) -> Stretch:
        """The points that end behind a position; the last one may not be whole yet."""
        levels = bytes(self._levels)
        if self.position > self._complete_position:
            levels += _levels(self._open)
        return Stretch(self.step_samples, 0, self.position, levels).since(position)

    @property
    def _complete_position(self) -> int:
        """Up to where points are whole."""
        return len(self._points) * self.step_samples

    @property
    def _samples_to_fill(self) -> int:
        return self._complete_position + self.step_samples - self.position

    def _advance(self, samples: int) -> None:
        self.position += samples
        if self.position < self._complete_position + self.step_samples:
            return
        self._points.append(self._open)
        self._levels += _levels(self._open)
        self._open = Point()
        if len(self._points) == MAX_POINTS:
            pairs: Sequence[Point] = self._points
            self._points = [
                one.joined(two) for one, two in zip(pairs[::2], pairs[1::2], strict=True)
            ]
            self._levels = bytearray(b"".join(map(_levels, self._points)))
            self.step_samples *= 2


def records(stretch: Stretch, number: int) -> bytes:
    """As the feed has it."""
    return b"".join(
        _RECORD.pack(number, samples, position, *levels)
        for position, samples, levels in stretch.points()
    )


def levels_as_json(stretch: Stretch) -> dict[str, Any]:
    """As the API has it: lists of levels by channel; None where there is no audio."""
    levels = stretch.levels
    gaps = levels[POINT_BYTES - 1 :: POINT_BYTES]

    def column(place: int) -> list[int | None]:
        found = levels[place::POINT_BYTES]
        return [None if is_gap else level for level, is_gap in zip(found, gaps, strict=True)]

    return {
        "step": stretch.step_samples,
        "position": stretch.position,
        "end": stretch.end,
        "external": {"peak": column(0), "rms": column(1)},
        "internal": {"peak": column(2), "rms": column(3)},
    }


def level_byte(amplitude: float) -> int:
    """Twice the dBFS plus 255; 0 is digital silence."""
    if amplitude <= 0:
        return 0
    return max(1, min(255, round(255 + 40 * math.log10(amplitude / _FULL_SCALE))))


def meter_byte(amplitude: float) -> int:
    """The dBFS plus 127; 0 is digital silence."""
    return 0 if amplitude <= 0 else dbfs_byte(20 * math.log10(amplitude / _FULL_SCALE))


def dbfs_byte(dbfs: float) -> int:
    """A level in dBFS, plus 127; 0 is digital silence."""
    return max(0, min(127, round(127 + dbfs))) if dbfs > -127 else 0


def _levels(point: Point) -> bytes:
    """As a `Stretch` has them."""
    if not point.heard:
        return _GAP
    left, right = (level_byte(math.sqrt(energy / point.heard)) for energy in point.energies)
    return bytes((level_byte(point.peaks[0]), left, level_byte(point.peaks[1]), right, 0))


_FULL_SCALE: Final = 32768.0
_GROUP_BYTES: Final = 4
_GAP: Final = bytes((0, 0, 0, 0, 1))
