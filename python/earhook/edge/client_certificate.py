"""The names in a client's certificate, and whether they are wanted. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

__all__ = ["ClientPatterns", "PeerCertificate", "check_pattern"]


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """What a client showed in TLS. Its authority is known; its names are what that one vouches for.

    Attributes:
        subject: As text (RFC 4514).
        names: Alternative names, each with its kind: `DNS:`, `URI:`, `IP:`, `email:`.
    """

    subject: str
    names: tuple[str, ...]


class ClientPatterns:
    """Which certificates of a known authority are let in: all, or those that match a pattern."""

    __slots__ = ("_names", "_subjects", "is_empty")

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        """Take patterns that `check_pattern` has passed."""
        self._names: list[str] = []
        self._subjects: list[list[str]] = []
        for pattern in patterns:
            if _kind(pattern) in _NAME_KINDS:
                self._names.append(_folded(pattern))
            else:
                self._subjects.append(_attributes(pattern))
        self.is_empty = not self._names and not self._subjects

    def match(self, certificate: PeerCertificate) -> bool:
        """Whether a certificate is wanted."""
        if self.is_empty:
            return True
        names = [_folded(name) for name in certificate.names]
        if any(fnmatchcase(name, pattern) for name in names for pattern in self._names):
            return True
        subject = _attributes(certificate.subject)
        return any(_matches_subject(subject, pattern) for pattern in self._subjects)


def check_pattern(pattern: str) -> None:
    """Look whether a pattern can ever match.

    Raises:
        ValueError: It cannot; with what a pattern looks like.
    """
    if _kind(pattern) in _NAME_KINDS:
        return
    attributes = _attributes(pattern)
    if attributes and all(_ATTRIBUTE.fullmatch(attribute) for attribute in attributes):
        return
    raise ValueError(
        f"{pattern!r} is no pattern: give `CN=name`, a whole subject such as `CN=*,O=Company`, "
        "or an alternative name such as `DNS:*.example.com`, `URI:…`, `IP:…`, `email:…`"
    )


def _matches_subject(subject: list[str], pattern: list[str]) -> bool:
    """Attribute by attribute, so that a `*` in one of them never reaches into the next."""
    if len(pattern) == 1:
        return any(fnmatchcase(attribute, pattern[0]) for attribute in subject)
    return len(subject) == len(pattern) and all(map(fnmatchcase, subject, pattern))


def _attributes(subject: str) -> list[str]:
    """Split a subject at its commas; an escaped one is part of a value (RFC 4514 §2.4)."""
    return [part.strip(" ") for part in _PARTS.findall(subject)]


def _kind(name: str) -> str:
    return name.partition(":")[0] if ":" in name else ""


def _folded(name: str) -> str:
    """Host names have no case; nothing else is touched."""
    return "DNS:" + name[4:].lower() if name.startswith("DNS:") else name


_NAME_KINDS: Final = frozenset({"DNS", "URI", "IP", "email"})
_PARTS: Final = re.compile(r"(?:\\.|[^,\\])+", re.DOTALL)
_ATTRIBUTE: Final = re.compile(r"[A-Za-z0-9.]+=.+", re.DOTALL)
