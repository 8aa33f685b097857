"""Rules that concern more than one section, or more than one table of a kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from earhook.edge.settings import TlsSettings
from earhook.errors import ConfigurationError
from earhook.ingest.settings import IngestSettings
from earhook.sinks.signal.settings import SIGNAL_SINK
from earhook.transport.settings import MediaSettings

from .places import Path
from .schema import Configuration

__all__ = ["BrokenRule", "broken_rules", "ingest_tls", "ports", "require_servable"]


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
    yield from _taken_names(configuration)
    yield from _same_port(configuration)
    if configuration.ingest is not None:
        yield from _ingest_in_the_clear(configuration.ingest, configuration.media)


def require_servable(configuration: Configuration) -> None:
    """What is fine to print and no use to serve.

    Raises:
        ConfigurationError: Nobody could call.
    """
    ingest = configuration.ingest
    if configuration.keys or (ingest is not None and (ingest.tokens or ingest.issuers)):
        return
    what = "there is no [[keys]] table, so nobody could call"
    raise ConfigurationError.of("keys", what, "`earhook config init` writes a key and a secret")


def _repeated_names(section: str, names: Sequence[str]) -> Iterator[BrokenRule]:
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name and name in seen:
            what = f"another table of [[{section}]] is called {name!r} too"
            yield BrokenRule((section, number, "name"), what, "give each a name of its own")
        seen.add(name)


def _taken_names(configuration: Configuration) -> Iterator[BrokenRule]:
    for number, sink in enumerate(configuration.sinks):
        if sink.name == SIGNAL_SINK and configuration.signal.enabled:
            what = f"{SIGNAL_SINK!r} is what the sink of [signal] is called"
            yield BrokenRule(("sinks", number, "name"), what, "choose another name")


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
    taken: dict[int, str] = {}
    for section, port in ports(configuration):
        if port != 0 and port in taken:
            what = f"{taken[port]} and {section} both listen on port {port}"
            yield BrokenRule((section, "port"), what, "choose another port for one of them")
        taken.setdefault(port, section)


def ports(configuration: Configuration) -> Iterator[tuple[str, int]]:
    """Every section that listens on a port, and the port."""
    yield "media", configuration.media.port
    if configuration.ingest is not None:
        yield "ingest", configuration.ingest.port
    if configuration.redirect is not None:
        yield "redirect", configuration.redirect.port
    yield "admin", configuration.admin.port


def _ingest_in_the_clear(ingest: IngestSettings, media: MediaSettings) -> Iterator[BrokenRule]:
    if ingest.plaintext and ingest.tls is not None:
        what = "plaintext = true and [ingest.tls] contradict each other"
        yield BrokenRule(("ingest", "plaintext"), what, "remove one of them")
    elif not ingest.plaintext and ingest_tls(ingest, media) is None:
        what = "there is no certificate for the ingest: neither [ingest.tls] nor [media.tls]"
        remedy = "fill in one of them; behind a balancer that ends TLS, set plaintext = true"
        yield BrokenRule(("ingest",), what, remedy)


def ingest_tls(ingest: IngestSettings, media: MediaSettings) -> TlsSettings | None:
    """What the ingest serves with: its own certificate, that of the media port, or none."""
    if ingest.plaintext:
        return None
    return ingest.tls or media.tls
