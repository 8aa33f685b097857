"""The one way in which the gateway fetches a document: a bounded GET over HTTPS."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from earhook.address import is_loopback
from earhook.errors import ConfigurationError, FetchFailed

__all__ = ["Source", "fetch", "require_fetchable"]

DEADLINE_SECONDS: Final = 10.0
MAX_DOCUMENT_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """A document somewhere else, and what of it is tolerated.

    Attributes:
        url: `https://…`, or `http://` on this machine. Whoever makes a source has asked
            `require_fetchable` about it.
        authorities: PEM file that its certificate is checked against; None: this machine's.
        max_bytes: A longer document is refused, as soon as that is certain.
        deadline_seconds: From the look-up of the name to the last byte.
    """

    url: str
    authorities: Path | None = None
    max_bytes: int = MAX_DOCUMENT_BYTES
    deadline_seconds: float = DEADLINE_SECONDS


def require_fetchable(where: str, url: str, authorities: Path | None = None) -> None:
    """Check what can be checked without asking anybody.

    Raises:
        ConfigurationError: Not an address that we would fetch from; authorities that do not load.
    """
    try:
        parts = urlsplit(url)
        is_whole = bool(parts.hostname) and url.isascii() and url.isprintable() and " " not in url
        _ = parts.port  # raises where it is no number
    except ValueError:
        is_whole = False
    fault: tuple[str, str] | None = None
    if not is_whole:
        fault = "is no URL", "write https://host/path"
    elif parts.username is not None or parts.password is not None:
        fault = "has a user or a password in it", "leave them out: they would be shown in logs"
    elif parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        fault = "is plain http, which anybody on the way can change", "use https"
    elif parts.scheme not in {"http", "https"}:
        fault = "is neither https nor http", "use https"
    if fault is not None:
        raise ConfigurationError.of(where, *fault)
    if authorities is not None:
        _client_context(authorities)


async def fetch(source: Source, token: str | None = None) -> bytes:
    """GET a document: status 200, no redirect followed, no compression.

    Args:
        source: Where it lies.
        token: Bearer token to show; it is sent to that very host only.

    Raises:
        FetchFailed: It could not be had; the text says why and shows neither token nor content.
    """
    try:
        async with asyncio.timeout(source.deadline_seconds):
            return await _get(source, token)
    except TimeoutError:
        raise FetchFailed(f"no answer within {source.deadline_seconds:g} s") from None
    except aiohttp.ClientConnectorCertificateError as error:
        reason = getattr(error.certificate_error, "verify_message", "") or "refused"
        raise FetchFailed(f"its certificate does not hold: {reason}") from None
    except aiohttp.ClientConnectorError as error:
        reason = error.os_error.strerror or type(error.os_error).__name__
        raise FetchFailed(f"could not be reached: {reason}") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # The type only: texts of aiohttp quote what the other side sent.
        raise FetchFailed(f"could not be fetched: {type(error).__name__}") from None


async def _get(source: Source, token: str | None) -> bytes:
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    # Reading a machine's authorities takes some ten milliseconds, which calls would notice.
    context = await asyncio.to_thread(_context_of, source)
    # Without `trust_env`, no password of ~/.netrc and no proxy of the environment comes in.
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers=headers,
    )
    async with session, session.get(source.url, allow_redirects=False) as response:
        if response.status != 200:
            raise FetchFailed(f"answered {response.status} instead of 200")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise FetchFailed("answered in a Content-Encoding that was not asked for")
        document = bytearray()
        async for chunk in response.content.iter_any():
            document += chunk
            if len(document) > source.max_bytes:
                raise FetchFailed(f"is longer than {source.max_bytes} bytes")
        return bytes(document)


def _context_of(source: Source) -> ssl.SSLContext | bool:
    if urlsplit(source.url).scheme != "https":
        return True
    try:
        return _client_context(source.authorities)
    except ConfigurationError as error:
        raise FetchFailed(str(error)) from None


def _client_context(authorities: Path | None) -> ssl.SSLContext:
    """A context that checks names and certificates.

    Raises:
        ConfigurationError: The authorities cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=authorities)
    except OSError as error:  # ssl.SSLError is one
        what = f"holds no readable PEM certificate: {error.strerror or type(error).__name__}"
        raise ConfigurationError.of(str(authorities), what, "give the authorities in PEM") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
