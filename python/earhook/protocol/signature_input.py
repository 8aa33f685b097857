"""Reading `Signature-Input` and `Signature`, and the text that is signed.

Structured fields of RFC 8941; the rules of acceptance are AudioHook protocol §3.2, the base
§3.3. Parsed text is always re-serialised before it is signed, so spacing cannot matter.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, TypeAlias

import http_sf
from http_sf.types import BareItemType

__all__ = [
    "ALGORITHM",
    "AUTHORITY",
    "NONCE_CHARACTERS",
    "REQUEST_TARGET",
    "REQUIRED_COMPONENTS",
    "Claim",
    "Flaw",
    "ParameterValue",
    "read_claim",
    "serialise_inner_list",
    "signature_base",
]

REQUEST_TARGET: Final = "@request-target"
AUTHORITY: Final = "@authority"
REQUIRED_COMPONENTS: Final = frozenset(
    {
        REQUEST_TARGET,
        AUTHORITY,
        "audiohook-organization-id",
        "audiohook-session-id",
        "audiohook-correlation-id",
        "x-api-key",
    }
)
ALGORITHM: Final = "hmac-sha256"
MAC_BYTES: Final = 32
NONCE_CHARACTERS: Final = 22
"""At least so many: 128 random bits in unpadded base64 (§3.6)."""

MAX_HEADER_CHARACTERS: Final = 2048
MAX_LABELS: Final = 2
MAX_COMPONENTS: Final = 16

ParameterValue: TypeAlias = str | int


class Flaw(Enum):
    """What is wrong with the two headers, before any key is involved."""

    INVALID = auto()
    UNSUPPORTED = auto()


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says about its own signature: read, not yet believed."""

    components: tuple[str, ...]
    parameters: tuple[tuple[str, ParameterValue], ...] = field(repr=False)
    mac: bytes = field(repr=False)
    created: int | None = None
    expires: int | None = None
    keyid: str | None = field(default=None, repr=False)
    nonce: str | None = field(default=None, repr=False)


def read_claim(signature_input: str | None, signature: str | None) -> Claim | Flaw | None:
    """Read the two headers; None if the request is not signed at all.

    With several labels the first counts, but all must be complete (§3.2).
    """
    if signature_input is None and signature is None:
        return None
    if signature_input is None or signature is None:
        return Flaw.INVALID
    inputs, macs = _dictionary(signature_input), _dictionary(signature)
    if inputs is None or macs is None or not inputs or not inputs.keys() <= macs.keys():
        return Flaw.INVALID
    label = next(iter(inputs))
    mac = _mac(macs[label], signature)
    if mac is None:
        return Flaw.INVALID
    return _claim(inputs[label], mac)


def signature_base(claim: Claim, target: bytes, values: Mapping[str, str]) -> bytes | None:
    """Build the text that is signed (§3.3), or None if a value could forge a line of it.

    Args:
        claim: Components and parameters in their own order.
        target: The raw request target: path and query, no method, scheme or host.
        values: Trimmed value of every other component, by component name.
    """
    lines = []
    for name in claim.components:
        value = target if name == REQUEST_TARGET else _octets(values[name])
        if value is None or _FORGING.search(value):
            return None
        lines.append(b'"%b": %b' % (name.encode("ascii"), value))
    parameters = serialise_inner_list(claim.components, claim.parameters)
    lines.append(b'"@signature-params": ' + parameters.encode("ascii"))
    return b"\n".join(lines)


def serialise_inner_list(
    components: Sequence[str], parameters: Sequence[tuple[str, ParameterValue]]
) -> str:
    """Write components and parameters as they stand in the header after `label=`."""
    items: list[http_sf.ItemType] = [*components]
    values: dict[str, BareItemType] = {**dict(parameters)}
    return http_sf.ser({"x": (items, values)})[len("x=") :]


_FORGING: Final = re.compile(rb"[\x00\r\n]")
_FIELD_NAME: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_UNSUPPORTED_COMPONENTS: Final = frozenset(
    {"@method", "@target-uri", "@scheme", "@path", "@query", "@query-params", "@status"}
)
_UNSUPPORTED_FLAGS: Final = frozenset({"sf", "bs", "req"})

_Dictionary: TypeAlias = dict[str, object]


def _dictionary(header: str) -> _Dictionary | None:
    if len(header) > MAX_HEADER_CHARACTERS:
        return None
    try:
        parsed = http_sf.parse(header.encode("ascii"), tltype="dictionary")
    except (http_sf.StructuredFieldError, ValueError, OverflowError):
        # ValueError: not ASCII. OverflowError: a date far out of range.
        return None
    if not isinstance(parsed, dict) or len(parsed) > MAX_LABELS:
        return None
    return dict(parsed)


def _mac(member: object, header: str) -> bytes | None:
    value = member[0] if isinstance(member, tuple) else member
    if not isinstance(value, bytes) or len(value) != MAC_BYTES:
        return None
    # One spelling only: base64 ignores two bits of the last character, and the parser
    # forgives missing padding.
    return value if f":{b64encode(value).decode('ascii')}:" in header else None


def _claim(member: object, mac: bytes) -> Claim | Flaw:
    if not isinstance(member, tuple) or not isinstance(member[0], list):
        return Flaw.INVALID
    items, parameters = member
    components = _components(items)
    if isinstance(components, Flaw):
        return components
    flaw = _parameter_flaw(parameters)
    if flaw is not None:
        return flaw
    return Claim(
        components,
        tuple(parameters.items()),
        mac,
        created=parameters.get("created"),
        expires=parameters.get("expires"),
        keyid=parameters.get("keyid"),
        nonce=parameters.get("nonce"),
    )


def _components(items: Sequence[object]) -> tuple[str, ...] | Flaw:
    if len(items) > MAX_COMPONENTS:
        return Flaw.INVALID
    names: list[str] = []
    for item in items:
        name, flags = item if isinstance(item, tuple) else (item, {})
        if not isinstance(name, str):
            return Flaw.INVALID
        if flags:
            return Flaw.UNSUPPORTED if flags.keys() <= _UNSUPPORTED_FLAGS else Flaw.INVALID
        if name in _UNSUPPORTED_COMPONENTS:
            return Flaw.UNSUPPORTED
        is_known = name in REQUIRED_COMPONENTS or _FIELD_NAME.fullmatch(name)
        if not is_known or name in names:
            return Flaw.INVALID
        names.append(name)
    return tuple(names)


def _parameter_flaw(parameters: Mapping[str, object]) -> Flaw | None:
    for name, value in parameters.items():
        if name in {"created", "expires"}:
            # A bare `created` parses as True, and True is an int.
            if type(value) is not int or value < 0:
                return Flaw.INVALID
        elif name not in {"alg", "keyid", "nonce"} or not isinstance(value, str):
            return Flaw.INVALID
    if parameters.get("alg", ALGORITHM) != ALGORITHM:
        return Flaw.UNSUPPORTED
    return None


def _octets(value: str) -> bytes | None:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return None
