"""What an organization of the fake consists of. Tests read it and change it as they like."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = [
    "ALL_PERMISSIONS",
    "Conversation",
    "LifeCycle",
    "OAuthClient",
    "Organization",
    "new_id",
]

ALL_PERMISSIONS = frozenset(
    {
        "integrations:integration:view",
        "integrations:integration:add",
        "integrations:integration:edit",
        "integrations:integration:delete",
        "routing:queue:view",
        "routing:queue:edit",
        "usage:events:view",
    }
)
ALL_SCOPES = frozenset({"audiohook:create", "audiohook:read", "conversation.read"})


def new_id() -> str:
    """An id as the platform makes them."""
    return str(uuid.uuid4())


@dataclass(slots=True)
class OAuthClient:
    """An OAuth client of the grant type *Client Credentials*.

    Attributes:
        id: Its id.
        secret: Its secret.
        permissions: What its roles permit.
        scopes: What its tokens may be used for.
        is_enabled: A disabled one cannot log in.
    """

    id: str = "fake-client"
    secret: str = field(default="fake-secret", repr=False)
    permissions: frozenset[str] = ALL_PERMISSIONS
    scopes: frozenset[str] = ALL_SCOPES
    is_enabled: bool = True


class LifeCycle(StrEnum):
    """Where a conversation is in its life."""

    ALERTING = "alerting"
    CONNECTED = "connected"
    HELD = "held"
    DISCONNECTING = "disconnecting"
    DISCONNECTED = "disconnected"


@dataclass(slots=True)
class Conversation:
    """A conversation between a customer and an agent.

    Attributes:
        id: Its id.
        state: Where it is in its life; `FakeConversations` moves it, or whoever plays the platform.
        queue_id: The queue that it came through; empty: none.
        customer_id: Id of the customer as a participant.
        agent_id: Id of the agent.
        ani: Who calls.
        dnis: Whom.
        recording: `ACTIVE`, `PAUSED` or `NONE`.
        bound: Ids of the AudioHooks that are bound to it.
        conflicts: So many attempts to bind are answered 409 before one is taken.
    """

    id: str = field(default_factory=new_id)
    state: LifeCycle = LifeCycle.ALERTING
    queue_id: str = ""
    customer_id: str = field(default_factory=new_id)
    agent_id: str = field(default_factory=new_id)
    ani: str = "tel:+15550100"
    dnis: str = "+15550199"
    recording: str = "ACTIVE"
    bound: list[str] = field(default_factory=list)
    conflicts: int = 0

    def as_json(self) -> dict[str, Any]:
        """The conversation as the API describes it."""
        customer, agent = _CALLS[self.state]
        held = self.state is LifeCycle.HELD
        return {
            "id": self.id,
            "recordingState": self.recording,
            "participants": [
                {
                    "id": self.customer_id,
                    "purpose": "customer",
                    "queueId": self.queue_id,
                    "calls": [{"state": customer, "held": False}],
                },
                {
                    "id": self.agent_id,
                    "purpose": "agent",
                    "queueId": self.queue_id,
                    "calls": [{"state": agent, "held": held}],
                },
            ],
        }


@dataclass(slots=True)
class Organization:
    """Everything that the fake knows, by id; `id` is its own."""

    id: str = field(default_factory=new_id)
    clients: dict[str, OAuthClient] = field(default_factory=dict)
    integrations: dict[str, dict[str, Any]] = field(default_factory=dict)
    configurations: dict[str, dict[str, Any]] = field(default_factory=dict)
    credentials: dict[str, dict[str, Any]] = field(default_factory=dict)
    audiohooks: dict[str, dict[str, Any]] = field(default_factory=dict)
    conversations: dict[str, Conversation] = field(default_factory=dict)
    queues: dict[str, dict[str, Any]] = field(default_factory=dict)
    ip_ranges: list[dict[str, str]] = field(default_factory=list)
    event_definitions: list[dict[str, str]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)


_CALLS = {
    LifeCycle.ALERTING: ("connected", "alerting"),
    LifeCycle.CONNECTED: ("connected", "connected"),
    LifeCycle.HELD: ("connected", "connected"),
    LifeCycle.DISCONNECTING: ("disconnected", "connected"),
    LifeCycle.DISCONNECTED: ("disconnected", "disconnected"),
}
