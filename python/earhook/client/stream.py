"""The stream that a program reads: one queue, whatever connections feed it."""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from earhook.errors import CommandRefused
from earhook.media.stream import CONNECTION

from .conversation import CommandResult, Conversation
from .items import Block, Call, CallClosed, CallOpened, Gap, Item
from .link import Link
from .memory import Memories, Memory
from .progress import Progress
from .settings import StreamSettings

__all__ = ["Stream"]

ACK_SECONDS: Final = 1.0
COMMAND_SECONDS: Final = 10.0
ORPHAN_SECONDS: Final = 60.0
"""How long a gateway that dialled us may stay away before its calls are given up."""
WORKER_LOST: Final = "worker_lost"
"""Why a call was closed that nobody in the gateway knows any more."""
ITEM_BYTES: Final = 256
"""What an item counts against `buffer_bytes` besides its samples."""
PLAY_SAMPLES: Final = 64_000
"""Of one `play` command, so that it fits into the longest frame that a consumer may send."""


RESULTS: Final = "results"
RESULT_ENTRIES: Final = 25
"""Of one `results` command, so that the longest entries fit into one frame."""


class Stream:
    """Items of all calls, in order, for one reader. Made by `connect` and `serve`.

    Use it as `async with … as stream`, then `async for item in stream`. Entering waits for the
    first connection (`serve`: until it listens). The iteration ends when the stream does.

    A program that is slow loses nothing at once: what it has not taken waits here up to
    `buffer_bytes`, then in the gateway's rings; what these cannot hold becomes gaps.
    """

    def __init__(
        self,
        settings: StreamSettings,
        run: Callable[[Stream], Coroutine[Any, Any, None]],
        *,
        several: bool,
    ) -> None:
        self.settings = settings
        self.address = ""
        """Where it listens or what it dials; with the port that the system chose."""
        self._run = run
        self._several = several
        self._memories = Memories(several=several)
        self._links: set[Link] = set()
        self._open: dict[Call, Progress] = {}
        self._queue: deque[Item] = deque()
        self._queued_bytes = 0
        self._is_held = False
        self._waiter: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._ack_timer: asyncio.TimerHandle | None = None
        self._pending: dict[int, tuple[Link, Call, asyncio.Future[CommandResult]]] = {}
        self._last_command = 0

    async def __aenter__(self) -> Self:
        """Begin.

        Raises:
            StreamRefused: The gateway does not want us, and would not if asked again.
            StreamError: The other side does not speak this stream.
            OSError: There is no connection and `give_up_seconds` are over, or it cannot listen.
        """
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        self._task = asyncio.create_task(self._run(self))
        self._task.add_done_callback(self._on_done)
        self._schedule_acks()
        try:
            await asyncio.wait([self._ready, self._task], return_when=asyncio.FIRST_COMPLETED)
            if self._task.done():
                self._task.result()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """End."""
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        """The next item.

        Raises:
            StreamRefused, StreamError, OSError: As on entering, once all items are taken.
        """
        while not self._queue:
            if self._task is None or self._task.done():
                self._raise_end()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        item = self._queue.popleft()
        self._queued_bytes -= _bytes_of(item)
        self._note_consumed(item)
        if self._is_held and self._queued_bytes <= self.settings.buffer_bytes // 2:
            self._regulate()
        return item

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that are open now."""
        return tuple(self._open)

    @property
    def connections(self) -> int:
        """Connections that are up and have carried out our wishes."""
        return sum(1 for link in self._links if link.conversation.is_subscribed)

    async def close(self) -> None:
        """Close all connections and end the iteration. What is in the queue can be taken still."""
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for link in list(self._links):
            link.close()
            await link.closed.wait()

    async def pause(self, call: Call) -> None:
        """Ask the peer to stop the audio of a call; returns when the gateway has passed it on.

        Raises:
            CommandRefused: It cannot be done; the text says why. So do all that follow.
        """
        await self._command(call, "pause", {})

    async def resume(self, call: Call) -> None:
        """Take back our pause."""
        await self._command(call, "resume", {})

    async def disconnect(
        self,
        call: Call,
        reason: str = "completed",
        *,
        info: str | None = None,
        output_variables: Mapping[str, str] | None = None,
    ) -> None:
        """End the session of a call; the conversation itself goes on.

        Args:
            call: Which.
            reason: `completed`, `error` or `unauthorized`.
            info: Shown to administrators of the peer; nothing personal.
            output_variables: Handed to the flow (Audio Connector only).
        """
        body: dict[str, Any] = {"reason": reason}
        if info is not None:
            body["info"] = info
        if output_variables is not None:
            body["output_variables"] = dict(output_variables)
        await self._command(call, "disconnect", body)

    async def send_event(self, call: Call, entities: Sequence[Mapping[str, Any]]) -> None:
        """Relay entities, such as transcripts, to the peer.

        Args:
            call: Which.
            entities: Objects with `type` and `data`, in the peer's wire form.
        """
        await self._command(call, "event", {"entities": list(entities)})

    async def play(self, call: Call, samples: npt.NDArray[np.int16] | bytes) -> None:
        """Let the caller hear audio (Audio Connector only).

        Args:
            call: Which.
            samples: 16-bit PCM, one channel, at the call's rate.
        """
        pcm = np.frombuffer(samples, "<i2") if isinstance(samples, bytes) else samples
        for start in range(0, len(pcm), PLAY_SAMPLES):
            part = pcm[start : start + PLAY_SAMPLES].astype("<i2").tobytes()
            await self._command(call, "play", {"audio": base64.b64encode(part).decode()})

    async def barge_in(self, call: Call) -> None:
        """Drop what is queued to be played (Audio Connector only)."""
        await self._command(call, "barge_in", {})

    async def finish(self, call: Call) -> None:
        """Say that no events follow, once a `closing` event has asked for what is left."""
        await self._command(call, "finish", {})

    async def results(self, call: Call, entries: Sequence[Mapping[str, Any]]) -> None:
        """Say what listening has found out: every sink and every other consumer is told.

        Also of a call that has ended a moment ago, for as long as the gateway's ring is (2 s by
        default).

        Args:
            call: Which.
            entries: Objects with `type` (`transcript`, `sentiment`, `hit`, `analysis`),
                `position` and `details`.
        """
        for start in range(0, len(entries), RESULT_ENTRIES):
            await self._command(call, RESULTS, {"entries": entries[start : start + RESULT_ENTRIES]})

    def new_link(self) -> Link:
        """A protocol for one more connection."""
        return Link(Conversation(self.settings, self._memories), self)

    def is_ready(self) -> None:
        """Whoever enters the stream need not wait any longer."""
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    def linked(self, link: Link) -> None:
        """A connection is there (`LinkOwner`)."""
        self._links.add(link)

    def accept(self, link: Link, item: Item | CommandResult) -> None:
        """Something has come (`LinkOwner`)."""
        if isinstance(item, CommandResult):
            pending = self._pending.get(item.id)
            if pending is not None and not pending[2].done():
                pending[2].set_result(item)
            return
        if isinstance(item, CallOpened) and link.conversation.memory is not None:
            progress = link.conversation.memory.calls[item.call.session_id.lower()]
            self._open[item.call] = progress
        self._put(item)

    def settled(self, link: Link) -> None:
        """The items of one read are in the queue (`LinkOwner`)."""
        if link.conversation.is_subscribed and not self._several:
            self.is_ready()
        self._wake()
        self._regulate()

    def unlinked(self, link: Link) -> None:
        """A connection is gone (`LinkOwner`)."""
        self._links.discard(link)
        for owner, _, answer in self._pending.values():
            if owner is link and not answer.done():
                answer.set_exception(CommandRefused("the connection was lost before the answer"))
        memory = link.conversation.memory
        if self._several and memory is not None and memory.calls:
            loop = asyncio.get_running_loop()
            loop.call_later(ORPHAN_SECONDS, self._give_up_orphans, memory)

    def _give_up_orphans(self, memory: Memory) -> None:
        """A gateway that dialled us has not come back: its calls are over."""
        if any(link.conversation.memory is memory for link in self._links):
            return
        for progress in self._memories.forget(memory):
            for item in progress.lost():
                self._put(item)
        self._wake()

    def _put(self, item: Item) -> None:
        if isinstance(item, CallClosed):
            self._open.pop(item.call, None)
            if item.reason == WORKER_LOST:
                self._fail_commands(item.call)
        kind = type(item)
        if kind is Block or (self.settings.gaps if kind is Gap else self.settings.events):
            self._queue.append(item)
            self._queued_bytes += _bytes_of(item)

    def _fail_commands(self, call: Call) -> None:
        """Whoever would have answered is gone."""
        for _, asked_of, answer in self._pending.values():
            if asked_of is call and not answer.done():
                answer.set_exception(CommandRefused("the call was lost before the answer"))

    async def _command(self, call: Call, word: str, body: Mapping[str, Any]) -> None:
        link, number = self._way_to(call, even_closed=word == RESULTS)
        if number == CONNECTION:
            body = {"session": call.session_id, **body}
        self._last_command = identifier = self._last_command + 1
        answer: asyncio.Future[CommandResult] = asyncio.get_running_loop().create_future()
        self._pending[identifier] = (link, call, answer)
        link.conversation.command(number, identifier, word, body)
        link.flush()
        # The answer comes behind audio: a full queue must not keep us from reading it.
        self._regulate()
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                result = await answer
        except TimeoutError:
            text = f"the gateway has not answered within {COMMAND_SECONDS:g} s"
            raise CommandRefused(text) from None
        finally:
            del self._pending[identifier]
            self._regulate()
        if not result.ok:
            raise CommandRefused(result.message)

    def _way_to(self, call: Call, *, even_closed: bool) -> tuple[Link, int]:
        for link in self._links:
            number = link.conversation.number_of(call)
            if number is not None:
                return link, number
        for link in self._links:
            if even_closed and link.conversation.has_had(call):
                return link, CONNECTION
        raise CommandRefused("the call is not open on any connection")

    def _note_consumed(self, item: Item) -> None:
        if isinstance(item, Block | Gap) and (progress := self._open.get(item.call)) is not None:
            samples = item.samples if isinstance(item, Gap) else len(item.samples)
            progress.lanes[item.channel].consumed = item.position + samples

    def _regulate(self) -> None:
        """Read connections only while there is room, or somebody waits for an answer."""
        has_room = self._queued_bytes < self.settings.buffer_bytes or bool(self._pending)
        self._is_held = not has_room
        for link in self._links:
            link.read(wanted=has_room or not link.conversation.is_subscribed)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _schedule_acks(self) -> None:
        self._ack_timer = asyncio.get_running_loop().call_later(ACK_SECONDS, self._acknowledge)

    def _acknowledge(self) -> None:
        self._schedule_acks()
        for link in self._links:
            link.conversation.acknowledge()
            link.flush()

    def _on_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            # Marks it as seen: who iterates gets it, and a stream that nobody reads is no fault.
            task.exception()
        self._wake()

    def _raise_end(self) -> None:
        if self._task is not None and not self._task.cancelled():
            error = self._task.exception()
            if error is not None:
                raise error
        raise StopAsyncIteration


def _bytes_of(item: Item) -> int:
    return ITEM_BYTES + (item.samples.nbytes if isinstance(item, Block) else 0)
