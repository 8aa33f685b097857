"""How Genesys plays a bot's audio, and how much it takes from a server at once."""

from __future__ import annotations

__all__ = ["PlaybackQueue", "TokenBucket"]


class PlaybackQueue:
    """Audio for the caller, played at line rate (AudioHook protocol §5.11, §9).

    No clock and no audio inside: only when the queue will run empty.
    """

    __slots__ = ("_bytes_per_second", "ends")

    def __init__(self, bytes_per_second: int) -> None:
        self._bytes_per_second = bytes_per_second
        self.ends: float | None = None
        """When the last byte will have been played; None while nothing plays."""

    def queue(self, payload_bytes: int, now: float) -> bool:
        """Add audio. True when this starts a burst (`playback_started`)."""
        seconds = payload_bytes / self._bytes_per_second
        started = self.ends is None
        self.ends = (now if self.ends is None else self.ends) + seconds
        return started

    def ran_empty(self, now: float) -> bool:
        """True once when everything has been played (`playback_completed`)."""
        if self.ends is None or now < self.ends:
            return False
        self.ends = None
        return True

    def flush(self, now: float) -> None:
        """Drop what has not been played yet: the caller barged in."""
        if self.ends is not None:
            self.ends = now


class TokenBucket:
    """A rate limit on what the server sends (AudioHook protocol §11.2)."""

    __slots__ = ("_burst", "_filled", "_rate", "_tokens")

    def __init__(self, per_second: float, burst: int, now: float) -> None:
        self._rate = per_second
        self._burst = float(burst)
        self._tokens = float(burst)
        self._filled = now

    def take(self, now: float) -> bool:
        """Whether one more message is within the limit."""
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
