"""Conversations of the fake: their life, what is bound to them, whether they are recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from .asked import Asked, Route
from .call_stream import Destination
from .organization import Conversation, LifeCycle, Organization, new_id
from .refusal import Refusal
from .streams import Streams

__all__ = ["Destinations", "FakeConversations"]

MOST_LIVE: Final = 20
MOST_BOUND: Final = 5
MOST_ENDED: Final = 200
"""So many conversations that are over are still known."""
_CONVERSATION = "/api/v2/conversations/conversations/{id}"
_RECORDING = "/api/v2/conversations/calls/{id}/recordingstate"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where audio may go, as the dialects know it.

    Attributes:
        is_monitored: Whether calls of a queue go to the Monitor integrations.
        monitors: Those integrations.
        of_audiohook: That of an AudioHook, by its id; None while it is not enabled.
    """

    is_monitored: Callable[[str], bool]
    monitors: Callable[[], list[Destination]]
    of_audiohook: Callable[[str], Destination | None]


class FakeConversations:
    """Conversations between a customer and an agent, who both speak all the time.

        conversation = fake.conversations.begin(queue_id)
        fake.conversations.connect(conversation)     # audio flows, if the queue is monitored
        ...
        fake.conversations.disconnect(conversation)  # streams are ended politely

    Whoever binds does it by the API. All of it needs a running loop.
    """

    def __init__(
        self, organization: Organization, streams: Streams, destinations: Destinations
    ) -> None:
        self._organization = organization
        self._streams = streams
        self._destinations = destinations

    def begin(self, queue_id: str = "", state: LifeCycle = LifeCycle.ALERTING) -> Conversation:
        """A customer calls.

        Args:
            queue_id: Through which queue; empty: none.
            state: `CONNECTED` is as if `connect` followed at once. Other states are set and no
                more: no audio flows.

        Raises:
            Refusal: There is no such queue, or too many live conversations.
        """
        if queue_id and queue_id not in self._organization.queues:
            raise Refusal(404, "not.found", "The requested queue was not found.")
        self._forget_old()
        known = self._organization.conversations
        if sum(one.state is not LifeCycle.DISCONNECTED for one in known.values()) >= MOST_LIVE:
            raise Refusal(400, "limit.exceeded", f"{MOST_LIVE} conversations are live already.")
        is_connected = state is LifeCycle.CONNECTED
        conversation = Conversation(
            state=LifeCycle.ALERTING if is_connected else state, queue_id=queue_id
        )
        known[conversation.id] = conversation
        if is_connected:
            self.connect(conversation)
        return conversation

    def connect(self, conversation: Conversation) -> None:
        """An agent answers. If its queue is monitored, audio flows to each active integration.

        Raises:
            Refusal: It is not alerting.
        """
        self._move(conversation, LifeCycle.ALERTING, LifeCycle.CONNECTED)
        if self._destinations.is_monitored(conversation.queue_id):
            for destination in self._destinations.monitors():
                self._stream(conversation, destination)

    def hold(self, conversation: Conversation) -> None:
        """The agent puts the customer on hold; audio goes on, as it does on the platform.

        Raises:
            Refusal: It is not connected.
        """
        self._move(conversation, LifeCycle.CONNECTED, LifeCycle.HELD)

    def retrieve(self, conversation: Conversation) -> None:
        """The agent takes the customer back.

        Raises:
            Refusal: It is not held.
        """
        self._move(conversation, LifeCycle.HELD, LifeCycle.CONNECTED)

    def disconnect(self, conversation: Conversation) -> None:
        """Somebody hangs up: it is disconnecting until its last stream has ended.

        Nothing happens when it is disconnecting or disconnected already.
        """
        if conversation.state in _ENDING:
            return
        conversation.state = LifeCycle.DISCONNECTING
        for stream in self._streams.live(conversation.id):
            stream.close()
        self._settle(conversation)

    def record(self, conversation: Conversation, state: str) -> None:
        """Set the recording state: `PAUSED` pauses every stream, `ACTIVE` resumes it.

        Raises:
            Refusal: No such state, or the conversation is over.
        """
        if state not in {"ACTIVE", "PAUSED"}:
            raise Refusal(400, "invalid.value", "The recording state is unknown.")
        if conversation.state is LifeCycle.DISCONNECTED:
            raise Refusal(409, "general.conflict", "The conversation is over.")
        conversation.recording = state
        for stream in self._streams.live(conversation.id):
            if state == "PAUSED":
                stream.pause()
            else:
                stream.resume()

    def find(self, conversation_id: str) -> Conversation:
        """One of them.

        Raises:
            Refusal: There is none of that id.
        """
        return Asked(conversation_id, {}, {}, "").find(
            self._organization.conversations, "conversation"
        )

    def routes(self) -> list[Route]:
        """What is answered here."""
        read, bind = ("conversation.read",), ("audiohook:create",)
        return [
            Route("GET", _CONVERSATION, self._read, scopes=read),
            Route("POST", f"{_CONVERSATION}/events", self._bind, scopes=bind),
            Route("PUT", _RECORDING, self._record),
        ]

    async def _read(self, asked: Asked) -> Json:
        return self.find(asked.subject).as_json()

    async def _bind(self, asked: Asked) -> Json:
        conversation = self.find(asked.subject)
        hook_id = asked.body.get("audiohookId")
        if asked.body.get("type") != "AUDIOHOOK" or hook_id not in self._organization.audiohooks:
            raise Refusal(400, "bad.request", "The event is invalid.")
        if conversation.conflicts:
            conversation.conflicts -= 1
            raise Refusal(409, "general.conflict", "The conversation is being changed.")
        if conversation.state not in {LifeCycle.CONNECTED, LifeCycle.HELD}:
            raise Refusal(409, "general.conflict", "The conversation is not connected.")
        if len(conversation.bound) >= MOST_BOUND:
            raise Refusal(400, "limit.exceeded", "Too many AudioHooks are bound already.")
        conversation.bound.append(hook_id)
        destination = self._destinations.of_audiohook(hook_id)
        if destination is not None:
            self._stream(conversation, destination)
        return {"id": new_id(), "type": "AUDIOHOOK", "audiohookId": hook_id}

    async def _record(self, asked: Asked) -> None:
        self.record(self.find(asked.subject), str(asked.body.get("recordingState")))

    def _stream(self, conversation: Conversation, destination: Destination) -> None:
        self._streams.begin(conversation, destination, lambda: self._settle(conversation))

    def _settle(self, conversation: Conversation) -> None:
        is_ending = conversation.state is LifeCycle.DISCONNECTING
        if is_ending and not self._streams.live(conversation.id):
            conversation.state = LifeCycle.DISCONNECTED

    def _forget_old(self) -> None:
        known = self._organization.conversations
        over = [id_ for id_, one in known.items() if one.state is LifeCycle.DISCONNECTED]
        for conversation_id in over[: max(0, len(over) - MOST_ENDED)]:
            del known[conversation_id]
            self._streams.forget(conversation_id)

    @staticmethod
    def _move(conversation: Conversation, present: LifeCycle, next_state: LifeCycle) -> None:
        if conversation.state is not present:
            text = f"The conversation is {conversation.state}, not {present}."
            raise Refusal(409, "general.conflict", text)
        conversation.state = next_state


_ENDING = frozenset({LifeCycle.DISCONNECTING, LifeCycle.DISCONNECTED})
