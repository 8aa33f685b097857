"""Reads the description of what is wanted, with all of its faults at once, and its secrets."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ops.redaction import Redacted, printable

from .fields import AudioHookWish, MonitorWish, require_audiohook, require_monitor
from .integrations import MOST_MONITORS
from .keys import fresh_api_key, fresh_secret
from .wanted import WantedAudioHook, WantedIntegration, WantedState
from .wanted_faults import shape_faults

__all__ = ["Wanted", "WantedHook", "WantedMonitor", "read_wanted"]


@dataclass(frozen=True, slots=True)
class WantedMonitor:
    """An integration, its secrets read."""

    wish: MonitorWish
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class WantedHook:
    """An AudioHook, its key read."""

    wish: AudioHookWish
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a file describes, ready to be compared.

    Attributes:
        state: As it was written.
        monitors: Its integrations.
        hooks: Its AudioHooks.
        fresh_keys: Keys that lie in no file yet, by the file where they shall; see `write_keys`.
    """

    state: WantedState
    monitors: tuple[WantedMonitor, ...]
    hooks: tuple[WantedHook, ...]
    fresh_keys: dict[Path, Redacted[str]] = field(default_factory=dict)


def read_wanted(file: Path, *, make_keys: bool = False, names_only: bool = False) -> Wanted:
    """Read a description.

    Args:
        file: In TOML.
        make_keys: Whether a key whose file does not exist is made; nothing is written here.
        names_only: Whether the secrets are left alone, as for deleting.

    Raises:
        ConfigurationError: With every fault; shows no secret.
    """
    state = _read_state(file)
    keys = _Keys(file.parent, make_keys=make_keys, names_only=names_only)
    faults: list[ConfigurationFault] = []
    monitors, hooks = [], []
    for index, one in enumerate(state.integrations):
        where = f"integrations[{index}]"
        wish = _monitor(one, keys, where)
        if not names_only:
            faults += _faults(lambda wish=wish: require_monitor(wish), where)  # type: ignore[misc]
        monitors.append(WantedMonitor(wish, one.enabled))
    for index, hook in enumerate(state.audiohooks):
        where = f"audiohooks[{index}]"
        asked = _hook(hook, keys, where)
        if not names_only:
            faults += _faults(lambda asked=asked: require_audiohook(asked), where)  # type: ignore[misc]
        hooks.append(WantedHook(asked, hook.enabled))
    faults = [*keys.faults, *_without(faults, keys.faults)]
    faults += _twice("integrations", [one.name for one in state.integrations])
    faults += _twice("audiohooks", [one.name for one in state.audiohooks])
    faults += _twice("monitored_queues", state.monitored_queues)
    if len(state.integrations) > MOST_MONITORS:
        what = f"there are {len(state.integrations)}, and an organization may have {MOST_MONITORS}"
        faults.append(ConfigurationFault("integrations", what, "describe fewer"))
    if faults:
        raise ConfigurationError(faults)
    return Wanted(state, tuple(monitors), tuple(hooks), keys.fresh)


def _read_state(file: Path) -> WantedState:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        remedy = "see `earhook genesys example`"
        raise ConfigurationError(
            [ConfigurationFault(str(file), "does not exist", remedy)]
        ) from None
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise ConfigurationError.of(str(file), what) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        what = f"is no TOML: {printable(str(error), 120)}"
        raise ConfigurationError.of(str(file), what) from None
    try:
        return WantedState.model_validate(table)
    except ValidationError as error:
        raise ConfigurationError(shape_faults(error)) from None


class _Keys:
    """Reads keys out of their files, each file once."""

    def __init__(self, directory: Path, *, make_keys: bool, names_only: bool) -> None:
        self._directory = directory
        self._make_keys = make_keys
        self._names_only = names_only
        self.fresh: dict[Path, Redacted[str]] = {}
        self.faults: list[ConfigurationFault] = []

    def read(
        self, file: Path | None, where: str, make: Callable[[], Redacted[str]]
    ) -> Redacted[str] | None:
        if file is None or self._names_only:
            return None
        path = self._directory / file
        if path in self.fresh:
            return self.fresh[path]
        try:
            text = path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            if self._make_keys:
                self.fresh[path] = make()
                return self.fresh[path]
            remedy = "`earhook genesys keys` makes it, for the gateway as well"
            self.faults.append(ConfigurationFault(where, f"{path} does not exist", remedy))
        except OSError as error:
            self.faults.append(ConfigurationFault(where, f"{path}: {error.strerror}"))
        except UnicodeDecodeError:
            self.faults.append(ConfigurationFault(where, f"{path} holds more than ASCII text"))
        else:
            return Redacted(text)
        return None


def _monitor(one: WantedIntegration, keys: _Keys, where: str) -> MonitorWish:
    key = keys.read(one.api_key_file, f"{where}.api_key_file", fresh_api_key)
    return MonitorWish(
        name=one.name,
        connection_uri=one.connection_uri,
        api_key=key or Redacted(""),
        client_secret=keys.read(
            one.client_secret_file, f"{where}.client_secret_file", fresh_secret
        ),
        channel=one.channel,
        custom_config=one.custom_config,
        notes=one.notes,
    )


def _hook(one: WantedAudioHook, keys: _Keys, where: str) -> AudioHookWish:
    where = f"{where}.encryption_key_file"
    return AudioHookWish(
        name=one.name,
        destination_url=one.destination_url,
        format=one.format,
        encryption_key=keys.read(one.encryption_key_file, where, fresh_secret),
        description=one.description,
    )


def _faults(check: Callable[[], None], where: str) -> list[ConfigurationFault]:
    """The faults of a wish, each at its place in the file."""
    try:
        check()
    except ConfigurationError as error:
        return [
            ConfigurationFault(f"{where}.{_FILES.get(one.where, one.where)}", one.what, one.remedy)
            for one in error.faults
        ]
    return []


def _without(
    faults: Iterable[ConfigurationFault], known: Iterable[ConfigurationFault]
) -> list[ConfigurationFault]:
    """A key that could not be read is not called empty as well."""
    places = {one.where for one in known}
    return [one for one in faults if one.where not in places]


def _twice(where: str, names: Iterable[str]) -> list[ConfigurationFault]:
    seen: set[str] = set()
    faults: list[ConfigurationFault] = []
    for index, name in enumerate(names):
        folded = name.strip().lower()
        if folded in seen:
            what = f"{printable(name, 80)!r} is there twice"
            faults.append(ConfigurationFault(f"{where}[{index}]", what, "names are unique"))
        seen.add(folded)
    return faults


_FILES = {
    "api_key": "api_key_file",
    "client_secret": "client_secret_file",
    "encryption_key": "encryption_key_file",
}
