"""Bearer tokens (RFC 6750): static ones by digest, JSON Web Tokens by their signature.

Nobody's token is kept: a static one is a digest under a key of this process, and so is what is
remembered of a JSON Web Token that was found good.
"""

from __future__ import annotations

import hashlib
import hmac
import operator
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from earhook.ids import KeyName
from earhook.ingest.credentials import Accepted

from .jwks import KeySet
from .jwt import MAX_TOKEN_CHARACTERS, Flaw, Issuer, Unverified, WebToken, read_token, verify_token

__all__ = ["BearerTokens", "StaticToken", "token_digest"]

MAX_REMEMBERED: Final = 10_000
MAX_REMEMBERED_FLAWS: Final = 1000
FLAW_SECONDS: Final = 10.0
"""As long as no keys are fetched again for a stranger: a good one is not kept out for longer."""

_DIGEST_KEY: Final = secrets.token_bytes(32)


@dataclass(frozen=True, slots=True)
class StaticToken:
    """One `[[ingest.tokens]]` table, read."""

    name: KeyName
    digest: bytes
    organizations: frozenset[str] = frozenset()
    ends_wall_seconds: float | None = None


class _Remembered(NamedTuple):
    """A token that was found good, and the keys that it was found good with."""

    token: WebToken
    key_set: KeySet


class _RememberedFlaw(NamedTuple):
    """Why a token was refused, when, and the keys of all issuers at that time."""

    flaw: Flaw
    wall_seconds: float
    key_sets: tuple[KeySet, ...]


class BearerTokens:
    """Everything that opens the ingest as a bearer token. A reload makes a new one.

    Args:
        static: Static tokens, no two of them equal.
        issuers: Issuers of JSON Web Tokens; several may have the same `iss`.
        max_remembered: JSON Web Tokens whose check is not repeated on each request; the one
            not seen for longest is forgotten first.
    """

    def __init__(
        self,
        static: Iterable[StaticToken],
        issuers: Sequence[Issuer],
        max_remembered: int = MAX_REMEMBERED,
    ) -> None:
        self._static = {token.digest: token for token in static}
        self._issuers = tuple(issuers)
        self._max_remembered = max_remembered
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._flaws: OrderedDict[bytes, _RememberedFlaw] = OrderedDict()
        self._algorithms = frozenset[str]().union(*(each.algorithms for each in self._issuers))

    def __len__(self) -> int:
        return len(self._static) + len(self._issuers)

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """Whose keys have to be kept fresh."""
        return self._issuers

    @property
    def static(self) -> tuple[StaticToken, ...]:
        """The static tokens, without the tokens."""
        return tuple(self._static.values())

    @property
    def remembered(self) -> int:
        """JSON Web Tokens known to be good."""
        return len(self._remembered)

    @property
    def remembered_flaws(self) -> int:
        """Tokens known to be bad; one that comes again and again is looked up, not checked."""
        return len(self._flaws)

    async def judge(self, token: str, wall_seconds: float) -> Accepted | Flaw:
        """Decide about a token's text; suspends only to fetch keys that are not known yet."""
        if len(token) > MAX_TOKEN_CHARACTERS:
            return Flaw.TOO_LONG
        digest = token_digest(token)
        static = self._static.get(digest)
        known = digest if static is None else static.digest
        if hmac.compare_digest(known, digest) and static is not None:
            return _judge_static(static, wall_seconds)
        if not self._issuers:
            return Flaw.UNKNOWN_TOKEN
        return await self._judge_web_token(token, digest, wall_seconds)

    async def _judge_web_token(
        self, token: str, digest: bytes, wall_seconds: float
    ) -> Accepted | Flaw:
        found = self._recall(digest)
        if found is None:
            known = self._recall_flaw(digest, wall_seconds)
            if known is not None:
                return known
            checked = await self._check(token)
            if isinstance(checked, Flaw):
                self._remember_flaw(digest, checked, wall_seconds)
                return checked
            found = checked.token
            if found.flaw_at(wall_seconds) is None:
                self._remember(digest, checked)
        return found.flaw_at(wall_seconds) or _accepted(found)

    async def _check(self, token: str) -> _Remembered | Flaw:
        unverified = read_token(token, self._algorithms)
        if isinstance(unverified, Flaw):
            # What is no JSON Web Token may have been meant as a static one.
            return unverified if token.count(".") == 2 else Flaw.UNKNOWN_TOKEN
        verdict: _Remembered | Flaw = Flaw.UNKNOWN_ISSUER
        for issuer in self._issuers:
            if issuer.issuer == unverified.issuer:
                verdict = await _check_with(issuer, token, unverified)
                if isinstance(verdict, _Remembered):
                    break
        return verdict

    def _recall(self, digest: bytes) -> WebToken | None:
        """What is known of a token, unless its issuer's keys are others by now."""
        remembered = self._remembered.get(digest)
        if remembered is None:
            return None
        if remembered.key_set is not remembered.token.issuer.keys.current:
            del self._remembered[digest]
            return None
        self._remembered.move_to_end(digest)
        return remembered.token

    def _recall_flaw(self, digest: bytes, wall_seconds: float) -> Flaw | None:
        """What was wrong with a token a moment ago, unless there are other keys by now."""
        found = self._flaws.get(digest)
        if found is None:
            return None
        same = all(map(operator.is_, found.key_sets, self._key_sets()))
        if same and 0 <= wall_seconds - found.wall_seconds < FLAW_SECONDS:
            return found.flaw
        del self._flaws[digest]
        return None

    def _remember_flaw(self, digest: bytes, flaw: Flaw, wall_seconds: float) -> None:
        self._flaws[digest] = _RememberedFlaw(flaw, wall_seconds, self._key_sets())
        if len(self._flaws) > MAX_REMEMBERED_FLAWS:
            self._flaws.popitem(last=False)

    def _key_sets(self) -> tuple[KeySet, ...]:
        return tuple(issuer.keys.current for issuer in self._issuers)

    def _remember(self, digest: bytes, checked: _Remembered) -> None:
        self._remembered[digest] = checked
        if len(self._remembered) > self._max_remembered:
            self._remembered.popitem(last=False)


