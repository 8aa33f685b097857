"""The AudioHooks dialect of the fake."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from .asked import Asked, Route, page_of
from .call_stream import Destination
from .health import Endpoint, Health
from .operations_log import NOT_FIT, OperationsLog
from .organization import Organization, new_id
from .refusal import Refusal

__all__ = ["FakeAudioHooks"]

_BASE = "/api/v2/audiohooks"
_KEY_BYTES = frozenset({16, 24, 32})
Json = dict[str, Any]


class FakeAudioHooks:
    """AudioHooks; enabled ones are looked at a while later, and disabled if they are not fit.

    Args:
        organization: What there is.
        health: Looks.
        log: Is told of what is not fit.
        withdraw: Ends the streams of an AudioHook that is disabled or gone, by its id.
    """

    def __init__(
        self,
        organization: Organization,
        health: Health,
        log: OperationsLog,
        withdraw: Callable[[str], None],
    ) -> None:
        self._organization = organization
        self._health = health
        self._log = log
        self._withdraw = withdraw

    def destination(self, hook_id: str) -> Destination | None:
        """Where audio that is bound to an AudioHook goes; None while it is not enabled."""
        hook = self._organization.audiohooks.get(hook_id)
        if hook is None or hook.get("status") != "ENABLED":
            return None
        return Destination(
            hook_id,
            hook["name"],
            Endpoint(hook["destinationUrl"]),
            lambda: self._look(hook_id),
            format=hook["format"],
            encryption_key=hook.get("encryptionKey") or "",
        )

    def routes(self) -> list[Route]:
        """What is answered here."""
        create, read = ("audiohook:create",), ("audiohook:read",)
        return [
            Route("GET", _BASE, self._list, scopes=read),
            Route("POST", _BASE, self._create, scopes=create),
            Route("GET", f"{_BASE}/{{id}}", self._read, scopes=read),
            Route("PUT", f"{_BASE}/{{id}}", self._write, scopes=create),
            Route("DELETE", f"{_BASE}/{{id}}", self._delete, scopes=create),
        ]

    async def _list(self, asked: Asked) -> Json:
        return page_of(asked, [_shown(one) for one in self._organization.audiohooks.values()])

    async def _create(self, asked: Asked) -> Json:
        return self._keep(new_id(), asked.body)

    async def _read(self, asked: Asked) -> Json:
        return _shown(asked.find(self._organization.audiohooks, "AudioHook"))

    async def _write(self, asked: Asked) -> Json:
        asked.find(self._organization.audiohooks, "AudioHook")
        return self._keep(asked.subject, asked.body)

    async def _delete(self, asked: Asked) -> None:
        asked.find(self._organization.audiohooks, "AudioHook")
        self._health.forget(asked.subject)
        self._withdraw(asked.subject)
        del self._organization.audiohooks[asked.subject]

    def _keep(self, hook_id: str, body: Json) -> Json:
        name, url = body.get("name"), str(body.get("destinationUrl", ""))
        others = {
            one["name"] for id_, one in self._organization.audiohooks.items() if id_ != hook_id
        }
        if not name or name in others:
            raise Refusal(400, "bad.request", "The name is missing or taken.")
        if not url.startswith("https://") or body.get("format") not in {"OPUS", "PCMU"}:
            # As above: what was sent is shown.
            raise Refusal(400, "bad.request", f"The AudioHook is invalid: {body}")
        if not _is_key(body.get("encryptionKey")):
            raise Refusal(400, "bad.request", "The encryption key is invalid.")
        hook = {**body, "id": hook_id}
        self._organization.audiohooks[hook_id] = hook
        if hook.get("status") == "ENABLED":
            self._look(hook_id)
        else:
            self._health.forget(hook_id)
            self._withdraw(hook_id)
        return _shown(hook)

    def _look(self, hook_id: str) -> None:
        """Look at its endpoint, a while later."""
        hook = self._organization.audiohooks.get(hook_id)
        if hook is None or hook.get("status") != "ENABLED":
            return
        endpoint = Endpoint(hook["destinationUrl"])
        self._health.expect(hook_id, endpoint, lambda reason: self._conclude(hook, reason))

    def _conclude(self, hook: Json, reason: str) -> None:
        if reason:
            hook["status"], hook["statusReason"] = "DISABLED", reason
            self._withdraw(hook["id"])
            self._log.write(NOT_FIT, (hook["id"], hook["name"]), reason)


def _shown(hook: Json) -> Json:
    """An AudioHook as it is read: without its key."""
    return {key: value for key, value in hook.items() if key != "encryptionKey"}


def _is_key(encoded: object) -> bool:
    """Whether it can be an encryption key; none is one, too."""
    try:
        return not encoded or len(base64.b64decode(str(encoded), validate=True)) in _KEY_BYTES
    except (binascii.Error, ValueError):
        return False
