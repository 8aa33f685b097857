"""Nonces seen before (AudioHook protocol §3.6)."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from enum import StrEnum

__all__ = ["ReplayCache", "ReplayMode"]


class ReplayMode(StrEnum):
    """What a repeated nonce means."""

    OFF = "off"
    """Nothing is remembered."""
    LOG = "log"
    """Repeats pass and are counted."""
    ENFORCE = "enforce"
    """Repeats are refused, and so is everybody while the cache is full of living nonces."""


class ReplayCache:
    """Remembers (key id, nonce) for as long as a signature can be accepted.

    Bounded: at most `capacity` entries of a few dozen bytes. Check only requests whose
    signature was accepted, so that nobody without a secret can fill it.

    Args:
        mode: What a repeat means.
        capacity: Entries at most.
        retention_seconds: How long a nonce is remembered: acceptance window plus twice the
            skew.
    """

    def __init__(
        self, mode: ReplayMode, capacity: int = 100_000, retention_seconds: float = 19.0
    ) -> None:
        self.mode = mode
        self.capacity = capacity
        self.retention_seconds = retention_seconds
        self.repeats = 0
        """Nonces seen again, refused or not."""
        self.overflows = 0
        """Nonces that found the cache full of living ones."""
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def check(self, keyid: str, nonce: str, wall_seconds: float) -> bool:
        """Remember a nonce and say whether its request may pass.

        False only in mode ENFORCE. In mode LOG compare `repeats` before and after.
        """
        if self.mode is ReplayMode.OFF:
            return True
        self._forget(wall_seconds)
        key = _fingerprint(keyid, nonce)
        if key in self._until:
            self.repeats += 1
            return self.mode is not ReplayMode.ENFORCE
        if len(self._until) >= self.capacity:
            self.overflows += 1
            if self.mode is ReplayMode.ENFORCE:
                return False
            self._until.popitem(last=False)
        self._until[key] = wall_seconds + self.retention_seconds
        return True

    def _forget(self, now: float) -> None:
        # In order of arrival, which is order of expiry unless the wall clock was set; then
        # some stay a little longer, none goes too early.
        while self._until:
            key, until = next(iter(self._until.items()))
            if until >= now:
                return
            del self._until[key]


def _fingerprint(keyid: str, nonce: str) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for text in (keyid, nonce):
        octets = text.encode("utf-8", "surrogatepass")
        digest.update(len(octets).to_bytes(4, "little"))
        digest.update(octets)
    return digest.digest()
