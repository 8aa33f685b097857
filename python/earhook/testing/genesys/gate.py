"""Who may ask the fake, what for, and how often: OAuth, scopes and permissions, rate limits."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from earhook.clock import Clock

from .organization import OAuthClient, Organization
from .refusal import Refusal, missing_permission, missing_scope

__all__ = ["Gate", "RateLimit"]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many requests of one token in a window that begins with its first one."""

    requests: int = 300
    window_seconds: float = 60.0


@dataclass(slots=True)
class _Token:
    client: OAuthClient
    scopes: frozenset[str] | None  # None: not limited to scopes
    ends_at: float
    window_began_at: float = float("-inf")
    requests: int = 0


class LoginRefusal(Exception):
    """A login that is refused; its body is that of RFC 6749 §5.2."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.body = {"error": error, "description": description, "error_description": description}


class Gate:
    """Hands out tokens and looks at them.

    Attributes:
        lifetime_seconds: How long a token is good.
        limit: How often one may ask.
        logins: Tokens handed out.
    """

    def __init__(self, organization: Organization, clock: Clock) -> None:
        self._organization = organization
        self._clock = clock
        self._tokens: dict[str, _Token] = {}
        self.lifetime_seconds = 86_400.0
        self.limit = RateLimit()
        self.logins = 0

    def log_in(self, authorization: str, form: Mapping[str, str]) -> dict[str, Any]:
        """Answer a token request.

        Raises:
            LoginRefusal: No.
        """
        client_id, secret = _basic(authorization)
        client = self._organization.clients.get(client_id)
        if client is None or not secrets.compare_digest(client.secret, secret):
            raise LoginRefusal(400, "invalid_client", "client not found or secret wrong")
        if not client.is_enabled:
            raise LoginRefusal(400, "unauthorized_client", "client is disabled")
        if form.get("grant_type") != "client_credentials":
            raise LoginRefusal(400, "unsupported_grant_type", "use client_credentials")
        wanted = frozenset(form.get("scope", "").split())
        if not wanted <= client.scopes:
            raise LoginRefusal(400, "invalid_scope", "a scope is not of this client")
        token = secrets.token_urlsafe(48)
        ends_at = self._clock.monotonic_seconds() + self.lifetime_seconds
        self._tokens[token] = _Token(client, wanted or client.scopes, ends_at)
        self.logins += 1
        seconds = int(self.lifetime_seconds)
        return {"access_token": token, "token_type": "bearer", "expires_in": seconds}

    def revoke_all(self) -> None:
        """Every token is void from now on, as when an administrator resets a client."""
        self._tokens.clear()

    def admit(
        self, authorization: str, permissions: Collection[str], scopes: Collection[str]
    ) -> None:
        """Let a request in.

        Args:
            authorization: Its header.
            permissions: It needs one of these; empty: none.
            scopes: It needs one of these; empty: none.

        Raises:
            Refusal: 401, 403 or 429.
        """
        scheme, _, text = authorization.partition(" ")
        token = self._tokens.get(text) if scheme.lower() == "bearer" else None
        now = self._clock.monotonic_seconds()
        if token is None or now >= token.ends_at:
            raise Refusal(401, "bad.credentials", "Invalid login credentials.")
        self._count(token, now)
        if scopes and token.scopes is not None and not token.scopes.intersection(scopes):
            raise missing_scope(scopes)
        if permissions and not token.client.permissions.intersection(permissions):
            raise missing_permission(permissions)

    def _count(self, token: _Token, now: float) -> None:
        if now - token.window_began_at >= self.limit.window_seconds:
            token.window_began_at, token.requests = now, 0
        token.requests += 1
        if token.requests > self.limit.requests:
            left = token.window_began_at + self.limit.window_seconds - now
            seconds = max(1, -int(-left // 1))
            raise Refusal(
                429,
                "too.many.requests",
                f"Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds",
                headers={"Retry-After": str(seconds)},
            )


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    try:
        pair = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError):
        pair = ""
    if scheme.lower() != "basic" or ":" not in pair:
        raise LoginRefusal(400, "invalid_request", "Basic authentication is needed")
    client_id, _, secret = pair.partition(":")
    return unquote(client_id), unquote(secret)
