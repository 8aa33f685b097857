"""A stream over HTTPS POST: what an AudioHook sends, in numbered blocks on one connection.

No public page says how the platform frames, encrypts or authorises such requests. Here it is as
`docs/reference/ingest.md` has it: RFC 8188 with the AudioHook's name as key id, a bearer token.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from earhook.clock import SystemClock
from earhook.testing.http_sender import HttpSender, SenderReply
from earhook.testing.opus_source import CLOCK, PACKET_SAMPLES, OpusPackets, OpusTrack
from earhook.testing.payload_key import PayloadKey
from earhook.testing.peer_record import PeerRecord
from earhook.testing.peer_setup import CallSetup, MediaChoice
from earhook.testing.sources import Source, Track

from .call_stream import CallStream, Destination, Failure, Way
from .operations_log import ENDED_EARLY, NO_CONNECTION

__all__ = ["PostedStream"]

RATE: Final = 8000
ANSWER_SECONDS: Final = 10.0
"""Also for the connection. Audio that is not answered so long loses the stream."""
TRIES: Final = 3
MOST_WAIT_SECONDS: Final = 2.0
"""Between two tries, whatever `Retry-After` says."""
KEY_ID_CHARACTERS: Final = 64
Delivery: TypeAlias = Callable[[], Awaitable[SenderReply]]


class PostedStream(CallStream):
    """A session in blocks. A pause sends nothing: the next block's position says how long it was.

    Attributes:
        opus: The packets that go out; None: PCMU, out of `source`.
    """

    def __init__(
        self, setup: CallSetup, source: Source, destination: Destination, way: Way
    ) -> None:
        super().__init__(setup, source, destination, way)
        self.opus: OpusTrack | None = None
        if destination.format == "OPUS":
            self.opus = OpusPackets.speech().track(setup.conversation_id)
        self._track: Track = self.source.track(MediaChoice())
        samples = way.pace.frame_samples
        packets = max(1, samples // PACKET_SAMPLES)
        self._block_samples = samples if self.opus is None else packets * PACKET_SAMPLES
        self._record = PeerRecord()
        self._position = 0
        self._sequence = 0
        self._marked_at = 0.0
        self._closing = asyncio.Event()
        self._sender = HttpSender(
            url=destination.endpoint.url,
            content_type=_content_type(self.opus),
            token=way.token or None,
            session_id=setup.session_id,
            headers={
                "Audiohook-Organization-Id": setup.organization_id,
                "Audiohook-Conversation-Id": setup.conversation_id,
                "Audiohook-Correlation-Id": setup.session_id,
            },
            key=_key(destination),
            tls=way.trust,
        )

    @property
    def position(self) -> int:
        """See `CallStream`."""
        return self._position

    @property
    def record(self) -> PeerRecord:
        """See `CallStream`."""
        return self._record

    async def run(self) -> Failure | None:
        """See `CallStream`."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._sender.connect()
        except (OSError, ValueError) as error:
            return Failure(NO_CONNECTION, f"no connection: {_text(error)}")
        try:
            return await self._post()
        except (OSError, EOFError) as error:
            return Failure(ENDED_EARLY, f"the connection was lost: {_text(error)}")
        except (ValueError, IndexError, asyncio.LimitOverrunError):
            return Failure(ENDED_EARLY, "what is answered cannot be read")
        finally:
            self._sender.connection.abort()

    def close(self) -> None:
        """See `CallStream`."""
        self._closing.set()

    async def _post(self) -> Failure | None:
        pace = self.way.pace
        began = self._marked_at = _CLOCK.monotonic_seconds()
        while self._left:
            due = began + self._position / RATE / pace.speed
            await self._wait_until(due)
            if self._closing.is_set():
                break
            answer = await (self._withhold() if self.is_paused else self._send())
            if answer is not None and answer.status != 200:
                return _refused(answer)
        if self._sequence:
            answer = await self._within(self._sender.end)
            if answer.status != 200:
                return _refused(answer)
        return None

    @property
    def _left(self) -> int:
        return min(self._track.left(self._position, self._block_samples), self._block_samples)

    async def _wait_until(self, due: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, due - _CLOCK.monotonic_seconds())):
                await self._closing.wait()

    async def _withhold(self) -> SenderReply | None:
        """Time goes on; now and then we say that we are still there."""
        self._record.count_withheld(self._position, self._block_samples)
        self._position += self._block_samples
        now = _CLOCK.monotonic_seconds()
        if not self._sequence or now - self._marked_at < self.way.mark_seconds:
            return None
        self._marked_at = now
        return await self._within(self._sender.stay)

    async def _send(self) -> SenderReply:
        samples, position = self._left, self._position
        if self.opus is None:
            payload, place = self._track.read(position, samples), position
        else:
            samples = self._block_samples
            payload, place = self.opus.read(position, samples), position * (CLOCK // RATE)
        captured = str(int(_CLOCK.wall_seconds() * 1000))

        async def deliver() -> SenderReply:
            return await self._sender.block(
                payload,
                sequence=self._sequence,
                Earhook_Position=str(place),
                X_Genesys_Cloud_Timestamp=captured,
            )

        answer = await self._persistently(deliver)
        if answer.status == 200:
            self._record.count_sent(position, samples)
            self._record.frames_sent += 1
            self._record.bytes_sent += len(payload)
            self._position += samples
            self._sequence += 1
            self._marked_at = _CLOCK.monotonic_seconds()
        return answer

    async def _persistently(self, deliver: Delivery) -> SenderReply:
        """A block is the same block however often it is sent: its number says so.

        Raises:
            OSError: The connection broke every time, or nobody answered.
            EOFError: The same.
        """
        for attempt in range(1, TRIES + 1):
            try:
                answer = await self._within(deliver)
            except (OSError, EOFError):
                if attempt == TRIES:
                    raise
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._sender.connect()
                continue
            if answer.status not in _BUSY or attempt == TRIES:
                break
            told = answer.headers.get("retry-after", "")
            seconds = float(told) if told.isdigit() else MOST_WAIT_SECONDS
            await self._wait_until(_CLOCK.monotonic_seconds() + min(seconds, MOST_WAIT_SECONDS))
        return answer

    async def _within(self, deliver: Delivery) -> SenderReply:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await deliver()


def _content_type(opus: OpusTrack | None) -> str:
    if opus is None:
        return f"audio/PCMU;rate={RATE};channels=2"
    return f"audio/opus;channels={opus.packets.channels}"


def _key(destination: Destination) -> PayloadKey | None:
    if not destination.encryption_key:
        return None
    key_id = destination.owner_name[:KEY_ID_CHARACTERS].encode()
    return PayloadKey(key_id, base64.b64decode(destination.encryption_key))


def _refused(answer: SenderReply) -> Failure:
    word = answer.json().get("error", "")
    return Failure(ENDED_EARLY, f"audio is answered {answer.status} {word}".rstrip())


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


_BUSY: Final = frozenset({429, 503})
_CLOCK: Final = SystemClock()
