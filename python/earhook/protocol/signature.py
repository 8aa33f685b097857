"""Who is dialling: HTTP message signatures as AudioHook uses them (AudioHook protocol §3).

Pure over request, keys, settings and the time. The work done for a known and for an unknown
key is the same, and a refusal's reason is for the operator only, never for the peer.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from .keyring import Credential, KeyRing, digest
from .settings import SignatureSettings
from .signature_input import (
    AUTHORITY,
    NONCE_CHARACTERS,
    REQUIRED_COMPONENTS,
    Claim,
    Flaw,
    read_claim,
    signature_base,
)

__all__ = [
    "Accepted",
    "Credential",
    "KeyRing",
    "Refusal",
    "Refused",
    "SignedRequest",
    "Verdict",
    "verify",
]


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """An upgrade request as it came over the wire.

    `target` is the raw request target, byte for byte. `headers` are name and value pairs in
    order, values decoded as Latin-1, names in any case.
    """

    target: bytes
    headers: Sequence[tuple[str, str]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The request may open a session.

    `age_seconds` is `now - created`, to be exported so that clock drift is seen before it
    bites. It, `nonce`, `expires` and `secret_number` (0 or 1, in the credential's order)
    are None for a key that needs no signature.
    """

    credential: Credential
    age_seconds: float | None = None
    nonce: str | None = field(default=None, repr=False)
    expires: int | None = None
    secret_number: int | None = None


class Refusal(StrEnum):
    """Why a request was refused; for logs and metrics, never for the peer."""

    NO_KEY = "no-key"
    UNKNOWN_KEY = "unknown-key"
    UNSIGNED = "unsigned"
    """The key demands a signature, or is not allowed to go without."""
    NO_SECRET = "no-secret"  # noqa: S105 - a reason, not a secret
    """Signed, but the key has no secret to check with."""
    INVALID = "invalid"
    UNSUPPORTED = "unsupported"
    PRECONDITION = "precondition"
    FUTURE = "future"
    EXPIRED = "expired"
    KEY_ID = "key-id"
    """The signature names another key than the request."""
    MISMATCH = "mismatch"
    ORGANIZATION = "organization"
    REPLAYED = "replayed"
    """Used before (said by the caller, who remembers nonces)."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The request may not open a session.

    `age_seconds` is `now - created` where the signature said when it was made.
    """

    reason: Refusal
    age_seconds: float | None = None


Verdict: TypeAlias = Accepted | Refused


def verify(
    request: SignedRequest,
    keyring: KeyRing,
    settings: SignatureSettings,
    wall_seconds: float,
) -> Verdict:
    """Decide whether a request may open a session (§3.7).

    The caller still has to check the nonce (§3.6), and to delay refusals to a fixed
    time. Never raises for anything that a peer can send.
    """
    headers = _Headers(request.headers)
    api_key = headers.value("x-api-key")
    credential = keyring.find(api_key or "")
    claim = read_claim(headers.value("signature-input"), headers.value("signature"))
    if claim is None:
        verdict = _judge_unsigned(api_key, credential)
    elif isinstance(claim, Flaw):
        verdict = Refused(_REFUSALS[claim])
    else:
        verdict = _judge_signed(
            _Case(request.target, headers, claim), keyring, settings, wall_seconds
        )
    if isinstance(verdict, Accepted) and not _organization_allowed(verdict.credential, headers):
        return Refused(Refusal.ORGANIZATION, verdict.age_seconds)
    return verdict


def _judge_unsigned(api_key: str | None, credential: Credential | None) -> Verdict:
    if api_key is None:
        return Refused(Refusal.NO_KEY)
    if credential is None:
        return Refused(Refusal.UNKNOWN_KEY)
    if credential.secrets or not credential.unsigned:
        return Refused(Refusal.UNSIGNED)
    return Accepted(credential)


