"""Operational events of the fake, and the query for them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from earhook.clock import Clock

from .asked import Asked, Route, page_of
from .organization import Organization
from .refusal import Refusal

__all__ = ["OperationsLog"]

_BASE = "/api/v2/usage/events"
_MOST_EVENTS = 200
Json = dict[str, Any]


class OperationsLog:
    """Writes events and finds them again."""

    def __init__(self, organization: Organization, clock: Clock) -> None:
        self._organization = organization
        self._clock = clock
        organization.event_definitions += [
            {"id": "AUDIOHOOK-0001", "name": "AudioHook integration error"},
            {"id": "OTHER-0001", "name": "Something else"},
        ]

    def write(self, code: str, entity_id: str, entity_name: str, value: str) -> None:
        """Something happened now."""
        at = datetime.fromtimestamp(self._clock.wall_seconds(), UTC)
        self._organization.events.append(
            {
                "eventDefinition": {"id": code},
                "entityId": entity_id,
                "entityName": entity_name,
                "currentValue": value,
                "dateCreated": at.isoformat(),
            }
        )

    def routes(self) -> list[Route]:
        """What is answered here."""
        view = ("usage:events:view",)
        return [
            Route("GET", f"{_BASE}/definitions", self._definitions, view),
            Route("POST", f"{_BASE}/query", self._query, view),
        ]

    async def _definitions(self, asked: Asked) -> Json:
        return page_of(asked, self._organization.event_definitions)

    async def _query(self, asked: Asked) -> Json:
        try:
            since, until = map(datetime.fromisoformat, asked.body["interval"].split("/"))
            after = int(asked.query.get("after", "0"))
            size = min(int(asked.query.get("pageSize", "25")), _MOST_EVENTS)
        except (KeyError, ValueError):
            raise Refusal(400, "bad.request", "The interval or the page is invalid.") from None
        wanted = asked.body.get("eventDefinitionIds")
        found = [
            event
            for event in self._organization.events
            if since <= datetime.fromisoformat(event["dateCreated"]) < until
            and (not wanted or event["eventDefinition"]["id"] in wanted)
        ]
        answer: Json = {"entities": found[after : after + size]}
        if after + size < len(found):
            answer["nextUri"] = f"{_BASE}/query?pageSize={size}&after={after + size}"
        return answer
