"""Nothing personal is shown: any card, said in any way, cut anywhere, with anything around it."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.analytics.redaction import Redactor
from earhook.analytics.redaction.numbers import find_card, has_luhn_check, is_bank_account
from earhook.analytics.segment import Segment

pytestmark = pytest.mark.unit

RATE = 8000
LINES = Path(__file__).parents[3] / "bench" / "sentiment"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MOST_SHOWN = 3


def redacted(*texts: str, channel: str = "external") -> list[str]:
    return [told for told, _ in heard(*texts, channel=channel)]


def heard(*texts: str, channel: str = "external") -> list[tuple[str, list[str]]]:
    """What is shown of segments one after the other, and the kinds that were found in each."""
    redactor = Redactor(RATE)
    shown = []
    for number, text in enumerate(texts):
        who = "internal" if text.startswith("agent: ") else channel
        start = number * 2 * RATE
        segment = Segment(who, start, start + RATE, text.removeprefix("agent: "))  # type: ignore[arg-type]
        told = redactor.final(segment)
        shown.append((told.text, [finding.kind for finding in told.findings]))
    return shown


def digits_in(text: str) -> int:
    """How many digits somebody can read in a text."""
    words = re.findall(r"\d|[a-z]+", text.lower())
    tens = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
    return sum(1 for word in words if word.isdigit() or word in (*DIGITS, *tens))


@pytest.mark.parametrize(
    ("said", "shown", "kinds"),
    [
        ("it is 4111 1111 1111 1111 ok", "it is [card] ok", ["card"]),
        ("4111-1111-1111-1111", "[card]", ["card"]),
        ("forty one eleven eleven eleven eleven eleven eleven eleven", "[card]", ["card"]),
        (
            "three seven eight two eight two two four six three one oh oh oh five",
            "[card]",
            ["card"],
        ),
        ("four triple one quadruple one quadruple one quadruple one", "[card]", ["card"]),
        ("call eight hundred five five five one two one two", "call [phone]", ["phone"]),
        ("or 415-555-0132", "or [phone]", ["phone"]),
        ("or +44 20 7946 0958", "or +[phone]", ["phone"]),
        ("jane_doe@example.co.uk ok", "[email] ok", ["email"]),
        ("it's john dot smith at example dot com ok", "it's [email] ok", ["email"]),
        ("it's j o h n 4 2 at gmail dot com", "it's [email]", ["email"]),
        ("it's john at example dot xyz ok", "it's [email] ok", ["email"]),
        ("it's john at blue sky dot com ok", "it's [email] ok", ["email"]),
        ("it's john at a c m e dot org please", "it's [email] please", ["email"]),
        ("it's j o h n at g mail dot com", "it's [email]", ["email"]),
        ("it's john at sign gmail dot com", "it's [email]", ["email"]),
        ("it's john dot smith at", "it's [email]", ["email"]),
        ("let's meet at noon. Then we go on", "let's meet at noon. Then we go on", []),
        ("you can look at", "you can look at", []),
        ("my ssn is 123-45-6789", "my ssn is [national id]", ["national-id"]),
        ("AB123456C", "[national id]", ["national-id"]),
        ("GB82 WEST 1234 5698 7654 32", "[bank account]", ["bank-account"]),
        ("forty one hundred eleven hundred eleven hundred eleven hundred", "[number]", []),
        ("the code is nine nine one seven four two", "the code is [number]", []),
    ],
)
def test_what_is_personal_is_replaced(said: str, shown: str, kinds: list[str]) -> None:
    assert heard(said) == [(shown, kinds)]


def test_what_is_asked_for_is_hidden_whoever_says_it() -> None:
    assert redacted("agent: what is the security code on the back", "it is one two three then") == [
        "what is the security code on the back",
        "it is [security code] then",
    ]
    assert redacted("agent: the last four of your social", "six seven eight nine right")[1] == (
        "[national id] right"
    )
    assert redacted("agent: what is your pin", "one two three four is it")[1] == "[number] is it"


def test_a_number_goes_on_over_segments_and_over_sounds_between() -> None:
    said = ("four one one one", "um", "one one one one", "okay one one one one", "one one one one")
    assert heard(*said) == [
        ("[number]", []),
        ("um", []),
        ("[number]", []),
        ("okay [number]", []),
        ("[card]", ["card"]),
    ]


def test_what_interrupts_a_number_ends_it() -> None:
    assert redacted("four one one", "no wait a moment", "one two three") == [
        "four one one",
        "no wait a moment",
        "one two three",
    ]


@pytest.mark.parametrize(
    "said",
    [
        "I paid four hundred fifty dollars on the third of may",
        "order 48213 has not come",
        "I have waited 45 minutes since 10:30 today",
        "it costs $4,111.50",
        "in twenty twenty six I came here",
        "no one told me, not one of you",
        "room three oh five",
        "from 2019 to 2021 we paid a lot",
        "since 2019 we paid 1250 dollars a year",
    ],
)
def test_ordinary_numbers_stay(said: str) -> None:
    assert redacted(said) == [said]


def test_ordinary_lines_stay_as_they_are() -> None:
    for path in LINES.glob("*.tsv"):
        with path.open(newline="") as file:
            for _, _, text in csv.reader(file, delimiter="\t"):
                assert redacted(text) == [text]


@st.composite
def cards(draw: st.DrawFn) -> str:
    """A payment card number with its check digit."""
    prefix, length = draw(
        st.sampled_from((("4", 16), ("51", 16), ("2221", 16), ("37", 15), ("6011", 16)))
    )
    body = prefix + "".join(
        draw(
            st.lists(
                st.sampled_from("0123456789"),
                min_size=length - len(prefix) - 1,
                max_size=length - len(prefix) - 1,
            )
        )
    )
    return next(body + check for check in "0123456789" if has_luhn_check(body + check))


@st.composite
def sayings(draw: st.DrawFn, card: str) -> list[str]:
    """The digits of a card as words, written, or both, in groups, with sounds between."""
    words: list[str] = []
    at = 0
    while at < len(card):
        group = card[at : at + draw(st.integers(1, 4))]
        at += len(group)
        if draw(st.booleans()):
            words.append(group)
        else:
            words += [DIGITS[int(digit)] for digit in group]
        words += draw(st.sampled_from(([], [], ["um"], ["okay"], ["-"], ["and then"], ["dash"])))
    return words


@given(st.data(), cards())
def test_no_card_is_shown_however_it_is_said_and_cut(data: st.DataObject, card: str) -> None:
    words = data.draw(sayings(card))
    before = data.draw(st.sampled_from(([], ["here", "you", "go"], ["my", "card", "number", "is"])))
    after = data.draw(st.sampled_from(([], ["thanks"], ["expires", "twelve", "twenty", "six"])))
    words = [*before, *words, *after]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(words) - 1), max_size=6)))
    texts = [" ".join(words[a:b]) for a, b in zip([0, *cuts], [*cuts, len(words)], strict=True)]
    redactor = Redactor(RATE)
    shown, found = [], []
    for number, text in enumerate(texts):
        segment = Segment("external", number * RATE, (number + 1) * RATE, text)
        # What recognisers show while somebody speaks is no more than what they show at the end.
        parts = text.split()
        for length in range(1, len(parts) + 1):
            reading = Segment(
                "external", segment.start, segment.end, " ".join(parts[:length]), is_final=False
            )
            assert digits_in(redactor.interim(reading).text) <= MOST_SHOWN
        told = redactor.final(segment)
        shown.append(told.text)
        found += [finding.kind for finding in told.findings]
    assert digits_in(" ".join(shown)) <= MOST_SHOWN + (after[1:2] == ["twelve"]) * 2
    assert "card" in found


@given(st.data(), cards())
def test_words_between_the_groups_of_a_card_do_not_show_it(data: st.DataObject, card: str) -> None:
    length = data.draw(st.integers(2, 4))
    groups = [card[at : at + length] for at in range(0, len(card), length)]
    redactor = Redactor(RATE)
    shown = []
    for number, group in enumerate(groups):
        words = data.draw(st.lists(st.sampled_from(("blue", "train", "my", "dog")), min_size=1))
        text = f"{group} {' '.join(words)}"
        segment = Segment("external", number * RATE, (number + 1) * RATE, text)
        shown.append(redactor.final(segment).text)
    assert digits_in(" ".join(shown)) < 8
    assert digits_in(redacted(" blue ".join(groups))[0]) <= 1


@pytest.mark.parametrize(
    "sign", ["\u2022", "\u00b7", ":", "=", "|", "\u2011", "\u200b", "_", "+", "*"]
)
def test_no_sign_keeps_digits_apart(sign: str) -> None:
    assert digits_in(redacted(sign.join(("4111", "1111", "1111", "1111")))[0]) == 0


@given(cards())
def test_a_wrong_digit_is_no_card(card: str) -> None:
    wrong = card[:-1] + str((int(card[-1]) + 1) % 10)
    assert find_card(card, [0]) == (0, len(card))
    assert not has_luhn_check(wrong)


@given(st.text(max_size=80))
def test_any_text_is_read_and_reading_it_again_changes_nothing(text: str) -> None:
    once = redacted(text)[0]
    assert redacted(once) == [once]


def test_accounts_have_their_check_digits() -> None:
    assert is_bank_account("GB82WEST12345698765432") == 22
    assert is_bank_account("GB83WEST12345698765432") == 0
    assert is_bank_account("XX82WEST12345698765432") == 0
