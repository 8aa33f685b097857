"""Keys and tokens: from settings and files to what requests are checked with.

Files are read here and nowhere else, so a reload is: read all of it, and only when all of it is
good, put it in the place of the old.
"""

from __future__ import annotations

import secrets
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ids import KeyName
from earhook.ops.logging import get_logger
from earhook.protocol.signature import Credential, KeyRing

from .settings import AdminSettings, KeySettings, decode_secret

__all__ = [
    "exposed_files",
    "key_name",
    "read_keyring",
    "read_secret_file",
    "read_token",
    "warn_exposed",
]

MAX_SECRET_FILE_BYTES: Final = 4096

_DUMMY_SECRET: Final = secrets.token_bytes(32)
_LOG: Final = get_logger(__name__)


def read_keyring(keys: Sequence[KeySettings]) -> KeyRing:
    """Read every key and secret.

    Raises:
        ConfigurationError: With every fault of every key; nothing secret is in it.
    """
    faults: list[ConfigurationFault] = []
    credentials = [_credential(number, key, faults) for number, key in enumerate(keys)]
    if not faults:
        try:
            return KeyRing([found for found in credentials if found], _DUMMY_SECRET)
        except ConfigurationError as error:
            faults.extend(error.faults)
    raise ConfigurationError(faults)


def key_name(number: int, key: KeySettings) -> KeyName:
    """What a key is called; `number`: of its table, from 0."""
    return KeyName(key.name or f"key-{number + 1}")


def read_token(settings: AdminSettings) -> str | None:
    """Read the admin port's bearer token; None where none is configured.

    Raises:
        ConfigurationError: Its file cannot be read or is empty.
    """
    if settings.token is not None:
        return settings.token.get_secret_value()
    if settings.token_file is None:
        return None
    faults: list[ConfigurationFault] = []
    token = read_secret_file("admin.token_file", settings.token_file, faults)
    if faults:
        raise ConfigurationError(faults)
    return token


def exposed_files(
    keys: Sequence[KeySettings], admin: AdminSettings, others: Iterable[Path] = ()
) -> list[Path]:
    """Secret files that every user of the machine may read; `others` are those of the ingest."""
    files = [file for key in keys for file in (key.api_key_file, *key.secret_files)]
    named = (file for file in (*files, admin.token_file, *others) if file is not None)
    return [file for file in named if _is_exposed(file)]


def warn_exposed(
    keys: Sequence[KeySettings], admin: AdminSettings, others: Iterable[Path] = ()
) -> None:
    """Write a line for every secret file that every user of the machine may read."""
    for file in exposed_files(keys, admin, others):
        _LOG.warning("secret.exposed", file=str(file), remedy="chmod 600")


def _credential(
    number: int, key: KeySettings, faults: list[ConfigurationFault]
) -> Credential | None:
    where = f"keys[{number}]"
    before = len(faults)
    if key.api_key is not None:
        api_key = key.api_key.get_secret_value()
    else:
        assert key.api_key_file is not None  # the settings' own rule
        api_key = read_secret_file(f"{where}.api_key_file", key.api_key_file, faults)
    if not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        what = "an API key is plain ASCII without spaces"
        faults.append(ConfigurationFault(where, what, "copy it as Genesys Cloud shows it"))
    decoded = _secrets(where, key, faults)
    if len(faults) > before:
        return None
    try:
        return Credential(
            name=key_name(number, key),
            api_key=api_key,
            secrets=decoded,
            unsigned=key.unsigned,
            organizations=frozenset(organization.lower() for organization in key.organizations),
        )
    except ConfigurationError as error:
        faults.extend(error.faults)
        return None


def _secrets(where: str, key: KeySettings, faults: list[ConfigurationFault]) -> tuple[bytes, ...]:
    """The decoded secrets of one key; the files' after those in the configuration itself."""
    texts = [(f"{where}.secrets", secret.get_secret_value()) for secret in key.secrets]
    for file in key.secret_files:
        text = read_secret_file(f"{where}.secret_files", file, faults)
        texts.append((f"{where}.secret_files {file}", text))
    decoded = []
    for place, text in texts:
        if not text:
            continue  # a fault already
        try:
            decoded.append(decode_secret(text))
        except ValueError as error:
            faults.append(ConfigurationFault(place, str(error)))
    return tuple(decoded)


def read_secret_file(where: str, file: Path, faults: list[ConfigurationFault]) -> str:
    """The text of a secret file without white space at its ends; "" after adding a fault."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_SECRET_FILE_BYTES + 1)
        text = content.decode().strip()
    except OSError as error:
        what = f"{file} cannot be read: {error.strerror}"
        faults.append(ConfigurationFault(where, what, "create it, readable for this user"))
        return ""
    except UnicodeDecodeError:
        text = ""
    if not text or len(content) > MAX_SECRET_FILE_BYTES:
        what = f"{file} holds no single line of text"
        faults.append(ConfigurationFault(where, what, "it must hold the value and nothing else"))
        return ""
    return text


def _is_exposed(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