def token_digest(token: str) -> bytes:
    """What stands for a token in this process, and means nothing in any other."""
    octets = token.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(octets, key=_DIGEST_KEY, digest_size=32).digest()


async def _check_with(issuer: Issuer, token: str, unverified: Unverified) -> _Remembered | Flaw:
    """Check with an issuer's keys, and once more if it turns out to have newer ones."""
    key_set = issuer.keys.current
    verdict = verify_token(token, unverified, issuer, key_set)
    # Without a key id, a key that was replaced looks like a forged signature.
    is_unnamed = verdict is Flaw.MISMATCH and unverified.key_id is None
    if (verdict is Flaw.UNKNOWN_KEY or is_unnamed) and await issuer.keys.renew():
        key_set = issuer.keys.current
        verdict = verify_token(token, unverified, issuer, key_set)
    return verdict if isinstance(verdict, Flaw) else _Remembered(verdict, key_set)


def _judge_static(token: StaticToken, wall_seconds: float) -> Accepted | Flaw:
    ends = token.ends_wall_seconds
    if ends is not None and wall_seconds >= ends:
        return Flaw.EXPIRED
    return Accepted(token.name, f"token {token.name}".encode(), token.organizations, ends)


def _accepted(token: WebToken) -> Accepted:
    name = token.issuer.name
    # By digest: the identity is kept as long as the call, and who it is, is nobody's business.
    sender = hashlib.blake2b(token.sender.encode("utf-8", "surrogatepass"), digest_size=16)
    ends = token.ends_wall_seconds + token.issuer.leeway_seconds
    return Accepted(name, f"issuer {name} ".encode() + sender.digest(), token.organizations, ends)
