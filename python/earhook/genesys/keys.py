"""Keys: fresh ones, the files they lie in, and marks by which a stored one is known again.

The API gives no secret back. So that a plan can still tell whether the stored one is the wanted
one, a mark of it is stored where it can be read: in the name of a credential, at the end of the
description of an AudioHook.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ops.redaction import Redacted

__all__ = ["fresh_api_key", "fresh_secret", "mark_of", "write_keys"]


def fresh_api_key() -> Redacted[str]:
    """An API key that nobody can guess."""
    return Redacted(secrets.token_urlsafe(24))


def fresh_secret() -> Redacted[str]:
    """32 random bytes in base64: a client secret, or an encryption key."""
    return Redacted(base64.b64encode(secrets.token_bytes(32)).decode())


async def mark_of(salt: str, *keys: Redacted[str] | None) -> str:
    """A mark of some secrets, by which nobody finds them.

    Args:
        salt: What the secrets are for, so that equal ones have unequal marks.
        keys: The secrets; None where there is none.
    """
    # Slow on purpose: a key that somebody has thought up shall not be found by trying.
    parts = [b"-" if key is None else b"+" + key.reveal().encode() for key in keys]
    joined = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    digest = await asyncio.to_thread(
        hashlib.scrypt, joined, salt=salt.encode(), n=_COST, r=8, p=1, dklen=_MARK_BYTES
    )
    return digest.hex()


def write_keys(keys: Mapping[Path, Redacted[str]]) -> None:
    """Write every key into a new file of its own that only we can read.

    Raises:
        ConfigurationError: One exists already, or cannot be written.
    """
    faults: list[ConfigurationFault] = []
    for path, key in keys.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(key.reveal() + "\n")
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            faults.append(ConfigurationFault(str(path), what, "see its directory"))
    if faults:
        raise ConfigurationError(faults)


_COST: Final = 1 << 14
_MARK_BYTES: Final = 6
