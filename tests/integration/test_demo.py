"""`earhook demo`: ends by itself with balanced books, and says so when they do not."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tomllib
from asyncio.subprocess import PIPE
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from earhook.analytics.endpointing import UtteranceSettings
from earhook.demo.analysis import require_recogniser
from earhook.demo.complaint import complaint, complaint_turns, demo_rules
from earhook.demo.program import program, short
from earhook.demo.report import print_report
from earhook.demo.stage import Scene, Stage, staged
from earhook.demo.story import Story
from earhook.demo.verdict import books, findings, recordings_of
from earhook.errors import OperatorError

Run = Callable[[Coroutine[Any, Any, Any]], Any]
DEMO = (sys.executable, "-m", "earhook", "demo")


async def played(directory: Path) -> Stage:
    scene = Scene(calls=2, seconds=1.5, recordings=directory)
    async with staged(scene) as stage:
        await stage.play()
        await stage.settle()
    return stage


def test_every_finding_holds_and_a_changed_recording_is_found_out(run: Run, tmp_path: Path) -> None:
    stage = run(played(tmp_path))
    assert [finding.text for finding in findings(stage) if not finding.holds] == []
    rows = list(books(stage))
    assert {row.sink for row in rows} == {"pcm-stream", "recording", "signal"}
    assert all(row.balances for row in rows)
    (recording,) = recordings_of(tmp_path, next(iter(stage.peers)))
    audio = bytearray(recording.read_bytes())
    audio[5000] ^= 1
    recording.write_bytes(audio)
    assert [f.text[:6] for f in findings(stage) if not f.holds] == ["2 of 3"]


def test_what_is_not_in_the_books_is_said(run: Run, tmp_path: Path) -> None:
    stage = run(played(tmp_path))
    *_, last = stage.peers.values()
    last.record.outcome = "lost"
    del stage.lives[last.setup.session_id]
    assert [finding.text for finding in findings(stage) if not finding.holds] == [
        "2 of 3 calls were opened, held and closed; call 3 was lost",
        "6 of 9 books balance; there are no settled ones of call 3",
    ]
    next(iter(stage.lives.values())).settled["recording"].dropped["overrun"] = 1_600
    assert "; samples were dropped: 1,600 overrun;" in list(findings(stage))[-1].text


def test_what_is_said_at_the_end_can_be_pasted(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a b").mkdir()
    stage = run(played(tmp_path / "a b"))
    own = tmp_path / ".venv" / "bin" / "earhook"
    own.parent.mkdir(parents=True)
    own.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(own), "demo"])
    monkeypatch.setenv("COLUMNS", "80")
    print_report(stage, list(findings(stage)), list(books(stage)))
    printed = capsys.readouterr().out
    assert ".venv/bin/earhook demo --analyze\n" in printed
    assert ".venv/bin/earhook demo --keep-open\n" in printed
    pattern = re.search(r"play '(.*)'/(.*)\n", printed)
    assert pattern is not None
    (heard,) = (tmp_path / pattern[1]).glob(pattern[2])
    assert [heard] == recordings_of(tmp_path / "a b", next(iter(stage.peers)))
    monkeypatch.setenv("PATH", str(own.parent))
    assert program() == "earhook"
    monkeypatch.chdir(own.parent)
    monkeypatch.setenv("PATH", "")
    assert program() == "./earhook"


def test_a_sample_that_differs_at_the_consumer_is_found_out(run: Run, tmp_path: Path) -> None:
    stage = run(played(tmp_path))
    next(iter(stage.audience.hearings.values())).wrong = 1
    assert [finding.holds for finding in findings(stage)].count(False) == 1


def test_the_command_ends_by_itself(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        process = await asyncio.create_subprocess_exec(
            *DEMO, "--seconds", "1.5", "--calls", "3", "--json", cwd=tmp_path, stdout=PIPE
        )
        output, _ = await process.communicate()
        report = orjson.loads(output)
        assert process.returncode == 0
        assert report["ok"] is True
        assert [call["door"] for call in report["calls"]].count("ingest") == 1
        assert len(report["calls"]) == 4
        assert Path(report["recordings"]).parent == tmp_path / "earhook-recordings"
        assert all(len(call["files"]) == 1 for call in report["calls"])

    run(scenario())


def test_an_analysed_call_is_placed_understood_and_recorded(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        process = await asyncio.create_subprocess_exec(
            *DEMO, "--analyze", "--seconds", "3", "--calls", "1", "--json", "--recordings", "here",
            cwd=tmp_path, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip
        output, complaints = await process.communicate()
        report = orjson.loads(output)
        assert (process.returncode, complaints) == (0, b"")
        assert len(report["calls"]) == 3
        analysis = report["analysis"]
        assert analysis["failure"] == ""
        assert analysis["session"] in {call["session"] for call in report["calls"]}

    run(scenario())


def test_what_the_analysed_call_says_is_what_its_script_says() -> None:
    source, turns = complaint(), complaint_turns()
    assert source.length_samples is not None
    for turn in turns:
        channel = {"customer": 0, "agent": 1}[turn.speaker]
        pcm = np.frombuffer(source.pcm(channel, turn.start, turn.end - turn.start), "<i2")
        assert len(pcm) == turn.end - turn.start
        assert np.abs(pcm.astype(int)).max() > 2000
    assert not any("record" in turn.text for turn in turns if turn.speaker == "agent")


def test_there_is_time_to_pause_between_the_question_and_the_number() -> None:
    """Whether the recogniser is quick, or late by many seconds."""
    with demo_rules().open("rb") as file:
        (rule,) = tomllib.load(file)["rules"]
    turns = complaint_turns()
    (question,) = [turn for turn in turns if turn.text.endswith("your card number?")]
    (number,) = [turn for turn in turns if turn.text.startswith("Four one one one")]
    assert number.start - question.end >= 9 * 8000
    earliest = question.end + UtteranceSettings().silence_seconds * 8000
    assert earliest + rule["pause_seconds"] * 8000 >= number.end + 8000


def test_what_is_missing_for_the_analysis_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(OperatorError) as raised:
        require_recogniser()
    text = str(raised.value)
    assert f"{short(Path(sys.executable))} -m pip install pocketsphinx vaderSentiment" in text
    assert "a C compiler" in text


def test_the_story_is_of_the_call_that_goes_on() -> None:
    story = Story()
    story.begin("A")
    for text, is_final in (("hel", False), ("hello", True)):
        details = {"channel": "external", "start": 8, "text": text, "final": is_final}
        story.take_line({"type": "transcript", "session": "a", "position": 9, "details": details})
    story.take_line({"type": "hit", "session": "b", "position": 9, "details": {}})
    assert [one.details["text"] for one in story.transcript] == ["hello"]
    assert (story.hearing, story.hits, story.is_heard_out) == ({}, [], False)
    story.take_line({"type": "closed", "session": "a", "position": 9, "details": {}})
    assert story.is_heard_out
    details = {"channel": "external", "start": 4, "text": "oh", "final": True}
    story.take_line({"type": "transcript", "session": "a", "position": 9, "details": details})
    assert [one.details["text"] for one in story.latest(2)] == ["oh", "hello"]
    story.begin("c")
    assert (story.happenings, story.calls, story.is_heard_out) == ([], 2, False)


def test_a_directory_that_cannot_be_made_is_explained(run: Run) -> None:
    async def scenario() -> None:
        process = await asyncio.create_subprocess_exec(
            *DEMO, "--recordings", f"{os.devnull}/x", stdout=PIPE, stderr=PIPE
        )
        _, complaint = await process.communicate()
        assert process.returncode == 1
        assert b"--recordings" in complaint
        assert b"Traceback" not in complaint

    run(scenario())
