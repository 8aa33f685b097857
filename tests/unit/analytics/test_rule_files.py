"""Files of rules: every fault at once, each with its place; the page says what the reader takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from earhook.analytics.rules import read_rules
from earhook.analytics.rules.page import rules_page
from earhook.analytics.sentiment import read_lexicon
from earhook.errors import ConfigurationError

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]


def faults(tmp_path: Path, text: str) -> dict[str, str]:
    """What is said of a file: place without the path, and what is wrong with the remedy."""
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_rules([path])
    return {
        fault.where.removeprefix(f"{path}: "): f"{fault.what} ({fault.remedy})"
        for fault in caught.value.faults
    }


def rule(more: str, name: str = "x", kind: str = "transcript") -> str:
    phrases = 'phrases = ["a b"]\n' if kind == "transcript" and "phrases" not in more else ""
    return f'[[rules]]\nid = "{name}"\nname = "n"\nkind = "{kind}"\n{phrases}{more}\n'


def test_the_shape_of_a_file_is_looked_at_as_a_whole(tmp_path: Path) -> None:
    text = (
        'nam = "x"\n'
        '[[rules]]\nid = "A b"\nname = "n"\nkind = "transcrip"\n'
        '[[rules]]\nid = "x"\nkind = "transcript"\nphrases = []\nwho = "boss"\nfirstseconds = 3\n'
        '[[rules]]\nid = "Q q"\nname = "n"\nkind = "dead-air"\nseconds = -1\n'
        '[[rules]]\nid = "y"\nname = "n"\n'
    )
    found = faults(tmp_path, text)
    assert found["nam"] == "unknown key (did you mean 'name'?)"
    assert found["rules[0] (A b)"] == "unknown kind 'transcrip' (did you mean 'transcript'?)"
    assert found["rules[1].name (x)"].startswith("is missing")
    assert found["rules[1].phrases (x)"].startswith("is empty")
    assert found["rules[1].who (x)"].startswith(
        "must be 'agent', 'customer' or 'either', not 'boss'"
    )
    assert found["rules[1].firstseconds (x)"] == "unknown key (did you mean 'first_seconds'?)"
    assert found["rules[2].id"].startswith("is malformed")
    assert found["rules[2].seconds (Q q)"].startswith("must be greater than 0, not -1")
    assert found["rules[3] (y)"].startswith("kind is missing")
    assert found["rules[0].id"].startswith("is malformed")
    assert found["rules[0].phrases (A b)"].startswith("is missing")
    assert len(found) == 11


def test_a_rule_of_no_known_kind_hides_no_other_fault(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        rule("sevrity = 1\nfirst_seconds = -1\npharses = []", kind="transcrip", name="x")
        + rule("threshold = 0\ndigits = 0\nfirst = 3", kind="weather", name="y")
        + rule('since = "x"\nphrases = ["a [b"]', name="z"),
    )
    assert found.keys() == {
        "rules[0] (x)", "rules[0].sevrity (x)", "rules[0].first_seconds (x)",
        "rules[0].pharses (x)", "rules[0].phrases (x)",
        "rules[1] (y)", "rules[1].threshold (y)", "rules[1].first (y)",
        "rules[2].phrases[0] (z)",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "where", "what"),
    [
        ('rules = ["a", "c"]', "rules", "no rule is called 'c'"),
        ('rules = ["a", "x"]', "rules", "in a ring"),
        ('rules = ["a", "y"]', "rules", "in a ring"),
        ('rules = ["a", "off"]', "rules", "not enabled"),
        ('rules = ["a", "a"]', "rules", "twice"),
        ('rules = ["a"]', "rules", "2 at least"),
        ('rules = ["a", "b"]\nnegate = true', "negate", "several rules"),
    ],
)
def test_what_all_of_cannot_name(tmp_path: Path, more: str, where: str, what: str) -> None:
    others = (
        rule("", name="a") + rule("", name="b") + rule("enabled = false", name="off")
        + rule('since = "x"', name="y")
    )  # fmt: skip
    found = faults(tmp_path, others + rule(more, kind="all-of"))
    assert what in found[f"rules[4].{where} (x)"]


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (rule("") + rule(""), "rules[1].id", "'x' is there twice"),
        (rule("", name="call"), "rules[0].id", "reserved"),
        (rule('since = "y"'), "rules[0].since (x)", "no rule is called 'y'"),
        (rule('since = "x"'), "rules[0].since (x)", "in a ring"),
        (rule('since = "y"') + rule("enabled = false", name="y"), "rules[0].since (x)", "enabled"),
        (rule("first_seconds = 1\nend_seconds = 3"), "rules[0].end_seconds (x)", "ends twice"),
        (rule("start_seconds = 4\nend_seconds = 3"), "rules[0].end_seconds (x)", "ends before"),
        (rule("last_seconds = 3\nfirst_seconds = 1"), "rules[0].last_seconds (x)", "stand alone"),
        (rule("negate = true\nrepeat = true"), "rules[0].repeat (x)", "does so once"),
        (rule('negate = true\naction = "pause"'), "rules[0].action (x)", "too late"),
        (rule("pause_seconds = 5"), "rules[0].pause_seconds (x)", "nothing pauses"),
        (rule('since = "first-words"', kind="dead-air"), "rules[0].since (x)", "nobody's words"),
        (rule("", kind="sentiment"), "rules[0].below (x)", "one of them"),
        (rule("below = 0\nabove = 0", kind="sentiment"), "rules[0].below (x)", "one of them"),
        (rule('phrases = ["a b", "a [b"]'), "rules[0].phrases[1] (x)", "cannot be read"),
    ],
)
def test_what_does_not_fit_together(tmp_path: Path, text: str, where: str, what: str) -> None:
    found = faults(tmp_path, text)
    assert what in found[where]
    assert len(found) == 1


def test_rules_are_in_the_language_of_their_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('language = "en"\n' + rule("") + rule('language = "es"', name="y"))
    assert [one.language for one in read_rules([path])] == ["en", "es"]


def test_files_are_judged_together(tmp_path: Path) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text(rule(""))
    other.write_text(rule("") + rule('since = "x"', name="z"))
    with pytest.raises(ConfigurationError) as caught:
        read_rules([one, other, tmp_path / "none.toml", tmp_path])
    assert len(caught.value.faults) == 3
    assert [one.id for one in read_rules([one])] == ["x"]


@pytest.mark.parametrize("text", ["= 1", "[[rules]", "\x00"])
def test_what_is_no_toml(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="is no TOML"):
        read_rules([path])


def test_the_page_is_what_the_declarations_say() -> None:
    assert (ROOT / "docs" / "reference" / "rules.md").read_text() == rules_page()


def test_every_example_on_the_pages_is_without_fault(tmp_path: Path) -> None:
    blocks = [
        block.split("```")[0]
        for page in ("docs/reference/rules.md", "docs/howto/analyze.md")
        for block in (ROOT / page).read_text().split("```toml\n")[1:]
    ]
    rules = [block for block in blocks if "[[rules]]" in block]
    lexicons = [block for block in blocks if "[words]" in block]
    assert len(rules) >= 2
    assert lexicons
    path = tmp_path / "example.toml"
    for block in rules:
        path.write_text(block)
        assert read_rules([path])
    for block in lexicons:
        path.write_text(block)
        assert read_lexicon(path).phrases
