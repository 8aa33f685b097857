"""Texts of strangers on a terminal: none of them steers it, whichever command shows them."""

from __future__ import annotations

import io
from typing import Any

import orjson
import pytest
from rich.console import Console

from earhook.cli.analyze_view import JsonView, TextView
from earhook.cli.ladder import LadderPrinter
from earhook.cli.listen_outlets import write_line
from earhook.terminal.json_line import json_line
from earhook.testing.peer_record import Rung

pytestmark = pytest.mark.unit

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202ered\r\nx"
SPAN = {"channel": "external", "start": 0, "end": 8000}
LINES: list[dict[str, Any]] = [
    {"type": "transcript", "details": {**SPAN, "final": True, "text": HOSTILE}},
    {
        "type": "hit",
        "details": {**SPAN, "severity": "info", "name": HOSTILE, "evidence": [HOSTILE, 0.5]},
    },
    {"type": "analysis", "details": {"engine": HOSTILE, "state": "failed", "why": HOSTILE}},
    {"type": "closed", "details": {"reason": HOSTILE}},
    {"type": "trouble", "text": HOSTILE},
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: str(line["type"]))
def test_analyze_shows_them_harmless(capsys: pytest.CaptureFixture[str], line: Any) -> None:
    TextView().take({"session": "s", "position": 8000, **line})
    captured = capsys.readouterr()
    shown = captured.out + captured.err
    assert "owned" in shown
    assert [one for one in shown if not one.isprintable() and one != "\n"] == []


def test_json_lines_hold_no_control_character_and_lose_nothing() -> None:
    value = {"text": HOSTILE, "other": "ü€😀\u0600"}
    line = json_line(value)
    assert orjson.loads(line) == value
    assert [one for one in line.decode()[:-1] if ord(one) < 32 or 127 <= ord(one) < 160] == []


def test_every_command_that_writes_lines_writes_such() -> None:
    output = io.BytesIO()
    write_line(output, {"text": HOSTILE})
    JsonView(output).take({"type": "transcript", "details": {"text": HOSTILE}})
    assert output.getvalue().count(b"owned") == 2
    assert b"\xc2\x9b" not in output.getvalue()


def test_what_a_server_says_to_a_peer_is_harmless_in_the_ladder() -> None:
    console = Console(file=io.StringIO(), width=200)
    rung = Rung(seconds=1.0, sender="S", type=HOSTILE, seq=1, detail=HOSTILE)
    console.print(LadderPrinter().line(rung))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert shown.count("owned") == 2
    assert [one for one in shown if not one.isprintable() and one != "\n"] == []
