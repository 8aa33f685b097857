"""The integrations dialect: AudioHook Monitor as an integration. The vendor's SDK contains it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from earhook.errors import GenesysError
from earhook.ops.logging import get_logger
from earhook.ops.redaction import Redacted, printable

from .api import Api
from .errors import (
    AnswerUnreadable,
    LimitReached,
    NotReached,
    NotThere,
    OutcomeUnknown,
    StateConflict,
)
from .fields import MonitorWish, require_monitor
from .json_answer import text_at
from .keys import mark_of
from .operations import Operations
from .timing import poll

__all__ = [
    "MOST_MONITORS",
    "Configuration",
    "Integration",
    "Integrations",
    "too_many_monitors",
]

MOST_MONITORS: Final = 5
"""Monitor integrations that an organization may have."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The configuration of an integration, in one version.

    Attributes:
        version: Whoever writes names the version that he has read.
        name: Of the integration.
        properties: `channel`, `connectionUri`, and what we do not know.
        advanced: What every `open` carries as `customConfig`.
        notes: For people.
        credential_ids: By the kind of credential; ours is `audioHook`.
    """

    version: int
    name: str
    properties: dict[str, Any] = field(default_factory=dict)
    advanced: dict[str, Any] = field(default_factory=dict)
    notes: str = ""
    credential_ids: dict[str, str] = field(default_factory=dict)

    @property
    def connection_uri(self) -> str:
        """Where Genesys Cloud connects to; empty: not configured."""
        return text_at(self.properties, "connectionUri")

    @property
    def channel(self) -> str:
        """Whose audio; empty: not configured."""
        return text_at(self.properties, "channel")

    @property
    def credential_id(self) -> str:
        """Of our kind of credential; empty: there is none."""
        return self.credential_ids.get(_CREDENTIAL, "")

    def of(self, wish: MonitorWish, credential_id: str) -> Configuration:
        """The same as wished, what we do not know left alone."""
        ours = {"channel": wish.channel, "connectionUri": wish.connection_uri}
        return replace(
            self,
            name=wish.name,
            properties={**self.properties, **ours},
            advanced=dict(wish.custom_config),
            notes=wish.notes,
            credential_ids={**self.credential_ids, _CREDENTIAL: credential_id},
        )


@dataclass(frozen=True, slots=True)
class Integration:
    """An integration and what Genesys Cloud says of it.

    Attributes:
        id: Its id.
        name: Its name.
        intended_state: `ENABLED` or `DISABLED`: what somebody wants.
        reported_state: `ACTIVE`, `ACTIVATING`, `INACTIVE`, `DEACTIVATING` or `ERROR`.
        reason: Why it is in that state; empty: not told.
        reported_at: When that was reported, as the API writes it; empty: not told.
        configuration: Where it was read with it.
    """

    id: str
    name: str
    intended_state: str = ""
    reported_state: str = ""
    reason: str = ""
    reported_at: str = ""
    configuration: Configuration | None = None


class Integrations:
    """AudioHook Monitor integrations of the organization."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def list(self) -> list[Integration]:
        """Every Monitor integration, with its configuration."""
        query = {"expand": "config.current", "integrationType": _TYPE}
        return [
            _read_integration(entry)
            async for entry in self._api.listing(Operations.LIST_INTEGRATIONS, query)
            if text_at(entry, "integrationType", "id") == _TYPE
        ]

    async def read(self, integration_id: str) -> Integration:
        """One integration and its state."""
        fields = await self._api.ask(Operations.READ_INTEGRATION, integration_id)
        return _read_integration(fields)

    async def configuration(self, integration_id: str) -> Configuration:
        """Its configuration."""
        fields = await self._api.ask(Operations.READ_CONFIGURATION, integration_id)
        return _read_configuration(fields)

    async def provision(self, wish: MonitorWish) -> Integration:
        """Make an integration as wished, not enabled yet. What fails half-way is taken back.

        Raises:
            ConfigurationError: The wish has faults; nothing was sent.
            LimitReached: The organization has five; nothing was made.
            StateConflict: There is one of that name; nothing was made.
            GenesysError: See `Api.ask`.
        """
        require_monitor(wish)
        made = await self._create(wish.name)
        credential_id = ""
        try:
            credential_id = await self.store_credential(made.id, wish)
            # The narrowing of the loop variable does not reach into a lambda.
            wanted_id = credential_id
            await self.configure(made.id, lambda configuration: configuration.of(wish, wanted_id))
        except BaseException:
            await self._take_back(made.id, credential_id)
            raise
        return await self.read(made.id)

    async def store_credential(self, integration_id: str, wish: MonitorWish) -> str:
        """Store API key and client secret.

        Returns:
            The id of the credential.
        """
        key, secret = wish.api_key, wish.client_secret or Redacted("")
        fields = await self._api.ask(
            Operations.CREATE_CREDENTIAL,
            body=_credential(await _credential_name(integration_id, wish), key, secret),
            hidden=(key.reveal(), secret.reveal()),
        )
        return _id_of(fields, "store a credential")

    async def holds_secrets(
        self, integration_id: str, credential_id: str, wish: MonitorWish
    ) -> bool:
        """Whether a credential holds the secrets of a wish, as far as its name tells.

        The API gives no secret back, so whoever stores one here marks it in the name. One that
        was stored by hand has no mark, and counts as another.
        """
        try:
            fields = await self._api.ask(Operations.READ_CREDENTIAL, credential_id)
        except NotThere:
            return False
        return text_at(fields, "name") == await _credential_name(integration_id, wish)

    async def replace_credential(
        self, integration_id: str, credential_id: str, wish: MonitorWish
    ) -> None:
        """Put other secrets into a credential of an integration, as when rotating."""
        key, secret = wish.api_key, wish.client_secret or Redacted("")
        name = await _credential_name(integration_id, wish)
        await self._api.ask(
            Operations.WRITE_CREDENTIAL,
            credential_id,
            body={**_credential(name, key, secret), "id": credential_id},
            hidden=(key.reveal(), secret.reveal()),
        )

    async def configure(
        self, integration_id: str, change: Callable[[Configuration], Configuration]
    ) -> Configuration:
        """Change a configuration; when somebody was faster, his is read and changed again.

        Args:
            integration_id: Whose.
            change: Gives the wanted one from the present one; may be called several times.

        Raises:
            StateConflict: Somebody was faster every time.
        """
        for attempt in range(1, _WRITES + 1):
            present = await self.configuration(integration_id)
            wanted = replace(change(present), version=present.version)
            if wanted == present:
                return present
            body = _written(wanted)
            try:
                fields = await self._api.ask(
                    Operations.WRITE_CONFIGURATION, integration_id, body=body
                )
            except StateConflict:
                if attempt == _WRITES:
                    raise
                _LOG.info("genesys.configuration_conflict", attempt=attempt)
                continue
            return _read_configuration(fields)
        raise AssertionError("the last write returns or raises")

    async def switch(self, integration_id: str, state: Literal["ENABLED", "DISABLED"]) -> None:
        """Say what is wanted. `ENABLED` makes Genesys Cloud probe the server."""
        body = {"intendedState": state}
        await self._api.ask(Operations.SWITCH_INTEGRATION, integration_id, body=body)

    async def enable(self, integration_id: str, within_seconds: float = 60.0) -> Integration:
        """Enable it, and wait until Genesys Cloud has probed the server.

        Raises:
            NotReached: The probe failed, or nothing was reported in time.
        """
        before = await self.read(integration_id)
        await self.switch(integration_id, "ENABLED")
        seen = await self.watch(integration_id, within_seconds, since=before)
        if seen.reported_state == "ACTIVE":
            return seen
        reason = seen.reason or "no reason is given"
        what = "the probe of the server failed" if seen.reported_state == "ERROR" else "no verdict"
        text = f"enable {seen.name!r}: {what}: it is {seen.reported_state or 'silent'} ({reason})"
        not_reached = NotReached(text)
        not_reached.state = seen.reported_state
        raise not_reached

    async def watch(
        self,
        integration_id: str,
        within_seconds: float = 60.0,
        *,
        since: Integration | None = None,
    ) -> Integration:
        """Wait until the reported state is `ACTIVE` or `ERROR`, or the time is over.

        Args:
            integration_id: Which.
            within_seconds: How long.
            since: The integration before it was changed. What it reported then is no verdict on
                the change, unless it is still reported after a while.
        """
        clock = self._api.timing.clock
        believed_at = clock.monotonic_seconds() + min(_STALE_SECONDS, within_seconds / 2)

        def is_verdict(seen: Integration) -> bool:
            if seen.reported_state not in {"ACTIVE", "ERROR"}:
                return False
            if since is None or clock.monotonic_seconds() >= believed_at:
                return True
            then = (since.reported_state, since.reported_at)
            return (seen.reported_state, seen.reported_at) != then

        return await poll(
            self._api.timing,
            lambda: self.read(integration_id),
            is_verdict,
            within_seconds=within_seconds,
            every_seconds=_LOOK_SECONDS,
        )

    async def retire(self, integration_id: str) -> None:
        """Delete an integration, then its credentials. What is gone already is well.

        Raises:
            StateConflict: A credential is still in use after a while.
        """
        try:
            configuration = await self.configuration(integration_id)
            await self._api.ask(Operations.DELETE_INTEGRATION, integration_id)
        except NotThere:
            return
        for credential_id in configuration.credential_ids.values():
            await self.delete_credential(credential_id)

    async def delete_credential(self, credential_id: str) -> None:
        """Delete a credential; for a while after its integration it may count as in use."""
        for attempt in range(1, _WRITES + 1):
            try:
                await self._api.ask(Operations.DELETE_CREDENTIAL, credential_id)
            except NotThere:
                return
            except StateConflict:
                if attempt == _WRITES:
                    raise
                await self._api.timing.sleep(_RELEASE_SECONDS)
            else:
                return

    async def _create(self, name: str) -> Integration:
        before = await self.list()
        same = [integration.id for integration in before if integration.name == name]
        if same:
            raise StateConflict(f"create an integration: {same[0]} has the name {name!r} already")
        if too_many := too_many_monitors(before, 1):
            raise LimitReached(f"create an integration: {too_many}")
        body = {"name": name, "integrationType": {"id": _TYPE}}
        try:
            return _read_integration(await self._api.ask(Operations.CREATE_INTEGRATION, body=body))
        except OutcomeUnknown:
            # The name was free before, so whoever has it now was made by this very request.
            made = [one for one in await self.list() if one.name == name]
            if len(made) != 1:
                raise
            return made[0]

    async def _take_back(self, integration_id: str, credential_id: str) -> None:
        _LOG.warning("genesys.provisioning_taken_back", integration=integration_id)
        with contextlib.suppress(GenesysError):
            await self._api.ask(Operations.DELETE_INTEGRATION, integration_id)
        if credential_id:
            with contextlib.suppress(GenesysError):
                await self.delete_credential(credential_id)


