"""The second thread of a recording sink: what may take long and must not delay writing.

It forces files to the disk, gives them their final names, and writes the sidecars of calls that
have ended. Jobs are done in the order in which they come, so a call's files are all finished when
its sidecar is written.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from queue import SimpleQueue

from earhook.ops.logging import get_logger

from .directory import RecordingDirectory, publish
from .disk import Disk
from .health import Health, describe
from .naming import PART_SUFFIX
from .part import PartFile
from .recording import CallRecording, SealedPart
from .settings import RecordingSettings
from .sidecar import Closing, PartEntry

__all__ = ["EndedCall", "Finisher"]

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EndedCall:
    """A call whose files are all handed over."""

    recording: CallRecording
    closing: Closing


Job = SealedPart | EndedCall


class Finisher:
    """Finishes what the writer hands over. Other threads may call `put`, `join` and the counts."""

    def __init__(
        self,
        settings: RecordingSettings,
        directory: RecordingDirectory,
        disk: Disk,
        health: Health,
    ) -> None:
        self.finished_parts = 0
        self.damaged_parts = 0
        self.finished_calls = 0
        self.sync_errors = 0
        self._handed_calls = 0
        self._settings = settings
        self._directory = directory
        self._disk = disk
        self._health = health
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, name=f"{settings.name}-finisher", daemon=True
        )

    @property
    def waiting_calls(self) -> int:
        """Calls that have ended and whose sidecar is not final yet."""
        return self._handed_calls - self.finished_calls

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, job: Job) -> None:
        """Hand over a job; only from the thread that writes."""
        self._handed_calls += isinstance(job, EndedCall)
        self._jobs.put(job)

    def end(self) -> None:
        """End when all jobs handed over so far are done."""
        self._jobs.put(None)

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the end; False if it has not come in time."""
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                if isinstance(job, SealedPart):
                    self._finish_part(job.recording, job.part, job.entry)
                else:
                    self._finish_call(job)
            except Exception:
                # A defect here must not leave the files of all later calls unfinished.
                logger.exception("recording.defect", sink=self._settings.name)

    def _finish_part(self, recording: CallRecording, part: PartFile, entry: PartEntry) -> None:
        try:
            if entry.state != "damaged":
                self._sync_and_publish(recording, part)
                entry.state = "complete"
                self.finished_parts += 1
        except OSError as error:
            # It keeps the name of an unfinished file: whoever looks must see that it is one.
            entry.state, entry.detail = "damaged", describe(error)
            self._health.fail(error, "finishing a file")
        finally:
            part.close()
        self.damaged_parts += entry.state == "damaged"

    def _sync_and_publish(self, recording: CallRecording, part: PartFile) -> None:
        syncs = self._settings.sync == "close"
        if syncs:
            try:
                part.sync()
            except OSError:
                # After a failed sync the kernel may call the lost pages clean: a second one
                # would succeed and mean nothing. This file is given up; the next is a new one.
                self.sync_errors += 1
                raise
        with self._directory.folder(recording.folder) as folder:
            publish(folder, part.name + PART_SUFFIX, part.name)
            if syncs:
                self._disk.sync(folder)

    def _finish_call(self, job: EndedCall) -> None:
        try:
            if job.recording.stem:
                job.recording.write_sidecar(job.closing)
        except OSError as error:
            self._health.fail(error, "writing a sidecar")
        finally:
            self.finished_calls += 1
