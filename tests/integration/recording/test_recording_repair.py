"""What a crash leaves is repaired once and for all, and `inspect` says the truth about it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from earhook.cli.record import app
from earhook.errors import RecordingError
from earhook.media.format import MediaFormat
from earhook.sinks.recording.inspect import inspect
from earhook.sinks.recording.repair import RepairOutcome, repair
from earhook.testing.sink_suite import Rehearsal

RIGHT, REPAIRED = RepairOutcome.RIGHT, RepairOutcome.REPAIRED


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def knows_its_gap(directory: Path) -> bool:
    return any(json.loads(path.read_text())["gaps"] for path in directory.rglob("*.json"))


def command(*arguments: str) -> tuple[int, str]:
    done = CliRunner(env={"COLUMNS": "100"}).invoke(app, list(arguments))
    return done.exit_code, done.output


@pytest.fixture
def crashed(recorder: Any, run: Any, until: Any, tmp_path: Path) -> Path:
    """The directory as a `kill -9` leaves it: copied while a call is being recorded."""
    copy = tmp_path / "crashed"

    async def record() -> None:
        sink = recorder.sink(rotate_seconds=1.0)
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            call.speak(5)
            call.gap(1600)
            call.speak(3)
            await until(lambda: len(recorder.files) == 1 and knows_its_gap(recorder.directory))
            shutil.copytree(recorder.directory, copy)

    run(record())
    return copy


def test_a_crashed_recording_is_repaired_once(crashed: Path, recorder: Any) -> None:
    assert [report.state for report in inspect([crashed])] == ["unfinished"]
    reports = list(repair([crashed]))
    assert [report.outcome for report in reports] == [RIGHT, REPAIRED, REPAIRED]
    once = contents(crashed)
    assert [report.outcome for report in repair([crashed])] == [RIGHT, RIGHT]
    assert contents(crashed) == once
    (report,) = inspect([crashed], measure=True)
    assert report.state == "repaired"
    assert not report.needs_attention, report.problems
    assert report.sidecar["position"] == 8 * 1600 + 1600
    assert [part["samples"] for part in report.sidecar["parts"]] == [8000, 6400]
    assert report.sidecar["gaps"] == [{"position": 8000, "samples": 1600, "reason": "paused"}]
    # Nothing is missing: the call was closed properly elsewhere, with the same audio.
    recorder.directory = crashed
    repaired = [recorder.samples(number) for number in range(2)]
    recorder.directory = crashed.parent / "recordings"
    assert all(np.array_equal(repaired[n], recorder.samples(n)) for n in range(2))


def test_a_dry_run_changes_nothing(crashed: Path) -> None:
    before = contents(crashed)
    code, said = command("repair", "--dry-run", str(crashed))
    assert (code, contents(crashed)) == (1, before)
    assert "repairable" in said
    assert command("repair", str(crashed))[0] == 0
    assert command("repair", "--dry-run", str(crashed))[0] == 0


def test_what_is_being_written_is_left_alone(recorder: Any, run: Any, until: Any) -> None:
    async def record() -> None:
        sink = recorder.sink()
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            call.speak(1)
            await until(lambda: sink.snapshot().books.forwarded == 1600)
            before = contents(recorder.directory)
            assert [report.outcome for report in repair([recorder.directory])] == ["busy"]
            assert contents(recorder.directory) == before
            (report,) = inspect([recorder.directory])
            assert (report.state, report.needs_attention) == ("live", False)
            assert report.seconds == 0.2
            call.speak(1)
            await recorder.closed(sink, stage, call)

    run(record())
    assert len(recorder.samples()) == 3200


@pytest.mark.parametrize("codec", ["L16", "PCMU"])
@pytest.mark.parametrize("is_finished", [True, False])
@pytest.mark.parametrize("channels", [(0, 1), (1,)], ids=["stereo", "mono"])
def test_a_recording_cut_at_every_byte(
    codec: str, is_finished: bool, channels: tuple[int, ...], recorder: Any, run: Any, until: Any
) -> None:
    whole = b""

    async def record() -> None:
        nonlocal whole
        sink = recorder.sink(codec=codec, layout="negotiated")
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open(MediaFormat("PCMU", channels))
            call.push(bytes(range(7 * len(channels))))
            await until(lambda: sink.snapshot().books.forwarded == 7)
            whole = recorder.unfinished[0].read_bytes()
            await recorder.closed(sink, stage, call)

    run(record())
    (path,) = recorder.files
    sidecar = path.with_suffix(".json")
    untouched = sidecar.read_bytes()
    whole = path.read_bytes() if is_finished else whole
    header = 44 if codec == "L16" else 58
    group = len(channels) * (2 if codec == "L16" else 1)
    target = path if is_finished else path.with_name(path.name + ".part")
    for size in range(len(whole) + 1):
        path.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
        target.write_bytes(whole[:size])
        sidecar.write_bytes(untouched)
        first, *_ = repair([target])
        once = contents(recorder.directory)
        list(repair([recorder.directory]))
        assert contents(recorder.directory) == once
        if size < header:
            assert (first.outcome, target.stat().st_size) == (RepairOutcome.EMPTY, size)
            continue
        assert first.outcome in {RIGHT, REPAIRED}
        result = path.read_bytes()
        assert len(result) <= size
        kept = result[header:]
        assert kept == whole[header : header + len(kept)]
        assert size - len(result) < max(group, 2)
        said = json.loads(sidecar.read_text())
        assert said["parts"][0]["samples"] == first.samples
        if first.outcome is REPAIRED:
            assert said["state"] == "repaired"


@given(
    content=st.binary(max_size=120),
    prefix=st.sampled_from([b"", b"RIFF\xff\xff\xff\xffWAVE"]),
    name=st.sampled_from(["x.wav", "x.wav.part", "x.002.wav.part"]),
    sidecar=st.one_of(
        st.none(),
        st.binary(max_size=40),
        st.dictionaries(
            st.sampled_from(
                ["earhook", "version", "state", "parts", "position", "books", "levels"]
            ),
            st.one_of(
                st.just("recording"),
                st.just(1),
                st.integers(),
                st.text(max_size=5),
                st.lists(
                    st.dictionaries(
                        st.sampled_from(["file", "samples", "position"]),
                        st.one_of(st.integers(), st.text(max_size=5), st.just("x.wav")),
                    ),
                    max_size=3,
                ),
            ),
        ).map(lambda fields: json.dumps(fields | {"earhook": "recording"}).encode()),
    ),
)
def test_any_bytes_are_looked_at_and_repaired_without_a_crash(
    content: bytes, prefix: bytes, name: str, sidecar: bytes | None
) -> None:
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        (directory / name).write_bytes(prefix + content)
        if sidecar is not None:
            (directory / "x.json").write_bytes(sidecar)
        for report in inspect([directory], measure=True):
            assert report.as_json()
        list(repair([directory]))
        once = contents(directory)
        audio = [content for name, content in once.items() if ".wav" in name]
        assert [len(content) for content in audio] <= [len(prefix + content)]
        list(repair([directory]))
        assert contents(directory) == once


def test_nothing_but_plain_files_is_touched(recorder: Any, tmp_path: Path) -> None:
    recorder.directory.mkdir()
    victim = tmp_path / "victim.wav"
    victim.write_bytes(b"RIFF")
    (recorder.directory / "link.wav.part").symlink_to(victim)
    os.mkfifo(recorder.directory / "pipe.wav")
    (recorder.directory / "folder.wav").mkdir()
    reports = list(repair([recorder.directory]))
    assert [report.outcome for report in reports] == [RepairOutcome.FAILED] * 2
    assert victim.read_bytes() == b"RIFF"
    states = [report.state for report in inspect([recorder.directory])]
    assert states == ["unreadable", "unreadable"]
    assert command("inspect", str(recorder.directory))[0] == 1


def test_a_final_name_that_is_taken_is_kept(crashed: Path) -> None:
    (unfinished,) = crashed.rglob("*.part")
    taken = unfinished.with_suffix("")
    taken.write_bytes(b"RIFF")
    outcomes = {report.path: report for report in repair([crashed])}
    assert outcomes[unfinished].outcome is RepairOutcome.FAILED
    assert "exists already" in outcomes[unfinished].detail
    assert taken.read_bytes() == b"RIFF"


def test_paths_that_mean_nothing_are_said_so(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no such file"):
        list(repair([tmp_path / "missing.wav"]))
    (tmp_path / "x.mp3").touch()
    with pytest.raises(RecordingError, match="neither"):
        list(inspect([tmp_path / "x.mp3"]))
    assert list(repair([tmp_path])) == []
    assert "no recordings" in command("repair", str(tmp_path))[1]
    assert "no recordings" in command("inspect", str(tmp_path))[1]


def test_inspect_for_people_and_programs(recorder: Any, run: Any) -> None:
    async def record() -> None:
        sink = recorder.sink()
        stage = Rehearsal(sink)
        async with stage.running():
            for _ in range(2):
                call = stage.open()
                call.speak(2)
                call.gap(800)
                await recorder.closed(sink, stage, call)

    run(record())
    code, said = command("inspect", str(recorder.directory))
    assert code == 0
    for wanted in ("complete", "0:00:00", "1 (0.1 s)", "0 / 0"):
        assert wanted in said
    path = recorder.files[0]
    code, said = command("inspect", str(path))
    assert code == 0
    for wanted in (path.stem, "received 3200", "paused", "external", "4000 samples"):
        assert wanted in said
    code, said = command("inspect", "--json", str(recorder.directory))
    lines = [json.loads(line) for line in said.splitlines()]
    assert [line["state"] for line in lines] == ["complete"] * 2
    measured = json.loads(command("inspect", "--json", "--measure", str(path))[1])
    # The sidecar leaves the silence of gaps out; the measurement cannot.
    told = lines[0]["levels"]["external"]
    assert measured["levels"]["external"]["peak"] == told["peak"]
    assert measured["levels"]["external"]["rms"] < told["rms"]


def test_levels_that_were_never_told_are_not_said_to_be_silence(crashed: Path) -> None:
    (sidecar,) = crashed.rglob("*.json")
    fields = json.loads(sidecar.read_text())
    fields["levels"] = {name: {"peak": 0, "rms": 0.0} for name in ("external", "internal")}
    sidecar.write_text(json.dumps(fields))
    for do_repair in (False, True):
        if do_repair:
            list(repair([crashed]))
        (report,) = inspect([crashed])
        assert report.levels == {}
        (measured,) = inspect([crashed], measure=True)
        assert measured.levels["external"]["peak"] > 0
    other = crashed.with_name("other")
    shutil.copytree(crashed, other)
    _, said = command("inspect", "--no-measure", str(crashed), str(other))
    assert "silent" not in said
    assert said.count("–") == 2  # noqa: RUF001


def test_what_contradicts_the_sidecar_is_said(recorder: Any, run: Any) -> None:
    async def record() -> None:
        sink = recorder.sink(rotate_seconds=1)
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            call.speak(8)
            await recorder.closed(sink, stage, call)

    run(record())
    recorder.files[1].unlink()
    os.truncate(recorder.files[0], 1044)
    (report,) = inspect([recorder.directory])
    assert report.state == "wrong"
    assert len(report.problems) == 2
    list(repair([recorder.directory]))
    (report,) = inspect([recorder.directory])
    assert report.state == "repaired"
    assert [problem.split()[-2:] for problem in report.problems] == [["is", "missing"]]


def test_text_of_a_sidecar_cannot_act_on_a_terminal(recorder: Any, run: Any) -> None:
    async def record() -> None:
        sink = recorder.sink()
        stage = Rehearsal(sink)
        async with stage.running():
            await recorder.closed(sink, stage, stage.open())

    run(record())
    (path,) = recorder.directory.rglob("*.json")
    fields = json.loads(path.read_text())
    fields["call"]["session"] = "\x1b]0;owned\x07[red]"
    fields["reason"] = "[link=http://evil]x[/link]"
    path.write_text(json.dumps(fields))
    said = command("inspect", str(path))[1]
    assert "\x1b]0" not in said
    assert "[link=http://evil]x[/link]" in said


def read_by_sox(path: Path) -> bytes:
    raw = ["-t", "raw", "-e", "signed", "-b", "16", "-"]
    return subprocess.run(["sox", "-t", "wav", path, *raw], check=True, capture_output=True).stdout


def read_by_ffmpeg(path: Path) -> bytes:
    command = ["ffmpeg", "-v", "error", "-i", path, "-f", "s16le", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.mark.parametrize(
    ("program", "read"), [("sox", read_by_sox), ("ffmpeg", read_by_ffmpeg)], ids=["sox", "ffmpeg"]
)
@pytest.mark.parametrize("codec", ["L16", "PCMU"])
def test_others_can_read_a_recording_at_any_moment(
    program: str, read: Callable[[Path], bytes], codec: str, recorder: Any, run: Any, until: Any
) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")

    async def record() -> bytes:
        sink = recorder.sink(codec=codec)
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            call.speak(3)
            await until(lambda: sink.snapshot().books.forwarded == 4800)
            during = read(recorder.unfinished[0])
            await recorder.closed(sink, stage, call)
        return during

    during = run(record())
    finished = read(recorder.files[0])
    assert len(finished) == 4800 * 4
    assert during == finished
