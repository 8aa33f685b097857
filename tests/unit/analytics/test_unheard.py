"""What nobody recognised, whenever it is told of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.analytics.unheard import Unheard

pytestmark = pytest.mark.unit

SPANS = st.tuples(st.integers(0, 200), st.integers(0, 200)).map(sorted)


@given(st.lists(SPANS, max_size=12), SPANS)
def test_the_order_in_which_it_is_told_changes_nothing(
    spans: list[list[int]], place: list[int]
) -> None:
    unheard = Unheard(("external",), 0)
    for start, end in spans:
        unheard.add("external", start, end)
    missed = sum(any(start <= at < end for start, end in spans) for at in range(*place))
    assert unheard.samples("external", *place) == missed


def test_what_comes_before_us_and_who_is_not_recognised_is_unheard() -> None:
    unheard = Unheard(("external",), 100)
    assert unheard.samples("external", 50, 150) == 50
    assert unheard.samples("internal", 50, 150) == 100
