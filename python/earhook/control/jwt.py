"""JSON Web Tokens (RFC 7519, RFC 8725): pure over token, issuers, keys and the time.

A token says which issuer, algorithm and key it wants to be checked with. The issuer must be one
of the configured ones, the algorithm one of that issuer's, and a key is bound to its algorithm
when it is read, so a public key is never taken for a shared secret. `none` is not known at all.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeGuard

import jwt
import orjson

from earhook.ids import KeyName

from .jwks import KeySet, KeySource

__all__ = ["Flaw", "Issuer", "Unverified", "WebToken", "read_token", "verify_token"]

MAX_TOKEN_CHARACTERS: Final = 4096
MAX_HEADER_CHARACTERS: Final = 1024
MAX_KEY_ID_CHARACTERS: Final = 256
MAX_ORGANIZATIONS: Final = 64
ALGORITHMS: Final = frozenset({"RS256", "ES256", "HS256"})


class Flaw(StrEnum):
    """Why a bearer token was refused; for logs and metrics, never for the peer."""

    MALFORMED = "malformed"
    TOO_LONG = "too-long"
    UNKNOWN_TOKEN = "unknown-token"  # noqa: S105 - a reason, not a secret
    UNKNOWN_ISSUER = "unknown-issuer"
    ALGORITHM = "algorithm"
    UNKNOWN_KEY = "unknown-key"
    MISMATCH = "mismatch"
    """The signature is not that of the key."""
    AUDIENCE = "audience"
    CLAIMS = "claims"
    """A claim is missing or is of the wrong kind."""
    EXPIRED = "expired"
    FUTURE = "future"
    ORGANIZATION = "organization"


@dataclass(frozen=True, slots=True)
class Issuer:
    """One `[[ingest.issuers]]` table with its keys.

    Attributes:
        organizations: Lower-case ids; empty: any.
        secret: For HS256 and nothing else.
    """

    name: KeyName
    issuer: str
    audience: str
    algorithms: frozenset[str]
    keys: KeySource
    leeway_seconds: float
    organization_claim: str | None = None
    organizations: frozenset[str] = frozenset()
    secret: bytes | None = field(default=None, repr=False)

    def keys_for(self, key_set: KeySet, unverified: Unverified) -> list[jwt.PyJWK | bytes]:
        """What such a token may have been signed with."""
        if unverified.algorithm == "HS256":
            return [] if self.secret is None else [self.secret]
        return [*key_set.candidates(unverified.algorithm, unverified.key_id)]


class Unverified(NamedTuple):
    """What a token says about itself: read, not yet believed."""

    algorithm: str
    key_id: str | None
    issuer: str


@dataclass(frozen=True, slots=True)
class WebToken:
    """A token whose signature, issuer and audience are right. Its times are for `flaw_at`.

    Attributes:
        sender: Who it was issued to; empty where the issuer names nobody.
        organizations: Those it is good for, in lower case; empty: any.
    """

    issuer: Issuer
    sender: str = field(repr=False)
    organizations: frozenset[str]
    begins_wall_seconds: float
    ends_wall_seconds: float

    def flaw_at(self, wall_seconds: float) -> Flaw | None:
        """Whether its time is not now."""
        leeway = self.issuer.leeway_seconds
        if wall_seconds >= self.ends_wall_seconds + leeway:
            return Flaw.EXPIRED
        if wall_seconds < self.begins_wall_seconds - leeway:
            return Flaw.FUTURE
        return None


def read_token(token: str, algorithms: Collection[str] = ALGORITHMS) -> Unverified | Flaw:
    """Read what is needed to find a key. Never raises for anything that a peer can send.

    Cheap things first: whoever refuses must not work harder than whoever asks. The claims are read
    only where the header could be one of ours.

    Args:
        token: Its text.
        algorithms: Those that any issuer uses.
    """
    if len(token) > MAX_TOKEN_CHARACTERS:
        return Flaw.TOO_LONG
    if _COMPACT.fullmatch(token) is None:
        return Flaw.MALFORMED
    header_text, claims_text, _ = token.split(".")
    header = _object(header_text) if len(header_text) <= MAX_HEADER_CHARACTERS else None
    # An extension that must be understood, or a payload that lies elsewhere: not with us.
    if header is None or "crit" in header or "b64" in header:
        return Flaw.MALFORMED
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or not _is_key_id(key_id):
        return Flaw.MALFORMED
    if algorithm not in algorithms:
        return Flaw.ALGORITHM
    claims = _object(claims_text)
    if claims is None:
        return Flaw.MALFORMED
    issuer = claims.get("iss")
    return Unverified(algorithm, key_id, issuer) if isinstance(issuer, str) else Flaw.CLAIMS


def verify_token(
    token: str, unverified: Unverified, issuer: Issuer, key_set: KeySet
) -> WebToken | Flaw:
    """Check everything but the time.

    Args:
        token: Its text.
        unverified: What `read_token` made of it.
        issuer: One with the issuer that the token names.
        key_set: That issuer's keys.
    """
    if unverified.algorithm not in issuer.algorithms:
        return Flaw.ALGORITHM
    keys = issuer.keys_for(key_set, unverified)
    if not keys:
        return Flaw.UNKNOWN_KEY
    signed, _, signature = token.rpartition(".")
    for key in keys:
        # Before anything of it is read once more: most of what strangers send ends here.
        if not _is_signed(signed.encode(), _octets(signature), key):
            continue
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[unverified.algorithm],
                audience=issuer.audience,
                issuer=issuer.issuer,
                options=_OPTIONS,
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.InvalidAudienceError:
            return Flaw.AUDIENCE
        except jwt.PyJWTError:
            return Flaw.CLAIMS
        return _web_token(claims, issuer)
    return Flaw.MISMATCH


def _is_signed(signed: bytes, signature: bytes | None, key: jwt.PyJWK | bytes) -> bool:
    if signature is None:
        return False
    if isinstance(key, bytes):
        return hmac.compare_digest(hmac.digest(key, signed, "sha256"), signature)
    return bool(key.Algorithm.verify(signed, key.key, signature))


def _object(text: str) -> Mapping[str, Any] | None:
    """A part of a token as the JSON object that it has to be."""
    octets = _octets(text)
    if octets is None:
        return None
    try:
        found = orjson.loads(octets)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _octets(text: str) -> bytes | None:
    """What is in base64url without padding (RFC 7515 §2)."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None


