"""Credentials of the ingest: from settings and files to what requests are checked with.

As in `credentials.py`: all of it is read, and only when all of it is good is any of it used.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from pydantic import SecretStr

from earhook.clock import Clock
from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ids import KeyName
from earhook.ingest.credential_settings import (
    EncryptionKeySettings,
    IssuerSettings,
    TokenSettings,
)

from .bearer import StaticToken, token_digest
from .credentials import read_secret_file
from .fetching import Source, require_fetchable
from .jwks import (
    FETCH_SECONDS,
    MAX_KEY_SET_BYTES,
    FetchedKeys,
    FixedKeys,
    KeySet,
    KeySource,
    parse_key_set,
)
from .jwt import Issuer

__all__ = ["read_encryption_keys", "read_issuers", "read_tokens", "secret_files"]

MIN_TOKEN_CHARACTERS: Final = 16
MAX_TOKEN_CHARACTERS: Final = 4096
MIN_HS256_BYTES: Final = 32
"""As long as the hash at least (RFC 7518 §3.2)."""
MIN_ENCRYPTION_KEY_BYTES: Final = 16

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)


def read_tokens(tables: Sequence[TokenSettings]) -> tuple[StaticToken, ...]:
    """Read every static token.

    Raises:
        ConfigurationError: With every fault of every table; no token is in it.
    """
    faults: list[ConfigurationFault] = []
    tokens: dict[bytes, StaticToken] = {}
    for number, table in enumerate(tables):
        where = f"ingest.tokens[{number}]"
        text = _secret_text(where, "token", (table.token, table.token_file), faults)
        if text is None:
            continue
        fault = _token_fault(where, text)
        digest = token_digest(text)
        if fault is None and digest in tokens:
            what = f"is the token of another table too ({tokens[digest].name})"
            fault = ConfigurationFault(where, what, "give each table a token of its own")
        if fault is not None:
            faults.append(fault)
            continue
        tokens[digest] = StaticToken(
            KeyName(table.name),
            digest,
            _lower(table.organizations),
            _end_seconds(table.expires),
        )
    return _unless(faults, tuple(tokens.values()))


def read_issuers(
    tables: Sequence[IssuerSettings], clock: Clock, serving: Sequence[Issuer] = ()
) -> tuple[Issuer, ...]:
    """Read every issuer with its keys; nothing is fetched here.

    Args:
        tables: What the configuration says.
        clock: For the age of fetched keys.
        serving: Issuers in service. Where the keys are fetched from the same place as before,
            those that are there go on serving.

    Raises:
        ConfigurationError: With every fault of every table.
    """
    faults: list[ConfigurationFault] = []
    issuers = [
        _read_issuer(f"ingest.issuers[{number}]", table, clock, serving, faults)
        for number, table in enumerate(tables)
    ]
    return _unless(faults, tuple(issuer for issuer in issuers if issuer is not None))


def read_encryption_keys(tables: Sequence[EncryptionKeySettings]) -> Mapping[bytes, bytes]:
    """Read input keying material by key id, for `earhook.media.intake.EncryptionKeys`.

    Raises:
        ConfigurationError: With every fault of every table; no key is in it.
    """
    faults: list[ConfigurationFault] = []
    keys: dict[bytes, bytes] = {}
    for number, table in enumerate(tables):
        where = f"ingest.encryption_keys[{number}]"
        key_id = table.key_id.encode()
        if key_id in keys:
            what = "another table has the same key_id"
            faults.append(ConfigurationFault(where, what, "give each key an id of its own"))
        sources = (table.key, table.key_file)
        key = _octets(where, "key", sources, MIN_ENCRYPTION_KEY_BYTES, faults)
        if key is not None:
            keys[key_id] = key
    return _unless(faults, keys)


def secret_files(
    tokens: Sequence[TokenSettings],
    issuers: Sequence[IssuerSettings],
    encryption_keys: Sequence[EncryptionKeySettings],
) -> list[Path]:
    """Every file of the ingest that only its own user should be able to read."""
    files = [
        *(token.token_file for token in tokens),
        *(issuer.secret_file for issuer in issuers),
        *(key.key_file for key in encryption_keys),
    ]
    return [file for file in files if file is not None]


def _read_issuer(
    where: str,
    table: IssuerSettings,
    clock: Clock,
    serving: Sequence[Issuer],
    faults: list[ConfigurationFault],
) -> Issuer | None:
    before = len(faults)
    secret = None
    if "HS256" in table.algorithms:
        sources = (table.secret, table.secret_file)
        secret = _octets(where, "secret", sources, MIN_HS256_BYTES, faults)
    keys = _key_source(where, table, clock, serving, faults)
    if len(faults) > before:
        return None
    return Issuer(
        name=KeyName(table.name),
        issuer=table.issuer,
        audience=table.audience,
        algorithms=frozenset(table.algorithms),
        keys=keys,
        leeway_seconds=table.leeway_seconds,
        organization_claim=table.organization_claim,
        organizations=_lower(table.organizations),
        secret=secret,
    )


def _key_source(
    where: str,
    table: IssuerSettings,
    clock: Clock,
    serving: Sequence[Issuer],
    faults: list[ConfigurationFault],
) -> KeySource:
    """Where the keys come from; one without keys after adding a fault, and for HS256 alone."""
    nothing = FixedKeys(KeySet())
    if table.jwks_file is not None:
        return _keys_of_file(f"{where}.jwks_file", table.jwks_file, faults) or nothing
    if table.jwks_url is None:
        return nothing
    try:
        require_fetchable(f"{where}.jwks_url", table.jwks_url, table.jwks_ca)
    except ConfigurationError as error:
        faults.extend(error.faults)
        return nothing
    source = Source(table.jwks_url, table.jwks_ca, MAX_KEY_SET_BYTES, FETCH_SECONDS)
    fresh = FetchedKeys(KeyName(table.name), source, table.jwks_cache_seconds, clock)
    served = [issuer.keys for issuer in serving if isinstance(issuer.keys, FetchedKeys)]
    return next((keys for keys in served if keys.fetches_like(fresh)), fresh)


def _keys_of_file(where: str, file: Path, faults: list[ConfigurationFault]) -> FixedKeys | None:
    try:
        with file.open("rb") as opened:
            return FixedKeys(parse_key_set(opened.read(MAX_KEY_SET_BYTES + 1)))
    except OSError as error:
        what = f"{file} cannot be read: {error.strerror}"
        faults.append(ConfigurationFault(where, what, "create it, readable for this user"))
    except ValueError as error:
        what = f"{file} {error}"
        faults.append(ConfigurationFault(where, what, "give the issuer's JWK set (RFC 7517)"))
    return None


Sources = tuple[SecretStr | None, Path | None]
"""A secret in the configuration itself, or the file that it lies in."""


def _secret_text(
    where: str, key: str, sources: Sources, faults: list[ConfigurationFault]
) -> str | None:
    """The text of a secret; None after adding a fault."""
    inline, file = sources
    if inline is not None:
        return inline.get_secret_value()
    assert file is not None  # the settings' own rule
    return read_secret_file(f"{where}.{key}_file", file, faults) or None


def _octets(
    where: str, key: str, sources: Sources, least: int, faults: list[ConfigurationFault]
) -> bytes | None:
    """A secret in base64, decoded; None after adding a fault."""
    text = _secret_text(where, key, sources, faults)
    if text is None:
        return None
    try:
        octets = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if len(octets) >= least:
        return octets
    place = f"{where}.{key}" if sources[1] is None else f"{where}.{key}_file"
    what = f"is not base64 of at least {least} bytes"
    faults.append(ConfigurationFault(place, what, f"openssl rand -base64 {least} makes one"))
    return None


def _token_fault(where: str, text: str) -> ConfigurationFault | None:
    if _TOKEN.fullmatch(text) is None:
        what = "the token holds characters that cannot be sent as a bearer token"
        return ConfigurationFault(where, what, "use letters, digits and - . _ ~ + / only")
    if not MIN_TOKEN_CHARACTERS <= len(text) <= MAX_TOKEN_CHARACTERS:
        what = f"the token is shorter than {MIN_TOKEN_CHARACTERS} characters, or far too long"
        return ConfigurationFault(where, what, "`openssl rand -hex 32` makes a good one")
    return None


def _end_seconds(expires: datetime.datetime | datetime.date | None) -> float | None:
    """From when on a token is dead: that very moment, or the end of that day in UTC."""
    if expires is None:
        return None
    if isinstance(expires, datetime.datetime):
        return expires.timestamp()
    midnight = datetime.datetime.combine(expires, datetime.time(), datetime.UTC)
    return midnight.timestamp() + 86_400.0


def _lower(organizations: Sequence[str]) -> frozenset[str]:
    return frozenset(organization.lower() for organization in organizations)


Read = TypeVar("Read")


def _unless(faults: list[ConfigurationFault], read: Read) -> Read:
    if faults:
        raise ConfigurationError(faults)
    return read
