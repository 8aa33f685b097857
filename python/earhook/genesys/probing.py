"""Looks at described endpoints from here, and has the platform look at those that are enabled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from earhook.errors import GenesysError

from .changes import Kind
from .cloud import GenesysCloud
from .endpoint import Finding
from .examination import Examine
from .provisioning import WATCH_SECONDS, Say, silent
from .wanted_file import Wanted

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
        is_well: Whether it works, as far as it was looked at.
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
    probing = _Probing(cloud, examine, say, watch_seconds)
    for monitor in wanted.monitors:
        wish = monitor.wish
        say(f"examining {wish.connection_uri}")
        found = await examine(wish.connection_uri, wish.api_key, wish.client_secret)
        yield await probing.conclude(Kind.INTEGRATION, wish.name, wish.connection_uri, found)
    for hook in wanted.hooks:
        say(f"examining {hook.wish.destination_url}")
        found = await examine(hook.wish.destination_url)
        url = hook.wish.destination_url
        yield await probing.conclude(Kind.AUDIOHOOK, hook.wish.name, url, found)


class _Probing:
    def __init__(
        self, cloud: GenesysCloud | None, examine: Examine, say: Say, watch_seconds: float
    ) -> None:
        self._cloud = cloud
        self._examine = examine
        self._say = say
        self._watch_seconds = watch_seconds

    async def conclude(self, kind: Kind, name: str, url: str, found: list[Finding]) -> Probed:
        is_fit = all(one.is_good for one in found)
        platform, is_well = "not asked", is_fit
        if self._cloud is not None and is_fit:
            try:
                platform, is_well = await self._ask(self._cloud, kind, name)
            except GenesysError as error:
                platform, is_well = str(error), False
        return Probed(kind, name, url, tuple(found), platform, is_well)

    async def _ask(self, cloud: GenesysCloud, kind: Kind, name: str) -> tuple[str, bool]:
        """What the platform says, and whether that is well."""
        if kind is Kind.INTEGRATION:
            for monitor in await cloud.integrations.list():
                if monitor.name == name:
                    if monitor.intended_state != "ENABLED":
                        return _DISABLED, True
                    self._say(f"{name}: waiting for the platform's own probe")
                    seen = await cloud.integrations.enable(monitor.id, self._watch_seconds)
                    return f"reports {seen.reported_state}", True
            return _ABSENT, True
        for hook in await cloud.audiohooks.list():
            if hook.name == name:
                if hook.status != "ENABLED":
                    return f"{_DISABLED}{f': {hook.reason}' if hook.reason else ''}", True
                self._say(f"{name}: watching whether the platform disables it")
                left = await cloud.audiohooks.watch(hook.id, self._watch_seconds)
                return f"reports {left.status}", True
        return _ABSENT, True


_ABSENT: Final = "has none of that name yet: apply makes it"
_DISABLED: Final = "has it disabled, so it does not probe"
