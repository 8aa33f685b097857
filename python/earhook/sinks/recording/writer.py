"""The thread of a recording sink: every 80 ms it drains all calls and writes.

Audio is thus handed to the kernel well within 200 ms of its arrival, and from then on survives
the death of this process.

What a call costs once, its files, is spread: thousands of calls that begin in one moment wait in
line for them, their audio in their rings, while those that run already are written.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from earhook.clock import Clock
from earhook.errors import CoreFault
from earhook.media.feed import Feed
from earhook.media.pipeline import Pipeline
from earhook.ops.logging import get_logger
from earhook.sinks.base import CallOutcome, SinkBooks

from .finisher import EndedCall, Finisher
from .health import Health
from .recording import CallRecording
from .settings import RecordingSettings
from .sidecar import Closing

__all__ = ["Begun", "Ended", "Writer"]

TURN_SECONDS: Final = 0.08
DRAIN_BYTES: Final = 256 << 10
"""Audio that is taken out of the rings at once: little enough to stay in the processor's cache."""
DRAINS_IN_A_TURN: Final = 16

FILES_SECONDS: Final = 0.03
"""What opening files of new calls may take in a turn, and so may replacing sidecars."""

BLOCKS_IN_A_ROW: Final = 32
BREATH_SECONDS: Final = 0.0001
"""A pause after so many blocks. Without it the interpreter may stay with this thread for its
switch interval of 5 ms, although every write releases it, and the loop's thread waits."""

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Begun:
    """A call has opened; its pipeline is attached to the feed when its files are there."""

    number: int
    recording: CallRecording
    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Ended:
    """A call has ended; its pipeline too."""

    number: int
    outcome: CallOutcome | None


@dataclass(slots=True)
class _Seat:
    """A call being written. It is over when it has ended and nothing is left to drain."""

    recording: CallRecording
    outcome: CallOutcome | None = None
    has_ended: bool = False
    is_drained: bool = False

    @property
    def is_over(self) -> bool:
        return self.has_ended and self.is_drained


class Writer:
    """Writes all calls of one sink. Other threads may call `tell`, `end` and `join`."""

    def __init__(
        self,
        settings: RecordingSettings,
        feed: Feed,
        health: Health,
        finisher: Finisher,
        clock: Clock,
        on_written: Callable[[int], None],
    ) -> None:
        """Prepare the thread.

        Args:
            settings: Of the sink.
            feed: Its readers, which this thread attaches.
            health: Of its directory.
            finisher: Takes what is written.
            clock: For times in sidecars and for the watch.
            on_written: Called in this thread with a call's number, once, when its audio is
                written or lost to the last sample.
        """
        self.turned_at = clock.monotonic_seconds()
        self._settings = settings
        self._feed = feed
        self._health = health
        self._finisher = finisher
        self._clock = clock
        self._on_written = on_written
        self._inbox: deque[Begun | Ended] = deque()
        self._line: deque[Begun] = deque()
        self._rounds: deque[int] = deque()
        self._seats: dict[int, _Seat] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"{settings.name}-writer", daemon=True
        )

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def tell(self, message: Begun | Ended) -> None:
        """Say what happened to a call; returns at once."""
        self._inbox.append(message)

    def end(self) -> None:
        """Write what is there, close every file, and end."""
        self._ending.set()

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the end; False if it has not come in time."""
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            is_behind = False
            while not self._ending.wait(0 if is_behind else TURN_SECONDS):
                is_behind = self._turn()
            while self._turn():
                pass
            for number in list(self._seats):
                self._close(number)
        finally:
            self._finisher.end()

    def _turn(self) -> bool:
        """Do once what there is to do; True if not all of it was done."""
        self.turned_at = self._clock.monotonic_seconds()
        if self._health.watch():
            for seat in self._seats.values():
                self._guard(seat.recording, seat.recording.hold)
        self._read_inbox()
        self._begin_some()
        is_behind = self._write_audio()
        for number in self._feed.finished():
            if number in self._seats:
                self._seats[number].is_drained = True
        for number in [number for number, seat in self._seats.items() if seat.is_over]:
            self._close(number)
        self._refresh_some()
        return is_behind or bool(self._line)

    def _write_audio(self) -> bool:
        """Drain and write until the rings are empty; True if it was too much for a turn."""
        return all(self._write_some() for _ in range(DRAINS_IN_A_TURN))

    def _write_some(self) -> bool:
        """Drain once and write it. False when nothing was there."""
        try:
            blocks = self._feed.drain_blocks(DRAIN_BYTES, codec=self._settings.codec)
        except CoreFault:
            logger.exception("recording.defect", sink=self._settings.name)
            return False
        for place, (number, position, samples, reason, audio) in enumerate(blocks):
            if place % BLOCKS_IN_A_ROW == BLOCKS_IN_A_ROW - 1:
                time.sleep(BREATH_SECONDS)
            recording = self._seats[number].recording
            if audio:
                self._guard(recording, recording.take_audio, position, audio)
            else:
                self._guard(recording, recording.take_gap, position, samples, reason)
        return bool(blocks)

    def _read_inbox(self) -> None:
        while self._inbox:
            message = self._inbox.popleft()
            if isinstance(message, Begun):
                self._line.append(message)
                self._seats[message.number] = _Seat(message.recording)
            elif message.number in self._seats:
                seat = self._seats[message.number]
                seat.outcome, seat.has_ended = message.outcome, True

    def _begin_some(self) -> None:
        """Open files of new calls, the oldest first, for a while."""
        due = time.monotonic() + FILES_SECONDS
        while self._line and time.monotonic() < due:
            begun = self._line.popleft()
            recording = begun.recording
            self._guard(recording, recording.begin)
            self._guard(recording, recording.refresh, self.turned_at)
            self._rounds.append(begun.number)
            try:
                self._feed.attach(begun.number, begun.pipeline, channels=recording.channels)
            except (CoreFault, ValueError):
                logger.exception("recording.defect", sink=self._settings.name)
                self._seats.pop(begun.number).recording.break_off()
                self._on_written(begun.number)

    def _refresh_some(self) -> None:
        """Replace sidecars that have news, in turns, for a while."""
        due = time.monotonic() + FILES_SECONDS
        for _ in range(len(self._rounds)):
            number = self._rounds.popleft()
            seat = self._seats.get(number)
            if seat is None:
                continue
            self._rounds.append(number)
            self._guard(seat.recording, seat.recording.refresh, self.turned_at)
            if time.monotonic() >= due:
                return

    def _guard(self, recording: CallRecording, work: Callable[..., None], *facts: object) -> None:
        """Do something for one call. A defect of ours costs this call its recording, no more."""
        try:
            work(*facts)
        except Exception:
            logger.exception("recording.defect", sink=self._settings.name)
            recording.break_off()

    def _close(self, number: int) -> None:
        """Close a call's files; what is left to do needs no audio."""
        seat = self._seats.pop(number)
        recording = seat.recording
        self._guard(recording, recording.finish)
        try:
            books = recording.books(lambda: self._feed.books(number))
        except KeyError:
            # The gateway has given up on us while the disk hung, and settled the call itself.
            books = SinkBooks()
        closing = Closing(seat.outcome, books, self._clock.wall_seconds())
        self._finisher.put(EndedCall(recording, closing))
        self._on_written(number)
