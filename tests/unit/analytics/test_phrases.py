"""Phrases: what is found is what can be read off them, however words come."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.analytics.phrases import PhraseBook, PhraseError
from earhook.analytics.words import words_of

pytestmark = pytest.mark.unit

ALPHABET = ("aa", "ab", "ba", "bb")


def spoken(text: str) -> list[str]:
    return [word.text for word in words_of(text)]


def is_found(phrase: str, text: str) -> bool:
    return bool(PhraseBook([(phrase, 0)]).find(spoken(text)))


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("this call may be recorded", "Hello! This call MAY be recorded."),
        ("[call|line] [may|will]? be record*", "the line be recording"),
        ("[call|line] [may|will]? be record*", "this call will be recorded"),
        ("third time ... calling", "the third time now that I'm calling"),
        ("[speak to|talk with] a manager", "let me talk with a manager"),
        ("you are a liar", "you\u2019re a liar"),
        ("can't help", "I cannot help"),
        ("my name", "my um name is"),
        ("please? hold", "hold"),
        ("aa aa bb", "aa aa aa bb"),
    ],
)
def test_what_a_phrase_finds(phrase: str, text: str) -> None:
    assert is_found(phrase, text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("this call", "this is a call"),
        ("record", "recorded"),
        ("third time ... calling", "third time and now one two three calling"),
        ("third time ...2 calling", "third time one two three calling"),
        ("[a|the] card", "card"),
    ],
)
def test_what_a_phrase_does_not_find(phrase: str, text: str) -> None:
    assert not is_found(phrase, text)


@pytest.mark.parametrize(
    "phrase",
    ["", "a [b", "... x", "x ...", "a?", "[|b]", "*", "a ]b", "x ...0 y", "x ...99 y", "it's* x"],
)
def test_a_phrase_that_says_nothing_is_refused(phrase: str) -> None:
    with pytest.raises(PhraseError):
        PhraseBook([(phrase, 0)])


@pytest.mark.parametrize("phrase", ["the " + "...20 " * 30 + "end", "the " + "a? " * 45 + "end"])
def test_a_phrase_that_can_be_said_in_too_many_ways_is_refused(phrase: str) -> None:
    with pytest.raises(PhraseError, match="too many ways"):
        PhraseBook([(phrase, 0)])


@st.composite
def items(draw: st.DrawFn) -> tuple[str, list[list[str]]]:
    """An item of a phrase, and all rows of words that it stands for."""
    words = st.sampled_from(ALPHABET)
    match draw(st.sampled_from(("word", "prefix", "choice", "optional", "gap"))):
        case "word":
            word = draw(words)
            return word, [[word]]
        case "prefix":
            letter = draw(st.sampled_from("ab"))
            return f"{letter}*", [[word] for word in ALPHABET if word.startswith(letter)]
        case "gap":
            return "...2", [
                list(row) for n in range(3) for row in itertools.product(ALPHABET, repeat=n)
            ]
        case kind:
            choices = draw(
                st.lists(st.lists(words, min_size=1, max_size=2), min_size=1, max_size=2)
            )
            text = f"[{'|'.join(' '.join(choice) for choice in choices)}]"
            return (f"{text}?", [[], *choices]) if kind == "optional" else (text, choices)


@given(st.lists(items(), min_size=1, max_size=4), st.lists(st.sampled_from(ALPHABET), max_size=12))
def test_a_phrase_is_found_where_one_of_its_readings_stands(
    parts: list[tuple[str, list[list[str]]]], words: list[str]
) -> None:
    try:
        book = PhraseBook([(" ".join(text for text, _ in parts), 0)])
    except PhraseError:
        return
    readings = {
        tuple(word for row in rows for word in row)
        for rows in itertools.product(*(readings for _, readings in parts))
    }
    expected = any(
        tuple(words[begin : begin + len(reading)]) == reading
        for reading in readings
        for begin in range(len(words))
    )
    found = book.find(words)
    assert bool(found) is expected
    for _, first, last in found:
        assert tuple(words[first : last + 1]) in readings
    assert all(one.last < other.first for one, other in itertools.pairwise(found))
