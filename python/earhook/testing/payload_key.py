"""Encrypted bodies as a sender makes them: `Content-Encoding: aes128gcm` (RFC 8188)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = ["PayloadKey", "Seal"]

MORE, LAST = b"\x01", b"\x02"
TAG_BYTES = 16


@dataclass(frozen=True, slots=True)
class PayloadKey:
    """Keying material that sender and gateway share.

    Attributes:
        key_id: What the header of a body calls it.
        key: The keying material.
        record_bytes: Length of records, tag and delimiter included. A record is what has to be
            there before any of it can be heard: 377 holds 20 ms of L16 at 8 kHz, with 40 to spare.
    """

    key_id: bytes
    key: bytes = field(repr=False)
    record_bytes: int = 377

    def seal(self, body: bytes, *, salt: bytes | None = None) -> bytes:
        """Encrypt a whole body."""
        seal = Seal(self, salt)
        return b"".join([seal.header, *seal.add(body), seal.finish()])


class Seal:
    """One body that is being encrypted.

    Attributes:
        header: What goes out first.
    """

    def __init__(self, key: PayloadKey, salt: bytes | None = None) -> None:
        """Begin a body.

        Args:
            key: To encrypt with.
            salt: 16 bytes that were never used with this key; drawn if left out.
        """
        salt = os.urandom(16) if salt is None else salt
        length = key.record_bytes.to_bytes(4, "big")
        self.header = salt + length + len(key.key_id).to_bytes(1, "big") + key.key_id
        self._cipher = AESGCM(_derive(key.key, salt, b"Content-Encoding: aes128gcm\0", 16))
        self._nonce = int.from_bytes(
            _derive(key.key, salt, b"Content-Encoding: nonce\0", 12), "big"
        )
        self._plain_bytes = key.record_bytes - TAG_BYTES - 1
        self._waiting = bytearray()
        self._number = 0

    def add(self, plain: bytes) -> Iterator[bytes]:
        """Encrypt more of the body: the records that are complete and not the last."""
        self._waiting += plain
        while len(self._waiting) > self._plain_bytes:
            record = bytes(self._waiting[: self._plain_bytes])
            del self._waiting[: self._plain_bytes]
            yield self._record(record + MORE)

    def flush(self) -> bytes:
        """What waits for its record to be full, in a record of its own, filled up with padding."""
        record = bytes(self._waiting) + MORE
        self._waiting.clear()
        return self._record(record.ljust(self._plain_bytes + 1, b"\0"))

    def finish(self) -> bytes:
        """The last record."""
        return self._record(bytes(self._waiting) + LAST)

    def _record(self, plain: bytes) -> bytes:
        nonce = (self._nonce ^ self._number).to_bytes(12, "big")
        self._number += 1
        return self._cipher.encrypt(nonce, plain, None)


def _derive(key: bytes, salt: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=purpose).derive(key)
