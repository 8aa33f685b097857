"""A call that is posted, block by block: to the demo it is like one that comes by WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Final, TypeAlias

from earhook.clock import SystemClock
from earhook.testing.http_sender import HttpSender
from earhook.testing.peer import CallPeer
from earhook.testing.peer_record import PeerRecord
from earhook.testing.peer_session import PeerState
from earhook.testing.peer_setup import CallSetup, MediaChoice
from earhook.testing.sources import Source

__all__ = ["PlacedCall", "PostRefused", "PostedCall"]

BLOCK_SAMPLES: Final = 1600
RATE: Final = 8000
STEREO: Final = MediaChoice(channels=(0, 1))


class PostRefused(ConnectionError):
    """The gateway did not take a block."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"a block was answered {status} {reason}".rstrip())
        self.status = status


@dataclass(slots=True)
class PostedSession:
    """Where a posted call stands; nobody can pause it."""

    state: PeerState = PeerState.OPENING

    @property
    def flowing(self) -> bool:
        """Whether audio goes out."""
        return self.state is PeerState.OPEN

    @property
    def client_paused(self) -> bool:
        """Never."""
        return False

    @property
    def finished(self) -> bool:
        """Whether it is over."""
        return self.state is PeerState.CLOSED


class PostedCall:
    """One call under way: a numbered block of 200 ms every 200 ms, on one connection.

    Attributes:
        setup: Its ids.
        source: What is said.
        record: Figures of the call so far.
        session: Where it stands.
        position: Stream time in samples.
    """

    def __init__(self, url: str, token: str, source: Source, limit_samples: int | None) -> None:
        self.source = source if limit_samples is None else source.limited(limit_samples)
        self.setup = CallSetup()
        self.record = PeerRecord()
        self.session = PostedSession()
        self.position = 0
        self._track = self.source.track(STEREO)
        self._hung_up = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None
        self._sender = HttpSender(
            url=url,
            content_type=f"audio/PCMU;rate={RATE};channels=2",
            token=token,
            session_id=self.setup.session_id,
            headers={
                "Audiohook-Organization-Id": self.setup.organization_id,
                "Audiohook-Conversation-Id": self.setup.conversation_id,
            },
        )

    async def begin(self) -> None:
        """Connect and send the first block. The call then runs by itself.

        Raises:
            PostRefused: The gateway does not want it.
            OSError: Nobody answers there.
            EOFError: The gateway hung up.
        """
        await self._sender.connect()
        began = _CLOCK.monotonic_seconds()
        try:
            await self._send()
        except BaseException:
            await self._sender.close()
            raise
        self.record.opened_seconds = _CLOCK.monotonic_seconds() - began
        self.session.state = PeerState.OPEN
        self._sending = asyncio.create_task(self._run(began))

    def expected_pcm(self, channel: int) -> bytes:
        """16-bit PCM by position from the start."""
        return self.source.pcm(channel, 0, self.position)

    def secure_resume(self) -> None:
        """Nothing was paused."""

    def close(self) -> None:
        """End the call; `finished` tells when it is over."""
        self._hung_up.set()

    async def finished(self) -> PeerRecord:
        """Wait until it is over."""
        if self._sending is not None:
            await asyncio.shield(self._sending)
        return self.record

    async def _run(self, began: float) -> None:
        try:
            while not self._hung_up.is_set() and self._track.left(self.position, 1):
                due = began + self.position / RATE
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, due - _CLOCK.monotonic_seconds())):
                        await self._hung_up.wait()
                if not self._hung_up.is_set():
                    await self._send()
            answer = (await self._sender.end()).json()
            whole = answer.get("total_samples") == self.position and answer.get("ended")
            self.record.outcome = "completed" if whole else "error"
        except (OSError, EOFError) as error:
            self.record.outcome = "lost"
            self.record.objections.append(str(error))
        finally:
            self.session.state = PeerState.CLOSED
            await self._sender.close()

    async def _send(self) -> None:
        """Send the next block. Its position counts from now on: it may arrive before the answer."""
        start, samples = self.position, self._track.left(self.position, BLOCK_SAMPLES)
        block = self._track.read(start, samples)
        self.position += samples
        self.record.count_sent(start, samples)
        self.record.last_frame_seconds = _CLOCK.monotonic_seconds()
        reply = await self._sender.block(block)
        if reply.status == 200:
            return
        refused = PostRefused(reply.status, str(reply.json().get("error", "")))
        if start == 0:
            raise refused
        self.record.objections.append(str(refused))


PlacedCall: TypeAlias = CallPeer | PostedCall
"""A call of the demo, whatever door it takes."""

_CLOCK: Final = SystemClock()
