"""Who may enter: the signature, then whether it was used before."""

from __future__ import annotations

from typing import Final

from earhook.ops.logging import get_limited_logger
from earhook.protocol.replay import ReplayCache
from earhook.protocol.signature import (
    Accepted,
    KeyRing,
    Refusal,
    Refused,
    SignedRequest,
    Verdict,
    verify,
)

from .settings import SignatureAndReplaySettings

__all__ = ["Authenticator"]

_LOG: Final = get_limited_logger(__name__)


class Authenticator:
    """Judges requests against the key ring in service."""

    def __init__(self, keyring: KeyRing, settings: SignatureAndReplaySettings) -> None:
        self._settings = settings
        self._replays = ReplayCache(
            settings.replay,
            settings.replay_capacity,
            # A signature can be accepted from `skew` before `created` until `max_age` after it,
            # and our own clock may be set by as much as we tolerate of others.
            retention_seconds=settings.max_age_seconds + 3 * settings.skew_seconds,
        )
        self._keyring = keyring

    @property
    def keyring(self) -> KeyRing:
        """The keys in service."""
        return self._keyring

    @property
    def replays(self) -> ReplayCache:
        """What is known of used signatures."""
        return self._replays

    def replace(self, keyring: KeyRing) -> None:
        """Put other keys in service: from the next request on, all at once."""
        self._keyring = keyring

    def judge(self, request: SignedRequest, wall_seconds: float) -> Verdict:
        """Decide whether a request may open a session. Never raises for what a peer can send."""
        verdict = verify(request, self._keyring, self._settings, wall_seconds)
        if not isinstance(verdict, Accepted) or verdict.nonce is None:
            return verdict
        name = verdict.credential.name
        repeats = self._replays.repeats
        passes = self._replays.check(name, verdict.nonce, wall_seconds)
        if self._replays.repeats > repeats:
            _LOG.warning("signature.replayed", key=name, refused=not passes)
        if passes:
            return verdict
        return Refused(Refusal.REPLAYED, verdict.age_seconds)