def _is_key_id(key_id: object) -> TypeGuard[str | None]:
    return key_id is None or (isinstance(key_id, str) and len(key_id) <= MAX_KEY_ID_CHARACTERS)


def _web_token(claims: Mapping[str, Any], issuer: Issuer) -> WebToken | Flaw:
    ends = _seconds(claims.get("exp"))
    begins = [_seconds(claims[name]) for name in ("nbf", "iat") if name in claims]
    if ends is None or None in begins:
        return Flaw.CLAIMS
    organizations = _organizations(claims, issuer)
    if isinstance(organizations, Flaw):
        return organizations
    return WebToken(
        issuer=issuer,
        sender=next(_senders(claims), ""),
        organizations=organizations,
        begins_wall_seconds=max((moment for moment in begins if moment is not None), default=0.0),
        ends_wall_seconds=ends,
    )


def _seconds(moment: object) -> float | None:
    """A NumericDate (RFC 7519 §2) as seconds since the epoch; None for anything else."""
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        return None
    # Also leaves out NaN and integers beyond what a float holds.
    return float(moment) if 0 <= moment < _LAST_SECOND else None


def _organizations(claims: Mapping[str, Any], issuer: Issuer) -> frozenset[str] | Flaw:
    if issuer.organization_claim is None:
        return issuer.organizations
    named = claims.get(issuer.organization_claim)
    names = [named] if isinstance(named, str) else named
    if not isinstance(names, list) or not 0 < len(names) <= MAX_ORGANIZATIONS:
        return Flaw.CLAIMS
    if not all(isinstance(name, str) and name for name in names):
        return Flaw.CLAIMS
    organizations = frozenset(name.lower() for name in names)
    if issuer.organizations:
        organizations &= issuer.organizations
    return organizations or Flaw.ORGANIZATION


def _senders(claims: Mapping[str, Any]) -> Iterator[str]:
    """Who the token was issued to (RFC 7519 §4.1.2, RFC 9068 §2.2), best name first."""
    for name in ("sub", "client_id", "azp"):
        value = claims.get(name)
        if isinstance(value, str) and value:
            yield f"{name}={value}"


_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_LAST_SECOND: Final = 1e12
# The times are checked by us, against the time that we are given; see `WebToken.flaw_at`.
_OPTIONS: Final[Any] = {
    "require": ["exp", "iss", "aud"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "enforce_minimum_key_length": True,
}
