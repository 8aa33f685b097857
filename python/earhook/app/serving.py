"""A gateway as a process: the log, the signals, and what the machine allows."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final

import uvloop

from earhook.config.checks.machine import needed_descriptors
from earhook.config.rules import require_servable
from earhook.config.schema import Configuration
from earhook.control.process import (
    collect_rarely,
    harden,
    keep_standard_streams,
    raise_open_files,
    warn_open_files,
)
from earhook.control.signals import SignalWatch, ignore_reload
from earhook.errors import ConfigurationError
from earhook.ops.background import BackgroundStream
from earhook.ops.logging import configure_logging, get_logger
from earhook.transport.heap import return_large_blocks

from .gateway import Gateway

__all__ = ["run_process", "serve"]


def serve(configuration: Configuration, reread: Callable[[], Configuration]) -> None:
    """Run a gateway in this process until it is told to stop, or cannot start.

    Args:
        configuration: What to run.
        reread: Reads the configuration again when the process gets SIGHUP.

    Raises:
        ConfigurationError: It cannot start; with every fault that was found.
    """
    run_process(configuration, lambda: _serve(configuration, reread))


def run_process(
    configuration: Configuration, work: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Make this process one that serves, and do its work on an event loop.

    Raises:
        ConfigurationError: As `work` does; the log has it, too.
    """
    require_servable(configuration)
    keep_standard_streams()
    ignore_reload()
    lines = BackgroundStream(sys.stderr)
    configure_logging(configuration.log, lines)
    harden()
    raise_open_files()
    warn_open_files(needed_descriptors(configuration))
    return_large_blocks()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work())
    except ConfigurationError as error:
        if not sys.stderr.isatty():
            # The list for people follows; whoever collects lines of JSON reads only this.
            faults = [str(fault) for fault in error.faults]
            _LOG.error("gateway.not_started", faults=faults)
        raise
    finally:
        lines.end(LAST_LINES_SECONDS)


async def _serve(configuration: Configuration, reread: Callable[[], Configuration]) -> None:
    gateway = Gateway(configuration, reread=reread)
    signals = SignalWatch(asyncio.get_running_loop(), gateway.receive, gateway.reload)
    signals.start()
    try:
        async with gateway:
            collect_rarely()
            await gateway.run()
    finally:
        signals.stop()


LAST_LINES_SECONDS: Final = 0.1
"""What a reader of our log that has fallen behind gets to take the last lines in."""

_LOG: Final = get_logger(__name__)
