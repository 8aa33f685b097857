"""Carries out a plan, change by change; what one thing fails at does not keep the others back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Final

from earhook.errors import GenesysError
from earhook.ops.redaction import printable

from .changes import Action, Change, Kind, Outcome, Plan
from .cloud import GenesysCloud
from .errors import NotReached
from .examination import Examine, faults_of
from .fields import AudioHookWish, MonitorWish
from .planning import marked
from .wanted_file import Wanted

__all__ = ["GOOD_FROM_HERE", "WATCH_SECONDS", "Provisioning", "Say", "silent"]

Say = Callable[[str], None]
"""Takes a line of progress."""

WATCH_SECONDS: Final = 90.0
"""How long the platform may take to disable what it cannot use."""


def silent(_line: str) -> None:
    """No progress is wanted."""


class Provisioning:
    """Makes an organization as it is described.

    Args:
        cloud: The organization.
        examine: Tests an endpoint before it is enabled, or changed while it is.
        say: Takes lines of progress.
        watch_seconds: How long the platform's verdict is waited for.
    """

    def __init__(
        self,
        cloud: GenesysCloud,
        examine: Examine,
        say: Say = silent,
        watch_seconds: float = WATCH_SECONDS,
    ) -> None:
        self._cloud = cloud
        self._examine = examine
        self._say = say
        self._watch_seconds = watch_seconds

    async def apply(self, wanted: Wanted, plan: Plan) -> AsyncIterator[Outcome]:
        """Do what a plan says, all of it and nothing else, and tell what became of it.

        After a failure the rest of the same thing is left out, and told so.

        Args:
            wanted: What the plan was made of.
            plan: See `plan_changes` and `plan_deletion`.
        """
        made: dict[tuple[Kind, str], str] = {}
        failed: set[tuple[Kind, str]] = set()
        for planned in plan.changes:
            thing = (planned.kind, planned.name)
            change = replace(planned, id=planned.id or made.get(thing, ""))
            if thing in failed:
                yield Outcome(change, False, "left out after what is said above")
                continue
            self._say(f"{change.action} {change.kind} {printable(change.name, 80)}")
            try:
                outcome = await self._one(wanted, change)
            except GenesysError as error:
                outcome = Outcome(change, False, str(error))
            if outcome.is_done:
                made[thing] = outcome.change.id
            else:
                failed.add(thing)
            yield outcome

    async def _one(self, wanted: Wanted, change: Change) -> Outcome:
        if change.kind is Kind.QUEUE:
            await self._cloud.queues.set_monitored(change.id, monitored=True)
            return Outcome(change, True)
        if change.kind is Kind.INTEGRATION:
            monitor = next(one for one in wanted.monitors if one.wish.name == change.name)
            return await self._monitor(monitor.wish, change)
        hook = next(one for one in wanted.hooks if one.wish.name == change.name)
        return await self._hook(await marked(hook.wish), change)

    async def _monitor(self, wish: MonitorWish, change: Change) -> Outcome:
        integrations = self._cloud.integrations
        match change.action:
            case Action.CREATE:
                made = await integrations.provision(wish)
                return Outcome(replace(change, id=made.id), True)
            case Action.CHANGE:
                return await self._change_monitor(wish, change)
            case Action.DISABLE:
                await integrations.switch(change.id, "DISABLED")
                return Outcome(change, True)
            case Action.DELETE:
                await integrations.retire(change.id)
                return Outcome(change, True)
            case _:
                return await self._enable_monitor(wish, change)

    async def _change_monitor(self, wish: MonitorWish, change: Change) -> Outcome:
        integrations = self._cloud.integrations
        present = await integrations.read(change.id)
        is_on = present.intended_state == "ENABLED"
        changed = {one.field for one in change.fields}
        # What works is never pointed at what does not.
        is_new_way = bool(changed & {"connection_uri", "credential"})
        if is_on and is_new_way and (bad := await self._unfit(wish)):
            return Outcome(change, False, f"nothing is changed: {bad}")
        configuration = await integrations.configuration(change.id)
        credential_id = configuration.credential_id
        if not credential_id:
            credential_id = await integrations.store_credential(change.id, wish)
        elif "credential" in changed:
            await integrations.replace_credential(change.id, credential_id, wish)
        await integrations.configure(change.id, lambda one: one.of(wish, credential_id))
        return Outcome(change, True)

    async def _enable_monitor(self, wish: MonitorWish, change: Change) -> Outcome:
        integrations = self._cloud.integrations
        if bad := await self._unfit(wish):
            text = f"its endpoint is not fit: {bad}"
            if change.action is Action.ENABLE:
                text += "; it stays disabled"
            return Outcome(change, False, text)
        self._say(f"waiting up to {self._watch_seconds:g} s for the platform's own probe")
        try:
            seen = await integrations.enable(change.id, self._watch_seconds)
        except NotReached as error:
            self._say("examining the endpoint again")
            bad = await self._unfit(wish) or GOOD_FROM_HERE
            return Outcome(change, False, f"{error}; {bad}")
        return Outcome(change, True, f"the platform reports {seen.reported_state}")

    async def _unfit(self, wish: MonitorWish) -> str:
        self._say(f"examining {wish.connection_uri}")
        return faults_of(await self._examine(wish.connection_uri, wish.api_key, wish.client_secret))

    async def _hook(self, wish: AudioHookWish, change: Change) -> Outcome:
        hooks = self._cloud.audiohooks
        match change.action:
            case Action.CREATE:
                made = await hooks.create(wish)
                return Outcome(replace(change, id=made.id), True)
            case Action.CHANGE:
                return await self._change_hook(wish, change)
            case Action.DISABLE:
                await hooks.write(change.id, wish, "DISABLED")
                return Outcome(change, True)
            case Action.DELETE:
                await hooks.delete(change.id)
                return Outcome(change, True)
            case _:
                self._say(
                    f"examining {wish.destination_url}, then watching for "
                    f"{self._watch_seconds:g} s whether the platform disables it"
                )
                seen = await hooks.enable(change.id, wish, self._watch_seconds)
                return Outcome(change, True, f"the platform reports {seen.status}")

    async def _change_hook(self, wish: AudioHookWish, change: Change) -> Outcome:
        hooks = self._cloud.audiohooks
        present = await hooks.read(change.id)
        is_on = present.status == "ENABLED"
        if is_on and "destination_url" in {one.field for one in change.fields}:
            self._say(f"examining {wish.destination_url}")
            if bad := faults_of(await self._examine(wish.destination_url)):
                return Outcome(change, False, f"nothing is changed: {bad}")
        await hooks.write(change.id, wish, "ENABLED" if is_on else "DISABLED")
        return Outcome(change, True)


GOOD_FROM_HERE: Final = (
    "from here everything about the endpoint is good: is it reachable from the networks of "
    "Genesys Cloud (`earhook genesys ip-ranges`)?"
)
