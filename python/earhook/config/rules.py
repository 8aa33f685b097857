"""Rules that concern more than one section, or more than one table of a kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from earhook.errors import ConfigurationError, ConfigurationFault

from .places import Path
from .schema import Configuration

__all__ = ["BrokenRule", "broken_rules", "require_servable"]


class BrokenRule(NamedTuple):
    """Which key breaks a rule, how, and what to do."""

    path: Path
    what: str
    remedy: str


def broken_rules(configuration: Configuration) -> Iterator[BrokenRule]:
    """Everything that each section allows by itself and the whole does not."""
    yield from _repeated_names("keys", [key.name for key in configuration.keys])
    yield from _repeated_keys(configuration)
    yield from _repeated_names("sinks", [sink.name for sink in configuration.sinks])
    yield from _same_port(configuration)


def require_servable(configuration: Configuration) -> None:
    """What is fine to print and no use to serve.

    Raises:
        ConfigurationError: Nobody could call.
    """
    if not configuration.keys:
        what = "there is no [[keys]] table, so nobody could call"
        fault = ConfigurationFault("keys", what, "`earhook config init` writes a key and a secret")
        raise ConfigurationError([fault])


def _repeated_names(section: str, names: Sequence[str]) -> Iterator[BrokenRule]:
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name and name in seen:
            what = f"another table of [[{section}]] is called {name!r} too"
            yield BrokenRule((section, number, "name"), what, "give each a name of its own")
        seen.add(name)


def _repeated_keys(configuration: Configuration) -> Iterator[BrokenRule]:
    """Compare keys only where they stand in the file; key files are compared when they are read."""
    seen: set[str] = set()
    for number, key in enumerate(configuration.keys):
        if key.api_key is None:
            continue
        text = key.api_key.get_secret_value()
        if text in seen:
            what = "another table of [[keys]] has the same API key"
            yield BrokenRule(("keys", number, "api_key"), what, "two secrets fit into one table")
        seen.add(text)


def _same_port(configuration: Configuration) -> Iterator[BrokenRule]:
    media, admin = configuration.media, configuration.admin
    if media.port == admin.port != 0:
        what = f"media and admin both listen on port {media.port}"
        yield BrokenRule(("admin", "port"), what, "choose another port for one of them")
