"""Names, modes, rotation, and gaps that no disk could hold."""

from __future__ import annotations

import hashlib
import shutil
import stat
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earhook.media.format import MediaFormat
from earhook.testing.sink_suite import Rehearsal

HOUR = 3600 * 8000


@pytest.mark.parametrize(
    "session", ["../../outside/x", "a/b", "\x00", "", ".", "-" * 300, "\ud800", "con.wav\n"]
)
def test_names_are_made_of_nothing_unchecked(session: str, recorder: Any, run: Any) -> None:
    async def record() -> None:
        sink = recorder.sink()
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open(session_id=session, organization_id=session)
            call.speak()
            call.close()

    run(record())
    around = recorder.directory.parent
    assert list(around.iterdir()) == [recorder.directory]
    assert len(recorder.files) == 1
    for path in recorder.directory.rglob("*"):
        assert set(path.name) <= set("0123456789abcdefTZx-.wavjson"), path.name


def test_files_are_for_the_owner_only_and_lie_by_hashed_organization(
    recorder: Any, run: Any
) -> None:
    async def record() -> Any:
        sink = recorder.sink()
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            during = [path.name for path in recorder.directory.rglob("*.wav")]
            assert not during, "a name that ends in .wav is one of a finished file"
            call.close()
        return call.live.facts

    facts = run(record())
    digest = hashlib.sha256(facts.organization_id.encode()).hexdigest()[:16]
    stem = f"000000Z-{facts.session_id}"
    folder = recorder.directory / digest / "2026-01-01"
    assert {path.name for path in folder.iterdir()} == {f"{stem}.wav", f"{stem}.json"}
    for path in (recorder.directory, *recorder.directory.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_symbolic_link_among_the_folders_is_not_followed(
    recorder: Any, run: Any, until: Any, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()

    async def record() -> None:
        sink = recorder.sink()
        stage = Rehearsal(sink)
        async with stage.running():
            first = stage.open()
            await recorder.closed(sink, stage, first)
            (tenant,) = recorder.directory.iterdir()
            shutil.rmtree(tenant)
            tenant.symlink_to(outside)
            blocked = stage.open(organization_id=first.live.facts.organization_id)
            await until(lambda: sink.snapshot().counters["io_errors"])
            other = stage.open(organization_id=str(uuid.uuid4()))
            for call in (blocked, other):
                call.push(bytes(3200))
            await recorder.closed(sink, stage, blocked, other)
            # It costs the calls of that folder, and nobody else's.
            assert sink.snapshot().healthy
            assert blocked.live.settled["recording"].dropped == {"io_error": 1600}
            assert other.live.settled["recording"].forwarded == 1600

    run(record())
    assert not list(outside.iterdir())


def test_a_symbolic_link_among_the_files_is_not_followed(
    recorder: Any, run: Any, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")

    async def record() -> None:
        sink = recorder.sink()
        stage = Rehearsal(sink)
        async with stage.running():
            first = stage.open()
            await recorder.closed(sink, stage, first)
            (wav,) = recorder.files
            names = (wav, wav.with_name(wav.name + ".part"), wav.with_suffix(".json"))
            for path in names:
                path.unlink(missing_ok=True)
                path.symlink_to(victim)
            facts = first.live.facts
            again = stage.open(session_id=facts.session_id, organization_id=facts.organization_id)
            again.speak(1)
            await recorder.closed(sink, stage, again)
            assert again.answers[0][1].forwarded == 1600

    run(record())
    assert victim.read_text() == "mine"


def test_a_name_that_is_taken_is_never_overwritten(recorder: Any, run: Any) -> None:
    async def record() -> None:
        sink = recorder.sink()
        stage = Rehearsal(sink)
        async with stage.running():
            first = stage.open()
            first.speak(1)
            await recorder.closed(sink, stage, first)
            facts = first.live.facts
            same = {"session_id": facts.session_id, "organization_id": facts.organization_id}
            second = stage.open(**same)
            third = stage.open(**same)
            second.speak(2)
            third.speak(3)
            await recorder.closed(sink, stage, second, third)

    run(record())
    assert sorted(len(recorder.samples(number)) for number in range(3)) == [1600, 3200, 4800]
    assert len(list(recorder.directory.rglob("*.json"))) == 3


def test_a_long_call_turns_to_another_file_at_the_very_sample(
    recorder: Any, frames: Any, decoded: Any, run: Any
) -> None:
    codes = frames(12)

    async def record() -> None:
        sink = recorder.sink(rotate_seconds=1.0)
        stage = Rehearsal(sink, ring_seconds=10)
        async with stage.running():
            call = stage.open()
            for frame in codes:
                call.push(frame)
            call.close()

    run(record())
    names = [path.name for path in recorder.files]
    stem = names[0].removesuffix(".wav")
    assert names == [f"{stem}.wav", f"{stem}.002.wav", f"{stem}.003.wav"]
    parts = [recorder.samples(number) for number in range(3)]
    assert [len(part) for part in parts] == [8000, 8000, 3200]
    assert np.array_equal(np.concatenate(parts), decoded(codes))
    said = recorder.sidecar
    assert [(part["position"], part["samples"]) for part in said["parts"]] == [
        (0, 8000),
        (8000, 8000),
        (16_000, 3200),
    ]
    assert said["state"] == "complete"


def test_size_turns_to_another_file_too(recorder: Any, run: Any) -> None:
    async def record() -> None:
        sink = recorder.sink(rotate_mib=1)
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            call.gap((3 << 20) // 4)
            call.speak(1)
            call.close()

    run(record())
    assert [path.stat().st_size - 44 for path in recorder.files] == [1 << 20] * 3 + [6400]


@pytest.mark.parametrize("codec", ["L16", "PCMU"])
def test_a_gap_of_a_thousand_years_costs_nothing(codec: str, recorder: Any, run: Any) -> None:
    ages = 1000 * 365 * 24 * HOUR

    async def record() -> Any:
        sink = recorder.sink(codec=codec)
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            call.speak(1)
            call.gap(ages)
            call.speak(2)
            call.gap(ages)
            await recorder.closed(sink, stage, call)
        return call.answers[0][1]

    books = run(record())
    assert books.forwarded == 4800
    said = recorder.sidecar
    assert said["state"] == "complete"
    assert said["position"] == 2 * ages + 4800
    assert [part["position"] for part in said["parts"]] == [0, 1600 + ages]
    assert [part["samples"] for part in said["parts"]] == [1600, 3200]
    assert sum(path.stat().st_blocks for path in recorder.files) * 512 < 1 << 20


def test_silence_of_zeros_takes_no_space_on_disk(recorder: Any, run: Any) -> None:
    async def record() -> None:
        sink = recorder.sink()
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            call.speak(1)
            call.gap(HOUR // 2)
            call.speak(1)
            call.close()

    run(record())
    (path,) = recorder.files
    assert path.stat().st_size == 44 + (HOUR // 2 + 3200) * 4
    assert path.stat().st_blocks * 512 < 1 << 20


def test_all_gaps_of_a_call_together_are_bounded(recorder: Any, run: Any) -> None:
    async def record() -> None:
        sink = recorder.sink(codec="PCMU", max_silence_seconds=10)
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open(MediaFormat("PCMU", (0, 1)))
            for _ in range(4):
                call.gap(4 * 8000)
                call.speak(1)
            await recorder.closed(sink, stage, call)
            assert call.answers[0][1].forwarded == 6400

    run(record())
    positions = [part["position"] for part in recorder.sidecar["parts"]]
    # Two gaps of 4 s fit into 10 s. The third and fourth do not: what follows begins anew.
    assert positions == [0, 3 * 4 * 8000 + 2 * 1600, 4 * 4 * 8000 + 3 * 1600]


def test_a_peer_cannot_make_files_without_end(
    recorder: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earhook.sinks.recording.recording.MAX_PARTS", 3)

    async def record() -> None:
        sink = recorder.sink(max_silence_seconds=0)
        stage = Rehearsal(sink)
        async with stage.running():
            call = stage.open()
            for _ in range(5):
                call.speak(1)
                call.gap(1)
            await recorder.closed(sink, stage, call)
            books = call.answers[0][1]
            assert books.balances()
            assert (books.forwarded, books.dropped) == (4800, {"part_limit": 3200})
            assert sink.snapshot().healthy

    run(record())
    assert len(recorder.files) == 3
    assert [lost["samples"] for lost in recorder.sidecar["lost"]] == [1600, 1600]
