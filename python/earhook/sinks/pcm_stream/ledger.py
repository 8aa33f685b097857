"""The books of the sink: which consumers read which call, and what became of its samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from earhook.media.feed import Books
from earhook.sinks.base import LiveCall, SinkBooks

__all__ = ["Ledger"]

Reader = TypeVar("Reader")
Place = TypeVar("Place")


class Ledger(Generic[Reader, Place]):
    """One page per call that can still be read. A call is settled as soon as it has ended and
    nobody reads it any more; who resumes it afterwards only counts in the total.

    Args:
        sink_name: What calls are settled under.
    """

    def __init__(self, sink_name: str) -> None:
        self._sink_name = sink_name
        self._pages: dict[LiveCall, _Page[Reader, Place]] = {}
        self._total = SinkBooks()

    @property
    def calls(self) -> Iterator[LiveCall]:
        """The calls that can be read, in the order in which they opened."""
        return iter(list(self._pages))

    @property
    def busy_calls(self) -> int:
        """Calls that somebody reads."""
        return sum(1 for page in self._pages.values() if page.readers)

    @property
    def total(self) -> SinkBooks:
        """The books of all readers that have left, as a copy."""
        books = SinkBooks()
        books.merge(self._total)
        return books

    def call_books(self, call: LiveCall) -> SinkBooks | None:
        """The books of those that have read a call and left, as a copy; None without a page."""
        page = self._pages.get(call)
        if page is None:
            return None
        books = SinkBooks()
        books.merge(page.books)
        return books

    def open(self, call: LiveCall) -> None:
        """Begin a page."""
        self._pages[call] = _Page()

    def readers(self, call: LiveCall) -> Mapping[Reader, Place]:
        """Who reads a call, and under what."""
        page = self._pages.get(call)
        return {} if page is None else dict(page.readers)

    def join(self, call: LiveCall, reader: Reader, place: Place) -> None:
        """Somebody begins to read a call that has a page."""
        self._pages[call].readers[reader] = place

    def leave(self, call: LiveCall, reader: Reader, books: Books | None) -> None:
        """Somebody has stopped; None if the reader never began."""
        page = self._pages.get(call)
        if books is not None:
            self._total.merge(books)
        if page is None or page.readers.pop(reader, None) is None:
            return
        if books is not None:
            page.books.merge(books)
        self._settle_if_done(call, page)

    def end(self, call: LiveCall) -> None:
        """A call has ended."""
        page = self._pages.get(call)
        if page is not None:
            page.has_ended = True
            self._settle_if_done(call, page)

    def forget(self, call: LiveCall) -> None:
        """Tear a page out, once nobody reads the call."""
        self._pages.pop(call, None)

    def _settle_if_done(self, call: LiveCall, page: _Page[Reader, Place]) -> None:
        if page.has_ended and not page.readers and not page.is_settled:
            page.is_settled = True
            # A copy: whoever resumes the call later still adds to the page.
            books = SinkBooks()
            books.merge(page.books)
            call.settle(self._sink_name, books)


class _Page(Generic[Reader, Place]):
    __slots__ = ("books", "has_ended", "is_settled", "readers")

    def __init__(self) -> None:
        self.readers: dict[Reader, Place] = {}
        self.books = SinkBooks()
        self.has_ended = False
        self.is_settled = False
