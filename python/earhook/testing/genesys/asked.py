"""A request to the fake, after the gate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from .refusal import Refusal

__all__ = ["Asked", "Route", "page_of"]

Json = dict[str, Any]
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for.

    Attributes:
        subject: The id in the path; empty: there is none.
        query: The query.
        body: The JSON object that was sent; empty: none.
        path: The path, for addresses of further pages.
    """

    subject: str
    query: Mapping[str, str]
    body: Json
    path: str

    def find(self, among: Mapping[str, Found], what: str) -> Found:
        """What the path names.

        Raises:
            Refusal: 404.
        """
        if self.subject not in among:
            raise Refusal(404, "not.found", f"The requested {what} was not found.")
        return among[self.subject]


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of request and what it needs.

    Attributes:
        method: The HTTP method.
        path: With `{id}` where the id is.
        answer: Answers it; None is 204.
        permissions: One of them is needed.
        scopes: One of them is needed.
    """

    method: str
    path: str
    answer: Callable[[Asked], Awaitable[Json | None]]
    permissions: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


def page_of(asked: Asked, entries: Sequence[Json]) -> Json:
    """One page of a listing, as the query asks for it."""
    size = min(int(asked.query.get("pageSize", "25")), 100)
    number = int(asked.query.get("pageNumber", "1"))
    pages = max(1, -(-len(entries) // size))
    listing: Json = {
        "entities": list(entries[(number - 1) * size : number * size]),
        "pageSize": size,
        "pageNumber": number,
        "pageCount": pages,
        "total": len(entries),
        "selfUri": f"{asked.path}?pageSize={size}&pageNumber={number}",
    }
    if number < pages:
        listing["nextUri"] = f"{asked.path}?pageSize={size}&pageNumber={number + 1}"
    return listing
