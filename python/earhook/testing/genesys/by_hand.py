"""Playing the platform over HTTP: `/fake/…`, which no Genesys Cloud has.

For `earhook genesys fake`. No token is asked for: the fake is on loopback, and pages that a
browser shows are refused by their `Origin`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from .asked import Asked, Route
from .call_stream import CallStream
from .conversations import FakeConversations
from .organization import Conversation, LifeCycle, Organization
from .queues import FakeQueues
from .refusal import Refusal
from .streams import Streams

__all__ = ["ByHand"]

_CONVERSATIONS = "/fake/conversations"
Json = dict[str, Any]
Answer: TypeAlias = Callable[[Asked], Awaitable[Json | None]]


class ByHand:
    """Begins and moves conversations, makes queues, shows what is streamed."""

    def __init__(
        self,
        organization: Organization,
        conversations: FakeConversations,
        queues: FakeQueues,
        streams: Streams,
    ) -> None:
        self._organization = organization
        self._conversations = conversations
        self._queues = queues
        self._streams = streams

    def routes(self) -> list[Route]:
        """What is answered here."""
        play = self._conversations
        moves: dict[str, Callable[[Conversation], None]] = {
            "connect": play.connect,
            "hold": play.hold,
            "retrieve": play.retrieve,
            "disconnect": play.disconnect,
            "pause": lambda conversation: play.record(conversation, "PAUSED"),
            "resume": lambda conversation: play.record(conversation, "ACTIVE"),
        }
        return [
            Route("GET", _CONVERSATIONS, self._list),
            Route("POST", _CONVERSATIONS, self._begin),
            Route("GET", f"{_CONVERSATIONS}/{{id}}", self._read),
            *(
                Route("POST", f"{_CONVERSATIONS}/{{id}}/{name}", self._moving(move))
                for name, move in moves.items()
            ),
            Route("GET", "/fake/queues", self._list_queues),
            Route("POST", "/fake/queues", self._add_queue),
        ]

    async def _list(self, _asked: Asked) -> Json:
        known = self._organization.conversations.values()
        return {"entities": [self._shown(one) for one in known]}

    async def _read(self, asked: Asked) -> Json:
        return self._shown(self._conversations.find(asked.subject))

    async def _begin(self, asked: Asked) -> Json:
        state = asked.body.get("state", LifeCycle.ALERTING)
        if state not in {LifeCycle.ALERTING, LifeCycle.CONNECTED}:
            raise Refusal(400, "invalid.value", "A conversation begins alerting or connected.")
        queue_id = str(asked.body.get("queueId", ""))
        return self._shown(self._conversations.begin(queue_id, LifeCycle(state)))

    def _moving(self, move: Callable[[Conversation], None]) -> Answer:
        async def answer(asked: Asked) -> Json:
            conversation = self._conversations.find(asked.subject)
            move(conversation)
            return self._shown(conversation)

        return answer

    async def _list_queues(self, _asked: Asked) -> Json:
        return {"entities": list(self._organization.queues.values())}

    async def _add_queue(self, asked: Asked) -> Json:
        queue_id = self._queues.add(str(asked.body.get("name", "Queue")))
        return self._organization.queues[queue_id]

    def _shown(self, conversation: Conversation) -> Json:
        return {
            "id": conversation.id,
            "state": conversation.state,
            "queueId": conversation.queue_id,
            "recordingState": conversation.recording,
            "streams": [_stream(one) for one in self._streams.of(conversation.id)],
        }


def _stream(stream: CallStream) -> Json:
    failure = stream.failure
    return {
        "of": stream.destination.owner_name,
        "url": stream.destination.endpoint.url,
        "sessionId": stream.setup.session_id,
        "position": stream.position,
        "samplesSent": stream.record.samples_sent,
        "isPaused": stream.is_paused,
        "isOver": stream.is_over,
        "failure": "" if failure is None else failure.reason,
    }
