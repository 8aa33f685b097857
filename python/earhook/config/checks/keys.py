"""API keys, secrets and the admin token: readable, decodable, long enough, not for everybody."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from earhook.config.rules import require_servable
from earhook.config.schema import Configuration
from earhook.control.credentials import exposed_files, read_keyring, read_token
from earhook.control.settings import AdminSettings, KeySettings
from earhook.errors import ConfigurationError

from .finding import Finding, doubtful, faults_from, fine

__all__ = ["check_keys"]


def check_keys(configuration: Configuration) -> Iterator[Finding]:
    """Read everything secret, and show none of it."""
    keys, admin = configuration.keys, configuration.admin
    try:
        require_servable(configuration)
    except ConfigurationError as error:
        yield from faults_from(error)
    try:
        read_keyring(keys)
        if keys:
            yield fine("keys", f"{len(keys)} API key{'s' if len(keys) > 1 else ''}")
    except ConfigurationError as error:
        yield from faults_from(error)
    yield from _check_token(admin)
    yield from _check_care(keys, admin)


def _check_token(admin: AdminSettings) -> Iterator[Finding]:
    try:
        token = read_token(admin)
    except ConfigurationError as error:
        yield from faults_from(error)
        return
    if token is not None and len(token) < 16:
        yield doubtful("admin.token", "is short enough to be guessed", "use 32 random characters")


def _check_care(keys: tuple[KeySettings, ...], admin: AdminSettings) -> Iterator[Finding]:
    for number, key in enumerate(keys):
        if key.unsigned:
            yield doubtful(
                f"keys[{number}].unsigned",
                "whoever learns this key can place calls",
                "give it a secret, and sign requests in Genesys Cloud",
            )
        if key.api_key is not None or key.secrets:
            yield doubtful(
                f"keys[{number}]",
                "a secret stands in the configuration itself",
                "move it to a file of its own: api_key_file, secret_files",
            )
    for file in exposed_files(keys, admin):
        yield doubtful(str(file), f"every user can read it (mode {_mode(file)})", "chmod 600")


def _mode(file: Path) -> str:
    return f"{stat.S_IMODE(file.stat().st_mode):04o}"
