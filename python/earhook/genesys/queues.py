"""Queues: whether audio of their calls is monitored."""

from __future__ import annotations

from .api import Api
from .operations import Operations

__all__ = ["Queues"]


class Queues:
    """Queues of the organization."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def is_monitored(self, queue_id: str) -> bool:
        """Whether calls of a queue go to the Monitor integrations."""
        fields = await self._api.ask(Operations.READ_QUEUE, queue_id)
        return fields.get("enableAudioMonitoring") is True

    async def set_monitored(self, queue_id: str, *, monitored: bool) -> bool:
        """Switch it; everything else about the queue is written back as it was read.

        The API has no versions of a queue: what somebody else changes between our reading and
        our writing is lost.

        Returns:
            Whether it had to be changed.
        """
        fields = await self._api.ask(Operations.READ_QUEUE, queue_id)
        if (fields.get("enableAudioMonitoring") is True) == monitored:
            return False
        kept = {key: value for key, value in fields.items() if key not in _WRITTEN_BY_THEM}
        body = {**kept, "enableAudioMonitoring": monitored}
        await self._api.ask(Operations.WRITE_QUEUE, queue_id, body=body)
        return True


_WRITTEN_BY_THEM = frozenset(
    {
        *("id", "selfUri", "dateCreated", "dateModified", "createdBy", "modifiedBy"),
        *("memberCount", "userMemberCount", "joinedMemberCount"),
    }
)
