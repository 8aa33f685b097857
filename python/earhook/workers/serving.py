"""A gateway of several processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from earhook.app.serving import run_process
from earhook.config.schema import Configuration
from earhook.control.cores import worker_count
from earhook.control.signals import SignalWatch

from .candidate import prove
from .parent import Parent
from .succession import CANDIDATE
from .takeover import listen_to_signals, take_over

__all__ = ["serve_workers"]


def serve_workers(configuration: Configuration, reread: Callable[[], Configuration]) -> None:
    """Run a parent and its workers until it is told to stop, or cannot start.

    Args:
        configuration: What to run.
        reread: Reads the configuration again when the process gets SIGHUP.

    Raises:
        ConfigurationError: It cannot start; with every fault that was found.
    """
    if CANDIDATE in os.environ:
        prove(configuration)
    else:
        run_process(configuration, lambda: _serve(configuration, reread))


async def _serve(configuration: Configuration, reread: Callable[[], Configuration]) -> None:
    estate = take_over()
    slots = worker_count(configuration.workers) if estate is None else len(estate.sockets)
    parent = Parent(configuration, reread, slots, estate)
    loop = asyncio.get_running_loop()
    signals = SignalWatch(loop, parent.receive, parent.reload, parent.renew)
    signals.start()
    listen_to_signals()
    try:
        await parent.run()
    finally:
        signals.stop()
