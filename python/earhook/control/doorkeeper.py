"""Who may come in over HTTPS: asked about every request, on every connection.

A request shows a bearer token, or the key and the signature that AudioHook shows over WebSocket
(AudioHook protocol §3). `Authorization` decides where both are there.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from earhook.clock import Clock
from earhook.edge.request import RequestHead
from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ingest.credential_settings import IssuerSettings, TokenSettings
from earhook.ingest.credentials import Accepted, IngestRequest, Refused, Verdict
from earhook.ops.logging import get_limited_logger
from earhook.protocol import signature
from earhook.protocol.signature import SignedRequest

from .authentication import Authenticator
from .bearer import BearerTokens
from .ingest_credentials import read_issuers, read_tokens
from .jwks import FetchedKeys
from .jwt import Flaw

__all__ = ["REFUSALS", "IngestDoorkeeper", "read_bearer_tokens"]

ORGANIZATION_HEADER: Final = "audiohook-organization-id"
NO_CREDENTIAL: Final = "no-credential"
SCHEME: Final = "scheme"

REFUSALS: Final = tuple(
    dict.fromkeys((NO_CREDENTIAL, SCHEME, *map(str, Flaw), *map(str, signature.Refusal)))
)
"""Every reason that `IngestDoorkeeper.refused` may count."""

_LOG: Final = get_limited_logger(__name__)


class IngestDoorkeeper:
    """Judges requests by the tokens, issuers and keys in service.

    Args:
        tokens: Bearer tokens.
        authenticator: Keys and signatures, the same that the WebSocket door asks, so that a
            signature used at one door is used at the other.
        clock: For the age of fetched keys.

    Attributes:
        accepted: Requests let in, by kind of credential: `token`, `issuer`, `key`.
        refused: Requests refused, by reason.
    """

    def __init__(self, tokens: BearerTokens, authenticator: Authenticator, clock: Clock) -> None:
        self._tokens = tokens
        self._authenticator = authenticator
        self._clock = clock
        self._is_fetching = False
        self._leaving: set[asyncio.Task[None]] = set()
        self.accepted: Counter[str] = Counter(token=0, issuer=0, key=0)
        self.refused: Counter[str] = Counter()

    @property
    def tokens(self) -> BearerTokens:
        """What is in service."""
        return self._tokens

    def start(self) -> None:
        """Begin to fetch keys of issuers."""
        self._is_fetching = True
        for keys in _fetched(self._tokens):
            keys.start()

    async def stop(self) -> None:
        """End all fetching."""
        self._is_fetching = False
        await asyncio.gather(*(keys.stop() for keys in _fetched(self._tokens)), *self._leaving)

    def prepare(
        self, tokens: Sequence[TokenSettings], issuers: Sequence[IssuerSettings]
    ) -> Callable[[], None]:
        """Read other tokens and issuers; they are in service when what is returned is called.

        Raises:
            ConfigurationError: With every fault; nothing has changed.
        """
        fresh = read_bearer_tokens(tokens, issuers, self._clock, self._tokens)
        return lambda: self._replace(fresh)

    async def judge(self, request: IngestRequest, wall_seconds: float) -> Verdict:
        """Decide about one request. Never raises for what a peer can send."""
        head = request.head
        shown = [value for name, value in head.headers if name.lower() == "authorization"]
        if shown:
            kind, verdict = await self._judge_bearer(shown, head, wall_seconds)
        else:
            kind, verdict = "key", self._judge_signature(head, wall_seconds)
        if isinstance(verdict, Accepted):
            self.accepted[kind] += 1
            return verdict
        self.refused[verdict] += 1
        _LOG.warning("ingest.refused", address=request.address, reason=verdict)
        if verdict == Flaw.ORGANIZATION:
            return Refused(403, _CHALLENGE_SCOPE)
        return Refused(401, _CHALLENGE if verdict == NO_CREDENTIAL else _CHALLENGE_TOKEN)

    async def _judge_bearer(
        self, shown: Sequence[str], head: RequestHead, wall_seconds: float
    ) -> tuple[str, Accepted | str]:
        scheme, _, token = shown[0].partition(" ")
        token = token.strip(" ")
        if len(shown) > 1 or scheme.lower() != "bearer" or not token:
            return "", SCHEME
        verdict = await self._tokens.judge(token, wall_seconds)
        if isinstance(verdict, Flaw):
            return "", verdict
        if not _organization_allowed(verdict, head):
            return "", Flaw.ORGANIZATION
        return ("token" if verdict.identity.startswith(b"token ") else "issuer"), verdict

    def _judge_signature(self, head: RequestHead, wall_seconds: float) -> Accepted | str:
        if not any(head.value(name) is not None for name in _SIGNATURE_HEADERS):
            return NO_CREDENTIAL
        verdict = self._authenticator.judge(SignedRequest(head.target, head.headers), wall_seconds)
        if isinstance(verdict, signature.Refused):
            return verdict.reason
        credential = verdict.credential
        return Accepted(
            credential.name, f"key {credential.name}".encode(), credential.organizations
        )

    def _replace(self, fresh: BearerTokens) -> None:
        stay = _fetched(fresh)
        gone = [keys for keys in _fetched(self._tokens) if keys not in stay]
        self._tokens = fresh
        if not self._is_fetching:
            return
        for keys in stay:
            keys.start()
        for keys in gone:
            task = asyncio.create_task(keys.stop())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)


def read_bearer_tokens(
    tokens: Sequence[TokenSettings],
    issuers: Sequence[IssuerSettings],
    clock: Clock,
    serving: BearerTokens | None = None,
) -> BearerTokens:
    """Read everything that opens the ingest as a bearer token.

    Raises:
        ConfigurationError: With the faults of all tables.
    """
    faults: list[ConfigurationFault] = []
    try:
        static = read_tokens(tokens)
    except ConfigurationError as error:
        faults.extend(error.faults)
    try:
        web = read_issuers(issuers, clock, serving.issuers if serving is not None else ())
    except ConfigurationError as error:
        faults.extend(error.faults)
    if faults:
        raise ConfigurationError(faults)
    return BearerTokens(static, web)


def _fetched(tokens: BearerTokens) -> list[FetchedKeys]:
    return [issuer.keys for issuer in tokens.issuers if isinstance(issuer.keys, FetchedKeys)]


def _organization_allowed(accepted: Accepted, head: RequestHead) -> bool:
    """Whether the sender may speak for whom it names; with several to choose from, it has to."""
    if not accepted.organizations:
        return True
    named = head.value(ORGANIZATION_HEADER)
    if named is None:
        return len(accepted.organizations) == 1
    return named.lower() in accepted.organizations


_SIGNATURE_HEADERS: Final = ("x-api-key", "signature", "signature-input")
# The same for every fault of a token (RFC 6750 §3.1): which one it was, is for the log.
_CHALLENGE: Final = 'Bearer realm="earhook"'
_CHALLENGE_TOKEN: Final = f'{_CHALLENGE}, error="invalid_token"'
_CHALLENGE_SCOPE: Final = f'{_CHALLENGE}, error="insufficient_scope"'
