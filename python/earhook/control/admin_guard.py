"""Who may ask what at the admin port: by name, by token, and never from somebody else's page."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from earhook.address import is_loopback

__all__ = ["AdminGuard"]

TOKEN_PROTOCOL: Final = "earhook.token."  # noqa: S105
"""How a browser shows the token when it opens a WebSocket: it can set no header."""

_Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AdminGuard:
    """Lets a request through, or refuses it with fixed words.

    Args:
        token: What to ask for; None: nothing, of whoever names a loopback address as `Host`.
    """

    def __init__(self, token: str | None) -> None:
        self._digest: bytes | None = None
        self.replace(token)

    def replace(self, token: str | None) -> bool:
        """Ask for another token from now on. True: it is another one."""
        # Digests have one length, which a comparison in constant time needs.
        before, self._digest = self._digest, None if token is None else _digest(f"Bearer {token}")
        return before != self._digest

    @web.middleware
    async def check(self, request: web.Request, handler: _Answer) -> web.StreamResponse:
        """Refuse what is not allowed (an aiohttp middleware)."""
        if self._digest is None and not is_loopback(_hostname(request.headers.get("Host", ""))):
            raise web.HTTPForbidden(text=_FOREIGN_HOST)
        if is_foreign(request):
            raise web.HTTPForbidden(text=_FOREIGN_PAGE)
        if self._digest is not None and not _is_open(request):
            shown = _digest(_shown_token(request))
            if not hmac.compare_digest(shown, self._digest):
                raise web.HTTPUnauthorized(text=_NO_TOKEN, headers={"WWW-Authenticate": "Bearer"})
        return await handler(request)


def is_foreign(request: web.Request) -> bool:
    """Whether a page of another origin has made a browser ask.

    A browser says so in `Origin` (RFC 6454 §7) or `Sec-Fetch-Site` (Fetch Metadata, W3C), which no
    page can change. Programs send neither. A link to the page itself may be followed.
    """
    host = request.headers.get("Host", "").lower()
    if any(origin.partition("://")[2].lower() != host for origin in _all(request, "Origin")):
        return True
    sites = _all(request, "Sec-Fetch-Site")
    if all(site in ("same-origin", "none") for site in sites):
        return False
    is_link = request.headers.get("Sec-Fetch-Mode") == "navigate"
    is_page = request.headers.get("Sec-Fetch-Dest") == "document"
    return not (request.path == "/" and is_link and is_page)


def _all(request: web.Request, name: str) -> list[str]:
    return request.headers.getall(name, [])


def _is_open(request: web.Request) -> bool:
    path = request.path
    return (
        path in ("/", "/livez")
        or path.startswith("/static/")
        or (path == "/readyz" and "verbose" not in request.query)
    )


def _shown_token(request: web.Request) -> str:
    """What stands in `Authorization`, or what a browser would have put there."""
    shown = request.headers.get("Authorization", "")
    if shown or request.headers.get("Upgrade", "").lower() != "websocket":
        return shown
    for protocol in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        name = protocol.strip()
        if name.startswith(TOKEN_PROTOCOL):
            return f"Bearer {_decoded(name.removeprefix(TOKEN_PROTOCOL))}"
    return ""


def _decoded(text: str) -> str:
    try:
        padded = text + "=" * (-len(text) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _hostname(host: str) -> str:
    """The name in a `Host` header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


_FOREIGN_HOST: Final = (
    "403: without a token only localhost and loopback addresses are answered as Host; "
    "dial 127.0.0.1, or set admin.token_file\n"
)
_FOREIGN_PAGE: Final = "403: no page of another origin is answered\n"
_NO_TOKEN: Final = "401: send Authorization: Bearer with the token of [admin]\n"  # noqa: S105
