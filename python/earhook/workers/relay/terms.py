"""Which sinks are relayed, and what a worker serves instead. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from earhook.sinks.pcm_stream.settings import PcmStreamSettings

if TYPE_CHECKING:
    from earhook.config.schema import SinkSettings

__all__ = ["private_sink", "relayed_sinks"]

PATIENCE_SECONDS = 24 * 3600.0
HELLO_SECONDS = 30.0


def relayed_sinks(sinks: Iterable[SinkSettings]) -> tuple[PcmStreamSettings, ...]:
    """Those that consumers connect to. Services that we dial, every worker dials by itself."""
    return tuple(
        sink for sink in sinks if isinstance(sink, PcmStreamSettings) and sink.listen is not None
    )


def private_sink(settings: PcmStreamSettings, path: str) -> PcmStreamSettings:
    """What a worker has in the place of a relayed sink: for the relay, and for nobody else.

    Args:
        settings: As the operator wrote them. Who may connect, and whether a consumer still takes
            anything, is judged by the relay.
        path: Of the socket, in a directory that nobody else may enter.
    """
    return PcmStreamSettings(
        name=settings.name,
        listen=f"unix:{path}",
        commands=settings.allows_commands,
        unix_mode=0o600,
        # A relay that was restarted comes back before we have seen the old one go.
        max_subscribers=2 * settings.max_subscribers,
        hello_seconds=HELLO_SECONDS,
        stuck_seconds=PATIENCE_SECONDS,
        coalesce_seconds=settings.coalesce_seconds,
        control_backlog_bytes=settings.control_backlog_bytes,
    )
