"""The specification says what the code does: its bytes, codes, kinds and commands."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

from earhook.client.connect import HOPELESS
from earhook.media.stream import FrameKind, GapReason
from earhook.sinks.pcm_stream.commands import WORDS
from earhook.sinks.pcm_stream.messages import CloseCode

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "pcm-stream.md").read_text()
VECTORS = json.loads((ROOT / "tests" / "data" / "pcm_stream" / "frames.json").read_text())


def rows(heading: str) -> list[list[str]]:
    """The cells of the last table under a heading, its head left out."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = section[: section.rindex("|\n") + 1].split("\n\n")[-1]
    lines = [line for line in table.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_example_is_a_golden_frame() -> None:
    golden = {vector["hex"] for vector in VECTORS}
    examples = [
        line
        for block in re.findall(r"```hex\n(.*?)```", PAGE, re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(examples) > 10
    assert set(examples) <= golden


def test_every_kind_has_its_number() -> None:
    kinds = {int(row[0]): row[1].strip("`") for row in rows("Frames")}
    assert kinds == {kind.value: kind.name.lower() for kind in FrameKind}


def test_every_reason_has_its_number() -> None:
    assert {int(row[0]): row[1] for row in rows("gap")} == {r.value: r.word for r in GapReason}


def test_every_code_says_whether_to_connect_again() -> None:
    codes = {row[0].strip("`"): row[2].strip() for row in rows("close")}
    assert codes.keys() == {code.value for code in CloseCode}
    assert {code for code, again in codes.items() if again == "no"} == HOPELESS


def test_every_command_is_there() -> None:
    named = {word for row in rows("command") for word in re.findall(r"`(\w+)`", row[0])}
    assert named == set(WORDS)


def test_every_python_example_is_python() -> None:
    howto = (ROOT / "docs" / "howto" / "consume-pcm.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", howto, re.DOTALL)
    assert len(examples) > 3
    for example in examples:
        compile(example, "consume-pcm.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
