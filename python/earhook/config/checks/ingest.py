"""Who may send to the ingest: tokens, issuers and payload keys, read and not shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from earhook.clock import Clock
from earhook.config.schema import Configuration
from earhook.control.credentials import exposed_files
from earhook.control.ingest_credentials import (
    read_encryption_keys,
    read_issuers,
    read_tokens,
    secret_files,
)
from earhook.errors import ConfigurationError
from earhook.ingest.settings import IngestSettings

from .finding import Finding, doubtful, faults_from, fine
from .network import check_url

__all__ = ["check_ingest_credentials"]

SOON_DAYS = 14


def check_ingest_credentials(
    configuration: Configuration, clock: Clock, *, offline: bool
) -> Iterator[Finding]:
    """Everything that `[ingest]` says about who may send. Nothing without the table."""
    ingest = configuration.ingest
    if ingest is None:
        return
    yield from _check_tokens(ingest, clock)
    yield from _check_read(
        "ingest.issuers", len(ingest.issuers), lambda: read_issuers(ingest.issuers, clock)
    )
    yield from _check_read(
        "ingest.encryption_keys",
        len(ingest.encryption_keys),
        lambda: read_encryption_keys(ingest.encryption_keys),
    )
    if not offline:
        yield from _check_key_servers(ingest)
    yield from _check_encryption(ingest)
    files = secret_files(ingest.tokens, ingest.issuers, ingest.encryption_keys)
    for file in exposed_files((), configuration.admin, files):
        if file in files:
            yield doubtful(str(file), "every user can read it", "chmod 600")


def _check_tokens(ingest: IngestSettings, clock: Clock) -> Iterator[Finding]:
    try:
        tokens = read_tokens(ingest.tokens)
    except ConfigurationError as error:
        yield from faults_from(error)
        return
    for number, token in enumerate(tokens):
        where = f"ingest.tokens[{number}]"
        if token.ends_wall_seconds is None:
            continue
        left_seconds = token.ends_wall_seconds - clock.wall_seconds()
        days = int(left_seconds / 86400)
        if left_seconds <= 0:
            yield doubtful(where, "has expired: it lets nobody in", "remove it, or renew it")
        elif days < SOON_DAYS:
            what = f"expires in {days} days"
            yield doubtful(where, what, "add the next one under the same name")
    if tokens:
        yield fine("ingest.tokens", f"{len(tokens)} of {len(ingest.tokens)} tables hold a token")


def _check_read(where: str, tables: int, read: Callable[[], object]) -> Iterator[Finding]:
    """Read the files that tables name."""
    try:
        read()
    except ConfigurationError as error:
        yield from faults_from(error)
        return
    if tables:
        yield fine(where, f"{tables} read")


def _check_key_servers(ingest: IngestSettings) -> Iterator[Finding]:
    """Whether somebody answers where keys of issuers are fetched."""
    for number, issuer in enumerate(ingest.issuers):
        if issuer.jwks_url is not None:
            yield check_url(f"ingest.issuers[{number}].jwks_url", issuer.jwks_url)


def _check_encryption(ingest: IngestSettings) -> Iterator[Finding]:
    if ingest.encryption == "required" and not ingest.encryption_keys:
        what = "encrypted bodies are required, and there is no key to decrypt them"
        yield doubtful("ingest.encryption", what, "add [[ingest.encryption_keys]]")
