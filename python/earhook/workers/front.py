"""What a gateway of several processes shows and hears as one: its admin port, and reloads."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from earhook.app.console_pages import make_console
from earhook.clock import SystemClock
from earhook.control.admin import AdminServer, Check
from earhook.control.credentials import read_token
from earhook.control.lifecycle import Stage
from earhook.ops.logging import get_logger

from .reloading import Around, Reloading
from .shared import for_worker
from .shown import WorkersSource
from .sum import Sum

if TYPE_CHECKING:
    from pathlib import Path

    from earhook.config.schema import Configuration
    from earhook.ops.readings import Readings

    from .channel import Channel
    from .link import WorkerLink
    from .reports import Reports

__all__ = ["Behind", "Front"]

_LOG: Final = get_logger(__name__)


class Behind(NamedTuple):
    """What a front stands before.

    Attributes:
        workers: Everybody whose process runs, the oldest first.
        slots: How many are to serve.
        replace: Has a worker replaced.
        relay: The channel to the relay; None while there is none.
    """

    workers: Callable[[], Sequence[WorkerLink]]
    slots: int
    replace: Callable[[WorkerLink], None]
    relay: Callable[[], Channel | None]


class Front:
    """Stands before all workers. Made on a running loop; everything happens on its thread.

    Args:
        configuration: What to run.
        reread: Reads the configuration again.
        behind: What it stands before.
        reports: What the parent counts.

    Attributes:
        sum: The figures of all.
        reloading: The configuration in service.
        stage: Where the gateway is in its life.
    """

    def __init__(
        self,
        configuration: Configuration,
        reread: Callable[[], Configuration],
        behind: Behind,
        reports: Reports,
    ) -> None:
        self._slots = behind.slots
        self._reports = reports
        self._directory: Path | None = None
        self.stage = Stage.STARTING
        self.sum = Sum(
            behind.workers,
            slots=behind.slots,
            own=self._read,
            own_checks=lambda: [
                Check("stage", self.stage is Stage.SERVING, str(self.stage)),
                self.reloading.check(),
            ],
            relay=behind.relay,
        )
        token, pages = read_token(configuration.admin), None
        if configuration.console.enabled:
            source = WorkersSource(behind.workers)
            pages = make_console(configuration, source, self.sum, SystemClock(), behind.slots)
        self._admin = AdminServer(configuration.admin, token, self.sum, pages)
        self.reloading = Reloading(
            configuration,
            Around(reread, behind.workers, self._for_worker, self._admin.prepare, behind.replace),
        )
        self._reloads: set[asyncio.Task[bool]] = set()

    @property
    def admin_port(self) -> int:
        """The port of health, metrics and the API."""
        return self._admin.port

    async def open(self, directory: Path, admin: Sequence[socket.socket] = ()) -> None:
        """Listen.

        Raises:
            ConfigurationError: The configured address cannot be had.
        """
        self._directory = directory
        await self._admin.start(admin)
        self.sum.start()

    async def close(self) -> None:
        """Listen no more."""
        self.sum.stop()
        for task in self._reloads:
            task.cancel()
        await asyncio.gather(*self._reloads, return_exceptions=True)
        await self._admin.stop()

    def reload(self) -> None:
        """Read the configuration again and put it in service everywhere, or nowhere."""
        if self.stage is not Stage.SERVING:
            _LOG.warning("reload.ignored", stage=str(self.stage), remedy="send SIGHUP again later")
            return
        task = asyncio.ensure_future(self.reloading.reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    def enter(self, stage: Stage) -> None:
        """The gateway has come to a stage."""
        if stage is not self.stage:
            self.stage = stage
            _LOG.info("gateway.stage", stage=str(stage))

    def descriptors(self) -> list[int]:
        """Of what the admin port listens on."""
        return self._admin.descriptors()

    async def as_json(self) -> dict[str, Any]:
        """What was counted, up to now, for another program to go on with."""
        await self.sum.refresh()
        return {"sum": self.sum.as_json()}

    def restore(self, values: dict[str, Any]) -> None:
        """Go on where another one has stopped."""
        self.sum.restore(values["sum"])

    def _read(self, readings: Readings) -> None:
        self._reports.read(readings)
        self.reloading.read(readings)

    def _for_worker(self, configuration: Configuration, generation: int) -> Configuration:
        assert self._directory is not None, "opened before anybody is started"
        return for_worker(configuration, generation, self._slots, self._directory)
