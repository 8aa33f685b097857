"""The ways out of several workers as one list."""

from __future__ import annotations

from typing import Any

from earhook.sinks.base import SinkBooks
from earhook.workers.sinks_together import sinks_together


def sink(books: SinkBooks) -> dict[str, Any]:
    return {
        "name": "pcm-stream",
        "healthy": True,
        "detail": "",
        "calls": 1,
        "books": books.as_json(),
        "counters": {},
        "gauges": {},
        "subscribers": [],
    }


def test_books_add_up_and_what_was_late_is_in_no_other_figure() -> None:
    lossy = SinkBooks(received=100, forwarded=60, buffered=10, dropped={"overrun": 30})
    late = SinkBooks(received=50, forwarded=50, late=700)
    together = sinks_together([(0, sink(lossy)), (1, sink(late)), (2, sink(late))])
    assert together["pcm-stream"]["books"] == {
        "received": 200,
        "forwarded": 160,
        "buffered": 10,
        "dropped": {"overrun": 30},
        "late": 1400,
    }


def test_nothing_late_is_not_spoken_of() -> None:
    books = SinkBooks(received=1, forwarded=1)
    assert "late" not in sinks_together([(0, sink(books)), (1, sink(books))])["pcm-stream"]["books"]
