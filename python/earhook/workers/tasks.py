"""Work under way that nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from earhook.ops.logging import get_logger

__all__ = ["Tasks"]

_LOG = get_logger(__name__)


class Tasks:
    """Tasks of one owner: kept until they are done; a defect in one is a line of the log.

    Args:
        defect: The event of that line.
    """

    def __init__(self, defect: str) -> None:
        self._defect = defect
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it beside everything else."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._note_done)

    async def end(self) -> None:
        """Break off what runs, and wait until it has."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _note_done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error(self._defect, exc_info=error)
