"""Looks at described endpoints from here, and has the platform look at those that are enabled."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from earhook.errors import GenesysError

from .changes import Kind
from .cloud import GenesysCloud
from .endpoint import Finding
from .errors import NotReached
from .examination import Examine
from .provisioning import GOOD_FROM_HERE, WATCH_SECONDS, Say, silent
from .wanted_file import Wanted, WantedHook, WantedMonitor

__all__ = ["Probed", "probe_all"]


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of one endpoint.

    Attributes:
        kind: Of whom it is.
        name: The same.
        url: The endpoint.
        findings: From here.
        platform: What the platform says of it.
        is_well: Whether it is as described, as far as it was looked at.
    """

    kind: Kind
    name: str
    url: str
    findings: tuple[Finding, ...]
    platform: str
    is_well: bool


async def probe_all(
    cloud: GenesysCloud | None,
    wanted: Wanted,
    examine: Examine,
    say: Say = silent,
    watch_seconds: float = WATCH_SECONDS,
) -> AsyncIterator[Probed]:
    """Probe every endpoint of a description.

    Args:
        cloud: Is asked to probe what is enabled there and fit from here; None: nobody is asked.
        wanted: The description.
        examine: Examines from here.
        say: Takes lines of progress.
        watch_seconds: How long the platform's verdict is waited for.
    """
    probing = _Probing(cloud, say, watch_seconds)
    for monitor in wanted.monitors:
        wish = monitor.wish
        say(f"examining {wish.connection_uri}")
        found = await examine(wish.connection_uri, wish.api_key, wish.client_secret)
        yield await probing.monitor(monitor, found)
    for hook in wanted.hooks:
        say(f"examining {hook.wish.destination_url}")
        yield await probing.hook(hook, await examine(hook.wish.destination_url))


class _Probing:
    """Asks the platform about what is fit from here."""

    def __init__(self, cloud: GenesysCloud | None, say: Say, watch_seconds: float) -> None:
        self._cloud = cloud
        self._say = say
        self._watch_seconds = watch_seconds

    async def monitor(self, wanted: WantedMonitor, found: list[Finding]) -> Probed:
        wish = wanted.wish
        platform, is_well = await self._asked(
            lambda cloud: self._ask_monitor(cloud, wish.name, wanted.is_enabled), found
        )
        url = wish.connection_uri
        return Probed(Kind.INTEGRATION, wish.name, url, tuple(found), platform, is_well)

    async def hook(self, wanted: WantedHook, found: list[Finding]) -> Probed:
        wish = wanted.wish
        platform, is_well = await self._asked(
            lambda cloud: self._ask_hook(cloud, wish.name, wanted.is_enabled), found
        )
        url = wish.destination_url
        return Probed(Kind.AUDIOHOOK, wish.name, url, tuple(found), platform, is_well)

    async def _asked(
        self, ask: Callable[[GenesysCloud], Awaitable[_Answer]], found: list[Finding]
    ) -> _Answer:
        is_fit = all(one.is_good for one in found)
        if self._cloud is None or not is_fit:
            return _Answer("not asked", is_fit)
        try:
            return await ask(self._cloud)
        except GenesysError as error:
            return _Answer(str(error), False)

    async def _ask_monitor(self, cloud: GenesysCloud, name: str, is_wanted: bool) -> _Answer:
        for one in await cloud.integrations.list():
            if one.name.lower() != name.lower():
                continue
            if one.intended_state != "ENABLED":
                return _Answer(_DISABLED, not is_wanted)
            self._say(f"{name}: waiting for the platform's own probe")
            try:
                seen = await cloud.integrations.enable(one.id, self._watch_seconds)
            except NotReached as error:
                return _Answer(f"{error}; {GOOD_FROM_HERE}", False)
            return _Answer(f"reports {seen.reported_state}", True)
        return _Answer(_ABSENT, not is_wanted)

    async def _ask_hook(self, cloud: GenesysCloud, name: str, is_wanted: bool) -> _Answer:
        for one in await cloud.audiohooks.list():
            if one.name.lower() != name.lower():
                continue
            if one.status != "ENABLED":
                return _Answer(f"{_DISABLED}{one.reason and f': {one.reason}'}", not is_wanted)
            self._say(f"{name}: watching whether the platform disables it")
            left = await cloud.audiohooks.watch(one.id, self._watch_seconds)
            return _Answer(f"reports {left.status}", True)
        return _Answer(_ABSENT, not is_wanted)


class _Answer(NamedTuple):
    """What the platform says, and whether that is well."""

    platform: str
    is_well: bool


_ABSENT: Final = "has none of that name; apply makes it"
_DISABLED: Final = "has it disabled, so it does not probe"
