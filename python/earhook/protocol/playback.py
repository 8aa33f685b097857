"""Audio to the caller on its way out: grows while it waits, goes in few large pieces."""

from __future__ import annotations

from .bucket import TokenBucket
from .settings import SendLimits

__all__ = ["Playback"]


class Playback:
    """The queue of audio of one session (AudioHook protocol §9).

    The first piece of a burst goes at once, for latency; the next waits until it has grown
    to `chunk_bytes` or `chunk_seconds` are over, since every message costs a token however
    short it is.
    """

    __slots__ = ("_bucket", "_group_bytes", "_limits", "_next_at", "_queue", "sent_since_barge_in")

    def __init__(self, limits: SendLimits, now: float) -> None:
        self._limits = limits
        self._bucket = TokenBucket(limits.audio_rate, limits.audio_burst, now)
        self._queue = bytearray()
        self._group_bytes = 1
        self._next_at = now
        self.sent_since_barge_in = False

    def start(self, group_bytes: int) -> None:
        """Learn how many bytes belong together."""
        self._group_bytes = group_bytes

    @property
    def waiting_bytes(self) -> int:
        """Bytes that are not sent yet."""
        return len(self._queue)

    def fits(self, audio: bytes) -> bool:
        """Whether the queue has room for more."""
        return len(self._queue) + len(audio) <= self._limits.waiting_audio_bytes

    def is_whole(self, audio: bytes) -> bool:
        """Whether audio is whole sample groups."""
        return len(audio) % self._group_bytes == 0

    def add(self, audio: bytes) -> None:
        """Append to the queue."""
        self._queue += audio

    def clear(self) -> int:
        """Forget what is not sent; give the number of bytes."""
        forgotten = len(self._queue)
        self._queue.clear()
        return forgotten

    def take(self, now: float) -> bytes | None:
        """The next message, if one is due and allowed."""
        if not self._queue or self.ready_at(now) > now or not self._bucket.take(now):
            return None
        size = min(len(self._queue), self._limits.chunk_limit_bytes)
        size -= size % self._group_bytes
        chunk = bytes(self._queue[:size])
        del self._queue[:size]
        self._next_at = now + self._limits.chunk_seconds
        self.sent_since_barge_in = True
        return chunk

    def ready_at(self, now: float) -> float:
        """When the next message is due, provided that something waits."""
        allowed_at = self._bucket.ready_at(now)
        is_large = len(self._queue) >= self._limits.chunk_bytes
        return allowed_at if is_large else max(allowed_at, self._next_at)
