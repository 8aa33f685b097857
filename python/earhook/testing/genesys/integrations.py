"""The integrations dialect of the fake."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from earhook.testing.peer_setup import STEREO_OFFERS, MediaChoice

from .asked import Asked, Route, page_of
from .call_stream import Destination
from .health import Endpoint, Health
from .operations_log import NOT_FIT, OperationsLog
from .organization import Organization, new_id
from .refusal import Refusal

__all__ = ["FakeIntegrations"]

MOST_MONITORS = 5
_BASE = "/api/v2/integrations"
_OFFERS = {
    "external": (MediaChoice(channels=(0,)),),
    "internal": (MediaChoice(channels=(1,)),),
}
Json = dict[str, Any]


class FakeIntegrations:
    """Integrations, their configurations with optimistic locks, and credentials.

    Args:
        organization: What there is.
        health: Looks at enabled ones.
        log: Is told of what is not fit.
        withdraw: Ends the streams of an integration that is disabled or gone, by its id.

    Attributes:
        intrusions: So many writes of a configuration find that somebody else was faster.
        holds: So many attempts to delete a credential find it still in use.
        is_slow_to_notice: What was reported before stands until the next check is done.
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
        self.intrusions = 0
        self.holds = 0
        self.is_slow_to_notice = False

    def monitors(self) -> list[Destination]:
        """Where audio of monitored queues goes: every integration that is enabled and active."""
        return [
            self._destination(one)
            for one in self._organization.integrations.values()
            if one["intendedState"] == "ENABLED" and one["reportedState"]["code"] == "ACTIVE"
        ]

    def routes(self) -> list[Route]:
        """What is answered here."""
        view, edit = ("integrations:integration:view",), ("integrations:integration:edit",)
        one, config = f"{_BASE}/{{id}}", f"{_BASE}/{{id}}/config/current"
        credential = f"{_BASE}/credentials/{{id}}"
        return [
            Route("GET", _BASE, self._list, view),
            Route("POST", _BASE, self._create, ("integrations:integration:add",)),
            Route("POST", f"{_BASE}/credentials", self._store),
            Route("GET", credential, self._read_credential),
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
            self._withdraw(asked.subject)
            found["reportedState"] = {"code": "INACTIVE"}
        else:
            self._probe(found)
        return found

    async def _delete(self, asked: Asked) -> Json:
        found = asked.find(self._organization.integrations, "integration")
        self._health.forget(asked.subject)
        self._withdraw(asked.subject)
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
            self._probe(integration)
        return found

    async def _store(self, asked: Asked) -> Json:
        made_id = new_id()
        return self._keep(made_id, asked.body)

    async def _read_credential(self, asked: Asked) -> Json:
        found = asked.find(self._organization.credentials, "credential")
        return {"id": asked.subject, "name": found["name"], "type": {"name": "audioHook"}}

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

    def _probe(self, integration: Json) -> None:
        if not self.is_slow_to_notice:
            integration["reportedState"] = {"code": "ACTIVATING"}
        self._look(integration["id"])

    def _look(self, integration_id: str) -> None:
        """Look at its endpoint, a while later; what is reported stands until then."""
        integration = self._organization.integrations.get(integration_id)
        if integration is None or integration["intendedState"] != "ENABLED":
            return

        def conclude(reason: str) -> None:
            if not reason:
                integration["reportedState"] = {"code": "ACTIVE"}
                return
            integration["reportedState"] = {"code": "ERROR", "detail": {"message": reason}}
            self._log.write(NOT_FIT, (integration_id, integration["name"]), reason)

        self._health.expect(integration_id, self._endpoint(integration_id), conclude)

    def _destination(self, integration: Json) -> Destination:
        integration_id = integration["id"]
        configuration = self._organization.configurations[integration_id]
        return Destination(
            integration_id,
            integration["name"],
            self._endpoint(integration_id),
            lambda: self._look(integration_id),
            offers=_OFFERS.get(configuration["properties"].get("channel"), STEREO_OFFERS),
            custom_config=configuration["advanced"] or None,
        )

    def _endpoint(self, integration_id: str) -> Endpoint:
        configuration = self._organization.configurations[integration_id]
        url = configuration["properties"]["connectionUri"]
        credential_id = configuration["credentials"].get("audioHook", {}).get("id", "")
        stored = self._organization.credentials.get(credential_id, {}).get("fields", {})
        return Endpoint(url, stored.get("apiKey", ""), stored.get("clientSecret", ""))
