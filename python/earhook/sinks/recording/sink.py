"""The recording sink as the hub sees it. Nothing here touches the disk or waits."""

from __future__ import annotations

import asyncio
import errno
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Final

from earhook.clock import Clock, SystemClock
from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.media.feed import Feed
from earhook.sinks.base import CallEvent, LiveCall, SinkBooks, SinkSnapshot

from .directory import RecordingDirectory
from .disk import Disk
from .finisher import Finisher
from .health import Health, describe
from .recording import CallRecording, Shelf
from .settings import RecordingSettings
from .writer import Begun, Ended, Writer

__all__ = ["RecordingSink"]

STUCK_SECONDS: Final = 2.0
"""A writer that has not come round for so long hangs in a call to the disk."""

HOPELESS: Final = frozenset(
    {
        errno.EACCES,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EEXIST,
        errno.EPERM,
        errno.EROFS,
    }
)
"""Errors at the start that only the operator can end; others may pass, and calls are answered."""


@dataclass(frozen=True, slots=True)
class _Track:
    number: int
    recording: CallRecording


class RecordingSink:
    """Records every call. One thread writes, a second one finishes files; see `writer`.

    A call is settled when its last sample is written or lost. Its files get their final names
    shortly after; `stop` waits for that, and the gauge `finishing` shows how many are left.
    """

    kind: Final = "recording"

    def __init__(
        self,
        settings: RecordingSettings,
        *,
        clock: Clock | None = None,
        disk: Disk | None = None,
    ) -> None:
        self.name: Final = settings.name
        self._clock = clock or SystemClock()
        disk = disk or Disk()
        self._directory = RecordingDirectory(settings.directory, disk)
        self._health = Health(settings, self._directory, self._clock)
        self._finisher = Finisher(settings, self._directory, disk, self._health)
        self._feed = Feed()
        self._writer = Writer(
            settings, self._feed, self._health, self._finisher, self._clock, self._post
        )
        self._shelf = Shelf(settings, self._directory, disk, self._health, self._finisher.put)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_recording = False
        self._numbers = count(1)
        self._live: dict[LiveCall, _Track] = {}
        self._by_number: dict[int, LiveCall] = {}
        self._settled = SinkBooks()
        self._calls = 0

    async def start(self) -> None:
        """Open the directory, making it if it is missing, and start the threads.

        Raises:
            ConfigurationError: The directory cannot be used until the operator does something.
        """
        try:
            await asyncio.to_thread(self._open)
        except OSError as error:
            if error.errno in HOPELESS:
                raise ConfigurationError([self._fault(error)]) from None
            self._health.fail(error, "starting")
        self._loop, self._is_recording = asyncio.get_running_loop(), True
        self._finisher.start()
        self._writer.start()

    def attach(self, call: LiveCall) -> None:
        """Begin to record a call."""
        if not self._is_recording:
            return
        number = next(self._numbers)
        track = _Track(number, CallRecording(self._shelf, call))
        self._live[call] = track
        self._by_number[number] = call
        self._calls += 1
        self._writer.tell(Begun(number, track.recording, call.pipeline))

    def publish(self, call: LiveCall, event: CallEvent) -> None:
        """Take note of what the audio sounds like; a recording holds no other events."""
        track = self._live.get(call)
        if track is None:
            return
        if event.kind == "format_suspect":
            track.recording.suspicion = call.suspicion
        track.recording.signal.take(event)

    def ended(self, call: LiveCall) -> None:
        """Write what is left of a call; `settle` follows when that is done."""
        track = self._live.get(call)
        if track is not None:
            self._writer.tell(Ended(track.number, call.outcome))
        elif self.name not in call.settled:
            call.settle(self.name, SinkBooks())

    def forget(self, call: LiveCall) -> None:
        """Nothing: references to a call are dropped when it is settled."""

    async def stop(self, deadline_seconds: float) -> None:
        """Write what has come, finish every file, end the threads; within the deadline.

        Calls that are still live are settled as well. If the disk hangs, what it has not taken
        stays unwritten, and the threads end with the process.
        """
        if not self._is_recording:
            return
        self._is_recording = False
        loop = asyncio.get_running_loop()
        self._writer.end()
        due = loop.time() + deadline_seconds
        await asyncio.to_thread(self._writer.join, deadline_seconds)
        await asyncio.to_thread(self._finisher.join, max(0.0, due - loop.time()))
        for number in list(self._by_number):
            self._settle(number)
        if not self._finisher.is_alive:
            self._directory.close()

    def snapshot(self) -> SinkSnapshot:
        """How recording goes, and the books of all calls so far."""
        books = SinkBooks()
        books.merge(self._settled)
        for call, track in self._live.items():
            books.merge(self._books(call, track))
        detail = self._health.detail or self._hang()
        finisher = self._finisher
        return SinkSnapshot(
            name=self.name,
            kind=self.kind,
            healthy=not detail,
            detail=detail,
            books=books,
            calls=len(self._live),
            counters={
                "recordings": self._calls,
                "files": finisher.finished_parts,
                "damaged_files": finisher.damaged_parts,
                "io_errors": self._health.errors,
                "sync_errors": finisher.sync_errors,
                "recoveries": self._health.recoveries,
            },
            gauges={"finishing": finisher.waiting_calls},
        )

    def call_books(self, call: LiveCall) -> SinkBooks | None:
        """The books of a call that is being recorded now; None for any other."""
        track = self._live.get(call)
        return None if track is None else self._books(call, track)

    def _open(self) -> None:
        self._directory.open()
        self._directory.probe()

    def _fault(self, error: OSError) -> ConfigurationFault:
        path = self._directory.path
        what = f"{path} cannot be recorded to: {describe(error)}"
        remedy = "name a directory that the gateway may write to, or that it can make"
        return ConfigurationFault(f"sinks.{self.name}.directory", what, remedy)

    def _post(self, number: int) -> None:
        """Have a call settled on the loop's thread; called in the writer's."""
        if self._loop is None:
            return
        with suppress(RuntimeError):
            # The loop may be closed by now, if `stop` has given up on us.
            self._loop.call_soon_threadsafe(self._settle, number)

    def _settle(self, number: int) -> None:
        call = self._by_number.pop(number, None)
        if call is None:
            return
        recording = self._live.pop(call).recording
        try:
            books = recording.books(lambda: self._feed.detach(number))
        except KeyError:
            # It was in line for its files to the end.
            samples = call.pipeline.written_samples
            books = SinkBooks(received=samples, dropped={"detached": samples})
        self._settled.merge(books)
        call.settle(self.name, books)

    def _books(self, call: LiveCall, track: _Track) -> SinkBooks:
        try:
            return track.recording.books(lambda: self._feed.books(track.number))
        except KeyError:
            # It is in line for its files, and all of it waits in the ring.
            samples = call.pipeline.written_samples
            return SinkBooks(received=samples, buffered=samples)

    def _hang(self) -> str:
        """What is wrong with the thread that writes; empty if nothing is."""
        if not self._is_recording:
            return ""
        if not self._writer.is_alive:
            return f"{self._directory.path}: the thread that writes has died; restart the gateway"
        seconds = self._clock.monotonic_seconds() - self._writer.turned_at
        if seconds < STUCK_SECONDS:
            return ""
        return (
            f"{self._directory.path}: the disk has not answered for {seconds:.0f} s; calls are not "
            "affected, what it does not take in time is lost to the recording"
        )
