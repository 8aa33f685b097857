"""Conversations: what state one is in, and whether it is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from .api import Api
from .errors import AnswerUnreadable
from .json_answer import text_at
from .operations import Operations

__all__ = ["ConversationState", "Conversations"]


class ConversationState(StrEnum):
    """Where a conversation is in its life."""

    ALERTING = "alerting"
    CONNECTED = "connected"
    HELD = "held"
    DISCONNECTING = "disconnecting"
    DISCONNECTED = "disconnected"

    @property
    def has_audio(self) -> bool:
        """Whether audio can be bound to it."""
        return self in {ConversationState.CONNECTED, ConversationState.HELD}

    @property
    def is_over(self) -> bool:
        """Whether nothing comes any more."""
        return self in {ConversationState.DISCONNECTING, ConversationState.DISCONNECTED}


class Conversations:
    """Conversations of the organization."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def state(self, conversation_id: str) -> ConversationState:
        """Where a conversation is in its life.

        Raises:
            NotThere: There is no such conversation.
        """
        fields = await self._api.ask(Operations.READ_CONVERSATION, conversation_id)
        return read_state(fields)

    async def pause_recording(self, conversation_id: str) -> None:
        """Pause recording, as before a card number: AudioHook streams pause with it."""
        await self._set_recording(conversation_id, "PAUSED")

    async def resume_recording(self, conversation_id: str) -> None:
        """Go on recording."""
        await self._set_recording(conversation_id, "ACTIVE")

    async def _set_recording(
        self, conversation_id: str, state: Literal["ACTIVE", "PAUSED"]
    ) -> None:
        body = {"recordingState": state}
        await self._api.ask(Operations.SET_RECORDING, conversation_id, body=body)


def read_state(fields: dict[str, Any]) -> ConversationState:
    """The state of a conversation as the API describes it: by itself, or by its parties' calls.

    Raises:
        AnswerUnreadable: It describes none.
    """
    told = text_at(fields, "state").lower()
    if told:
        state = _STATES.get(told)
        if state is None:
            raise AnswerUnreadable("read a conversation: its state is none that we know")
        return state
    if text_at(fields, "endTime"):
        return ConversationState.DISCONNECTED
    calls = list(_calls(fields))
    if not calls:
        raise AnswerUnreadable("read a conversation: it has neither a state nor a call")
    live = [call for call in calls if call.state not in _ENDED]
    if not live:
        return ConversationState.DISCONNECTED
    if any(call.is_caller for call in calls) and not any(call.is_caller for call in live):
        return ConversationState.DISCONNECTING
    connected = [call for call in live if call.state == "connected"]
    if len(connected) < _PARTIES:
        return ConversationState.ALERTING
    is_held = any(call.is_held for call in connected)
    return ConversationState.HELD if is_held else ConversationState.CONNECTED


class _Call(NamedTuple):
    state: str
    is_held: bool
    is_caller: bool


def _calls(fields: dict[str, Any]) -> Iterator[_Call]:
    participants = fields.get("participants")
    for participant in participants if isinstance(participants, list) else []:
        calls = participant.get("calls") if isinstance(participant, dict) else None
        for call in calls if isinstance(calls, list) else []:
            if isinstance(call, dict):
                is_caller = text_at(participant, "purpose").lower() in _CALLERS
                is_held = call.get("held") is True
                yield _Call(text_at(call, "state").lower(), is_held, is_caller)


_STATES = {
    **{state.value: state for state in ConversationState},
    "dialing": ConversationState.ALERTING,
    "contacting": ConversationState.ALERTING,
    "offering": ConversationState.ALERTING,
    "active": ConversationState.CONNECTED,
    "terminated": ConversationState.DISCONNECTED,
}
_ENDED = frozenset({"disconnected", "terminated"})
_CALLERS = frozenset({"customer", "external"})
_PARTIES = 2
