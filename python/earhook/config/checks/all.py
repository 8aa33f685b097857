"""All checks, in the order of the flow."""

from __future__ import annotations

from collections.abc import Iterator

from earhook.clock import Clock
from earhook.config.schema import Configuration
from earhook.sinks.pcm_stream.settings import PcmStreamSettings
from earhook.sinks.recording.settings import RecordingSettings

from .certificates import check_certificates
from .finding import Finding, doubtful
from .keys import check_keys
from .machine import check_machine
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
    media, admin = configuration.media, configuration.admin
    return [
        *check_keys(configuration),
        *([] if running else [check_listen("media.port", media.host, media.port)]),
        *check_certificates(media, clock),
        *([] if running else [check_listen("admin.port", admin.host, admin.port)]),
        *_check_sinks(configuration, offline=offline, running=running),
        *check_machine(configuration, clock),
    ]


def _check_sinks(
    configuration: Configuration, *, offline: bool, running: bool
) -> Iterator[Finding]:
    if not configuration.sinks:
        what = "there is no [[sinks]] table: calls are answered and go nowhere"
        yield doubtful("sinks", what, "add one of kind recording or pcm-stream")
    for number, sink in enumerate(configuration.sinks):
        match sink:
            case RecordingSettings():
                yield from check_recording(number, sink, configuration.media.max_calls)
            case PcmStreamSettings():
                yield from check_pcm_stream(number, sink, offline=offline, running=running)
