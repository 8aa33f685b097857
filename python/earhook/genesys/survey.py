"""The state of everything that has to do with AudioHook, as the platform reports it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from earhook.errors import GenesysError

from .cloud import GenesysCloud
from .events import OperationalEvent
from .integrations import MOST_MONITORS, Integration

__all__ = ["Survey", "survey"]

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Survey:
    """What was seen.

    Attributes:
        sections: Rows of `integrations`, `audiohooks`, `queues`, `events`. A row has `works`:
            False is what is enabled and does not work, None what is not enabled, or not judged yet.
        unseen: Why a section is missing, by its name.
    """

    sections: dict[str, list[Row]]
    unseen: dict[str, str]

    @property
    def is_well(self) -> bool:
        """Whether something was seen, and nothing of it is enabled without working."""
        rows = [row for section in self.sections.values() for row in section]
        return bool(self.sections) and not any(row.get("works") is False for row in rows)

    @property
    def room_for_integrations(self) -> int | None:
        """How many Monitor integrations there may be yet; None: they were not seen."""
        rows = self.sections.get("integrations")
        return None if rows is None else max(0, MOST_MONITORS - len(rows))


async def survey(
    cloud: GenesysCloud, now: float, *, hours: float, queue_ids: Iterable[str] = ()
) -> Survey:
    """Look at everything; what may not be seen is named.

    Args:
        cloud: The organization.
        now: The time, in seconds since the epoch.
        hours: Events of so long ago.
        queue_ids: Queues to look at.

    Raises:
        LoginRefused: Nothing may be seen at all.
    """
    await cloud.log_in()
    views: dict[str, Callable[[], Awaitable[list[Row]]]] = {
        "integrations": lambda: _integrations(cloud),
        "audiohooks": lambda: _audiohooks(cloud),
        "events": lambda: _events(cloud, now - hours * 3600, now),
    }
    if wanted := list(queue_ids):
        views["queues"] = lambda: _queues(cloud, wanted)
    sections: dict[str, list[Row]] = {}
    unseen: dict[str, str] = {}
    for name, view in views.items():
        try:
            sections[name] = await view()
        except GenesysError as error:
            unseen[name] = str(error)
    return Survey(sections, unseen)


def event_row(one: OperationalEvent) -> Row:
    """An event as it is shown."""
    return {
        "id": one.entity_id,
        "title": one.entity_name,
        "state": one.code,
        "reason": one.detail or one.title,
        "at": one.wall_seconds,
        "conversation": one.conversation_id,
    }


async def _integrations(cloud: GenesysCloud) -> list[Row]:
    rows = []
    for one in await cloud.integrations.list():
        configuration = one.configuration
        rows.append(
            {
                "id": one.id,
                "title": one.name,
                "state": one.reported_state,
                "intended": one.intended_state,
                "reported_at": one.reported_at,
                "reason": one.reason,
                "url": configuration.connection_uri if configuration else "",
                "channel": configuration.channel if configuration else "",
                "works": _works(one),
            }
        )
    return rows


def _works(one: Integration) -> bool | None:
    # What is on its way is neither: its verdict comes.
    if one.intended_state != "ENABLED" or one.reported_state == "ACTIVATING":
        return None
    return one.reported_state == "ACTIVE"


async def _audiohooks(cloud: GenesysCloud) -> list[Row]:
    return [
        {
            "id": one.id,
            "title": one.name,
            "state": one.status,
            "reason": one.reason,
            "url": one.destination_url,
            "channel": one.format,
            # Disabled with a reason: the platform did it.
            "works": False if one.reason else True if one.status == "ENABLED" else None,
        }
        for one in await cloud.audiohooks.list()
    ]


async def _queues(cloud: GenesysCloud, queue_ids: list[str]) -> list[Row]:
    rows = []
    for queue_id in queue_ids:
        is_monitored = await cloud.queues.is_monitored(queue_id)
        state = "MONITORED" if is_monitored else "NOT MONITORED"
        reason = "" if is_monitored else "it shall be: apply switches it on"
        rows.append(
            {"id": queue_id, "title": "", "state": state, "reason": reason, "works": is_monitored}
        )
    return rows


async def _events(cloud: GenesysCloud, since: float, until: float) -> list[Row]:
    return [event_row(one) for one in await cloud.events.between(since, until)]
