"""The laws of the house that no linter states: sizes, words, waiting, and what no page may name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "python").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
CRATES = sorted((ROOT / "rust").rglob("*.rs"))

FUNCTION_LINES = 50
FILE_LINES = 600
BANNED_WORDS = re.compile(r"(?:^|_)(managers?|handlers?|utils?|helpers?|data|info)(?:_|$)")
# Made in one place only, so that a test never waits for an amount of time.
MAY_SLEEP = {ROOT / "tests" / "conftest.py", Path(__file__)}


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Every function of a file with the lines of its body, docstring left out."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            own = (docstring.count("\n") + 1) if docstring else 0
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1 - own


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_every_function_fits_a_screen(path: Path) -> None:
    long = {name: lines for name, lines in functions(path) if lines > FUNCTION_LINES}
    assert not long, f"{named(path)}: {long}"


@pytest.mark.parametrize("path", SOURCES + CRATES, ids=named)
def test_every_file_has_one_subject(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= FILE_LINES


@pytest.mark.parametrize("path", SOURCES + CRATES, ids=named)
def test_no_name_is_a_word_that_says_nothing(path: Path) -> None:
    assert not BANNED_WORDS.search(path.stem)
    if path.suffix == ".py":
        nodes = ast.walk(ast.parse(path.read_text()))
        classes = [node.name for node in nodes if isinstance(node, ast.ClassDef)]
        snake = [re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower() for name in classes]
        assert not [name for name in snake if BANNED_WORDS.search(name)]


@pytest.mark.parametrize("path", TESTS, ids=named)
def test_no_test_waits_for_an_amount_of_time(path: Path) -> None:
    if path in MAY_SLEEP:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr != "sleep", f"{named(path)}:{node.lineno}: wait for a condition"


def test_no_unsafe_anywhere() -> None:
    found = [named(p) for p in CRATES if re.search(r"\bunsafe\s*(\{|fn|impl)", p.read_text())]
    assert not found


def test_only_media_touches_the_core_and_only_transport_touches_picows() -> None:
    laws = {"earhook._core": "media", "picows": "transport"}
    for path in SOURCES:
        room = path.relative_to(ROOT / "python" / "earhook").parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for module, owner in laws.items():
                touched = any(name == module or name.startswith(f"{module}.") for name in names)
                assert not touched or room == owner, f"{named(path)}:{node.lineno} imports {module}"


def links(page: Path) -> Iterator[str]:
    """Where a page links to, in this tree."""
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if not re.match(r"[a-z]+:", target):
            yield target


def test_every_link_of_every_page_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").glob("*.md")]
    for page in pages:
        for target in links(page):
            assert (page.parent / target).exists(), f"{named(page)} links to {target}"


def test_every_page_is_found_from_the_readme() -> None:
    """By a link of its own, or in the list of decisions."""
    readme = ROOT / "README.md"
    indexes = [readme, ROOT / "docs" / "decisions" / "README.md"]
    found = {(page.parent / target).resolve() for page in indexes for target in links(page)}
    lost = [named(page) for page in (ROOT / "docs").rglob("*.md") if page not in found]
    assert not lost
