"""Every stream of the fake: which conversation's audio is on its way where."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from earhook.testing.peer_setup import CallSetup
from earhook.testing.sources import Source

from .call_stream import CallStream, Destination, Failure, Way
from .operations_log import OperationsLog
from .organization import Conversation
from .posted_stream import PostedStream
from .socket_stream import SocketStream

__all__ = ["Streams"]

STOP_SECONDS: Final = 2.0


class Streams:
    """Begins streams, passes wishes on to them, and tells the log how they ended.

    Args:
        organization_id: Of all calls.
        log: Where failures become operational events.

    Attributes:
        way: How audio travels.
        source_of: What is spoken in a conversation; by default it is different in each, and a
            receiver that loses, swaps or mixes up samples cannot look right.
    """

    def __init__(self, organization_id: str, log: OperationsLog) -> None:
        self._organization_id = organization_id
        self._log = log
        self._streams: dict[str, list[CallStream]] = {}
        self._running: set[asyncio.Task[None]] = set()
        self.way = Way()
        self.source_of: Callable[[Conversation], Source] = lambda one: Source.random(one.id)

    def of(self, conversation_id: str) -> list[CallStream]:
        """The streams of a conversation in the order in which they began, ended ones included."""
        return list(self._streams.get(conversation_id, ()))

    def live(self, conversation_id: str) -> list[CallStream]:
        """Those that have not ended."""
        return [one for one in self.of(conversation_id) if not one.is_over]

    def begin(
        self, conversation: Conversation, destination: Destination, ended: Callable[[], None]
    ) -> CallStream:
        """Begin to stream the audio of a conversation; it goes on by itself.

        Args:
            conversation: Whose.
            destination: Where to.
            ended: Called when it is over, however it ended.
        """
        setup = CallSetup(
            organization_id=self._organization_id,
            conversation_id=conversation.id,
            participant_id=conversation.customer_id,
            ani=conversation.ani,
            dnis=conversation.dnis,
        )
        is_socket = destination.endpoint.url.startswith(("ws://", "wss://"))
        kind = SocketStream if is_socket else PostedStream
        stream = kind(setup, self.source_of(conversation), destination, replace(self.way))
        if conversation.recording == "PAUSED":
            stream.pause()
        self._streams.setdefault(conversation.id, []).append(stream)
        task = asyncio.get_running_loop().create_task(self._carry(stream, ended))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return stream

    def withdraw(self, owner_id: str) -> None:
        """End what goes out on behalf of an integration or an AudioHook."""
        for streams in self._streams.values():
            for stream in streams:
                if stream.destination.owner_id == owner_id:
                    stream.close()

    def forget(self, conversation_id: str) -> None:
        """Nobody asks for its streams any more."""
        self._streams.pop(conversation_id, None)

    async def stop(self) -> None:
        """End all of them: politely, and after a while without asking."""
        for streams in self._streams.values():
            for stream in streams:
                stream.close()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _carry(self, stream: CallStream, ended: Callable[[], None]) -> None:
        failure: Failure | None = None
        try:
            with contextlib.suppress(asyncio.CancelledError):
                failure = stream.failure = await stream.run()
        finally:
            stream.is_over = True
            if failure is not None:
                self._report(stream, failure)
            ended()

    def _report(self, stream: CallStream, failure: Failure) -> None:
        destination = stream.destination
        self._log.write(
            failure.code,
            (destination.owner_id, destination.owner_name),
            failure.reason,
            conversation_id=stream.setup.conversation_id,
        )
        destination.look_again()
