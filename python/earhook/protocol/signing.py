"""The other side of `signature.py`: signing a request as Genesys Cloud does.

For the scripted peer, the load generator and tests; the gateway itself never signs.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from earhook.errors import ConfigurationError

from .signature_input import (
    ALGORITHM,
    AUTHORITY,
    REQUEST_TARGET,
    Claim,
    ParameterValue,
    serialise_inner_list,
    signature_base,
)

__all__ = [
    "PRODUCTION_COMPONENTS",
    "REFERENCE_COMPONENTS",
    "RequestToSign",
    "production_parameters",
    "reference_parameters",
    "sign",
]

PRODUCTION_COMPONENTS: Final = (
    REQUEST_TARGET,
    "audiohook-session-id",
    "audiohook-organization-id",
    "audiohook-correlation-id",
    "x-api-key",
    AUTHORITY,
)
"""The order of a request captured from Genesys Cloud (AudioHook protocol §3.1)."""

REFERENCE_COMPONENTS: Final = (
    REQUEST_TARGET,
    AUTHORITY,
    "audiohook-organization-id",
    "audiohook-session-id",
    "audiohook-correlation-id",
    "x-api-key",
)
"""The order of the vendor's reference client."""

PRODUCTION_LIFETIME_SECONDS: Final = 10
REFERENCE_LIFETIME_SECONDS: Final = 30

Parameters = tuple[tuple[str, ParameterValue], ...]


@dataclass(frozen=True, slots=True)
class RequestToSign:
    """What goes into a signature; header names in any case."""

    target: str
    authority: str
    headers: Sequence[tuple[str, str]] = field(repr=False)


def production_parameters(keyid: str, nonce: str, created: int) -> Parameters:
    """Parameters in the order and with the lifetime that Genesys Cloud uses."""
    expires = created + PRODUCTION_LIFETIME_SECONDS
    return (
        ("created", created),
        ("expires", expires),
        ("keyid", keyid),
        ("nonce", nonce),
        ("alg", ALGORITHM),
    )


def reference_parameters(keyid: str, nonce: str, created: int) -> Parameters:
    """Parameters in the order and with the lifetime that the reference client uses."""
    expires = created + REFERENCE_LIFETIME_SECONDS
    return (
        ("keyid", keyid),
        ("nonce", nonce),
        ("alg", ALGORITHM),
        ("created", created),
        ("expires", expires),
    )


def sign(
    request: RequestToSign,
    secret: bytes,
    parameters: Parameters,
    *,
    components: Sequence[str] = PRODUCTION_COMPONENTS,
    label: str = "sig1",
) -> list[tuple[str, str]]:
    """Give the two headers to add to the request.

    Raises:
        ConfigurationError: A covered header is missing or holds a line break.
    """
    values = {name.lower(): value.strip(" \t") for name, value in request.headers}
    values[AUTHORITY] = request.authority
    claim = Claim(tuple(components), parameters, b"")
    missing = [name for name in components if name != REQUEST_TARGET and name not in values]
    base = None
    if not missing:
        base = signature_base(claim, request.target.encode("ascii"), values)
    if base is None:
        what = f"cannot be signed: {', '.join(missing) or 'a value holds a line break'}"
        raise ConfigurationError.of("request", what)
    mac = b64encode(hmac.digest(secret, base, "sha256")).decode("ascii")
    inner = serialise_inner_list(components, parameters)
    return [("Signature-Input", f"{label}={inner}"), ("Signature", f"{label}=:{mac}:")]
