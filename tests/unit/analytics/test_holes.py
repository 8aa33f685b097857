"""What was not heard, told between the words where it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.analytics.holes import Holes

pytestmark = pytest.mark.unit


def test_pieces_that_join_are_one_and_are_told_once_in_their_turn() -> None:
    holes = Holes()
    for start in range(0, 8000, 1600):
        holes.add("external", start, start + 1600)
    holes.add("external", 16_000, 24_000)
    holes.add("internal", 0, 100)
    assert holes.take("external", 7999) == []
    assert holes.take("external", 8000) == [(0, 8000)]
    assert holes.take("external", 8000) == []
    assert holes.take("external") == [(16_000, 24_000)]
    assert holes.take("internal") == [(0, 100)]


@given(
    st.lists(st.tuples(st.integers(0, 99), st.integers(1, 20)), max_size=20), st.integers(0, 120)
)
def test_nothing_is_lost_and_nothing_told_twice(pieces: list[tuple[int, int]], at: int) -> None:
    holes = Holes()
    for start, length in pieces:
        holes.add("external", start, start + length)
    first, rest = holes.take("external", at), holes.take("external")
    assert first == sorted(first)
    assert all(end <= at for _, end in first)
    assert all(end > at for _, end in rest)
    wanted = {place for start, length in pieces for place in range(start, start + length)}
    assert {place for start, end in first + rest for place in range(start, end)} == wanted
