"""All checks, in the order of the flow."""

from __future__ import annotations

from collections.abc import Iterator

from earhook.clock import Clock
from earhook.config.schema import Configuration
from earhook.sinks.pcm_stream.settings import PcmStreamSettings
from earhook.sinks.recording.settings import RecordingSettings

from .access import check_access
from .certificates import check_certificates, check_clear_text
from .console import check_console
from .finding import Finding, doubtful
from .ingest import check_ingest_credentials
from .keys import check_keys
from .machine import check_machine, most_calls
from .network import check_listen
from .sinks import check_pcm_stream, check_recording

__all__ = ["examine"]


def examine(
    configuration: Configuration, clock: Clock, *, offline: bool, running: bool = False
) -> list[Finding]:
    """Try everything out that the gateway will need.

    Args:
        configuration: Valid in itself.
        clock: Now, for certificates and for its own sake.
        offline: Dial nobody.
        running: A gateway runs here already, so leave out what it listens on.
    """
    return [
        *check_keys(configuration),
        *check_ingest_credentials(configuration, clock, offline=offline),
        *([] if running else _check_ports(configuration)),
        *_check_tls(configuration, clock),
        *check_access(configuration, offline=offline),
        *check_console(configuration),
        *_check_sinks(configuration, offline=offline, running=running),
        *check_machine(configuration, clock),
    ]


def _check_ports(configuration: Configuration) -> Iterator[Finding]:
    """Whether each port can be had."""
    doors = (
        ("media", configuration.media),
        ("ingest", configuration.ingest),
        ("redirect", configuration.redirect),
        ("admin", configuration.admin),
    )
    for section, door in doors:
        if door is not None:
            yield check_listen(f"{section}.port", door.host, door.port)


def _check_tls(configuration: Configuration, clock: Clock) -> Iterator[Finding]:
    media, ingest = configuration.media, configuration.ingest
    if media.tls is None:
        yield from check_clear_text("media", "ws://", media.host)
    else:
        yield from check_certificates("media.tls", media.tls, clock)
    if ingest is None:
        return
    if ingest.tls is not None:
        yield from check_certificates("ingest.tls", ingest.tls, clock)
    elif ingest.plaintext:
        yield from check_clear_text("ingest", "http://", ingest.host)


def _check_sinks(
    configuration: Configuration, *, offline: bool, running: bool
) -> Iterator[Finding]:
    if not configuration.sinks:
        what = "there is no [[sinks]] table: calls are answered and go nowhere"
        yield doubtful("sinks", what, "add one of kind recording or pcm-stream")
    for number, sink in enumerate(configuration.sinks):
        match sink:
            case RecordingSettings():
                yield from check_recording(number, sink, most_calls(configuration))
            case PcmStreamSettings():
                yield from check_pcm_stream(number, sink, offline=offline, running=running)
