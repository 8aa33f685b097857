"""The small pieces of the recording sink, without threads."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.errors import RecordingError
from earhook.media.g711 import encode_g711
from earhook.media.wav import WavFormat
from earhook.sinks.recording.directory import RecordingDirectory, publish, replace_file
from earhook.sinks.recording.disk import Disk, is_locked, lock
from earhook.sinks.recording.gap_log import MAX_ENTRIES, GapLog
from earhook.sinks.recording.levels import LevelMeter, decibels
from earhook.sinks.recording.naming import Folder, PartName, parse_part, part_name
from earhook.sinks.recording.part import PartFile
from earhook.sinks.recording.sidecar import encode_sidecar, read_sidecar


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@given(st.text(st.characters(exclude_characters="/\0"), min_size=1), st.integers(1, 999))
def test_names_of_parts_are_read_back(stem: str, number: int) -> None:
    name = part_name(stem, number)
    parsed = parse_part(name)
    assert parsed is not None
    if number > 1:
        assert parsed == PartName(stem, number, is_open=False)
    assert parse_part(name + ".part") == parsed._replace(is_open=True)


@pytest.mark.parametrize("name", ["x.mp3", "x.json", ".wav", "x.wav.part.part", "x.wav.txt", ""])
def test_other_names_are_not_parts(name: str) -> None:
    assert parse_part(name) is None


spans = st.lists(st.tuples(st.integers(1, 100), st.sampled_from(["a", "b"]), st.booleans()))


@given(spans)
def test_gap_log_keeps_totals_and_joins_neighbours(spans: list[tuple[int, str, bool]]) -> None:
    log, position, totals = GapLog(), 0, {"a": 0, "b": 0}
    covered: list[str] = []
    for samples, reason, has_audio_before in spans:
        if has_audio_before:
            covered.append("")
            position += 1
        log.add(position, samples, reason)
        covered += [reason] * samples
        position += samples
        totals[reason] += samples
    assert log.samples == {reason: samples for reason, samples in totals.items() if samples}
    rebuilt = [""] * position
    for span in log.as_json():
        end = span["position"] + span["samples"]
        rebuilt[span["position"] : end] = [span["reason"]] * span["samples"]
    assert rebuilt == covered
    entries = log.as_json()
    for one, two in itertools.pairwise(entries):
        joins = one["position"] + one["samples"] == two["position"]
        assert not (joins and one["reason"] == two["reason"])


def test_gap_log_is_bounded() -> None:
    log = GapLog()
    for number in range(MAX_ENTRIES + 100):
        log.add(number * 10, 5, "paused")
    assert len(log.as_json()) == MAX_ENTRIES
    assert log.omitted == 100
    assert log.samples == {"paused": (MAX_ENTRIES + 100) * 5}


@pytest.mark.parametrize("codec", ["L16", "PCMU"])
def test_meter_adds_up_over_blocks(codec: Any) -> None:
    left = np.full(1600, -32_124, "<i2")
    right = np.tile(np.array([1000, -1000], "<i2"), 800)
    pcm = np.stack([left, right], axis=1).tobytes()
    audio = pcm if codec == "L16" else encode_g711(pcm, "PCMU")
    meter = LevelMeter(codec, (0, 1))
    for begin in range(0, len(audio), 160):
        meter.add(audio[begin : begin + 160])
    meter.add(b"")
    levels = meter.as_json()
    assert levels["external"] == {"peak": 32_124, "rms": 32_124.0}
    assert levels["internal"]["rms"] == pytest.approx(1000, rel=0.02)
    assert decibels(levels["external"], "peak") == "0 dB"
    assert decibels({"peak": 0}, "peak") == "silent"


def test_the_loudest_negative_sample_is_a_peak() -> None:
    meter = LevelMeter("L16", (0,))
    meter.add(np.array([-32_768, 32_767], "<i2").tobytes())
    assert meter.as_json() == {"external": {"peak": 32_768, "rms": 32_767.5}}


def test_silence_of_mu_law_is_written_whatever_its_length(tmp_path: Path) -> None:
    file = os.open(tmp_path / "x", os.O_RDWR | os.O_CREAT)
    audio = WavFormat("PCMU", 2)
    part = PartFile(Disk(), file, "x", audio, position=0, capacity=1 << 20)
    part.write_silence(100_001)
    part.seal()
    assert part.end == 100_001
    part.close()
    assert (tmp_path / "x").read_bytes()[58:] == b"\xff" * 200_002


def test_a_file_that_is_written_is_locked(tmp_path: Path) -> None:
    path = tmp_path / "x"
    mine = os.open(path, os.O_RDWR | os.O_CREAT)
    other = os.open(path, os.O_RDWR)
    assert lock(mine)
    assert is_locked(other)
    assert not lock(other)
    os.close(mine)
    assert not is_locked(other)
    os.close(other)


def test_publish_never_overwrites(tmp_path: Path, folder: int) -> None:
    (tmp_path / "x.part").write_text("new")
    (tmp_path / "x").write_text("old")
    with pytest.raises(FileExistsError):
        publish(folder, "x.part", "x")
    assert (tmp_path / "x").read_text() == "old"
    assert (tmp_path / "x.part").read_text() == "new"


def test_publish_ends_what_was_interrupted(tmp_path: Path, folder: int) -> None:
    (tmp_path / "x.part").write_text("one")
    (tmp_path / "x").hardlink_to(tmp_path / "x.part")
    publish(folder, "x.part", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("is_taken", [True, False])
def test_publish_where_there_are_no_hard_links(
    is_taken: bool, tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "x.part").write_text("new")
    if is_taken:
        (tmp_path / "x").write_text("old")
        with pytest.raises(FileExistsError):
            publish(folder, "x.part", "x")
        assert (tmp_path / "x").read_text() == "old"
    else:
        publish(folder, "x.part", "x")
        assert (tmp_path / "x").read_text() == "new"


def test_replacing_a_file_steps_over_what_a_crash_left(tmp_path: Path, folder: int) -> None:
    (tmp_path / "x.tmp").symlink_to(tmp_path / "victim")
    (tmp_path / "x").write_text("old")
    replace_file(Disk(), folder, "x", b"new", sync=True)
    assert (tmp_path / "x").read_text() == "new"
    assert not (tmp_path / "victim").exists()


def test_no_name_leads_out_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    directory = RecordingDirectory(tmp_path / "in", Disk())
    directory.open()
    with pytest.raises(NotADirectoryError), directory.folder(Folder("link", "x"), create=True):
        pass
    assert not list((tmp_path / "out").iterdir())
    directory.close()
    with pytest.raises(FileNotFoundError), directory.folder(Folder("a", "b"), create=True):
        pass


def test_sidecars_take_what_a_peer_may_say() -> None:
    fields = {"earhook": "recording", "version": 1, "x": "\ud800", "y": 1 << 70}
    assert json.loads(encode_sidecar(fields)) == fields


@given(st.binary(max_size=100))
def test_any_bytes_are_a_sidecar_or_an_error(content: bytes) -> None:
    with pytest.raises(RecordingError):
        read_sidecar(content)


def test_a_sidecar_of_another_version_is_refused() -> None:
    with pytest.raises(RecordingError, match="version 2"):
        read_sidecar(b'{"earhook": "recording", "version": 2}')
