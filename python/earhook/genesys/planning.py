"""Compares what is there with what is wanted. Nothing is changed here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import orjson

from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ops.redaction import printable

from .audiohooks import AudioHook
from .changes import Action, Change, FieldChange, Kind, Plan
from .cloud import GenesysCloud
from .errors import NotThere
from .fields import AudioHookWish, MonitorWish, require_audiohook
from .integrations import Configuration, Integration, too_many_monitors
from .keys import mark_of
from .wanted_file import Wanted, WantedHook, WantedMonitor

__all__ = ["marked", "plan_changes", "plan_deletion"]


async def plan_changes(cloud: GenesysCloud, wanted: Wanted) -> Plan:
    """What has to be done so that everything is as described.

    Only what the description names is asked for, so a dialect that it does not use needs no
    permission.

    Raises:
        ConfigurationError: With everything that cannot be: a name that two have, a sixth
            integration, a queue that is not there.
        GenesysError: See `Api.ask`.
    """
    planning = _Planning(cloud)
    if wanted.monitors:
        await planning.compare_monitors(wanted.monitors)
    if wanted.hooks:
        await planning.compare_hooks(wanted.hooks)
    await planning.compare_queues(wanted.state.monitored_queues)
    return planning.plan()


async def plan_deletion(cloud: GenesysCloud, wanted: Wanted) -> Plan:
    """What has to be deleted so that nothing of the description is there. Queues stay.

    Raises:
        ConfigurationError: Two have a name, and it is not known which one is meant.
        GenesysError: See `Api.ask`.
    """
    planning = _Planning(cloud)
    if wanted.monitors:
        monitors = await cloud.integrations.list()
        names = [one.wish.name for one in wanted.monitors]
        planning.delete(Kind.INTEGRATION, names, [(one.name, one.id) for one in monitors])
    if wanted.hooks:
        hooks = await cloud.audiohooks.list()
        names = [one.wish.name for one in wanted.hooks]
        planning.delete(Kind.AUDIOHOOK, names, [(one.name, one.id) for one in hooks])
    return planning.plan()


async def marked(wish: AudioHookWish) -> AudioHookWish:
    """The same with a mark of its key at the end of its description: no key is read back."""
    if wish.encryption_key is None:
        return wish
    mark = f"[key {await mark_of(wish.name, wish.encryption_key)}]"
    return replace(wish, description=f"{wish.description} {mark}".lstrip())


class _Planning:
    """A plan in the making."""

    def __init__(self, cloud: GenesysCloud) -> None:
        self._cloud = cloud
        self._changes: list[Change] = []
        self._left_alone: list[str] = []
        self._faults: list[ConfigurationFault] = []

    def plan(self) -> Plan:
        if self._faults:
            raise ConfigurationError(self._faults)
        return Plan(tuple(self._changes), tuple(self._left_alone))

    def delete(self, kind: Kind, names: Sequence[str], present: Sequence[tuple[str, str]]) -> None:
        ids = self._by_name(kind, names, present)
        for name in names:
            if found := ids.get(name.lower()):
                self._changes.append(Change(Action.DELETE, kind, name, found))
        self._leave_alone(names, [name for name, _ in present])

    async def compare_monitors(self, wanted: Sequence[WantedMonitor]) -> None:
        present = await self._cloud.integrations.list()
        names = [one.wish.name for one in wanted]
        ids = self._by_name(Kind.INTEGRATION, names, [(one.name, one.id) for one in present])
        there = {one.id: one for one in present}
        more = [one for one in wanted if one.wish.name.lower() not in ids]
        if more and (text := too_many_monitors(present, len(more))):
            named = ", ".join(one.wish.name for one in more)
            self._faults.append(ConfigurationFault("integrations", text, f"to make: {named}"))
        for one in wanted:
            found = ids.get(one.wish.name.lower())
            if found is None:
                self._create_monitor(one)
            else:
                await self._compare_monitor(one, there[found])
        self._leave_alone(names, [one.name for one in present])

    def _create_monitor(self, wanted: WantedMonitor) -> None:
        wish = wanted.wish
        fields = _differences({"name": wish.name}, _wish_fields(wish))
        fields += (FieldChange("credential", "", _STORED),)
        self._changes.append(Change(Action.CREATE, Kind.INTEGRATION, wish.name, "", fields))
        if wanted.is_enabled:
            self._changes.append(Change(Action.ENABLE, Kind.INTEGRATION, wish.name))

    async def _compare_monitor(self, wanted: WantedMonitor, present: Integration) -> None:
        wish, integrations = wanted.wish, self._cloud.integrations
        configuration = present.configuration or await integrations.configuration(present.id)
        fields = _differences(_configured_fields(configuration), _wish_fields(wish))
        credential_id = configuration.credential_id
        if not credential_id:
            fields += (FieldChange("credential", "", _STORED),)
        elif not await integrations.holds_secrets(present.id, credential_id, wish):
            fields += (FieldChange("credential", "another one", _STORED),)
        change = Change(Action.CHANGE, Kind.INTEGRATION, wish.name, present.id, fields)
        if fields:
            self._changes.append(change)
        is_on = present.intended_state == "ENABLED"
        why = ""
        if is_on and fields:
            why = _CHANGED
        elif is_on and present.reported_state not in {"ACTIVE", "ACTIVATING"}:
            why = f"it is reported {present.reported_state or 'nothing'}"
            why += f": {present.reason}" if present.reason else ""
        self._switch(change, wanted.is_enabled, is_on, why)

    async def compare_hooks(self, wanted: Sequence[WantedHook]) -> None:
        present = await self._cloud.audiohooks.list()
        names = [one.wish.name for one in wanted]
        ids = self._by_name(Kind.AUDIOHOOK, names, [(one.name, one.id) for one in present])
        there = {one.id: one for one in present}
        for one in wanted:
            wish = await marked(one.wish)
            self._require_hook(wish)
            found = ids.get(wish.name.lower())
            if found is None:
                fields = _differences({"name": wish.name}, _hook_fields(wish))
                self._changes.append(Change(Action.CREATE, Kind.AUDIOHOOK, wish.name, "", fields))
                if one.is_enabled:
                    self._changes.append(Change(Action.ENABLE, Kind.AUDIOHOOK, wish.name))
            else:
                self._compare_hook(wish, there[found], is_enabled=one.is_enabled)
        self._leave_alone(names, [one.name for one in present])

    def _compare_hook(self, wish: AudioHookWish, present: AudioHook, *, is_enabled: bool) -> None:
        fields = _differences(_hook_fields(present), _hook_fields(wish))
        change = Change(Action.CHANGE, Kind.AUDIOHOOK, wish.name, present.id, fields)
        if fields:
            self._changes.append(change)
        is_on = present.status == "ENABLED"
        why = present.reason if not is_on else ""
        if is_on and fields:
            why = _CHANGED
        self._switch(change, is_enabled, is_on, why)

    def _switch(self, change: Change, is_wanted: bool, is_on: bool, why: str) -> None:
        """Add what is to be done about it being on or off."""
        action = None
        if is_wanted and not is_on:
            action = Action.ENABLE
        elif is_wanted and why:
            action = Action.PROBE
        elif not is_wanted and is_on:
            action, why = Action.DISABLE, ""
        if action is not None:
            self._changes.append(replace(change, action=action, fields=(), why=why))

    async def compare_queues(self, queue_ids: Iterable[str]) -> None:
        for index, queue_id in enumerate(queue_ids):
            try:
                is_monitored = await self._cloud.queues.is_monitored(queue_id)
            except NotThere:
                what = f"there is no queue {printable(queue_id, 80)!r}"
                where = f"monitored_queues[{index}]"
                self._faults.append(ConfigurationFault(where, what, "give its id, not its name"))
                continue
            if not is_monitored:
                field = FieldChange("enableAudioMonitoring", "false", "true")
                change = Change(Action.MONITOR, Kind.QUEUE, queue_id, queue_id, (field,))
                self._changes.append(change)

    def _by_name(
        self, kind: Kind, names: Iterable[str], present: Iterable[tuple[str, str]]
    ) -> dict[str, str]:
        """Ids of what is described, by name in lower case: names differ by more than case."""
        described = {name.lower() for name in names}
        ids: dict[str, str] = {}
        for name, id_ in present:
            if name.lower() not in described:
                continue
            if name.lower() in ids:
                what = f"two have the name {printable(name, 80)!r}: {ids[name.lower()]} and {id_}"
                self._faults.append(ConfigurationFault(f"{kind}s", what, "rename one of them"))
            ids[name.lower()] = id_
        return ids

    def _require_hook(self, wish: AudioHookWish) -> None:
        """The mark may have made the description too long."""
        try:
            require_audiohook(wish)
        except ConfigurationError as error:
            self._faults.extend(error.faults)

    def _leave_alone(self, names: Iterable[str], present: Iterable[str]) -> None:
        described = {name.lower() for name in names}
        self._left_alone += [name for name in present if name.lower() not in described]


def _wish_fields(wish: MonitorWish) -> dict[str, str]:
    return {
        "name": wish.name,
        "connection_uri": wish.connection_uri,
        "channel": wish.channel,
        "custom_config": _json(wish.custom_config),
        "notes": wish.notes,
    }


def _configured_fields(present: Configuration) -> dict[str, str]:
    return {
        "name": present.name,
        "connection_uri": present.connection_uri,
        "channel": present.channel,
        "custom_config": _json(present.advanced),
        "notes": present.notes,
    }


def _hook_fields(hook: AudioHookWish | AudioHook) -> dict[str, str]:
    return {
        "name": hook.name,
        "destination_url": hook.destination_url,
        "format": hook.format,
        "description": _MARK.sub("", hook.description),
        "encryption_key": found[1] if (found := _MARK.search(hook.description)) else "",
    }


def _differences(before: dict[str, str], after: dict[str, str]) -> tuple[FieldChange, ...]:
    return tuple(
        FieldChange(field, "", _keys_that_differ(before.get(field, ""), value))
        if field == "custom_config"
        else FieldChange(field, before.get(field, ""), value)
        for field, value in after.items()
        if before.get(field, "") != value
    )


def _keys_that_differ(before: str, after: str) -> str:
    """`+made ~changed -gone`: what stands in a `customConfig` is nobody's affair."""
    old, new = orjson.loads(before or "{}"), orjson.loads(after or "{}")
    signs = {
        key: "+" if key not in old else "-" if key not in new else "~"
        for key in sorted(old.keys() | new.keys())
        if key not in old or key not in new or old[key] != new[key]
    }
    return " ".join(f"{sign}{key}" for key, sign in signs.items())


def _json(value: dict[str, object]) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode() if value else ""


_STORED: Final = "that of the files"
_MARK: Final = re.compile(r"\s*\[key ([0-9a-f]{12})\]$")
_CHANGED: Final = "it changes while it is enabled, and then the platform looks again"
