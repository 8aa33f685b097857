"""A new configuration while calls are live: all of it good, or nothing changes.

In two phases. Every part first prepares what it would put in service: reads files, tries
certificates, finds faults. Only when all of them have prepared, all of them commit, which is
plain assignment and has no way to fail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Generic, TypeAlias, TypeVar

from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ops.logging import get_logger

__all__ = [
    "Commit",
    "Part",
    "Prepared",
    "Reloader",
    "is_covered",
    "nothing_to_commit",
    "say_needs_restart",
]

_LOG: Final = get_logger(__name__)

Configuration = TypeVar("Configuration")

Commit: TypeAlias = Callable[[], None]
"""Puts in service what was prepared: at once, and without a way to fail."""


@dataclass(frozen=True, slots=True)
class Part(Generic[Configuration]):
    """Something that can be changed while it runs.

    Attributes:
        settings: The keys that it puts in service, as patterns over their dotted names: `keys`,
            `media.tls.*` (the keys of a table, not whether there is one).
        prepare: Reads and tries what a configuration says of them, changing nothing. It raises
            `ConfigurationError` with every fault.
    """

    settings: tuple[str, ...]
    prepare: Callable[[Configuration], Commit]


@dataclass(frozen=True, slots=True)
class Prepared(Generic[Configuration]):
    """A configuration that can be put in service; see `Reloader.commit`."""

    configuration: Configuration
    commits: tuple[Commit, ...]


def nothing_to_commit() -> None:
    """For a part whose settings can only be changed by a restart this time."""


class Reloader(Generic[Configuration]):
    """Puts a new configuration in service, as far as that can be done without a restart.

    Args:
        reread: Reads the configuration again; raises `ConfigurationError`.
        parts: What can be changed. They commit in this order.
        changed: Dotted names of the keys that differ from those that the process started with.
        done: Called with what is in service from now on. What it returns is added to the line.

    Attributes:
        count: Reloads so far, `good` and `bad`.
        last_is_good: False from a refused reload until the next good one.
    """

    def __init__(
        self,
        reread: Callable[[], Configuration],
        parts: Sequence[Part[Configuration]],
        changed: Callable[[Configuration], Iterable[str]],
        done: Callable[[Configuration], Mapping[str, object]],
    ) -> None:
        self._reread = reread
        self._parts = tuple(parts)
        self._changed = changed
        self._done = done
        # Both from the start, so that the first bad one is an increase and not a new series.
        self.count: Counter[str] = Counter(good=0, bad=0)
        self.last_is_good = True

    def reload(self) -> bool:
        """Try everything, then put it in service. Says what happened in the log.

        Returns:
            Whether it was put in service. If not, nothing has changed.
        """
        try:
            prepared = self.prepare(self._reread())
        except ConfigurationError as error:
            self._refuse([str(fault) for fault in error.faults])
            return False
        except Exception:  # noqa: BLE001 - nothing may end a gateway that runs
            # A defect of ours: what is in service is still whole, so it goes on.
            self._refuse(["a defect of ours; see the traceback"], exc_info=True)
            return False
        done = self.commit(prepared)
        self.count["good"] += 1
        self.last_is_good = True
        say_needs_restart(self._changed(prepared.configuration), self._settings)
        _LOG.info("reload.done", **done)
        return True

    def prepare(self, configuration: Configuration) -> Prepared[Configuration]:
        """Try everything, change nothing. Not counted, and not in the log.

        Raises:
            ConfigurationError: With the faults of all parts together.
        """
        faults: list[ConfigurationFault] = []
        commits: list[Commit] = []
        for part in self._parts:
            try:
                commits.append(part.prepare(configuration))
            except ConfigurationError as error:
                faults.extend(error.faults)
        if faults:
            raise ConfigurationError(list(dict.fromkeys(faults)))
        return Prepared(configuration, tuple(commits))

    def commit(self, prepared: Prepared[Configuration]) -> Mapping[str, object]:
        """Put in service what was prepared; says what is in service now."""
        for commit in prepared.commits:
            commit()
        return self._done(prepared.configuration)

    @property
    def _settings(self) -> list[str]:
        return [pattern for part in self._parts for pattern in part.settings]

    def _refuse(self, faults: list[str], *, exc_info: bool = False) -> None:
        self.count["bad"] += 1
        self.last_is_good = False
        in_service = "what was there before"
        _LOG.error("reload.refused", faults=faults, in_service=in_service, exc_info=exc_info)


def say_needs_restart(changed: Iterable[str], settings: Sequence[str]) -> None:
    """Name what differs from what the process runs with, and stays as it is.

    Args:
        changed: Dotted names of the keys that differ.
        settings: Patterns of those that can be put in service without a restart.
    """
    kept = [key for key in changed if not is_covered(key, settings)]
    if kept:
        _LOG.warning("reload.needs_restart", settings=kept)


def is_covered(key: str, patterns: Iterable[str]) -> bool:
    """Whether a dotted name is one of those that the patterns mean; see `Part.settings`."""
    return any(fnmatchcase(key, pattern) for pattern in patterns)
