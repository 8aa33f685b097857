"""The AudioHooks dialect, as a community guide describes it; the vendor's SDK has none of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from earhook.ops.logging import get_logger
from earhook.ops.redaction import printable

from .api import Api
from .conversations import Conversations, ConversationState
from .endpoint import Finding, examine_endpoint
from .errors import (
    AnswerUnreadable,
    ConversationOver,
    NotReached,
    NotThere,
    OutcomeUnknown,
    StateConflict,
)
from .fields import AudioHookWish, require_audiohook
from .json_answer import text_at
from .operations import Operations
from .timing import poll

__all__ = ["AudioHook", "AudioHooks", "Check", "Status"]

Check = Callable[[str], Awaitable[list[Finding]]]
"""Tests an endpoint by its URL."""

Status = Literal["ENABLED", "DISABLED"]


@dataclass(frozen=True, slots=True)
class AudioHook:
    """An AudioHook as Genesys Cloud describes it; its key is never read back.

    Attributes:
        id: Its id.
        name: Its name.
        destination_url: Where audio is posted to.
        format: The codec.
        status: `ENABLED` or `DISABLED`; the platform disables what it cannot reach.
        description: For people.
        reason: Why it is disabled; empty: not told.
    """

    id: str
    name: str
    destination_url: str
    format: str
    status: str
    description: str = ""
    reason: str = ""


class AudioHooks:
    """AudioHooks of the organization.

    Args:
        api: Asks.
        conversations: Knows the state of a conversation before audio is bound to it.
        check: Tests an endpoint as the platform would see it.
    """

    def __init__(
        self, api: Api, conversations: Conversations, check: Check = examine_endpoint
    ) -> None:
        self._api = api
        self._conversations = conversations
        self._check = check

    async def list(self) -> list[AudioHook]:
        """Every AudioHook.

        Raises:
            NotThere: The organization does not have this dialect.
        """
        try:
            return [_read(entry) async for entry in self._api.listing(Operations.LIST_AUDIOHOOKS)]
        except NotThere as error:
            text = "list AudioHooks: this organization does not have them; integrations it has"
            raise NotThere(
                text, status=error.status, code=error.code, correlation_id=error.correlation_id
            ) from None

    async def read(self, audiohook_id: str) -> AudioHook:
        """One of them."""
        return _read(await self._api.ask(Operations.READ_AUDIOHOOK, audiohook_id))

    async def provision(self, wish: AudioHookWish, watch_seconds: float = 90.0) -> AudioHook:
        """Make an AudioHook: created disabled, its endpoint tested, enabled, and watched.

        Raises:
            ConfigurationError: The wish has faults; nothing was made.
            NotReached: The endpoint is not fit, and it stays disabled; or the platform disabled
                it again. The text says why.
            GenesysError: See `Api.ask`.
        """
        made = await self.create(wish)
        return await self.enable(made.id, wish, watch_seconds)

    async def create(self, wish: AudioHookWish) -> AudioHook:
        """Create one, disabled.

        Raises:
            ConfigurationError: The wish has faults; nothing was made.
        """
        # Faults that need no look at the other hooks are told without one.
        require_audiohook(wish)
        before = await self.list()
        require_audiohook(wish, [hook.name for hook in before])
        body = _written(wish, "DISABLED")
        try:
            fields = await self._api.ask(
                Operations.CREATE_AUDIOHOOK, body=body, hidden=_secrets(wish)
            )
            return _read(fields)
        except OutcomeUnknown:
            # The name was free before, so whoever has it now was made by this very request.
            made = [hook for hook in await self.list() if hook.name == wish.name]
            if len(made) != 1:
                raise
            return made[0]

    async def enable(
        self, audiohook_id: str, wish: AudioHookWish, watch_seconds: float = 90.0
    ) -> AudioHook:
        """Test the endpoint, enable, and see whether the platform leaves it so.

        Raises:
            NotReached: See `provision`.
        """
        bad = [one for one in await self._check(wish.destination_url) if not one.is_good]
        if bad:
            why = "; ".join(map(str, bad))
            text = f"enable {wish.name!r} ({audiohook_id}): its endpoint is not fit: {why}"
            raise _not_reached(f"{text}; it stays disabled", "DISABLED")
        await self.write(audiohook_id, wish, "ENABLED")
        return await self.watch(audiohook_id, watch_seconds)

    async def write(self, audiohook_id: str, wish: AudioHookWish, status: Status) -> AudioHook:
        """Write all of an AudioHook anew.

        Raises:
            ConfigurationError: The wish has faults; nothing was sent.
        """
        others = [hook.name for hook in await self.list() if hook.id != audiohook_id]
        require_audiohook(wish, others)
        fields = await self._api.ask(
            Operations.WRITE_AUDIOHOOK,
            audiohook_id,
            body=_written(wish, status),
            hidden=_secrets(wish),
        )
        return _read(fields)

    async def watch(self, audiohook_id: str, within_seconds: float = 90.0) -> AudioHook:
        """See whether an enabled one stays so: the platform checks later, and disables.

        Raises:
            NotReached: It was disabled. The endpoint has been tested again to say why.
        """
        seen = await poll(
            self._api.timing,
            lambda: self.read(audiohook_id),
            lambda hook: hook.status != "ENABLED",
            within_seconds=within_seconds,
            every_seconds=_LOOK_SECONDS,
        )
        if seen.status == "ENABLED":
            return seen
        raise _not_reached(await self.explain(seen), seen.status)

    async def explain(self, hook: AudioHook) -> str:
        """Why the platform disabled an AudioHook, as far as can be told from here."""
        found = await self._check(hook.destination_url)
        bad = "; ".join(str(one) for one in found if not one.is_good)
        said = f"; the platform says: {hook.reason}" if hook.reason else ""
        cause = bad or (
            "from here everything about it is good: is it reachable from the networks of "
            "Genesys Cloud, and is nothing but a public certificate served there?"
        )
        return f"{hook.name!r} was disabled by the platform{said}: {cause}"

    async def delete(self, audiohook_id: str) -> None:
        """Delete one; what is gone already is well."""
        try:
            await self._api.ask(Operations.DELETE_AUDIOHOOK, audiohook_id)
        except NotThere:
            return

    async def bind(
        self,
        conversation_id: str,
        audiohook_id: str,
        *,
        wait_connected_seconds: float = 0.0,
        within_seconds: float = 30.0,
    ) -> ConversationState:
        """Bind an AudioHook to a live conversation, never before it is connected.

        Args:
            conversation_id: Which conversation.
            audiohook_id: Which AudioHook.
            wait_connected_seconds: How long to wait for it to be connected.
            within_seconds: How long conflicts are sat out while it is active.

        Returns:
            Its state when it was bound.

        Raises:
            ConversationOver: It is disconnecting or disconnected.
            NotReached: It is not connected in time.
            StateConflict: The conflict lasts.
        """
        state = await self._connected(conversation_id, wait_connected_seconds)
        clock = self._api.timing.clock
        due = clock.monotonic_seconds() + within_seconds
        body = {"type": "AUDIOHOOK", "audiohookId": audiohook_id}
        while True:
            try:
                await self._api.ask(Operations.BIND, conversation_id, body=body)
            except StateConflict as conflict:
                _LOG.info("genesys.bind_conflict", conversation=conversation_id)
                if clock.monotonic_seconds() >= due:
                    raise StateConflict(
                        f"{conflict}; it is {state} and the conflict has lasted "
                        f"{within_seconds:g} s",
                        status=conflict.status,
                        code=conflict.code,
                        correlation_id=conflict.correlation_id,
                    ) from None
                await self._api.timing.sleep(_CONFLICT_SECONDS)
                # It may have been put back to alerting, as in a transfer.
                left = max(0.0, due - clock.monotonic_seconds())
                state = await self._connected(conversation_id, left)
            else:
                return state

    async def _connected(self, conversation_id: str, within_seconds: float) -> ConversationState:
        state = await poll(
            self._api.timing,
            lambda: self._conversations.state(conversation_id),
            lambda seen: seen.has_audio or seen.is_over,
            within_seconds=within_seconds,
        )
        if state.is_over:
            over = ConversationOver(
                f"bind to {conversation_id}: the conversation is {state}; nothing can be bound "
                "to it any more"
            )
            over.state = state
            raise over
        if not state.has_audio:
            text = f"bind to {conversation_id}: the conversation is {state}, not connected"
            raise _not_reached(f"{text}; wait for it to be connected", state)
        return state


def _written(wish: AudioHookWish, status: Status) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": wish.name,
        "description": wish.description,
        "destinationUrl": wish.destination_url,
        "format": wish.format,
        "status": status,
    }
    if wish.encryption_key is not None:
        fields["encryptionKey"] = wish.encryption_key.reveal()
    return fields


def _secrets(wish: AudioHookWish) -> tuple[str, ...]:
    return () if wish.encryption_key is None else (wish.encryption_key.reveal(),)


def _read(fields: dict[str, Any]) -> AudioHook:
    found = text_at(fields, "id")
    if not found:
        raise AnswerUnreadable("read an AudioHook: the answer names no id")
    return AudioHook(
        id=found,
        name=text_at(fields, "name"),
        destination_url=text_at(fields, "destinationUrl"),
        format=text_at(fields, "format"),
        status=text_at(fields, "status").upper(),
        description=text_at(fields, "description"),
        reason=printable(text_at(fields, "statusReason"), 300),
    )


def _not_reached(text: str, state: str) -> NotReached:
    error = NotReached(text)
    error.state = state
    return error


_LOOK_SECONDS: Final = 2.0
_CONFLICT_SECONDS: Final = 1.0
_LOG: Final = get_logger(__name__)
