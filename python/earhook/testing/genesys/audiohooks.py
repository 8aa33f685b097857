"""The AudioHooks dialect of the fake, conversations and queues."""

from __future__ import annotations

from typing import Any

from .asked import Asked, Route, page_of
from .health import Endpoint, Health
from .operations_log import OperationsLog
from .organization import Conversation, LifeCycle, Organization, new_id
from .refusal import Refusal

__all__ = ["FakeAudioHooks", "FakeConversations", "FakeQueues"]

_BASE = "/api/v2/audiohooks"
_CONVERSATION = "/api/v2/conversations/conversations/{id}"
_RECORDING = "/api/v2/conversations/calls/{id}/recordingstate"
_OURS = frozenset({"id", "selfUri", "memberCount"})
"""Fields of a queue that only the platform writes."""
_QUEUE = "/api/v2/routing/queues/{id}"
Json = dict[str, Any]


class FakeAudioHooks:
    """AudioHooks; enabled ones are looked at a while later, and disabled if they are not fit."""

    def __init__(self, organization: Organization, health: Health, log: OperationsLog) -> None:
        self._organization = organization
        self._health = health
        self._log = log

    def routes(self) -> list[Route]:
        """What is answered here."""
        create, read = ("audiohook:create",), ("audiohook:read",)
        return [
            Route("GET", _BASE, self._list, scopes=read),
            Route("POST", _BASE, self._create, scopes=create),
            Route("GET", f"{_BASE}/{{id}}", self._read, scopes=read),
            Route("PUT", f"{_BASE}/{{id}}", self._write, scopes=create),
            Route("DELETE", f"{_BASE}/{{id}}", self._delete, scopes=create),
        ]

    async def _list(self, asked: Asked) -> Json:
        return page_of(asked, [_shown(one) for one in self._organization.audiohooks.values()])

    async def _create(self, asked: Asked) -> Json:
        return self._keep(new_id(), asked.body)

    async def _read(self, asked: Asked) -> Json:
        return _shown(asked.find(self._organization.audiohooks, "AudioHook"))

    async def _write(self, asked: Asked) -> Json:
        asked.find(self._organization.audiohooks, "AudioHook")
        return self._keep(asked.subject, asked.body)

    async def _delete(self, asked: Asked) -> None:
        asked.find(self._organization.audiohooks, "AudioHook")
        self._health.forget(asked.subject)
        del self._organization.audiohooks[asked.subject]

    def _keep(self, hook_id: str, body: Json) -> Json:
        name, url = body.get("name"), str(body.get("destinationUrl", ""))
        others = {
            one["name"] for id_, one in self._organization.audiohooks.items() if id_ != hook_id
        }
        if not name or name in others:
            raise Refusal(400, "bad.request", "The name is missing or taken.")
        if not url.startswith("https://") or body.get("format") not in {"OPUS", "PCMU"}:
            # As above: what was sent is shown.
            raise Refusal(400, "bad.request", f"The AudioHook is invalid: {body}")
        hook = {**body, "id": hook_id}
        self._organization.audiohooks[hook_id] = hook
        if hook.get("status") == "ENABLED":
            self._health.expect(hook_id, Endpoint(url), lambda reason: self._conclude(hook, reason))
        else:
            self._health.forget(hook_id)
        return _shown(hook)

    def _conclude(self, hook: Json, reason: str) -> None:
        if reason:
            hook["status"], hook["statusReason"] = "DISABLED", reason
            self._log.write("AUDIOHOOK-0001", hook["id"], hook["name"], reason)


class FakeConversations:
    """Conversations: read, recording state, binding."""

    def __init__(self, organization: Organization) -> None:
        self._organization = organization

    def routes(self) -> list[Route]:
        """What is answered here."""
        read, bind = ("conversation.read",), ("audiohook:create",)
        return [
            Route("GET", _CONVERSATION, self._read, scopes=read),
            Route("POST", f"{_CONVERSATION}/events", self._bind, scopes=bind),
            Route("PUT", _RECORDING, self._record),
        ]

    async def _read(self, asked: Asked) -> Json:
        return self._found(asked).as_json()

    async def _bind(self, asked: Asked) -> Json:
        conversation = self._found(asked)
        hook_id = asked.body.get("audiohookId")
        if asked.body.get("type") != "AUDIOHOOK" or hook_id not in self._organization.audiohooks:
            raise Refusal(400, "bad.request", "The event is invalid.")
        if conversation.conflicts:
            conversation.conflicts -= 1
            raise Refusal(409, "general.conflict", "The conversation is being changed.")
        if conversation.state not in {LifeCycle.CONNECTED, LifeCycle.HELD}:
            raise Refusal(409, "general.conflict", "The conversation is not connected.")
        conversation.bound.append(hook_id)
        return {"id": new_id(), "type": "AUDIOHOOK", "audiohookId": hook_id}

    async def _record(self, asked: Asked) -> None:
        conversation = self._found(asked)
        state = asked.body.get("recordingState")
        if state not in {"ACTIVE", "PAUSED"}:
            raise Refusal(400, "invalid.value", "The recording state is unknown.")
        if conversation.state is LifeCycle.DISCONNECTED:
            raise Refusal(409, "general.conflict", "The conversation is over.")
        conversation.recording = state

    def _found(self, asked: Asked) -> Conversation:
        return asked.find(self._organization.conversations, "conversation")


class FakeQueues:
    """Queues and the published networks."""

    def __init__(self, organization: Organization) -> None:
        self._organization = organization

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


def _shown(hook: Json) -> Json:
    """An AudioHook as it is read: without its key."""
    return {key: value for key, value in hook.items() if key != "encryptionKey"}
