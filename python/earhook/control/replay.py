"""Signatures that were used before (AudioHook protocol §3.6)."""

from __future__ import annotations

from .replay_store import Remembered, ReplayStore
from .settings import ReplayMode

__all__ = ["ReplayGuard"]


class ReplayGuard:
    """Knows (key, nonce) for as long as a signature can be accepted.

    Ask only about requests whose signature was accepted, so that nobody without a secret can
    fill the table.

    Attributes:
        mode: What a repeat means. It may be changed at any time.
        retention_seconds: How long a nonce is known: acceptance window plus what clocks may differ.
        repeats: Nonces seen again, refused or not.
        overflows: Nonces that found no room.
        timeouts: Nonces that could not be looked up because another process held the table.
    """

    def __init__(self, mode: ReplayMode, store: ReplayStore, retention_seconds: float) -> None:
        self.mode = mode
        self.retention_seconds = retention_seconds
        self.repeats = 0
        self.overflows = 0
        self.timeouts = 0
        self._store = store

    @property
    def store(self) -> ReplayStore:
        """The table, which other processes may share."""
        return self._store

    @property
    def unremembered(self) -> int:
        """Nonces that could not be remembered, for whatever reason."""
        return self.overflows + self.timeouts

    def check(self, keyid: str, nonce: str, wall_seconds: float) -> bool:
        """Remember a nonce and say whether its request may pass.

        False only in mode ENFORCE: for repeats, and for everybody whose nonce cannot be
        remembered. In mode LOG compare `repeats` before and after.
        """
        if self.mode is ReplayMode.OFF:
            return True
        until = wall_seconds + self.retention_seconds
        match self._store.remember(_joined(keyid, nonce), wall_seconds, until):
            case Remembered.NEW:
                return True
            case Remembered.REPEATED:
                self.repeats += 1
            case Remembered.FULL:
                self.overflows += 1
            case Remembered.BUSY:
                self.timeouts += 1
        return self.mode is not ReplayMode.ENFORCE


def _joined(keyid: str, nonce: str) -> bytes:
    """Both in one, so that no two different pairs give the same."""
    octets = keyid.encode("utf-8", "surrogatepass")
    return len(octets).to_bytes(4, "little") + octets + nonce.encode("utf-8", "surrogatepass")
