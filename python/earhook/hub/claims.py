"""What the rooms ask of the table in which worker processes mark the sessions that they have."""

from __future__ import annotations

from typing import Protocol

__all__ = ["SessionClaims", "live_name", "posted_name"]


class SessionClaims(Protocol):
    """Which worker has what. A worker that has died has nothing, from that moment on."""

    def take(self, name: bytes) -> int | None:
        """Claim a name; None: it is ours now, as it may have been before.

        Returns:
            The generation of the other worker that has it.

        Raises:
            CapacityError: There is no room to note it, so nobody can say whose it is.
        """
        ...

    def owner(self, name: bytes) -> int | None:
        """The generation of the other worker that has it; None where there is none."""
        ...

    def give_back(self, name: bytes) -> None:
        """It is ours no longer. Nothing happens if it was not."""
        ...


def live_name(session_id: str) -> bytes:
    """A live session, at whatever door: there is one at most."""
    return b"live " + session_id.lower().encode("utf-8", "surrogatepass")


def posted_name(session_id: str) -> bytes:
    """A call of the ingest, from the head of its first request until it is forgotten."""
    return b"posted " + session_id.lower().encode("utf-8", "surrogatepass")
