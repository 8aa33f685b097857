"""Readers of rings. `Feed` and `Books` are the native classes themselves."""

from __future__ import annotations

from earhook._core import Books, Feed

__all__ = ["Books", "Feed", "books_as_json", "in_balance"]


def in_balance(books: Books) -> bool:
    """Whether the law holds: `received = forwarded + buffered + dropped`."""
    dropped = sum(books.dropped.values())
    return books.received == books.forwarded + books.buffered + dropped


def books_as_json(books: Books) -> dict[str, object]:
    """The books as they stand in a `close` frame; of `dropped` and `late`, what is not zero."""
    return {
        "received": books.received,
        "forwarded": books.forwarded,
        "buffered": books.buffered,
        "dropped": {reason: samples for reason, samples in books.dropped.items() if samples},
        **({"late": books.late} if books.late else {}),
    }
