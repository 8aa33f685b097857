"""What went wrong with AudioHook, as the platform's operational events tell."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from earhook.ops.redaction import printable

from .api import Api
from .errors import AnswerUnreadable
from .json_answer import entities, text_at
from .operations import Operations

__all__ = ["OperationalEvent", "OperationalEvents"]


class OperationalEvent(NamedTuple):
    """One event.

    Attributes:
        code: `AUDIOHOOK-0001` and the like.
        title: What that code means, in the platform's words.
        wall_seconds: When, since the epoch; None: not told.
        entity_id: What it is about, mostly an integration; empty: not told.
        entity_name: Its name.
        conversation_id: In which conversation; empty: in none.
        error_code: More exactly; empty: not told.
        detail: The value that it reports; empty: none.
    """

    code: str
    title: str
    wall_seconds: float | None
    entity_id: str
    entity_name: str
    conversation_id: str
    error_code: str
    detail: str


class OperationalEvents:
    """AUDIOHOOK events of the organization."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._titles: dict[str, str] | None = None

    async def between(
        self, from_wall_seconds: float, to_wall_seconds: float
    ) -> list[OperationalEvent]:
        """Every AUDIOHOOK event of a span of time, oldest first."""
        titles = await self._known()
        if not titles:
            return []
        body = {
            "interval": f"{_iso(from_wall_seconds)}/{_iso(to_wall_seconds)}",
            "eventDefinitionIds": sorted(titles),
            "sortOrder": "ASC",
        }
        found: list[OperationalEvent] = []
        query: dict[str, str | int] = {"pageSize": _PAGE_EVENTS}
        for _ in range(_MAX_PAGES):
            fields = await self._api.ask(Operations.QUERY_EVENTS, query=query, body=body)
            entries = entities(Operations.QUERY_EVENTS.does, fields)
            found += [_read(entry, titles) for entry in entries]
            # Only the cursor is taken out of that address; where to ask stays our decision.
            after = parse_qs(urlsplit(text_at(fields, "nextUri")).query).get("after")
            if not after or not entries:
                return found
            query = {"pageSize": _PAGE_EVENTS, "after": after[0]}
        raise AnswerUnreadable(f"query events: more than {_MAX_PAGES} pages")

    async def _known(self) -> dict[str, str]:
        """The AUDIOHOOK events there are, by code."""
        if self._titles is None:
            operation = Operations.LIST_EVENT_DEFINITIONS
            found = [entry async for entry in self._api.listing(operation)]
            self._titles = {
                text_at(entry, "id"): printable(text_at(entry, "name"), 200)
                for entry in found
                if text_at(entry, "id").startswith(_PREFIX)
            }
        return self._titles


def _read(fields: dict[str, Any], titles: dict[str, str]) -> OperationalEvent:
    code = text_at(fields, "eventDefinition", "id")
    return OperationalEvent(
        code=printable(code, 64),
        title=titles.get(code, ""),
        wall_seconds=_wall_seconds(text_at(fields, "dateCreated")),
        entity_id=printable(text_at(fields, "entityId"), 64),
        entity_name=printable(text_at(fields, "entityName"), 128),
        conversation_id=printable(text_at(fields, "conversation", "id"), 64),
        error_code=printable(text_at(fields, "errorCode"), 64),
        detail=printable(text_at(fields, "currentValue"), 300),
    )


def _iso(wall_seconds: float) -> str:
    text = datetime.fromtimestamp(wall_seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _wall_seconds(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


_PREFIX: Final = "AUDIOHOOK-"
_PAGE_EVENTS: Final = 200
_MAX_PAGES: Final = 50
