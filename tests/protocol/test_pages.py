"""The pages about the protocol say what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from earhook.protocol.drawing import mermaid, states_page
from earhook.protocol.states import MOVES, State

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "protocol" / "audiohook.md"
STATES = ROOT / "docs" / "protocol" / "states.md"
SOURCES = [
    *(ROOT / "python").rglob("*.py"),
    *(ROOT / "tests" / "protocol").rglob("*.py"),
    *(ROOT / "tests" / "protocol").rglob("*.txt"),
]
CLAUSE = r"\d+(?:\.\d+)*"
# Inside the room and its tests a bare "§8" is a clause of this page; elsewhere it says so.
NAMED = re.compile(rf"AudioHook protocol §({CLAUSE})")
BARE = re.compile(rf"(?<!RFC \d\d\d\d )§({CLAUSE})")


def clauses() -> set[str]:
    text = PAGE.read_text()
    headings = re.findall(rf"^#+ ({CLAUSE}) ", text, re.MULTILINE)
    paragraphs = re.findall(rf"^\*\*({CLAUSE})\*\*", text, re.MULTILINE)
    assert len(headings) == len(set(headings))
    return {*headings, *paragraphs}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_cited_clause_exists(path: Path) -> None:
    is_inside = "protocol" in path.relative_to(ROOT).parts
    cited = set((BARE if is_inside else NAMED).findall(path.read_text()))
    assert cited <= clauses()


def test_the_page_cites_only_itself() -> None:
    assert set(BARE.findall(PAGE.read_text())) <= clauses()


def test_the_states_page_is_what_the_tables_say() -> None:
    """If not, write `earhook.protocol.drawing.states_page()` into it."""
    assert STATES.read_text() == states_page()


def test_the_drawing_shows_every_move_between_states() -> None:
    drawn = mermaid()
    for cause, row in MOVES.items():
        for before, move in row.items():
            if move.state is not before:
                [line] = re.findall(rf"^    {before} --> {move.state}: (.*)$", drawn, re.MULTILINE)
                assert cause.value in line.split(" / ")
    assert all(state.value in drawn for state in State)