def too_many_monitors(present: Sequence[Integration], more: int) -> str:
    """Why there can be no more of them; empty: there can."""
    if len(present) + more <= MOST_MONITORS:
        return ""
    names = ", ".join(printable(integration.name, 60) for integration in present)
    return (
        f"the organization has {len(present)} AudioHook Monitor integrations, and "
        f"{MOST_MONITORS} is the most it may have; delete or change one of: {names}"
    )


async def _credential_name(integration_id: str, wish: MonitorWish) -> str:
    mark = await mark_of(integration_id, wish.api_key, wish.client_secret)
    return f"Integration-{integration_id} [{mark}]"


def _credential(name: str, key: Redacted[str], secret: Redacted[str]) -> dict[str, Any]:
    fields = {"apiKey": key.reveal(), "clientSecret": secret.reveal()}
    return {"name": name, "type": {"name": _CREDENTIAL}, "credentialFields": fields}


def _written(configuration: Configuration) -> dict[str, Any]:
    return {
        "version": configuration.version,
        "name": configuration.name,
        "properties": configuration.properties,
        "advanced": configuration.advanced,
        "notes": configuration.notes,
        "credentials": {kind: {"id": one} for kind, one in configuration.credential_ids.items()},
    }


def _read_integration(fields: dict[str, Any]) -> Integration:
    config = fields.get("config")
    current = config.get("current") if isinstance(config, dict) else None
    reason = text_at(fields, "reportedState", "detail", "message")
    return Integration(
        id=_id_of(fields, "read an integration"),
        name=text_at(fields, "name"),
        intended_state=text_at(fields, "intendedState"),
        reported_state=text_at(fields, "reportedState", "code").upper(),
        reason=printable(reason, 300),
        reported_at=text_at(fields, "reportedState", "lastUpdated"),
        configuration=_read_configuration(current) if isinstance(current, dict) else None,
    )


def _read_configuration(fields: dict[str, Any]) -> Configuration:
    version, credentials = fields.get("version"), fields.get("credentials") or {}
    properties, advanced = fields.get("properties") or {}, fields.get("advanced") or {}
    shapes = (credentials, properties, advanced)
    if not isinstance(version, int) or not all(isinstance(shape, dict) for shape in shapes):
        raise AnswerUnreadable("read a configuration: the answer is none")
    ids = {str(kind): text_at(one, "id") for kind, one in credentials.items()}
    return Configuration(
        version=version,
        name=text_at(fields, "name"),
        properties=properties,
        advanced=advanced,
        notes=text_at(fields, "notes"),
        credential_ids={kind: one for kind, one in ids.items() if one},
    )


def _id_of(fields: dict[str, Any], does: str) -> str:
    found = text_at(fields, "id")
    if not found:
        raise AnswerUnreadable(f"{does}: the answer names no id")
    return found


_TYPE: Final = "audiohook"
_CREDENTIAL: Final = "audioHook"
_WRITES: Final = 5
_LOOK_SECONDS: Final = 2.0
_STALE_SECONDS: Final = 15.0
_RELEASE_SECONDS: Final = 1.0
_LOG: Final = get_logger(__name__)
