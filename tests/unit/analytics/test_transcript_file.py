"""A transcript in a file is analysed as the call would have been."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from earhook.analytics.analysis import Analyst, AnalystSettings
from earhook.analytics.rules import example_rules
from earhook.analytics.transcript_file import analyse_transcript, read_transcript
from earhook.errors import ConfigurationError

pytestmark = pytest.mark.unit

ANALYST = Analyst.of(AnalystSettings(rules=(example_rules(),)))
LINES = (
    {"speaker": "agent", "start_seconds": 0, "end_seconds": 2, "text": "this call may be recorded"},
    {"speaker": "customer", "start_seconds": 3, "end_seconds": 8, "text": "4111 1111 1111 1111"},
    {"type": "dead_air", "position": 160_000, "details": {"start": 80_000}},
)


def written(tmp_path: Path, *lines: object) -> Path:
    path = tmp_path / "call.jsonl"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines))
    return path


def rules_hit(path: Path) -> list[str]:
    told = analyse_transcript(ANALYST, read_transcript(path))
    return [one.result.details["rule"] for one in told if one.result.kind == "hit"]


def test_both_forms_are_heard_in_order_of_time(tmp_path: Path) -> None:
    hits = rules_hit(written(tmp_path, *reversed(LINES)))
    assert hits[:2] == ["card-spoken", "dead-air"]
    assert "recording-disclosure" not in hits


def test_what_was_written_can_be_read_again(tmp_path: Path) -> None:
    path = written(tmp_path, *LINES)
    first = list(analyse_transcript(ANALYST, read_transcript(path)))
    lines = [{"session": "s", "rate": 8000, **one.result.as_entry()} for one in first]
    again = list(analyse_transcript(ANALYST, read_transcript(written(tmp_path, *lines))))
    texts = [
        [one.result.details["text"] for one in run if one.result.kind == "transcript"]
        for run in (first, again)
    ]
    assert texts[0] == texts[1] == ["this call may be recorded", "[card]"]


def test_the_lines_of_the_guide_can_be_read(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "howto" / "analyze.md"
    section = page.read_text().partition("### Try rules on a transcript")[2]
    lines = section.partition("```json\n")[2].partition("```")[0]
    assert len(read_transcript(written(tmp_path, lines))) == 3


def test_a_call_has_its_rate_and_language(tmp_path: Path) -> None:
    details = {"channel": "internal", "start": 0, "end": 16_000, "text": "hola", "final": True}
    line = {"type": "transcript", "session": "s", "position": 16_000, "details": details}
    opened = {"type": "opened", "session": "s", "position": 0, "details": {"rate": 16_000}}
    closed = {"type": "closed", "session": "s", "position": 1_600_000, "details": {}}
    path = written(tmp_path, opened, line, closed)
    told = list(analyse_transcript(ANALYST, read_transcript(path)))
    assert {one.rate for one in told} == {16_000}
    missing = next(one for one in told if one.result.details.get("rule") == "introduction")
    assert missing.result.position == 30 * 16_000
    details["language"] = "es-US"
    assert rules_hit(written(tmp_path, opened, line, closed)) == []


def test_calls_in_one_file_are_apart(tmp_path: Path) -> None:
    lines = [{**line, "session": name} for name in "ab" for line in LINES[:2]]
    told = list(analyse_transcript(ANALYST, read_transcript(written(tmp_path, *lines))))
    assert {one.session for one in told} == {"a", "b"}
    assert sum(one.result.details.get("rule") == "card-spoken" for one in told) == 2


def test_faults_have_their_line_and_show_nothing_of_it(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        LINES[0],
        "{secret",
        "[1]",
        {"speaker": "secret", "start_seconds": 0, "end_seconds": 1, "text": "secret"},
        {"type": "transcript", "position": 1, "details": {"text": "secret"}},
    )
    with pytest.raises(ConfigurationError) as caught:
        read_transcript(path)
    assert [fault.where for fault in caught.value.faults] == [
        f"{path}: line {n}" for n in (2, 3, 4, 5)
    ]
    assert "secret" not in str(caught.value)


def test_the_command_line(tmp_path: Path) -> None:
    from earhook.cli.analyze import app

    run = CliRunner().invoke
    checked = run(app, ["--check-rules", str(example_rules())])
    assert checked.exit_code == 0
    assert "no fault" in checked.stdout
    broken = tmp_path / "broken.toml"
    broken.write_text("[[rules]]\n")
    assert run(app, ["--check-rules", str(broken)]).exit_code == 1
    path = written(tmp_path, *LINES)
    shown = run(app, ["--transcript", str(path), "--rules", str(example_rules())])
    assert shown.exit_code == 0
    assert "A card number was said while the call was recorded" in shown.stdout
    assert "4111" not in shown.stdout
    lines = run(app, ["--transcript", str(path), "--rules", str(example_rules()), "--json"])
    assert {json.loads(line)["type"] for line in lines.stdout.splitlines()} >= {"transcript", "hit"}
    one = json.loads(lines.stdout.splitlines()[0])
    assert list(one) == [
        "type",
        "session",
        "conversation",
        "position",
        "seconds",
        "rate",
        "details",
    ]
    assert one["seconds"] == one["position"] / one["rate"]
    single = tmp_path / "single.toml"
    single.write_text('[[rules]]\nid = "a"\nname = "n"\nkind = "talk-over"\n')
    assert "1 rule, no fault" in run(app, ["--check-rules", str(single)]).stdout
    assert run(app, ["--example-rules"]).stdout == example_rules().read_text()


def test_a_line_names_the_conversation_of_its_call(tmp_path: Path) -> None:
    turn = {"start_seconds": 1, "end_seconds": 2, "text": "hello", "session": "s"}
    opened = {"type": "opened", "session": "s", "conversation": "c", "position": 0,
              "details": {"rate": 16_000}}  # fmt: skip
    path = written(tmp_path, opened, {**turn, "speaker": "agent"})
    told = list(analyse_transcript(ANALYST, read_transcript(path)))
    assert {one.as_json()["conversation"] for one in told} == {"c"}
