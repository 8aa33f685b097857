"""The integrations dialect of the fake."""

from __future__ import annotations

import copy
from typing import Any

from .asked import Asked, Route, page_of
from .health import Endpoint, Health
from .operations_log import OperationsLog
from .organization import Organization, new_id
from .refusal import Refusal

__all__ = ["FakeIntegrations"]

MOST_MONITORS = 5
_BASE = "/api/v2/integrations"
Json = dict[str, Any]


class FakeIntegrations:
    """Integrations, their configurations with optimistic locks, and credentials.

    Attributes:
        intrusions: So many writes of a configuration find that somebody else was faster.
        holds: So many attempts to delete a credential find it still in use.
        is_slow_to_notice: What was reported before stands until the next check is done.
    """

    def __init__(self, organization: Organization, health: Health, log: OperationsLog) -> None:
        self._organization = organization
        self._health = health
        self._log = log
        self.intrusions = 0
        self.holds = 0
        self.is_slow_to_notice = False

    def routes(self) -> list[Route]:
        """What is answered here."""
        view, edit = ("integrations:integration:view",), ("integrations:integration:edit",)
        one, config = f"{_BASE}/{{id}}", f"{_BASE}/{{id}}/config/current"
        credential = f"{_BASE}/credentials/{{id}}"
        return [
            Route("GET", _BASE, self._list, view),
            Route("POST", _BASE, self._create, ("integrations:integration:add",)),
            Route("POST", f"{_BASE}/credentials", self._store),
            Route("PUT", credential, self._replace),
            Route("DELETE", credential, self._delete_credential),
            Route("GET", one, self._read, view),
            Route("PATCH", one, self._switch, edit),
            Route("DELETE", one, self._delete, ("integrations:integration:delete",)),
            Route("GET", config, self._read_configuration, view),
            Route("PUT", config, self._write_configuration, edit),
        ]

    async def _list(self, asked: Asked) -> Json:
        entries = [copy.deepcopy(one) for one in self._organization.integrations.values()]
        if asked.query.get("expand") == "config.current":
            for entry in entries:
                entry["config"] = {"current": self._organization.configurations[entry["id"]]}
        return page_of(asked, entries)

    async def _create(self, asked: Asked) -> Json:
        kind = (asked.body.get("integrationType") or {}).get("id")
        if kind != "audiohook":
            raise Refusal(400, "bad.request", "The integration type is unknown.")
        of_kind = [
            one
            for one in self._organization.integrations.values()
            if one["integrationType"]["id"] == kind
        ]
        if len(of_kind) >= MOST_MONITORS:
            raise Refusal(400, "limit.exceeded", "The maximum of integrations is reached.")
        name, made_id = asked.body.get("name") or "AudioHook Monitor", new_id()
        self._organization.integrations[made_id] = {
            "id": made_id,
            "name": name,
            "integrationType": {"id": kind},
            "intendedState": "DISABLED",
            "reportedState": {"code": "INACTIVE"},
        }
        self._organization.configurations[made_id] = {
            "id": made_id,
            "name": name,
            "version": 1,
            "properties": {},
            "advanced": {},
            "notes": "",
            "credentials": {},
        }
        return self._organization.integrations[made_id]

    async def _read(self, asked: Asked) -> Json:
        return asked.find(self._organization.integrations, "integration")

    async def _switch(self, asked: Asked) -> Json:
        found = asked.find(self._organization.integrations, "integration")
        state = asked.body.get("intendedState")
        if state not in {"ENABLED", "DISABLED"}:
            raise Refusal(400, "invalid.value", "The intended state is unknown.")
        url = self._organization.configurations[asked.subject]["properties"].get("connectionUri")
        if state == "ENABLED" and not url:
            raise Refusal(400, "bad.request", "The integration is not configured.")
        found["intendedState"] = state
        if state == "DISABLED":
            self._health.forget(asked.subject)
            found["reportedState"] = {"code": "INACTIVE"}
        else:
            self._probe(found, url)
        return found

    async def _delete(self, asked: Asked) -> Json:
        found = asked.find(self._organization.integrations, "integration")
        self._health.forget(asked.subject)
        del self._organization.integrations[asked.subject]
        del self._organization.configurations[asked.subject]
        return found

    async def _read_configuration(self, asked: Asked) -> Json:
        return asked.find(self._organization.configurations, "integration")

    async def _write_configuration(self, asked: Asked) -> Json:
        found = asked.find(self._organization.configurations, "integration")
        if self.intrusions:
            self.intrusions -= 1
            found["version"] += 1
            found["notes"] = "written by somebody else"
        if asked.body.get("version") != found["version"]:
            raise Refusal(409, "general.conflict", "The version is not the current one.")
        for credential in asked.body.get("credentials", {}).values():
            if credential.get("id") not in self._organization.credentials:
                raise Refusal(400, "bad.request", "A credential does not exist.")
        kept = ("name", "properties", "advanced", "notes", "credentials")
        found.update({key: asked.body[key] for key in kept if key in asked.body})
        found["version"] += 1
        integration = self._organization.integrations[asked.subject]
        integration["name"] = found["name"]
        if integration["intendedState"] == "ENABLED":
            self._probe(integration, found["properties"]["connectionUri"])
        return found

    async def _store(self, asked: Asked) -> Json:
        made_id = new_id()
        return self._keep(made_id, asked.body)

    async def _replace(self, asked: Asked) -> Json:
        asked.find(self._organization.credentials, "credential")
        return self._keep(asked.subject, asked.body)

    def _keep(self, credential_id: str, body: Json) -> Json:
        kind = body.get("type")
        name = kind.get("name") if isinstance(kind, dict) else kind
        fields = body.get("credentialFields")
        if name != "audioHook" or not isinstance(fields, dict) or not fields.get("apiKey"):
            # The platform is known to show what it was sent; clients must not pass that on.
            raise Refusal(400, "bad.request", f"The credential is invalid: {fields}")
        self._organization.credentials[credential_id] = {
            "name": body.get("name", ""),
            "fields": dict(fields),
        }
        return {"id": credential_id, "name": body.get("name", ""), "type": {"name": name}}

    async def _delete_credential(self, asked: Asked) -> None:
        asked.find(self._organization.credentials, "credential")
        in_use = any(
            credential.get("id") == asked.subject
            for configuration in self._organization.configurations.values()
            for credential in configuration["credentials"].values()
        )
        if in_use or self.holds:
            self.holds = max(0, self.holds - 1)
            raise Refusal(409, "general.conflict", "The credential is in use.")
        del self._organization.credentials[asked.subject]

    def _probe(self, integration: Json, url: str) -> None:
        if not self.is_slow_to_notice:
            integration["reportedState"] = {"code": "ACTIVATING"}

        def conclude(reason: str) -> None:
            if not reason:
                integration["reportedState"] = {"code": "ACTIVE"}
                return
            integration["reportedState"] = {"code": "ERROR", "detail": {"message": reason}}
            self._log.write("AUDIOHOOK-0001", integration["id"], integration["name"], reason)

        configuration = self._organization.configurations[integration["id"]]
        credential_id = configuration["credentials"].get("audioHook", {}).get("id", "")
        stored = self._organization.credentials.get(credential_id, {}).get("fields", {})
        key, secret = stored.get("apiKey", ""), stored.get("clientSecret", "")
        self._health.expect(integration["id"], Endpoint(url, key, secret), conclude)
