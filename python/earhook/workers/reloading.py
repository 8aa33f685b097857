"""A new configuration for all workers: every one of them can serve it, or none changes.

The parent reads it and asks every worker to prepare. Only when all that answer have, all of them
commit, which cannot fail. One that does not answer is replaced: by one that has the new
configuration from the start, as has everyone who comes later.

What waits for a restart waits for one of the whole gateway: a worker that is replaced serves
what the others do.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from earhook.app.reloading import changeable_settings
from earhook.config.changes import changed_keys, with_changes
from earhook.config.rules import require_servable
from earhook.control.admin import Check
from earhook.control.reload import is_covered, say_needs_restart
from earhook.errors import (
    ChannelError,
    ChannelLost,
    ChannelRefused,
    ConfigurationError,
    ConfigurationFault,
)
from earhook.ops.logging import get_logger

from .carried import packed

if TYPE_CHECKING:
    from earhook.config.schema import Configuration
    from earhook.control.reload import Commit
    from earhook.control.settings import AdminSettings
    from earhook.ops.readings import Readings

    from .link import WorkerLink

__all__ = ["Around", "Reloading"]

PREPARE_SECONDS: Final = 5.0
COMMIT_SECONDS: Final = 2.0

_LOG: Final = get_logger(__name__)


class Around(NamedTuple):
    """What a reload needs of the parent.

    Attributes:
        reread: Reads the configuration again; raises `ConfigurationError`.
        workers: Those whose process runs.
        for_worker: The configuration of the worker with a generation.
        prepare_admin: Takes the settings of the admin port.
        replace: Has a worker replaced that does not know what is in service.
    """

    reread: Callable[[], Configuration]
    workers: Callable[[], Sequence[WorkerLink]]
    for_worker: Callable[[Configuration, int], Configuration]
    prepare_admin: Callable[[AdminSettings], Commit]
    replace: Callable[[WorkerLink], None]


class Reloading:
    """Reloads of a gateway of several processes. On the loop's thread only.

    Args:
        configuration: What the gateway was started with.
        around: See there.

    Attributes:
        configuration: What is in service.
        count: Reloads so far, `good` and `bad`.
        last_is_good: False from a refused reload until the next good one.
    """

    def __init__(self, configuration: Configuration, around: Around) -> None:
        self.configuration = configuration
        self.count: Counter[str] = Counter(good=0, bad=0)
        self.last_is_good = True
        self._started = configuration
        self._around = around
        self._number = 0
        self._given: dict[int, int] = {}
        # One at a time; and nobody comes to serve in the middle of one.
        self._turn = asyncio.Lock()

    def content_for(self, generation: int) -> dict[str, Any]:
        """What is in service, for a worker that is to serve; tell with `joined` when it does."""
        self._given[generation] = self._number
        return packed(self._around.for_worker(self.configuration, generation))

    async def joined(self, worker: WorkerLink) -> None:
        """A worker serves: if it was given what is out of service by now, bring it up to date."""
        async with self._turn:
            if self._given.get(worker.generation) == self._number:
                return
            prepared = await self._prepare([worker], self.configuration, self._number)
            if prepared.workers:
                await self._commit([worker], self._number)
            else:
                self._give_up([worker])

    async def reload(self) -> bool:
        """Try everything everywhere, then put it in service. Says what happened in the log.

        Returns:
            Whether it was put in service. If not, nothing has changed.
        """
        async with self._turn:
            try:
                return await self._reload()
            except ConfigurationError as error:
                self._refuse([str(fault) for fault in error.faults])
            except Exception:  # noqa: BLE001 - nothing may end a gateway that runs
                self._refuse(["a defect of ours; see the traceback"], exc_info=True)
            return False

    def read(self, readings: Readings) -> None:
        """Write down how reloads went."""
        readings.put_each("earhook_reloads_total", self.count, label="reason")
        readings.put("earhook_reload_good", float(self.last_is_good))

    def check(self) -> Check:
        """For readiness; a refused one is no reason to go elsewhere."""
        refused = (
            "the last one was refused, what was there before serves; the log says why "
            "(reload.refused)"
        )
        return Check("reload", passes=True, detail="" if self.last_is_good else refused)

    async def _reload(self) -> bool:
        fresh = self._around.reread()
        require_servable(fresh)
        settings = changeable_settings()
        wanted = with_changes(self._started, fresh, lambda key: is_covered(key, settings))
        commit_admin = self._around.prepare_admin(wanted.admin)
        number = self._number + 1
        prepared = await self._prepare(self._serving(), wanted, number)
        if prepared.faults:
            for worker in prepared.workers:
                _tell_quietly(worker, "abort_reload")
            raise ConfigurationError(prepared.faults)
        commit_admin()
        self.configuration, self._number = wanted, number
        done = await self._commit(prepared.workers, number)
        self._give_up(prepared.silent)
        self.count["good"] += 1
        self.last_is_good = True
        say_needs_restart(changed_keys(self._started, fresh), settings)
        _LOG.info("reload.done", workers=len(prepared.workers), **done)
        return True

    async def _prepare(
        self, workers: Sequence[WorkerLink], configuration: Configuration, number: int
    ) -> _Prepared:
        """Ask all of them at once whether they can serve it."""
        prepared = _Prepared([], [], [])
        answers = await asyncio.gather(
            *(self._ask_to_prepare(worker, configuration, number) for worker in workers),
            return_exceptions=True,
        )
        for worker, answer in zip(workers, answers, strict=True):
            match answer:
                case None:
                    prepared.workers.append(worker)
                case ConfigurationError():
                    prepared.faults.extend(f for f in answer.faults if f not in prepared.faults)
                case ChannelLost():
                    pass  # whoever replaces it gets what is in service then
                case ChannelRefused():
                    prepared.faults.append(_defect(worker))
                case ChannelError():
                    prepared.silent.append(worker)
                case _:
                    raise answer
        return prepared

    async def _ask_to_prepare(
        self, worker: WorkerLink, configuration: Configuration, number: int
    ) -> None:
        content = packed(self._around.for_worker(configuration, worker.generation))
        body = {"number": number, "configuration": content}
        await worker.channel.ask("prepare_reload", body, seconds=PREPARE_SECONDS)

    async def _commit(self, workers: Sequence[WorkerLink], number: int) -> dict[str, Any]:
        """Put in service what all of them have prepared; what one of them says that is."""
        living = {worker.generation for worker in self._around.workers()}
        self._given = {each: number for each, number in self._given.items() if each in living}
        answers = await asyncio.gather(
            *(
                worker.channel.ask("commit_reload", {"number": number}, (), COMMIT_SECONDS)
                for worker in workers
            ),
            return_exceptions=True,
        )
        done: dict[str, Any] = {}
        for worker, answer in zip(workers, answers, strict=True):
            if isinstance(answer, BaseException):
                if not isinstance(answer, ChannelError):
                    raise answer
                if worker.channel.is_open:
                    self._give_up([worker])
                continue
            self._given[worker.generation] = number
            done = dict(answer.body)
        return done

    def _serving(self) -> list[WorkerLink]:
        return [worker for worker in self._around.workers() if worker.serves]

    def _give_up(self, workers: Sequence[WorkerLink]) -> None:
        for worker in workers:
            remedy = "nothing: it is replaced by one with what is in service"
            _LOG.warning(
                "reload.unanswered", slot=worker.slot, pid=worker.process.pid, remedy=remedy
            )
            self._around.replace(worker)

    def _refuse(self, faults: list[str], *, exc_info: bool = False) -> None:
        self.count["bad"] += 1
        self.last_is_good = False
        in_service = "what was there before"
        _LOG.error("reload.refused", faults=faults, in_service=in_service, exc_info=exc_info)


class _Prepared(NamedTuple):
    """Who can serve it, who did not answer, and what is wrong with it."""

    workers: list[WorkerLink]
    silent: list[WorkerLink]
    faults: list[ConfigurationFault]


def _defect(worker: WorkerLink) -> ConfigurationFault:
    where = f"worker {worker.slot}"
    return ConfigurationFault(where, "a defect of ours", "see the traceback in its lines")


def _tell_quietly(worker: WorkerLink, kind: str) -> None:
    with contextlib.suppress(ChannelError):
        worker.channel.tell(kind)
