"""From an answer that is not good to the error that says what to change.

The API's error body has `message`, `code`, `messageParams`, `contextId`; a refusal for a missing
permission names it in the text in brackets, and a missing scope is named in the text or in the
`WWW-Authenticate` header (RFC 6750 §3). Where neither is told, the table of operations is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

from earhook.errors import GenesysError
from earhook.ops.redaction import printable

from .errors import (
    LimitReached,
    LoginRefused,
    NotThere,
    PermissionMissing,
    RateLimited,
    RequestRefused,
    ScopeMissing,
    StateConflict,
    Unavailable,
)
from .json_answer import read_object, text_at
from .operations import Operation
from .patience import retry_after_seconds
from .transport import Answer

__all__ = ["read_refusal"]

Kind = TypeVar("Kind", bound=GenesysError)


def read_refusal(
    operation: Operation, answer: Answer, hidden: Iterable[str], now_wall_seconds: float
) -> GenesysError:
    """The error of an answer.

    Args:
        operation: What was asked for.
        answer: The answer; its status is not a good one.
        hidden: What the request carried and nobody may see; struck out of every text.
        now_wall_seconds: The time.
    """
    fields = read_object(operation.does, answer, strict=False)
    refusal = _Refusal(operation, answer, fields, [text for text in hidden if text])
    match answer.status:
        case 401:
            return refusal.error(LoginRefused, "the token is refused, also a fresh one")
        case 403:
            return refusal.forbidden()
        case 404 | 410:
            return refusal.error(NotThere, "there is no such thing")
        case 409 | 412:
            return refusal.error(StateConflict, "it is in another version or state")
        case 429:
            limited = refusal.error(RateLimited, "too many requests")
            limited.retry_after_seconds = retry_after_seconds(answer, now_wall_seconds)
            return limited
        case status if status >= 500:
            return refusal.error(Unavailable, f"Genesys Cloud answers {status}")
        case _ if "limit" in refusal.code.lower():
            return refusal.error(LimitReached, "a limit of the organization is reached")
        case status:
            return refusal.error(RequestRefused, f"refused with {status}")


class _Refusal:
    """An answer that is not good, read."""

    def __init__(
        self,
        operation: Operation,
        answer: Answer,
        fields: dict[str, Any],
        hidden: Sequence[str],
    ) -> None:
        self._operation = operation
        self._answer = answer
        self._fields = fields
        self._hidden = hidden
        self.code = self._shown(text_at(fields, "code") or text_at(fields, "errorCode"), 80)
        self.message = self._shown(text_at(fields, "message"), 300)

    def error(self, kind: type[Kind], what: str) -> Kind:
        """An error that says what was asked for, what is wrong, and what the API said."""
        said = ": ".join(part for part in (self.code, self.message) if part)
        text = f"{self._operation.does}: {what}" + (f" ({said})" if said else "")
        headers = self._answer.headers
        correlation = headers.get("inin-correlation-id") or text_at(self._fields, "contextId")
        return kind(
            text,
            status=self._answer.status,
            code=self.code,
            correlation_id=self._shown(correlation, 80),
        )

    def forbidden(self) -> GenesysError:
        """403: which permission or which scope."""
        challenge = self._answer.headers.get("www-authenticate", "")
        words = f"{self.code} {challenge}".lower()
        if "scope" in words or _SCOPE.search(self.message):
            scopes = self._scopes(challenge)
            named = " or ".join(scopes) or "which it does not name"
            what = f"a scope is missing: {named}; give it to the OAuth client"
            missing_scope = self.error(ScopeMissing, what)
            missing_scope.scopes = scopes
            return missing_scope
        permissions = self._permissions()
        if permissions or "permission" in words:
            named = " or ".join(permissions) or "which it does not name"
            what = f"a permission is missing: {named}; give it to a role of the OAuth client"
            missing = self.error(PermissionMissing, what)
            missing.permissions = permissions
            return missing
        return self.error(RequestRefused, "forbidden")

    def _permissions(self) -> tuple[str, ...]:
        params = self._fields.get("messageParams")
        told = str(params.get("permissions", "")) if isinstance(params, dict) else ""
        found = _PERMISSION.findall(told) or _PERMISSION.findall(self.message)
        return tuple(dict.fromkeys(found)) or self._operation.permissions

    def _scopes(self, challenge: str) -> tuple[str, ...]:
        named = _CHALLENGED.search(challenge) or _SCOPE.search(self.message)
        if named is None:
            return self._operation.scopes
        found = [self._shown(scope, 80) for scope in re.split(r"[\s,\[\]]+", named[1])]
        return tuple(scope for scope in found if scope) or self._operation.scopes

    def _shown(self, text: str, limit: int) -> str:
        for secret in self._hidden:
            text = text.replace(secret, "…")
        return printable(text, limit)


_PERMISSION: Final = re.compile(r"[A-Za-z][\w-]*:[\w*-]+:[\w*-]+")
_CHALLENGED: Final = re.compile(r'scope="([^"]{1,512})"')
_SCOPE: Final = re.compile(r"scopes?(?: is| are)?\s*:\s*([\w:.,\s\[\]-]{1,512})", re.IGNORECASE)
