"""Full disks, lost directories, failing and hanging system calls: calls are never touched."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from earhook.errors import ConfigurationError
from earhook.sinks.recording.disk import Disk, Space
from earhook.sinks.recording.repair import RepairOutcome, repair
from earhook.testing.clock import ManualClock
from earhook.testing.sink_suite import Rehearsal

PLENTY = Space(10 << 30, 20 << 30)


class FaultyDisk(Disk):
    """Fails on demand. `fails["write_at"] = EIO` until it is taken away again."""

    def __init__(self) -> None:
        self.fails: dict[str, int] = {}
        self.calls: Counter[str] = Counter()
        self.free = PLENTY
        self.longest_write = 1 << 30
        self.may_write = threading.Event()
        self.may_write.set()

    def create(self, folder: int, name: str) -> int:
        self._enter("create")
        return super().create(folder, name)

    def write_at(self, file: int, piece: bytes | memoryview, offset: int) -> int:
        self.may_write.wait(30)
        self._enter("write_at")
        return super().write_at(file, piece[: self.longest_write], offset)

    def resize(self, file: int, size: int) -> None:
        self._enter("resize")
        super().resize(file, size)

    def sync(self, file: int) -> None:
        self._enter("sync")
        super().sync(file)

    def space(self, folder: int) -> Space:
        self._enter("space")
        return self.free

    def _enter(self, call: str) -> None:
        self.calls[call] += 1
        if call in self.fails:
            raise OSError(self.fails[call], os.strerror(self.fails[call]))


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_a_write_that_fails_costs_that_span_and_nothing_else(
    number: int, recorder: Any, frames: Any, decoded: Any, run: Any, until: Any
) -> None:
    disk, clock = FaultyDisk(), ManualClock()
    codes = frames(6)

    async def record() -> None:
        sink = recorder.sink(disk=disk, clock=clock)
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            for frame in codes[:2]:
                call.push(frame)
            await until(lambda: sink.snapshot().books.forwarded == 3200)
            disk.fails["write_at"] = number
            for frame in codes[2:4]:
                call.push(frame)
            await until(lambda: sink.snapshot().books.dropped == {"io_error": 3200})
            snapshot = sink.snapshot()
            assert snapshot.books.balances()
            assert not snapshot.healthy
            assert errno.errorcode[number] in snapshot.detail
            assert str(recorder.directory) in snapshot.detail
            assert snapshot.counters["io_errors"] >= 1
            del disk.fails["write_at"]
            clock.advance(5)
            await until(lambda: sink.snapshot().healthy)
            for frame in codes[4:]:
                call.push(frame)
            await recorder.closed(sink, stage, call)
            assert sink.snapshot().counters["recoveries"] == 1
            (name, books) = call.answers[0]
            assert (name, books.balances(), books.forwarded) == (sink.name, True, 6400)

    run(record())
    spoken = decoded(codes)
    said = recorder.sidecar
    assert said["lost"] == [{"position": 3200, "samples": 3200, "reason": "io_error"}]
    assert said["state"] == "incomplete"
    # The header could not be written in the moment of the fault: the first file stays unfinished.
    assert [part["state"] for part in said["parts"]] == ["damaged", "complete"]
    assert [part["position"] for part in said["parts"]] == [0, 6400]
    assert [report.outcome for report in repair([recorder.directory])] == [
        RepairOutcome.REPAIRED,
        RepairOutcome.RIGHT,
        RepairOutcome.REPAIRED,
    ]
    assert (recorder.samples(0) == spoken[:3200]).all()
    assert (recorder.samples(1) == spoken[6400:]).all()


def test_one_bad_file_does_not_touch_its_neighbour(recorder: Any, run: Any, until: Any) -> None:
    class OneBadFile(FaultyDisk):
        bad: int | None = None

        def write_at(self, file: int, piece: bytes | memoryview, offset: int) -> int:
            if offset > 44 and self.bad is None:
                self.bad = file
            if offset > 44 and self.bad == file:
                raise OSError(errno.EIO, "bad sector")
            return super().write_at(file, piece, offset)

    disk = OneBadFile()

    async def record() -> None:
        sink = recorder.sink(disk=disk, clock=ManualClock())
        stage = Rehearsal(sink)
        async with stage.running():
            calls = [stage.open(), stage.open()]
            for call in calls:
                call.speak(1)
            await until(lambda: sink.snapshot().books.buffered == 0)
            for call in calls:
                call.speak(3)
            await recorder.closed(sink, stage, *calls)
            lost = [call.answers[0][1].dropped.get("io_error", 0) for call in calls]
            assert sorted(lost) == [0, 4800]

    run(record())
    assert sorted(len(recorder.samples(number)) for number in range(2)) == [1600, 6400]


def test_writes_that_take_only_a_few_bytes_are_gone_on_with(
    recorder: Any, frames: Any, decoded: Any, run: Any
) -> None:
    disk = FaultyDisk()
    disk.longest_write = 7

    async def record() -> None:
        sink = recorder.sink(disk=disk)
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            call.push(frames(1)[0])
            await recorder.closed(sink, stage, call)

    run(record())
    assert (recorder.samples() == decoded(frames(1))).all()
    assert recorder.sidecar["state"] == "complete"


def test_a_sync_that_fails_is_never_tried_again(recorder: Any, run: Any, until: Any) -> None:
    disk, clock = FaultyDisk(), ManualClock()

    async def record() -> None:
        sink = recorder.sink(disk=disk, clock=clock, sync="close")
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            call.speak(1)
            await until(lambda: sink.snapshot().books.forwarded == 1600)
            disk.fails["sync"] = errno.EIO
            before = disk.calls["sync"]
            await recorder.closed(sink, stage, call)
            # One for the file, one for its sidecar, which is another file; none twice.
            assert sink.snapshot().counters["sync_errors"] == 1
            assert disk.calls["sync"] - before == 2
            assert not sink.snapshot().healthy
            assert call.answers[0][1].forwarded == 1600
            del disk.fails["sync"]
            clock.advance(5)
            await until(lambda: sink.snapshot().healthy)
            second = stage.open()
            second.speak(1)
            await recorder.closed(sink, stage, second)

    run(record())
    assert len(recorder.unfinished) == 1
    assert len(recorder.files) == 1


def test_recording_stops_at_the_reserve_and_goes_on_when_enough_is_free(
    recorder: Any, run: Any, until: Any
) -> None:
    disk, clock = FaultyDisk(), ManualClock()

    async def record() -> None:
        sink = recorder.sink(disk=disk, clock=clock, reserve_mib=64, resume_free_percent=5)
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            call.speak(1)
            await until(lambda: sink.snapshot().books.forwarded == 1600)
            disk.free = Space((64 << 20) - 1, 100 << 30)
            clock.advance(1)
            await until(lambda: not sink.snapshot().healthy)
            assert "64 MiB" in sink.snapshot().detail
            call.speak(1)
            await until(lambda: sink.snapshot().books.dropped == {"io_error": 1600})
            sizes = [path.stat().st_size for path in recorder.directory.rglob("*.wav*")]
            disk.free = Space(4 << 30, 100 << 30)
            looks = disk.calls["space"]
            clock.advance(2)
            await until(lambda: disk.calls["space"] > looks)
            call.speak(1)
            await until(lambda: sink.snapshot().books.dropped == {"io_error": 3200})
            assert not sink.snapshot().healthy, "4 % are not enough"
            now = [path.stat().st_size for path in recorder.directory.rglob("*.wav*")]
            assert now == sizes, "the reserve was used for audio"
            disk.free = Space(5 << 30, 100 << 30)
            clock.advance(2)
            await until(lambda: sink.snapshot().healthy)
            call.speak(1)
            await recorder.closed(sink, stage, call)

    run(record())
    assert [part["position"] for part in recorder.sidecar["parts"]] == [0, 4800]
    assert len(recorder.files) == 2


def test_a_disk_that_is_full_at_the_start_does_not_keep_the_gateway_down(
    recorder: Any, run: Any, until: Any
) -> None:
    disk, clock = FaultyDisk(), ManualClock()
    disk.fails["write_at"] = errno.ENOSPC

    async def record() -> None:
        sink = recorder.sink(disk=disk, clock=clock)
        stage = Rehearsal(sink)
        async with stage.running():
            assert not sink.snapshot().healthy
            call = stage.open()
            call.speak(1)
            await until(lambda: sink.snapshot().books.dropped == {"io_error": 1600})
            del disk.fails["write_at"]
            clock.advance(2)
            await until(lambda: sink.snapshot().healthy)
            call.speak(1)
            await recorder.closed(sink, stage, call)

    run(record())
    assert [part["position"] for part in recorder.sidecar["parts"]] == [1600]


def test_a_directory_that_vanishes_is_noticed_and_not_made_again(
    recorder: Any, run: Any, until: Any, tmp_path: Path
) -> None:
    clock = ManualClock()

    async def record() -> None:
        sink = recorder.sink(clock=clock)
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            call.speak(1)
            await until(lambda: sink.snapshot().books.forwarded == 1600)
            recorder.directory.rename(tmp_path / "gone")
            clock.advance(1)
            await until(lambda: not sink.snapshot().healthy)
            assert "ENOENT" in sink.snapshot().detail
            call.speak(1)
            await until(lambda: sink.snapshot().books.dropped == {"io_error": 1600})
            clock.advance(2)
            assert not recorder.directory.exists()
            recorder.directory.mkdir()
            clock.advance(2)
            await until(lambda: sink.snapshot().healthy)
            call.speak(1)
            await recorder.closed(sink, stage, call)
            assert call.answers[0][1].balances()

    run(record())
    assert [len(recorder.samples())] == [1600]
    (first,) = (tmp_path / "gone").rglob("*.wav*")
    assert first.stat().st_size == 44 + 6400


def test_a_directory_that_is_swapped_is_followed(
    recorder: Any, run: Any, until: Any, tmp_path: Path
) -> None:
    clock = ManualClock()

    async def record() -> None:
        sink = recorder.sink(clock=clock)
        stage = Rehearsal(sink)
        async with stage.running():
            recorder.directory.rename(tmp_path / "old")
            recorder.directory.mkdir()
            clock.advance(1)
            turned = sink.snapshot().counters["recordings"]
            call = stage.open()
            call.speak(1)
            assert turned == 0
            await recorder.closed(sink, stage, call)

    run(record())
    assert len(recorder.samples()) == 1600


@pytest.mark.parametrize("obstacle", ["file", "loop"])
def test_a_directory_that_cannot_be_is_a_fault_at_the_start(
    obstacle: str, recorder: Any, run: Any
) -> None:
    if obstacle == "file":
        recorder.directory.write_text("in the way")
    else:
        recorder.directory.symlink_to(recorder.directory)

    async def start() -> None:
        sink = recorder.sink()
        with pytest.raises(ConfigurationError) as caught:
            await sink.start()
        (fault,) = caught.value.faults
        assert str(recorder.directory) in str(fault)
        assert fault.remedy
        await sink.stop(1.0)

    run(start())


def test_a_disk_that_hangs_delays_nobody(recorder: Any, run: Any, until: Any) -> None:
    disk, clock = FaultyDisk(), ManualClock()

    async def record() -> None:
        sink = recorder.sink(disk=disk, clock=clock)
        stage = Rehearsal(sink, ring_seconds=0.4)
        await sink.start()
        call = stage.open()
        call.speak(1)
        await until(lambda: sink.snapshot().books.forwarded == 1600)
        disk.may_write.clear()
        call.speak(1)
        await until(lambda: sink.snapshot().books.forwarded == 1600)
        clock.advance(3)
        await until(lambda: not sink.snapshot().healthy)
        assert "not answered" in sink.snapshot().detail
        call.speak(10)
        books = sink.snapshot().books
        assert books.balances()
        call.close()
        began = time.monotonic()
        await sink.stop(0.3)
        assert time.monotonic() - began < 2
        assert stage.slowest_seconds < 0.1
        assert call.answers[0][1].balances()
        disk.may_write.set()
        await until(lambda: not any("recording-" in t.name for t in threading.enumerate()))

    run(record())


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    volume = tmp_path / "volume"
    volume.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(volume)]
    found = shutil.which("mount") is not None
    if not found or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield volume
    subprocess.run(["umount", str(volume)], check=True)


def test_a_volume_that_fills_up_really(
    small_volume: Path, recorder: Any, run: Any, until: Any
) -> None:
    recorder.directory = small_volume / "recordings"
    ballast = small_volume / "ballast"
    clock = ManualClock()

    async def record() -> None:
        sink = recorder.sink(clock=clock, sync="close")
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            call.speak(2)
            await until(lambda: sink.snapshot().books.forwarded == 3200)
            with pytest.raises(OSError, match="No space left"):
                fill(ballast)
            for _ in range(20):
                call.speak(1)
                await until(lambda: sink.snapshot().books.buffered == 0)
            snapshot = sink.snapshot()
            assert "ENOSPC" in snapshot.detail
            assert snapshot.books.dropped["io_error"] > 0
            ballast.unlink()
            clock.advance(2)
            await until(lambda: sink.snapshot().healthy)
            call.speak(1)
            await recorder.closed(sink, stage, call)
            books = call.answers[0][1]
            assert books.balances()
            assert books.received == 23 * 1600

    run(record())
    said = recorder.sidecar
    recorded = sum(len(recorder.samples(number)) for number in range(len(recorder.files)))
    assert recorded == said["books"]["forwarded"]
    assert recorder.unfinished == []
    lost = sum(span["samples"] for span in said["lost"])
    assert lost == said["books"]["dropped"]["io_error"]
