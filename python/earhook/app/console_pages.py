"""The console as it is put together: what it knows of calls, and what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from earhook.clock import Clock
from earhook.config.schema import Configuration
from earhook.console.catalogue import Catalogue
from earhook.console.console import Console
from earhook.sinks.base import Sink
from earhook.sinks.board import Board
from earhook.sinks.recording.settings import RecordingSettings

if TYPE_CHECKING:
    from earhook.console.source import Source
    from earhook.console.totals import View

__all__ = ["make_board", "make_console"]


def make_board(configuration: Configuration, sinks: Sequence[Sink], clock: Clock) -> Board | None:
    """What is known of calls; None where nobody is to be shown any."""
    console = configuration.console
    if not console.enabled:
        return None
    history_bytes = console.history_mib << 20
    return Board(clock, sinks, ended_calls=console.ended_calls, history_bytes=history_bytes)


def make_console(
    configuration: Configuration, source: Source, view: View, clock: Clock, workers: int = 1
) -> Console:
    """What is served at the admin port besides health and figures."""
    recordings = [sink for sink in configuration.sinks if isinstance(sink, RecordingSettings)]
    return Console(configuration.console, source, view, clock, Catalogue(recordings), workers)
