"""Refusals of the fake, in the shape of the platform's error body."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["Refusal", "missing_permission", "missing_scope"]


class Refusal(Exception):
    """An answer that is not good.

    Attributes:
        status: The HTTP status.
        body: The error body.
        headers: More headers.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.body: dict[str, Any] = {
            "message": message,
            "code": code,
            "status": status,
            "messageParams": params or {},
            "contextId": "00000000-0000-4000-8000-00000000c0de",
            "details": [],
            "errors": [],
        }


def missing_permission(permissions: Iterable[str]) -> Refusal:
    """403: no role has one of these."""
    named = ", ".join(permissions)
    return Refusal(
        403,
        "missing.any.permissions",
        "Unable to perform the requested action. You must have at least one of the following "
        f"permissions assigned: [{named}]",
        params={"permissions": f"[{named}]"},
    )


def missing_scope(scopes: Iterable[str]) -> Refusal:
    """403: the token has none of these."""
    named = " ".join(scopes)
    return Refusal(
        403,
        "insufficient_scope",
        f"Token missing required scope: {named}",
        headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{named}"'},
    )
