"""Operational events of the fake, and the query for them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from earhook.clock import Clock

from .asked import Asked, Route, page_of
from .organization import Organization
from .refusal import Refusal

__all__ = ["ENDED_EARLY", "NOT_FIT", "NO_CONNECTION", "OperationsLog"]

# All but their prefix is the fake's own: no public page lists the codes.
NOT_FIT = "AUDIOHOOK-0001"
NO_CONNECTION = "AUDIOHOOK-0002"
ENDED_EARLY = "AUDIOHOOK-0003"

_BASE = "/api/v2/usage/events"
_MOST_EVENTS = 200
_KEPT_EVENTS = 10_000
Json = dict[str, Any]


class OperationsLog:
    """Writes events and finds them again."""

    def __init__(self, organization: Organization, clock: Clock) -> None:
        self._organization = organization
        self._clock = clock
        organization.event_definitions += [
            {"id": NOT_FIT, "name": "AudioHook integration error"},
            {"id": NO_CONNECTION, "name": "AudioHook session could not be established"},
            {"id": ENDED_EARLY, "name": "AudioHook session ended before the conversation"},
            {"id": "OTHER-0001", "name": "Something else"},
        ]

    def write(
        self, code: str, entity: tuple[str, str], value: str, *, conversation_id: str = ""
    ) -> None:
        """Something happened now.

        Args:
            code: What kind of event.
            entity: Id and name of what it is about.
            value: What it reports.
            conversation_id: In which conversation; empty: in none.
        """
        entity_id, entity_name = entity
        at = datetime.fromtimestamp(self._clock.wall_seconds(), UTC)
        self._organization.events.append(
            {
                "eventDefinition": {"id": code},
                "entityId": entity_id,
                "entityName": entity_name,
                "currentValue": value,
                "dateCreated": at.isoformat(),
                **({"conversation": {"id": conversation_id}} if conversation_id else {}),
            }
        )
        del self._organization.events[:-_KEPT_EVENTS]

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
