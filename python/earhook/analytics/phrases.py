"""Phrases as rules, lexicon and redaction write them, and finding them in a stream of words.

A phrase is words with a few signs:

    this call may be recorded       these words in this order; case and punctuation do not matter
    record*                         any word that begins so
    please?                         a word that may be missing
    [call|line|conversation]        one of them; each may be several words
    [on the|a]?                     one of them, or none
    ...                             up to four words of any kind; `...8`: up to eight

A phrase is found word by word, so it makes no difference how speech is cut into segments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

from .words import words_of

__all__ = ["Found", "PhraseBook", "PhraseError", "PhraseListener"]

Label = TypeVar("Label")
Element = TypeVar("Element")


class PhraseError(ValueError):
    """A phrase that cannot be read; the text says why."""


class Found(NamedTuple, Generic[Label]):
    """A phrase that was said, from its first word to its last, as numbers of words."""

    label: Label
    first: int
    last: int


@dataclass(slots=True)
class _Node:
    """Where a phrase can be, between two of its words."""

    phrase: int
    steps: list[tuple[str, bool, _Node]] = field(default_factory=list)
    """Word, whether it is a prefix, and where it leads to."""
    shortcuts: list[_Node] = field(default_factory=list)
    is_end: bool = False
    reach: tuple[_Node, ...] = ()
    """This node and all that shortcuts lead to."""


class PhraseBook(Generic[Label]):
    """Phrases with what they stand for. Immutable once made; serves any number of listeners."""

    def __init__(self, phrases: Iterable[tuple[str, Label]]) -> None:
        """Read the phrases.

        Raises:
            PhraseError: For the first that cannot be read.
        """
        self.labels: list[Label] = []
        self._firsts: dict[str, list[_Node]] = {}
        self._prefixed: list[tuple[str, _Node]] = []
        for text, label in phrases:
            start = _compile(text, len(self.labels))
            self.labels.append(label)
            for node in start.reach:
                for word, is_prefix, target in node.steps:
                    if is_prefix:
                        self._prefixed.append((word, target))
                    else:
                        self._firsts.setdefault(word, []).append(target)

    def listener(self) -> PhraseListener[Label]:
        """For one stream of words."""
        return PhraseListener(self)

    def find(self, words: Iterable[str]) -> list[Found[Label]]:
        """All that is in these words, and in nothing before them."""
        listener = self.listener()
        return [found for word in words for found in listener.hear(word)]

    def begun_by(self, word: str) -> list[_Node]:
        """Where phrases are after their first word."""
        begun = list(self._firsts.get(word, ()))
        begun += [target for start, target in self._prefixed if word.startswith(start)]
        return begun


class PhraseListener(Generic[Label]):
    """Finds the phrases of a book in words that come one by one."""

    def __init__(self, book: PhraseBook[Label]) -> None:
        self._book = book
        self._count = 0
        self._under_way: dict[int, tuple[_Node, int]] = {}
        """By node: the node, and the number of the word that the phrase began with."""

    @property
    def count(self) -> int:
        """How many words were heard: the number of the next one."""
        return self._count

    def hear(self, word: str) -> list[Found[Label]]:
        """The phrases that this word completes. Finds of one phrase do not overlap."""
        number = self._count
        self._count += 1
        reached: dict[int, tuple[_Node, int]] = {}
        for node, first in self._under_way.values():
            for wanted, is_prefix, target in node.steps:
                if word.startswith(wanted) if is_prefix else word == wanted:
                    _reach(reached, target, first)
        for target in self._book.begun_by(word):
            _reach(reached, target, number)
        ended = {node.phrase: first for node, first in reached.values() if node.is_end}
        self._under_way = (
            {key: one for key, one in reached.items() if one[0].phrase not in ended}
            if ended
            else reached
        )
        return [
            Found(self._book.labels[phrase], first, number)
            for phrase, first in sorted(ended.items())
        ]

    def forget(self) -> None:
        """What comes next belongs to nothing that was said before."""
        self._under_way = {}


def _reach(reached: dict[int, tuple[_Node, int]], target: _Node, first: int) -> None:
    for node in target.reach:
        known = reached.get(id(node))
        if known is None or first < known[1]:
            reached[id(node)] = (node, first)


def _compile(text: str, phrase: int) -> _Node:
    """The first node of a phrase."""
    nodes = [_Node(phrase)]
    end = nodes[0]
    for item in _items(text):
        end = _append(nodes, end, item)
    end.is_end = True
    places = 0
    for node in nodes:
        node.reach = _closure(node)
        places += len(node.reach)
        if places > _MOST_PLACES:
            raise PhraseError("can be said in too many ways; leave out some `...` or `?`")
    if any(node.is_end for node in nodes[0].reach):
        raise PhraseError("every word of it may be missing")
    if any(not word for node in nodes[0].reach for word, _, _ in node.steps):
        raise PhraseError("begins with `...`, which says nothing; leave it out")
    return nodes[0]


class _Item(NamedTuple):
    choices: Sequence[Sequence[tuple[str, bool]]]
    may_be_missing: bool
    any_words: int


def _append(nodes: list[_Node], start: _Node, item: _Item) -> _Node:
    """Nodes for one item behind `start`; where it ends."""
    end = _Node(start.phrase)
    if item.may_be_missing:
        start.shortcuts.append(end)
    for choice in item.choices:
        here = start
        for number, (word, is_prefix) in enumerate(choice, 1):
            there = end if number == len(choice) else _Node(start.phrase)
            here.steps.append((word, is_prefix, there))
            if there is not end:
                nodes.append(there)
            here = there
    here = start
    for _ in range(item.any_words):
        there = _Node(start.phrase)
        here.steps.append(("", True, there))
        here.shortcuts.append(end)
        nodes.append(there)
        here = there
    if item.any_words:
        here.shortcuts.append(end)
    nodes.append(end)
    return end


def _closure(node: _Node) -> tuple[_Node, ...]:
    found = {id(node): node}
    waiting = [node]
    while waiting:
        for other in waiting.pop().shortcuts:
            if id(other) not in found:
                found[id(other)] = other
                waiting.append(other)
    return tuple(found.values())


def _items(text: str) -> list[_Item]:
    items: list[_Item] = []
    position = 0
    text = text.strip()
    while position < len(text):
        match = _ITEM.match(text, position)
        if match is None:
            rest = text[position : position + 20]
            raise PhraseError(f"cannot be read from {rest!r} on")
        position = match.end()
        items.append(_item(match))
    while items and items[-1].any_words:  # a phrase ends with its last word, not after it
        raise PhraseError("ends with `...`, which says nothing; leave it out")
    if not items:
        raise PhraseError("is empty")
    return items


def _item(match: re.Match[str]) -> _Item:
    if match["gap"]:
        length = int(match["length"] or _GAP_WORDS)
        if not 0 < length <= _MOST_GAP_WORDS:
            raise PhraseError(f"`...{length}`: a gap has 1 to {_MOST_GAP_WORDS} words")
        return _Item((), may_be_missing=True, any_words=length)
    inside = match["choices"] if match["choices"] is not None else match["word"]
    choices = [_choice(one) for one in inside.split("|")]
    if not all(choices):
        raise PhraseError(f"`{match.group().strip()}`: a choice without a word")
    return _Item(
        choices, may_be_missing=bool(match["optional"] or match["optional_word"]), any_words=0
    )


def _choice(text: str) -> list[tuple[str, bool]]:
    words: list[tuple[str, bool]] = []
    for part in text.split():
        is_prefix = part.endswith("*")
        plain = [word for word, _, _ in words_of(part)]
        if is_prefix and len(plain) != 1:
            raise PhraseError(f"`{part}`: letters belong before `*`")
        words += [(word, is_prefix) for word in plain]
    return words


_GAP_WORDS: Final = 4
_MOST_GAP_WORDS: Final = 20
_MOST_PLACES: Final = 500
"""What a word may cost at each place of a phrase, together; a phrase of rules has twenty."""
_ITEM: Final = re.compile(
    r"(?P<gap>\.\.\.(?P<length>\d+)?)(?:\s+|$)"
    r"|\[(?P<choices>[^\[\]]*)\](?P<optional>\?)?(?:\s+|$)"
    r"|(?P<word>[^\s\[\]|?*]+\*?)(?P<optional_word>\?)?(?:\s+|$)"
)
