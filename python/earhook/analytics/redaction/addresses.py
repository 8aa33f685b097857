"""E-mail addresses, spoken and written, and ids and accounts that have letters in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

from .numbers import is_bank_account
from .reading import Role, Token

__all__ = ["Place", "find_addresses"]


class Place(NamedTuple):
    """Something personal in a text, from `begin` to `end`."""

    kind: Literal["email", "bank-account", "national-id"]
    begin: int
    end: int


def find_addresses(text: str, tokens: Sequence[Token]) -> list[Place]:
    """All that has letters; may overlap with each other and with numbers."""
    return [*_written(text), *_spoken(tokens), *_coded(tokens)]


def _written(text: str) -> Iterator[Place]:
    for found in _WRITTEN.finditer(text):
        yield Place("email", *found.span())


def _spoken(tokens: Sequence[Token]) -> Iterator[Place]:
    """*john dot smith at example dot com*, and its halves where a segment ends between them."""
    for index, token in enumerate(tokens):
        if token.value == "at" and (last := _domain_end(tokens, index + 1)):
            yield Place("email", tokens[_local_start(tokens, index)].begin, tokens[last].end)
        elif index > 0 and _is_open_local(tokens, index):
            yield Place("email", tokens[_local_start(tokens, index)].begin, tokens[-1].end)


def _domain_end(tokens: Sequence[Token], index: int) -> int:
    """The last token of a domain that begins at `index`; 0: there is none."""
    if index < len(tokens) and tokens[index].value in _AT_SIGNS:
        index += 1
    last = 0
    if index < len(tokens) and tokens[index].value in _PROVIDERS:
        last = index
    index = _name_end(tokens, index)
    while index + 2 < len(tokens) and tokens[index + 1].value in _DOTS:
        index += 2
        # Whoever says *dot* spells a name; a full stop may just end a sentence.
        if tokens[index].value.lower() in _TOP_LEVEL or _is_spoken_level(tokens, index):
            last = index
    return last


def _name_end(tokens: Sequence[Token], index: int) -> int:
    """The last token of the name before a spoken *dot*: `blue sky`, `a c m e`; else `index`."""
    at, loose = index, 0
    while at + 1 < len(tokens) and loose <= _LOOSE_NAME_WORDS and tokens[at].value.isalnum():
        if tokens[at + 1].value == "dot":
            return at
        at += 1
        loose += tokens[at].role is Role.WORD
    return index


def _is_spoken_level(tokens: Sequence[Token], index: int) -> bool:
    return tokens[index - 1].value == "dot" and tokens[index].value.isalpha()


def _local_start(tokens: Sequence[Token], at: int) -> int:
    """The first token of what stands before the *at*.

    Letters, digits and what is linked by *dot* belong to it without doubt; of other words a few,
    up to one that introduces an address.
    """
    index, loose = at, 0
    while index > 0 and loose < _LOOSE_WORDS:
        token = tokens[index - 1]
        if token.value in _INTRODUCTIONS or token.value in ("?", "!", ","):
            break
        is_linked = token.value in _LOCAL_LINKS or tokens[index].value in _LOCAL_LINKS
        loose += token.role is Role.WORD and not is_linked
        index -= 1
    return index


def _is_open_local(tokens: Sequence[Token], index: int) -> bool:
    """Whether *john underscore smith* or *john dot smith at* ends the text.

    The rest of an address may follow in the next segment.
    """
    left = len(tokens) - index
    if tokens[index].value in _DOMAIN_LINKS:
        return left == 2 and tokens[-1].role in (Role.WORD, Role.DIGITS, Role.LETTER)
    if left > 1 or tokens[index].value != "at":
        return False
    return any(token.value in _SPELLED for token in tokens[_local_start(tokens, index) : index])


def _coded(tokens: Sequence[Token]) -> Iterator[Place]:
    """Ids in rows of letters and digits, spelled out or written."""
    row: list[tuple[str, Token]] = []
    for token in [*tokens, _END]:
        if token.role in (Role.DIGITS, Role.LETTER) or (
            len(token.value) == 1 and token.value.isalpha()
        ):
            row += [(sign, token) for sign in token.value.upper()]
        elif token.role is Role.WORD:
            yield from _codes_in(row)
            row = []


def _codes_in(row: Sequence[tuple[str, Token]]) -> Iterator[Place]:
    text = "".join(sign for sign, _ in row)
    for index, (sign, token) in enumerate(row):
        if not sign.isalpha():
            continue
        if length := is_bank_account(text[index:]):
            yield Place("bank-account", token.begin, row[index + length - 1][1].end)
        elif found := _NATIONAL_INSURANCE.match(text, index):
            yield Place("national-id", token.begin, row[found.end() - 1][1].end)


_END: Final = Token(Role.WORD, "", 0, 0)
_LOOSE_WORDS: Final = 3

_WRITTEN: Final = re.compile(r"[^\s@<>(),;:]{1,64}@[^\s@<>(),;:]{1,255}\.[^\W\d_]{2,24}")
_NATIONAL_INSURANCE: Final = re.compile(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]")
"""Of the United Kingdom."""

_DOTS: Final = frozenset({"dot", ".", "point"})
_LOCAL_LINKS: Final = frozenset({"dot", "underscore", "dash", "hyphen", "_", "-", ".", "period"})
_DOMAIN_LINKS: Final = frozenset({"underscore", "_"})
_SPELLED: Final = frozenset({"dot", "underscore", "_"})
_AT_SIGNS: Final = frozenset({"sign", "symbol"})
_LOOSE_NAME_WORDS: Final = 2
_PROVIDERS: Final = frozenset(
    {"gmail", "yahoo", "hotmail", "outlook", "icloud", "aol", "protonmail", "comcast", "msn"}
)
_TOP_LEVEL: Final = frozenset(
    {
        *("com", "net", "org", "edu", "gov", "mil", "io", "co", "biz", "info", "me", "us", "uk"),
        *("ca", "au", "de", "fr", "es", "it", "nl", "ch", "at", "be", "ie", "eu", "nz", "in", "ai"),
    }
)
_INTRODUCTIONS: Final = frozenset(
    {
        *("is", "it's", "its", "it", "email", "e-mail", "mail", "address", "that's", "me", "to"),
        *("at", "my", "his", "her", "under", "on", "use", "yes", "yeah", "sure", "and", "okay"),
    }
)
