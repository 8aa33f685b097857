"""Keys that JSON Web Tokens are checked with (RFC 7517): read from a file, or fetched and kept.

Only public RSA and P-256 keys are taken from a key set. Symmetric keys in one are passed over:
what an issuer publishes is no secret, and a secret is given in the configuration only.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from earhook.clock import Clock
from earhook.errors import FetchFailed
from earhook.ids import KeyName
from earhook.ops.logging import get_logger

from .fetching import Source, fetch

__all__ = ["MAX_KEY_SET_BYTES", "FetchedKeys", "FixedKeys", "KeySet", "KeySource", "parse_key_set"]

MAX_KEY_SET_BYTES: Final = 256 * 1024
MAX_KEYS: Final = 64
MAX_KEYS_TO_TRY: Final = 4
"""Keys that a token without a key id is tried with."""
RSA_BITS: Final = range(2048, 8193)
"""Shorter ones can be broken, longer ones cost too much to check with."""
FETCH_SECONDS: Final = 5.0
UNKNOWN_KEY_SECONDS: Final = 10.0
"""The least time between two fetches, whatever key ids strangers make up."""
RETRY_SECONDS: Final = 30.0

_LOG: Final = get_logger(__name__)


class PublicKey(NamedTuple):
    """One key of a set, good for one algorithm only."""

    key_id: str | None
    algorithm: str
    key: jwt.PyJWK


class KeySet(NamedTuple):
    """The usable keys of a document."""

    keys: tuple[PublicKey, ...] = ()

    def candidates(self, algorithm: str, key_id: str | None) -> list[jwt.PyJWK]:
        """What a token may have been signed with: by key id, else all of a handful."""
        fitting = [public for public in self.keys if public.algorithm == algorithm]
        if key_id is not None:
            named = [public.key for public in fitting if public.key_id == key_id]
            if named:
                return named[:MAX_KEYS_TO_TRY]
            fitting = [public for public in fitting if public.key_id is None]
        # Which of many it is, the token has to say: each try costs us and not its sender.
        return [public.key for public in fitting] if len(fitting) <= MAX_KEYS_TO_TRY else []


class KeySource(Protocol):
    """Where an issuer's keys come from."""

    @property
    def current(self) -> KeySet:
        """The keys in service: another object as soon as the document has changed."""
        ...

    async def renew(self) -> bool:
        """Look for newer keys, if that makes sense now; whether there are any."""
        ...


class FixedKeys:
    """Keys that change with a reload only."""

    def __init__(self, keys: KeySet) -> None:
        self.current = keys

    async def renew(self) -> bool:
        """There are none."""
        return False


Fetch = Callable[[Source], Awaitable[bytes]]


