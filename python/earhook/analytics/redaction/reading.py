"""Reads digits as people say and recognisers write them.

`four one one one`, `forty one eleven`, `double five`, `4111-1111`, `nine oh two`, `1.800.555`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, NamedTuple

from earhook.analytics.words import FILLERS

__all__ = ["Role", "Token", "read"]


class Role(Enum):
    """What a token is to a number."""

    DIGITS = auto()
    LETTER = auto()
    """One letter by itself, or a few capitals beside digits."""
    JOINT = auto()
    """What people say between two digits of the same number."""
    WORD = auto()
    """Anything else: a number does not reach across it."""


class Token(NamedTuple):
    """A piece of a text, from `begin` to `end`, with what it means for numbers.

    `value` is the digits, the letters in capitals, or the word in small letters.
    """

    role: Role
    value: str
    begin: int
    end: int


class _Piece(NamedTuple):
    text: str
    begin: int
    end: int


def read(text: str) -> list[Token]:
    """The tokens of a text, in order. Together they are all of it but white space."""
    pieces = [_Piece(found.group(), *found.span()) for found in _PIECE.finditer(text)]
    words = [piece.text.lower().replace("\u2019", "'") for piece in pieces]
    tokens: list[Token] = []
    index = 0
    while index < len(pieces):
        is_under_way = bool(tokens) and tokens[-1].role is Role.DIGITS
        taken, role, value = _next(words, index, is_under_way=is_under_way)
        if role is Role.WORD:
            role, value = _letters(pieces[index].text)
        tokens.append(Token(role, value, pieces[index].begin, pieces[index + taken - 1].end))
        index += taken
    return _without_quantities(tokens)


def _next(words: Sequence[str], index: int, *, is_under_way: bool) -> tuple[int, Role, str]:
    """How many words make the next token, and what it is; `is_under_way`: digits precede it."""
    word = words[index]
    taken, digits = _number(words, index)
    if digits:
        if words[index + taken : index + taken + 1] == ["hundred"] and len(digits) <= 2:
            follows = words[index + taken + 1 : index + taken + 3]
            if is_under_way or _are_numbers(follows):
                return taken + 1, Role.DIGITS, digits + "00"
        return taken, Role.DIGITS, digits
    if word in _TIMES:
        repeated = _digit_at(words, index + 1)
        return (2, Role.DIGITS, repeated * _TIMES[word]) if repeated else (1, Role.JOINT, word)
    if word in _SOUND_ALIKE and _digit_at(words, index - 1) and _digit_at(words, index + 1):
        return 1, Role.DIGITS, _SOUND_ALIKE[word]
    is_sign = not word[0].isalnum() and word not in _BREAKING_SIGNS
    is_joint = is_sign or word in _JOINTS or word in FILLERS
    return 1, Role.JOINT if is_joint else Role.WORD, word


def _letters(text: str) -> tuple[Role, str]:
    is_code = len(text) == 1 or (len(text) <= _CODE_LETTERS and text.isupper())
    if is_code and text.isalpha() and text.isascii():
        return Role.LETTER, text.upper()
    return Role.WORD, text.lower()


def _number(words: Sequence[str], index: int) -> tuple[int, str]:
    """The digits that begin at a word, and how many words they are; no digits: none do."""
    word = words[index]
    if word[0].isdecimal():
        return 1, "".join(str(unicodedata.digit(sign)) for sign in word)
    if word in _UNITS:
        return 1, _UNITS[word]
    if word in _TEENS:
        return 1, _TEENS[word]
    if word not in _TENS:
        return 0, ""
    step = 2 if words[index + 1 : index + 2] == ["-"] else 1  # forty-one
    unit = _UNITS.get(words[index + step]) if index + step < len(words) else None
    if unit and unit != "0":
        return step + 1, _TENS[word] + unit
    return 1, _TENS[word] + "0"


def _are_numbers(words: Sequence[str]) -> bool:
    """Whether two words go on with a number: *555*, *eleven hundred*; *fifty dollars* do not."""
    is_number = [
        word[0].isdecimal() or word in _UNITS or word in _TEENS or word in _TENS for word in words
    ]
    return is_number == [True, True] or (is_number[:1] == [True] and words[1:] == ["hundred"])


def _digit_at(words: Sequence[str], index: int) -> str:
    if not 0 <= index < len(words):
        return ""
    word = words[index]
    if word.isdecimal():
        return word if len(word) == 1 else ""
    return _UNITS.get(word, "")


def _without_quantities(tokens: list[Token]) -> list[Token]:
    """Amounts, times and spans are words: *450 dollars*, *10:30*, *two hundred*, *$4,111.50*."""
    digits_before = 0
    for index, token in enumerate(tokens):
        if token.role is not Role.DIGITS:
            digits_before = 0
            continue
        digits_before += len(token.value)
        if digits_before > _QUANTITY_DIGITS:
            continue
        if _value(tokens, index + 1) in _MEASURES:
            tokens[index] = token._replace(role=Role.WORD)
        elif _value(tokens, index - 1) in _CURRENCIES:
            _amount(tokens, index)
        elif _is_time(tokens, index):
            for place in (index, index + 2):
                tokens[place] = tokens[place]._replace(role=Role.WORD)
    return tokens


def _is_time(tokens: Sequence[Token], index: int) -> bool:
    if index + 2 >= len(tokens) or tokens[index + 1].value != ":":
        return False
    hours, minutes = tokens[index], tokens[index + 2]
    return len(hours.value) <= 2 and minutes.role is Role.DIGITS and len(minutes.value) == 2


def _amount(tokens: list[Token], index: int) -> None:
    """Written amounts go on over points and commas."""
    tokens[index] = tokens[index]._replace(role=Role.WORD)
    while (
        _value(tokens, index + 1) in (",", ".")
        and _role(tokens, index + 2) is Role.DIGITS
        and len(tokens[index + 2].value) <= 3
        and tokens[index + 2].begin == tokens[index].end + 1
    ):
        index += 2
        tokens[index] = tokens[index]._replace(role=Role.WORD)


def _value(tokens: Sequence[Token], index: int) -> str:
    return tokens[index].value if 0 <= index < len(tokens) else ""


def _role(tokens: Sequence[Token], index: int) -> Role:
    return tokens[index].role if 0 <= index < len(tokens) else Role.WORD


_PIECE: Final = re.compile(r"\d+|[^\W\d_]+(?:['\u2019][^\W\d_]+)*|[^\w\s]|_")

_CODE_LETTERS: Final = 4
_QUANTITY_DIGITS: Final = 4
"""More digits than these are no quantity, whatever stands beside them."""

_DIGIT_WORDS: Final = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
]
_UNITS: Final = {word: str(digit) for digit, word in enumerate(_DIGIT_WORDS)} | {
    **dict.fromkeys(("oh", "o", "nought", "naught"), "0"),
    "niner": "9",
}
_TEEN_WORDS: Final = [
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TEENS: Final = {word: str(number) for number, word in enumerate(_TEEN_WORDS, 10)}
_TENS_WORDS: Final = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_TENS: Final = {word: str(digit) for digit, word in enumerate(_TENS_WORDS, 2)} | {"fourty": "4"}
_TIMES: Final = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4}
_SOUND_ALIKE: Final = {"to": "2", "too": "2", "for": "4", "ate": "8", "won": "1", "tree": "3"}
"""What recognisers write for a digit; taken for one between two digits."""

_JOINTS: Final = frozenset(
    {
        *("and", "then", "dash", "hyphen", "minus", "space", "point", "slash", "stroke"),
        *("okay", "ok", "yes", "yeah", "yep", "right", "so", "now", "next", "followed", "by"),
        *("got", "it", "go", "on", "ahead", "well", "like", "that's", "it's", "just"),
        *("let's", "lemme", "hang", "one's", "ah", "oops", "first", "last", "four's", "group"),
        *("again", "sorry", "wait", "please", "sure", "alright", "the", "is", "are", "digits"),
        *("a", "plus", "comma", "dot", "number", "numbers", "thanks", "i", "think", "let", "me"),
        *("see", "have", "repeat", "number's", "you", "thank", "perfect", "great", "correct"),
    }
)
"""Said between the groups of a number. A long list hides more, and tells apart less."""

_MEASURES: Final = frozenset(
    {
        *("hundred", "thousand", "million", "dollar", "dollars", "buck", "bucks", "cents", "cent"),
        *("pounds", "euros", "euro", "percent", "%", "am", "pm", "a.m", "p.m", "o'clock"),
        *("second", "seconds", "minute", "minutes", "hour", "hours", "day", "days", "week"),
        *("weeks", "month", "months", "year", "years", "times", "people", "business", "working"),
        *("gigabytes", "gigs", "megs", "megabits", "miles", "st", "nd", "rd", "th"),
    }
)
_BREAKING_SIGNS: Final = frozenset({"$", "€", "£", "¥", "%", "[", "]"})
_CURRENCIES: Final = frozenset({"$", "€", "£", "¥"})
