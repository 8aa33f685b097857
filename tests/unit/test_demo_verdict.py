"""The demo judges its own consumers; whoever else listens to it is no fault of its books."""

from __future__ import annotations

from typing import Any

import pytest

from earhook.demo.verdict import BookRow
from earhook.sinks.base import SinkBooks

CAME_IN = 1000


@pytest.mark.parametrize(
    ("sink", "books", "balances"),
    [
        ("recording", {"received": 1000, "forwarded": 1000}, True),
        ("recording", {"received": 2000, "forwarded": 2000}, False),
        ("recording", {"received": 1000, "forwarded": 900, "dropped": {"overrun": 100}}, False),
        ("pcm-stream", {"received": 1000, "forwarded": 1000}, True),
        ("pcm-stream", {"received": 1000, "forwarded": 900, "dropped": {"overrun": 100}}, False),
        ("pcm-stream", {"received": 900, "forwarded": 900, "late": 100}, False),
        # A stranger that came late, and one that did not read.
        ("pcm-stream", {"received": 1300, "forwarded": 1300, "late": 700}, True),
        ("pcm-stream", {"received": 2000, "forwarded": 1300, "dropped": {"overrun": 700}}, True),
        ("pcm-stream", {"received": 2000, "forwarded": 1300}, False),
    ],
)
def test_a_row(sink: str, books: dict[str, Any], *, balances: bool) -> None:
    assert BookRow(1, CAME_IN, sink, SinkBooks(**books)).balances is balances


def test_each_of_our_consumers_has_had_all_of_it() -> None:
    books = SinkBooks(received=1999, forwarded=1999)
    assert not BookRow(1, CAME_IN, "pcm-stream", books, consumers=2).balances
    books = SinkBooks(received=2000, forwarded=2000)
    assert BookRow(1, CAME_IN, "pcm-stream", books, consumers=2).balances