class FetchedKeys:
    """Keys that are fetched again and again; the last good ones serve as long as it fails.

    Attributes:
        current: The keys in service; none before the first fetch has succeeded.
        failures: Fetches that failed.
    """

    def __init__(
        self,
        name: KeyName,
        source: Source,
        cache_seconds: float,
        clock: Clock,
        fetch_document: Fetch = fetch,
    ) -> None:
        self.current = KeySet()
        self.failures = 0
        self.source = source
        self.cache_seconds = cache_seconds
        self._name = name
        self._clock = clock
        self._fetch_document = fetch_document
        self._digest = b""
        self._attempted_seconds: float | None = None
        self._fetched_seconds: float | None = None
        self._has_failed = False
        self._fetching: asyncio.Task[bool] | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def age_seconds(self) -> float | None:
        """How long ago the keys were last fetched; None before the first time."""
        if self._fetched_seconds is None:
            return None
        return self._clock.monotonic_seconds() - self._fetched_seconds

    def fetches_like(self, other: FetchedKeys) -> bool:
        """Whether both fetch the same document in the same way."""
        mine = (self._name, self.source, self.cache_seconds)
        return mine == (other._name, other.source, other.cache_seconds)

    def start(self) -> None:
        """Fetch now, and keep the keys fresh until `stop`. Needs a running loop."""
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep_fresh())

    async def stop(self) -> None:
        """End every fetch."""
        tasks = [task for task in (self._keeping, self._fetching) if task is not None]
        self._keeping = self._fetching = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def renew(self) -> bool:
        """Fetch now, together with everybody who asks meanwhile, and not too often."""
        if self._fetching is None:
            now = self._clock.monotonic_seconds()
            last = self._attempted_seconds
            if last is not None and now - last < UNKNOWN_KEY_SECONDS:
                return False
            self._attempted_seconds = now
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._fetched)
        # Who asked may be gone before the answer is here; the others still wait for it.
        fetching = self._fetching
        await asyncio.wait({fetching})
        return not fetching.cancelled() and fetching.result()

    def _fetched(self, _task: asyncio.Task[bool]) -> None:
        self._fetching = None

    async def _keep_fresh(self) -> None:
        while True:
            await self.renew()
            seconds = self.cache_seconds
            # Where it was too soon to fetch again, it is the fetch before that has failed.
            if self._has_failed:
                seconds = min(RETRY_SECONDS, seconds)
            await asyncio.sleep(seconds)

    async def _fetch(self) -> bool:
        """Whether there are other keys than before."""
        try:
            document = await self._fetch_document(self.source)
            digest = hashlib.sha256(document).digest()
            keys = None if digest == self._digest else parse_key_set(document)
        except (FetchFailed, ValueError) as error:
            self._say_failed(str(error))
            return False
        except Exception:  # noqa: BLE001 - whoever waits for it gets an answer, and calls go on
            self._say_failed("a defect of ours", exc_info=True)
            return False
        self._fetched_seconds = self._clock.monotonic_seconds()
        self._has_failed = False
        if keys is None:
            return False
        self._digest, self.current = digest, keys
        _LOG.info("jwks.fetched", issuer=self._name, keys=len(keys.keys))
        return True

    def _say_failed(self, reason: str, *, exc_info: bool = False) -> None:
        self.failures += 1
        self._has_failed = True
        age = self.age_seconds
        _LOG.error(
            "jwks.failed",
            issuer=self._name,
            reason=reason,
            in_service=f"{len(self.current.keys)} keys",
            age_seconds=None if age is None else round(age),
            remedy="check jwks_url from this machine; tokens with other keys get 401 meanwhile",
            exc_info=exc_info,
        )


def parse_key_set(document: bytes) -> KeySet:
    """The usable keys of a JWK set; what else is in it is passed over (RFC 7517 §5).

    Raises:
        ValueError: It is no key set, too large, or holds no usable key.
    """
    if len(document) > MAX_KEY_SET_BYTES:
        raise ValueError(f"is longer than {MAX_KEY_SET_BYTES} bytes")
    try:
        tree = orjson.loads(document)
    except orjson.JSONDecodeError:
        raise ValueError("is no JSON") from None
    entries = tree.get("keys") if isinstance(tree, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise ValueError(f"is no JWK set of at most {MAX_KEYS} keys")
    found = [_public_key(entry) for entry in entries if isinstance(entry, dict)]
    keys = tuple(key for key in found if key is not None)
    if not keys:
        raise ValueError("holds no public RSA or P-256 key for signatures")
    return KeySet(keys)


def _public_key(entry: Mapping[str, Any]) -> PublicKey | None:
    algorithm = _algorithm(entry)
    if algorithm is None or not _is_for_signatures(entry, algorithm):
        return None
    key_id = entry.get("kid")
    if key_id is not None and not isinstance(key_id, str):
        return None
    # The public members only, so that nothing private is even looked at.
    public = {name: entry[name] for name in _MEMBERS if isinstance(entry.get(name), str)}
    key = None
    with contextlib.suppress(jwt.PyJWTError, ValueError):
        key = jwt.PyJWK(public, algorithm)
    if key is None:
        return None
    if isinstance(key.key, RSAPublicKey) and key.key.key_size not in RSA_BITS:
        return None
    return PublicKey(key_id, algorithm, key)


def _algorithm(entry: Mapping[str, Any]) -> str | None:
    """The one algorithm that a key is good for with us."""
    if entry.get("kty") == "RSA":
        return "RS256"
    if entry.get("kty") == "EC" and entry.get("crv") == "P-256":
        return "ES256"
    return None


def _is_for_signatures(entry: Mapping[str, Any], algorithm: str) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return (
        entry.get("use", "sig") == "sig"
        and entry.get("alg", algorithm) == algorithm
        and isinstance(operations, list)
        and "verify" in operations
    )


_MEMBERS: Final = ("kty", "n", "e", "crv", "x", "y")
"""The public ones of both kinds of keys (RFC 7518 §6)."""
