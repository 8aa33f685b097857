"""Queues of the fake, and the published networks."""

from __future__ import annotations

from typing import Any

from .asked import Asked, Route
from .organization import Organization, new_id
from .refusal import Refusal

__all__ = ["FakeQueues"]

_OURS = frozenset({"id", "selfUri", "memberCount"})
"""Fields of a queue that only the platform writes."""
_QUEUE = "/api/v2/routing/queues/{id}"
Json = dict[str, Any]


class FakeQueues:
    """Queues and the published networks."""

    def __init__(self, organization: Organization) -> None:
        self._organization = organization

    def add(self, name: str) -> str:
        """Make a queue that is not monitored. Returns its id."""
        made_id = new_id()
        self._organization.queues[made_id] = {
            "id": made_id,
            "name": name,
            "enableAudioMonitoring": False,
        }
        return made_id

    def is_monitored(self, queue_id: str) -> bool:
        """Whether calls of a queue go to the Monitor integrations."""
        queue = self._organization.queues.get(queue_id, {})
        return queue.get("enableAudioMonitoring") is True

    def routes(self) -> list[Route]:
        """What is answered here."""
        return [
            Route("GET", _QUEUE, self._read, ("routing:queue:view",)),
            Route("PUT", _QUEUE, self._write, ("routing:queue:edit",)),
            Route("GET", "/api/v2/ipranges", self._networks),
        ]

    async def _read(self, asked: Asked) -> Json:
        return asked.find(self._organization.queues, "queue")

    async def _write(self, asked: Asked) -> Json:
        found = asked.find(self._organization.queues, "queue")
        if "name" not in asked.body:
            raise Refusal(400, "bad.request", "A queue has a name.")
        if _OURS.intersection(asked.body):
            raise Refusal(400, "bad.request", "A field of a queue is read-only.")
        kept: Json = {key: found[key] for key in _OURS if key in found}
        found.clear()
        found.update({**asked.body, **kept})
        return found

    async def _networks(self, _asked: Asked) -> Json:
        return {"entities": self._organization.ip_ranges}
