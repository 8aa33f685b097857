"""What is heard of calls only because somebody looks at them: meters, and some envelopes."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from earhook.media.feed import Feed

from .envelope import Envelope, dbfs_byte, meter_byte
from .state import Flag

if TYPE_CHECKING:
    from earhook.sinks.base import LiveCall

    from .entry import Entry

__all__ = ["Audience", "meters"]

MAX_WATCHED: Final = 64
DRAIN_BYTES: Final = 1 << 20
MOST_DRAINS: Final = 8
"""At once: minutes of audio. What is left is read at the next look."""
_METER: Final = struct.Struct("<IBBBB")


class Audience:
    """Reads the audio of calls whose pages are open and that nobody measures, to draw it.

    Nothing is read of any other call. What is not fetched in time is a gap in the drawing.
    """

    def __init__(self) -> None:
        self._feed = Feed()
        self._watched: dict[int, Entry] = {}

    def watch(self, entry: Entry) -> None:
        """Somebody looks at a call; saying it again is how more of it is drawn."""
        if entry.call is not None and entry.envelope is None and not entry.state.is_ended:
            self._begin(entry, entry.call)
        self._drain()

    def leave(self, entry: Entry) -> None:
        """A call ends, or others are looked at instead; what was drawn stays."""
        if self._watched.get(entry.number) is entry:
            self._drain()
            del self._watched[entry.number]
            self._feed.detach(entry.number)

    def _begin(self, entry: Entry, call: LiveCall) -> None:
        if _is_measured(call):
            return
        if len(self._watched) >= MAX_WATCHED:
            oldest = next(iter(self._watched.values()))
            self.leave(oldest)
            oldest.envelope = None  # who looks again begins again
        entry.envelope = Envelope(entry.facts.media.rate)
        self._feed.attach(entry.number, call.pipeline)
        self._watched[entry.number] = entry

    def _drain(self) -> None:
        for _ in range(MOST_DRAINS):
            blocks = self._feed.drain_blocks(DRAIN_BYTES)
            if not blocks:
                return
            for number, _, gap_samples, _, audio in blocks:
                entry = self._watched.get(number)
                envelope = None if entry is None else entry.envelope
                if not isinstance(envelope, Envelope):
                    continue
                if gap_samples:
                    envelope.add_gap(gap_samples)
                else:
                    envelope.add(audio)


def _is_measured(call: LiveCall) -> bool:
    """Whether its envelope is known without us."""
    return call.signal is not None and call.signal.envelope(call.pipeline.position) is not None


def meters(entries: Iterable[Entry], tag: int) -> bytes:
    """Records of the feed: how loud each call was in the last frame."""
    found = bytearray()
    for entry in entries:
        found += _METER.pack(tag | entry.number, *_meter(entry))
    return bytes(found)


def _meter(entry: Entry) -> tuple[int, int, int, int]:
    call = entry.call
    if call is None or entry.state.flags & _SILENT:
        return _SILENCE
    found = [0, 0, 0, 0]
    heard = [] if call.signal is None else call.signal.levels()
    for level in heard:
        found[2 * level.channel] = dbfs_byte(level.rms_dbfs) | level.speaking << 7
        is_full = level.peak_dbfs >= _FULL_DBFS
        found[2 * level.channel + 1] = dbfs_byte(level.peak_dbfs) | is_full << 7
    if not heard:
        for channel, peak, rms in call.pipeline.levels():
            found[2 * channel] = meter_byte(rms)
            found[2 * channel + 1] = meter_byte(peak) | (peak >= _FULL) << 7
    return found[0], found[1], found[2], found[3]


_SILENT: Final = Flag.ENDED | Flag.PAUSED
_SILENCE: Final = (0, 0, 0, 0)
_FULL: Final = 32124
"""The loudest that mu-law can say; A-law reaches a little more."""
_FULL_DBFS: Final = -0.2
"""The same as a level, and a little less."""
