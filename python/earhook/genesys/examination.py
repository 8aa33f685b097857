"""An endpoint examined from here, as the doctor does it, before anything is enabled there."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from earhook.doctor import Errand, Target, Trust, Verdict, examine
from earhook.ops.redaction import Redacted
from earhook.testing.peer_setup import PeerCredential

from .endpoint import Finding

__all__ = ["Examine", "Examiner", "faults_of"]


class Examine(Protocol):
    """Tests an endpoint: a WebSocket with the credentials, an ingest without any."""

    def __call__(
        self,
        url: str,
        api_key: Redacted[str] | None = None,
        client_secret: Redacted[str] | None = None,
    ) -> Awaitable[list[Finding]]:
        """What was found, in order; what was not looked at is left out."""


class Examiner:
    """Name, connection, TLS to a public authority, HTTP, and for a WebSocket a signed probe.

    Args:
        trust: Whose certificates hold; None: the public authorities only.
    """

    def __init__(self, trust: Trust | None = None) -> None:
        self._trust = trust

    async def __call__(
        self,
        url: str,
        api_key: Redacted[str] | None = None,
        client_secret: Redacted[str] | None = None,
    ) -> list[Finding]:
        """Examine.

        Raises:
            ConfigurationError: That is no URL.
        """
        if self._trust is None:
            self._trust = Trust.load(None, None, insecure=False)
        errand = Errand(
            target=Target.parse(url),
            trust=self._trust,
            credential=_credential(api_key, client_secret),
            call_seconds=0.0,
            is_brief=True,
        )
        return [
            Finding(one.step, one.verdict is not Verdict.WRONG, one.evidence, one.cure)
            async for one in examine(errand)
            if one.verdict is not Verdict.SKIPPED
        ]


def faults_of(findings: list[Finding]) -> str:
    """What is wrong, in one line; empty: nothing."""
    return "; ".join(str(one) for one in findings if not one.is_good)


def _credential(
    api_key: Redacted[str] | None, client_secret: Redacted[str] | None
) -> PeerCredential | None:
    if api_key is None:
        return None
    if client_secret is None:
        return PeerCredential(api_key.reveal())
    return PeerCredential.from_base64(api_key.reveal(), client_secret.reveal())
