"""Who may enter with a key: the signature, then whether it was used before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from earhook.ops.logging import get_state_logger
from earhook.protocol.settings import SignatureSettings
from earhook.protocol.signature import (
    Accepted,
    KeyRing,
    Refusal,
    Refused,
    SignedRequest,
    Verdict,
    verify,
)

from .credentials import read_keyring
from .replay import ReplayGuard
from .replay_store import ReplayStore
from .settings import KeySettings, SignatureAndReplaySettings

__all__ = ["Authenticator"]

_LOG: Final = get_state_logger(__name__)


class Authenticator:
    """Judges requests of both doors against the key ring in service.

    Args:
        keyring: The keys.
        settings: When a signature counts. The size of the table of used ones is fixed by it.
        store: The table of used signatures, where other processes share it; left out, a table of
            this process' own.
    """

    def __init__(
        self,
        keyring: KeyRing,
        settings: SignatureAndReplaySettings,
        store: ReplayStore | None = None,
    ) -> None:
        table = ReplayStore.create(settings.replay_capacity) if store is None else store
        self._replays = ReplayGuard(settings.replay, table, _retention_seconds(settings))
        self._serving = _Serving(keyring, settings)

    @property
    def keyring(self) -> KeyRing:
        """The keys in service."""
        return self._serving.keyring

    @property
    def replays(self) -> ReplayGuard:
        """What is known of used signatures."""
        return self._replays

    def prepare(
        self, keys: Sequence[KeySettings], settings: SignatureAndReplaySettings
    ) -> Callable[[], None]:
        """Read other keys; they are in service, all at once, when what is returned is called.

        Raises:
            ConfigurationError: With every fault of every key; nothing has changed.
        """
        keyring = read_keyring(keys)

        def commit() -> None:
            self._serving = _Serving(keyring, settings)
            self._replays.mode = settings.replay
            self._replays.retention_seconds = _retention_seconds(settings)

        return commit

    def judge(self, request: SignedRequest, wall_seconds: float) -> Verdict:
        """Decide whether a request may come in. Never raises for what a peer can send."""
        serving = self._serving
        verdict = verify(request, serving.keyring, serving.settings, wall_seconds)
        if not isinstance(verdict, Accepted) or verdict.nonce is None:
            return verdict
        name = verdict.credential.name
        before = (self._replays.repeats, self._replays.unremembered)
        passes = self._replays.check(name, verdict.nonce, wall_seconds)
        if self._replays.repeats > before[0]:
            _LOG.warning("signature.replayed", key=name, refused=not passes)
        if self._replays.unremembered > before[1]:
            _LOG.error("signature.unremembered", key=name, refused=not passes, remedy=_REMEDY)
        if passes:
            return verdict
        return Refused(Refusal.REPLAYED, verdict.age_seconds)


class _Serving(NamedTuple):
    """What one request is judged by, replaced as a whole."""

    keyring: KeyRing
    settings: SignatureAndReplaySettings


def _retention_seconds(settings: SignatureSettings) -> float:
    # A signature can be accepted from `skew` before `created` until `max_age` after it,
    # and our own clock may be set by as much as we tolerate of others.
    return settings.max_age_seconds + 3 * settings.skew_seconds


_REMEDY: Final = "raise signature.replay_capacity and restart, or look for a stopped worker"
