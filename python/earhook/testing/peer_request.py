"""The upgrade request of Genesys Cloud: its headers, signed."""

from __future__ import annotations

from urllib.parse import urlsplit

from earhook.protocol.signing import (
    PRODUCTION_COMPONENTS,
    REFERENCE_COMPONENTS,
    RequestToSign,
    production_parameters,
    reference_parameters,
    sign,
)

from .peer_setup import CallSetup, PeerCredential

__all__ = ["upgrade_headers"]


def upgrade_headers(
    url: str, setup: CallSetup, credential: PeerCredential | None, wall_seconds: float, nonce: str
) -> list[tuple[str, str]]:
    """All headers but those of WebSocket itself (AudioHook protocol §2, §3).

    Args:
        url: What is dialled; its path, query and authority are signed.
        setup: The ids of the call.
        credential: None sends neither key nor signature.
        wall_seconds: The time that is signed.
        nonce: At least 22 characters, fresh in every request.
    """
    headers = [
        ("Host", _authority(url)),
        ("User-Agent", "GenesysCloud-AudioHook-Client"),
        ("Audiohook-Organization-Id", setup.organization_id),
        ("Audiohook-Session-Id", setup.session_id),
        ("Audiohook-Correlation-Id", setup.correlation_id or setup.session_id),
    ]
    if credential is None:
        return headers
    headers.append(("X-API-KEY", credential.api_key))
    if credential.secret is not None:
        headers += _signature(url, headers, credential, (wall_seconds, nonce))
    return headers


def _signature(
    url: str,
    headers: list[tuple[str, str]],
    credential: PeerCredential,
    moment: tuple[float, str],
) -> list[tuple[str, str]]:
    production = credential.order == "production"
    created = int(moment[0]) + credential.clock_offset_seconds
    parameters = production_parameters if production else reference_parameters
    return sign(
        RequestToSign(_target(url), _authority(url), headers),
        credential.secret or b"",
        parameters(credential.api_key, credential.nonce or moment[1], created),
        components=PRODUCTION_COMPONENTS if production else REFERENCE_COMPONENTS,
    )


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _authority(url: str) -> str:
    """Host and port, the scheme's own port left out, as the vendor's client signs it."""
    parts = urlsplit(url)
    authority = parts.netloc.rpartition("@")[2]
    default = ":443" if parts.scheme in {"wss", "https"} else ":80"
    return authority.removesuffix(default)
