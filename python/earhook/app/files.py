"""What lies in files of its own, read before anything is built: all of it, or all the faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earhook.clock import Clock
from earhook.config.rules import ingest_tls
from earhook.config.schema import Configuration
from earhook.control.bearer import BearerTokens
from earhook.control.credentials import read_keyring, read_token, warn_exposed
from earhook.control.doorkeeper import read_bearer_tokens
from earhook.control.ingest_credentials import read_encryption_keys, secret_files
from earhook.edge.access import read_networks
from earhook.edge.networks import Network
from earhook.edge.tls import ServerCertificate
from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.media.intake import EncryptionKeys
from earhook.protocol.signature import KeyRing

__all__ = ["Files", "payload_keys", "read_files", "warn_exposed_files"]


@dataclass(frozen=True, slots=True)
class Files:
    """What every room is made from.

    Attributes:
        certificate: Of the media port; None: plain `ws://`.
        ingest_certificate: Of the ingest; the same object where it has none of its own.
        keyring: API keys and their secrets.
        bearer_tokens: What opens the ingest besides.
        payload_keys: What bodies of the ingest are encrypted with.
        networks: The configured allow-list; None: there is none.
        admin_token: What the admin port asks for.
    """

    certificate: ServerCertificate | None
    ingest_certificate: ServerCertificate | None
    keyring: KeyRing
    bearer_tokens: BearerTokens
    payload_keys: EncryptionKeys | None
    networks: Sequence[Network] | None
    admin_token: str | None


def read_files(configuration: Configuration, clock: Clock) -> Files:
    """Read every file that a part of the gateway is made from.

    Raises:
        ConfigurationError: With the faults of all of them.
    """
    faults: list[ConfigurationFault] = []

    def attempt(read: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever it reads
        try:
            return read()
        except ConfigurationError as error:
            faults.extend(error.faults)
            return None

    certificate = attempt(lambda: _media_certificate(configuration, clock))
    files = Files(
        certificate=certificate,
        ingest_certificate=attempt(lambda: _ingest_certificate(configuration, clock, certificate)),
        keyring=attempt(lambda: read_keyring(configuration.keys)),
        bearer_tokens=attempt(lambda: _bearer_tokens(configuration, clock)),
        payload_keys=attempt(lambda: payload_keys(configuration)),
        networks=attempt(lambda: read_networks(configuration.access)),
        admin_token=attempt(lambda: read_token(configuration.admin)),
    )
    if faults:
        raise ConfigurationError(faults)
    return files


def payload_keys(configuration: Configuration) -> EncryptionKeys | None:
    """The keys that bodies of the ingest may be encrypted with; None: there are none.

    Raises:
        ConfigurationError: With the faults of all tables.
    """
    ingest = configuration.ingest
    if ingest is None or not ingest.encryption_keys:
        return None
    return EncryptionKeys(read_encryption_keys(ingest.encryption_keys))


def warn_exposed_files(configuration: Configuration) -> None:
    """Write a line for every secret file that every user of the machine may read."""
    ingest = configuration.ingest
    of_ingest: list[Path] = []
    if ingest is not None:
        of_ingest = secret_files(ingest.tokens, ingest.issuers, ingest.encryption_keys)
    warn_exposed(configuration.keys, configuration.admin, of_ingest)


def _media_certificate(configuration: Configuration, clock: Clock) -> ServerCertificate | None:
    tls = configuration.media.tls
    return None if tls is None else ServerCertificate(tls, clock)


def _ingest_certificate(
    configuration: Configuration, clock: Clock, media: ServerCertificate | None
) -> ServerCertificate | None:
    ingest = configuration.ingest
    if ingest is None or ingest_tls(ingest, configuration.media) is None:
        return None
    return media if ingest.tls is None else ServerCertificate(ingest.tls, clock, "ingest.tls")


def _bearer_tokens(configuration: Configuration, clock: Clock) -> BearerTokens:
    ingest = configuration.ingest
    tables = ((), ()) if ingest is None else (ingest.tokens, ingest.issuers)
    return read_bearer_tokens(*tables, clock)