class _Headers:
    """Header fields by lower-case name, in the form in which they are signed (§3.3)."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._lines: dict[str, list[str]] = {}
        for name, value in pairs:
            self._lines.setdefault(name.lower(), []).append(_unfold(value))

    def value(self, name: str) -> str | None:
        """The lines of a field joined as RFC 9110 §5.3 says, or None if there is none."""
        lines = self._lines.get(name)
        return None if lines is None else ", ".join(lines)

    def lines(self, name: str) -> int:
        """How many lines the field has."""
        return len(self._lines.get(name, ()))


@dataclass(frozen=True, slots=True)
class _Case:
    """A signed request under examination."""

    target: bytes
    headers: _Headers
    claim: Claim


def _judge_signed(
    case: _Case, keyring: KeyRing, settings: SignatureSettings, wall_seconds: float
) -> Verdict:
    # Everything up to the MAC depends on the request alone, so it tells nothing about keys.
    claim, age = case.claim, None
    if claim.created is not None:
        age = wall_seconds - claim.created
    problem = _check_claim(case) or _check_time(claim, settings, wall_seconds)
    if problem is not None:
        return Refused(problem, age)
    bases = _bases(case)
    if bases is None:
        return Refused(Refusal.INVALID, age)
    api_key = case.headers.value("x-api-key") or ""
    credential = keyring.find(api_key)
    secret_number = _matching_secret(claim.mac, bases, keyring.secrets_to_try(credential))
    same_key = hmac.compare_digest(digest(api_key), digest(claim.keyid or ""))
    if credential is None:
        return Refused(Refusal.UNKNOWN_KEY, age)
    if not credential.secrets:
        return Refused(Refusal.NO_SECRET, age)
    if not same_key:
        return Refused(Refusal.KEY_ID, age)
    if secret_number is None:
        return Refused(Refusal.MISMATCH, age)
    return Accepted(credential, age, claim.nonce, claim.expires, secret_number)


def _check_claim(case: _Case) -> Refusal | None:
    """Coverage, key id and nonce (§3.2, §3.6)."""
    claim, headers = case.claim, case.headers
    if not frozenset(claim.components) >= REQUIRED_COMPONENTS:
        return Refusal.PRECONDITION
    fields = [name for name in claim.components if not name.startswith("@")]
    if any(headers.lines(name) == 0 for name in fields):
        return Refusal.PRECONDITION
    if headers.lines("host") != 1:
        return Refusal.PRECONDITION
    if claim.keyid is None or claim.nonce is None or len(claim.nonce) < NONCE_CHARACTERS:
        return Refusal.PRECONDITION
    return None


def _check_time(claim: Claim, settings: SignatureSettings, now: float) -> Refusal | None:
    """The lenient window: `created - S <= now <= min(expires, created + A) + S` (§3.5)."""
    if claim.created is None:
        return Refusal.PRECONDITION
    if claim.expires is None:
        if settings.require_expires:
            return Refusal.PRECONDITION
        last = claim.created + settings.max_age_seconds
    elif claim.expires < claim.created:
        return Refusal.PRECONDITION
    else:
        last = min(claim.expires, claim.created + settings.max_age_seconds)
    if now < claim.created - settings.skew_seconds:
        return Refusal.FUTURE
    if now > last + settings.skew_seconds:
        return Refusal.EXPIRED
    return None


def _bases(case: _Case) -> list[bytes] | None:
    """The signature base with the authority as received and, if it differs, in lower case."""
    headers = case.headers
    authority = headers.value("host") or ""
    spellings = [authority] if authority == authority.lower() else [authority, authority.lower()]
    values: dict[str, str] = {}
    for name in case.claim.components:
        if not name.startswith("@"):
            values[name] = headers.value(name) or ""
    bases = []
    for spelling in spellings:
        base = signature_base(case.claim, case.target, {**values, AUTHORITY: spelling})
        if base is None:
            return None
        bases.append(base)
    return bases


def _matching_secret(
    mac: bytes, bases: list[bytes], secrets: list[tuple[bytes, bool]]
) -> int | None:
    """Try every secret on every base, always all of them, and name the one that matched."""
    matched: int | None = None
    for number, (secret, is_real) in enumerate(secrets):
        for base in bases:
            equal = hmac.compare_digest(hmac.digest(secret, base, "sha256"), mac)
            if equal & is_real:
                matched = number
    return matched


def _organization_allowed(credential: Credential, headers: _Headers) -> bool:
    organization = (headers.value("audiohook-organization-id") or "").lower()
    return not credential.organizations or organization in credential.organizations


def _unfold(value: str) -> str:
    """Trim, and make one space of obsolete line folding (RFC 9110 §5.5)."""
    if "\n" in value:
        value = " ".join(line.strip(" \t\r") for line in value.split("\n"))
    return value.strip(" \t")


_REFUSALS: Final[Mapping[Flaw, Refusal]] = {
    Flaw.INVALID: Refusal.INVALID,
    Flaw.UNSUPPORTED: Refusal.UNSUPPORTED,
}
