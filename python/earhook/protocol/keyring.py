"""API keys with what proves them. Immutable; looked up without telling anything by time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from earhook.errors import ConfigurationError
from earhook.ids import KeyName

__all__ = ["Credential", "KeyRing", "digest"]

MAX_SECRETS: Final = 2
"""Old and new while rotating (AudioHook protocol §3.7)."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One API key with what proves it.

    With secrets, a signature is demanded whatever `unsigned` says: otherwise two stripped
    headers would open the door. Without secrets, only `unsigned` opens it.

    Attributes:
        name: The operator's name of the key; all that logs ever show.
        api_key: The value of `X-API-KEY`.
        secrets: Decoded client secrets, at most two, none of them empty.
        unsigned: The key alone is enough.
        organizations: Lower-case organization ids that may use the key; empty: any.

    Raises:
        ConfigurationError: An empty or a third secret, or an empty key.
    """

    name: KeyName
    api_key: str = field(repr=False)
    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    unsigned: bool = False
    organizations: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        where = f"key {self.name}"
        if not self.api_key:
            raise ConfigurationError.of(where, "the API key is empty")
        if len(self.secrets) > MAX_SECRETS:
            what = f"has more than {MAX_SECRETS} secrets"
            raise ConfigurationError.of(where, what, "remove the oldest")
        if not all(self.secrets):
            # HMAC takes an empty key for 64 zero bytes, which anybody can sign with (§3.4).
            raise ConfigurationError.of(where, "has an empty secret")


class KeyRing:
    """All credentials, looked up by API key. Immutable; a reload makes a new one.

    Args:
        credentials: The keys.
        dummy_secret: At least 32 random bytes of this process: what unknown keys and missing
            second secrets are checked against, so that they cost the same (§3.7).

    Raises:
        ConfigurationError: Two credentials share an API key, or the dummy is too short.
    """

    def __init__(self, credentials: Iterable[Credential], dummy_secret: bytes) -> None:
        if len(dummy_secret) < 32:
            raise ConfigurationError.of("key ring", "the dummy secret is shorter than 32 bytes")
        self._dummy_secret = dummy_secret
        self._by_digest: dict[bytes, Credential] = {}
        for credential in credentials:
            key_digest = digest(credential.api_key)
            if key_digest in self._by_digest:
                other = self._by_digest[key_digest].name
                raise ConfigurationError.of(f"key {credential.name}", f"is also key {other}")
            self._by_digest[key_digest] = credential

    def __len__(self) -> int:
        return len(self._by_digest)

    def find(self, api_key: str) -> Credential | None:
        """Look a key up; by digest, so that timing tells nothing about stored keys."""
        return self._by_digest.get(digest(api_key))

    def secrets_to_try(self, credential: Credential | None) -> list[tuple[bytes, bool]]:
        """Always two secrets, each with whether it is a real one."""
        real = credential.secrets if credential is not None else ()
        missing = MAX_SECRETS - len(real)
        return [(secret, True) for secret in real] + [(self._dummy_secret, False)] * missing


def digest(text: str) -> bytes:
    """Fixed-length stand-in of a text that came from a peer, for look-up and comparison."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
