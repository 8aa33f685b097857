"""The parent: it holds what must outlive any worker, and does what the crew decides.

It hears no audio and talks to no peer. What it holds are the listening sockets of every slot, the
tables that all workers share, and a channel to each of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from earhook import __version__
from earhook.clock import Clock, SystemClock
from earhook.config.schema import Configuration
from earhook.control.lifecycle import CLOSE_SECONDS, Input, Stage
from earhook.errors import ChannelError, ConfigurationError, ConfigurationFault
from earhook.ops.logging import get_logger, settle_lines

from .candidate import ask_candidate
from .channel import Channel, socket_pair
from .crew import Action, Crew, Do, Standing
from .front import Behind, Front
from .link import WorkerLink
from .relay.keeper import RelayKeeper
from .reports import Reports
from .shared import Tables, private_files, relayed_paths, serve_message
from .sockets import SlotSockets, close_slot, listen_for_slots
from .spawn import Process, spawn_module
from .takeover import Estate, SittingWorker, execute_again
from .tasks import Tasks

__all__ = ["Parent"]

_LOG: Final = get_logger(__name__)


class Parent:
    """All workers of a gateway, on the running loop.

    Args:
        configuration: What to run.
        reread: Reads the configuration again.
        slots: How many workers serve at a time.
        estate: What another program in this process has left, to go on with.
        clock: Time.
    """

    def __init__(
        self,
        configuration: Configuration,
        reread: Callable[[], Configuration],
        slots: int,
        estate: Estate | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._configuration = configuration
        self._slots = slots
        self._estate = estate
        self._clock = clock or SystemClock()
        drain = configuration.drain
        drain_seconds = drain.grace_seconds + drain.disconnect_seconds + drain.flush_seconds
        first = 1 if estate is None else estate.next_generation
        self._crew = Crew(configuration.workers, slots, drain_seconds + CLOSE_SECONDS, first)
        self._reports = Reports(self._crew)
        self._links: dict[int, WorkerLink] = {}
        self._front = Front(
            configuration,
            reread,
            Behind(
                lambda: list(self._links.values()),
                slots,
                self._replace,
                lambda: self._relay.channel,
            ),
            self._reports,
        )
        self._relay = RelayKeeper(configuration, None if estate is None else estate.relay)
        self._is_relay_up = False
        self._second_request = asyncio.Event()
        self._sockets: list[SlotSockets] = []
        self._tables: Tables | None = None
        self._directory: Path | None = None
        self._tasks = Tasks("workers.defect")
        self._changed = asyncio.Event()
        self._faults: list[ConfigurationFault] = []
        self._is_renewing = False
        self._is_interrupted = False
        self._look_seconds = min(_LOOK_SECONDS, configuration.workers.silent_seconds / 5)

    async def run(self) -> None:
        """Start everything, and come back when everything has ended.

        Raises:
            ConfigurationError: It could not start.
        """
        try:
            await (self._open() if self._estate is None else self._go_on(self._estate))
            self._crew.start(self._now())
            self._tasks.begin(self._start_relay())
            await self._conduct()
        finally:
            await self._close()
        if self._faults:
            raise ConfigurationError(self._faults)

    def receive(self, happened: Input) -> None:
        """Somebody asks us to stop; twice, to end at once."""
        if happened not in (Input.STOP, Input.INTERRUPT):
            return
        if not self._crew.is_stopping:
            self._is_interrupted = happened is Input.INTERRUPT
            self._crew.stop(self._now())
            self._front.enter(Stage.DRAINING)
        else:
            self._crew.end(self._now())
            self._front.enter(Stage.ENDING)
            self._second_request.set()
        self._changed.set()

    def reload(self) -> None:
        """Read the configuration again and put it in service everywhere, or nowhere."""
        self._front.reload()

    def renew(self) -> None:
        """A rolling restart: another program and another configuration, without a gap."""
        if self._is_renewing or self._front.stage is not Stage.SERVING or self._crew.is_renewing:
            _LOG.warning("rolling.ignored", remedy="one at a time: send SIGUSR2 again later")
            return
        self._is_renewing = True
        self._tasks.begin(self._renew())

    # From the start to the end.

    async def _open(self) -> None:
        faults: list[ConfigurationFault] = []
        self._directory = _private_directory()
        try:
            self._sockets = listen_for_slots(self._configuration, self._slots)
        except ConfigurationError as error:
            faults.extend(error.faults)
        try:
            await self._relay.open()
        except ConfigurationError as error:
            faults.extend(error.faults)
        try:
            await self._front.open(self._directory)
        except ConfigurationError as error:
            faults.extend(error.faults)
        if faults:
            raise ConfigurationError(faults)
        self._tables = Tables.create(self._configuration)

    async def _start_relay(self) -> None:
        """Beside the workers; the gateway has started when all of them have."""
        try:
            await self._relay.start()
        except ConfigurationError as error:
            if self._front.stage is Stage.STARTING:
                self._faults.extend(error.faults)
                self._crew.end(self._now())
            else:
                _LOG.error("relay.not_started", faults=[str(fault) for fault in error.faults])
        else:
            self._is_relay_up = True
            self._look_if_complete()
        self._changed.set()

    async def _conduct(self) -> None:
        """Do what the crew says until nobody is left."""
        looked_at = float("-inf")
        while True:
            now = self._now()
            if now - looked_at >= self._look_seconds:
                looked_at = now
                self._look(now)
            self._crew.handle_timeout(now)
            self._act_all()
            if not self._links and self._crew.is_stopping:
                return
            deadline = self._crew.deadline
            due = looked_at + self._look_seconds
            seconds = (due if deadline is None else min(due, deadline)) - self._now()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, seconds)):
                    await self._changed.wait()
            self._changed.clear()

    def _look(self, now: float) -> None:
        """Ask everybody for a sign of life, and see how large they are."""
        for link in self._links.values():
            with contextlib.suppress(ChannelError):
                link.channel.tell("ping")
            self._crew.measured(link.generation, link.process.resident_bytes(), now)

    async def _close(self) -> None:
        for link in self._links.values():
            link.process.send(signal.SIGKILL)
            link.channel.close()
        await self._tasks.end()
        for sockets in self._sockets:
            close_slot(sockets)
        await self._stop_relay()
        await self._front.close()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
        self._front.enter(Stage.STOPPED)

    async def _stop_relay(self) -> None:
        """Once no worker is left: consumers get what it has, unless somebody is in a hurry."""
        is_orderly = self._front.stage is Stage.DRAINING
        stopping = asyncio.ensure_future(
            self._relay.stop(self._configuration.drain.flush_seconds if is_orderly else 0.0)
        )
        hurry = asyncio.ensure_future(self._second_request.wait())
        await asyncio.wait((stopping, hurry), return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        # Left alone, it ends by itself.
        await asyncio.wait((stopping,), timeout=_RELAY_END_SECONDS)
        stopping.cancel()

    # What the crew says.

    def _act_all(self) -> None:
        for action in self._crew.take_actions():
            self._act(action)

    def _act(self, action: Action) -> None:
        generation = action.generation
        link = self._links.get(generation)
        match action.do:
            case Do.SPAWN:
                self._spawn(generation)
            case Do.ASSIGN:
                self._tasks.begin(self._assign(generation))
            case Do.STEP_ASIDE | Do.STOP | Do.END if link is not None:
                body = {"interrupted": self._is_interrupted}
                with contextlib.suppress(ChannelError):
                    link.channel.tell(action.do.value.replace("-", "_"), body)
                if action.do is Do.END and not link.serves:
                    link.process.send(signal.SIGTERM)  # it may be too young to listen
            case Do.KILL if link is not None:
                link.process.send(signal.SIGKILL)
            case Do.GIVE_UP:
                self._give_up()
            case _:
                self._reports.say(action, link)

    def _spawn(self, generation: int) -> None:
        try:
            ours, theirs = socket_pair()
            with theirs, contextlib.ExitStack() as undo:
                undo.enter_context(ours)
                self._meet(generation, spawn_module(_WORKER_MODULE, theirs), Channel(ours))
                undo.pop_all()
        except OSError as error:
            self._reports.say_not_started(error)
            self._crew.spawn_failed(generation, self._now())
            self._changed.set()

    def _meet(self, generation: int, pid: int, channel: Channel) -> WorkerLink:
        """A process is there: listen to it, and notice when it ends."""
        process = Process(pid, lambda code: self._on_exit(generation, code))
        link = self._links[generation] = WorkerLink(generation, process, channel)
        channel.on("warm", lambda _: self._hear(generation, self._crew.warm))
        channel.on("pong", lambda _: self._hear(generation, self._crew.heard))
        self._front.sum.joined(link)
        channel.start()
        return link

    async def _assign(self, generation: int) -> None:
        link, member = self._links.get(generation), self._crew.member(generation)
        if link is None or member is None or member.slot is None:
            return
        tables, directory = self._tables, self._directory
        assert tables is not None, "opened before anybody is started"
        assert directory is not None, "as above"
        link.slot = slot = member.slot
        tables.board.enter(slot, generation)
        sockets = self._sockets[slot]
        body, descriptors = serve_message(slot, generation, sockets, tables, directory)
        body["configuration"] = self._front.reloading.content_for(generation)
        try:
            await link.channel.ask("serve", body, descriptors, seconds=_SERVE_SECONDS)
        except ConfigurationError as error:
            link.faults.extend(error.faults)
            self._crew.failed(generation, self._now())
        except ChannelError:
            self._crew.failed(generation, self._now())  # its end, if that is why, is told as well
        else:
            link.serves = True
            paths = relayed_paths(self._configuration, generation, directory)
            self._relay.worker_serves(generation, paths)
            self._crew.serving(generation, self._now())
            self._look_if_complete()
            await self._front.reloading.joined(link)
        self._changed.set()

    def _look_if_complete(self) -> None:
        is_up = self._crew.is_complete and self._is_relay_up
        if self._front.stage is not Stage.STARTING or not is_up:
            return
        ports = {
            f"{door}_port": sockets[0].getsockname()[1]
            for door, sockets in self._sockets[0].items()
        }
        self._front.enter(Stage.SERVING)
        _LOG.info(
            "gateway.started",
            version=__version__,
            workers=self._slots,
            **ports,
            admin_port=self._front.admin_port,
            max_calls=self._configuration.media.max_calls,
            keys=len(self._configuration.keys),
            sinks=[sink.name for sink in self._configuration.sinks],
        )

    def _give_up(self) -> None:
        """Nobody has ever served: what keeps them from it is told, once, and that is the end."""
        faults = [fault for link in self._links.values() for fault in link.faults]
        if not faults:
            what = "a worker process ended while it started"
            faults = [ConfigurationFault("workers", what, "its last lines above say why")]
        self._faults = list(dict.fromkeys(faults))

    # What workers do.

    def _hear(self, generation: int, tell: Callable[[int, float], None]) -> None:
        tell(generation, self._now())
        self._changed.set()

    def _on_exit(self, generation: int, code: int) -> None:
        link = self._links[generation]
        link.channel.finish()  # it may have said something to the end
        del self._links[generation]
        assert self._tables is not None, "opened before anybody is started"
        assert self._directory is not None, "as above"
        row = self._tables.board.leave(generation)
        self._tables.claims.clear(generation)
        self._relay.worker_gone(generation)
        with contextlib.suppress(OSError):  # no descriptor left to look: they go with the directory
            for file in private_files(generation, self._directory):
                file.unlink(missing_ok=True)
        self._crew.gone(generation, self._now(), orderly=code in _ORDERLY)
        for action in self._crew.take_actions():
            if action == Action(Do.SAY_LOST, generation):
                self._reports.say_lost(link, code, 0 if row is None else row.live)
            else:
                self._act(action)
        if self._crew.is_stopping and link.slot is not None:
            self._close_if_empty(link.slot)
        self._changed.set()

    def _close_if_empty(self, slot: int) -> None:
        """Nobody accepts there any more: others get what comes, and what waits is told so."""
        if not any(link.slot == slot for link in self._links.values()):
            close_slot(self._sockets[slot])

    def _replace(self, link: WorkerLink) -> None:
        self._crew.replace(link.generation, self._now())
        self._changed.set()

    # A rolling restart.

    async def _renew(self) -> None:
        """Let a candidate prove that it would do, then become it."""
        try:
            version, faults = await ask_candidate(self._configuration)
            if faults:
                in_service = "what was there before"
                _LOG.error("rolling.refused", faults=faults, in_service=in_service)
                return
            counted = await self._front.as_json()
            await self._let_leave()
            _LOG.info("rolling.began", version=version)
            settle_lines(_LINES_SECONDS)
            self._become_next(counted)
        except OSError as error:
            _LOG.error("rolling.refused", faults=[str(error)], in_service="what was there before")
        finally:
            self._is_renewing = False

    async def _let_leave(self) -> None:
        """Who has closed its channel is about to end, and cannot be handed on: wait for that.

        Raises:
            OSError: It does not.
        """
        due = self._now() + _LEAVE_SECONDS
        while not (  # several processes, no one event
            self._relay.is_whole and all(link.channel.is_open for link in self._links.values())
        ):
            if self._now() >= due:
                raise OSError("a process does not end; see worker.silent and relay.silent")
            await asyncio.sleep(_LEAVE_LOOK_SECONDS)

    def _become_next(self, counted: dict[str, Any]) -> None:
        """Comes back only where that is not possible, with an error or without."""
        tables, directory = self._tables, self._directory
        assert tables is not None, "opened before"
        assert directory is not None, "opened before"
        if self._crew.is_stopping:
            return
        estate = Estate(
            directory=str(directory),
            sockets=[
                {door: [one.fileno() for one in found] for door, found in slot.items()}
                for slot in self._sockets
            ],
            tables=tables.descriptors(),
            admin=self._front.descriptors(),
            next_generation=self._crew.next_generation,
            workers=[self._frozen(link) for link in self._links.values()],
            relay=self._relay.estate(),
            counted=counted,
        )
        try:
            execute_again(estate)
        finally:
            self._relay.keep_on()
            for link in self._links.values():
                link.channel.start()

    def _frozen(self, link: WorkerLink) -> SittingWorker:
        member = self._crew.member(link.generation)
        return SittingWorker(
            generation=link.generation,
            pid=link.process.pid,
            slot=link.slot,
            standing=str(Standing.DRAINING if member is None else member.standing),
            serves=link.serves,
            channel=link.channel.freeze(),
        )

    async def _go_on(self, estate: Estate) -> None:
        """Take over what another program has left: its workers serve until ours do."""
        self._directory = Path(estate.directory)
        self._sockets = estate.slot_sockets()
        self._tables = estate.shared_tables()
        self._front.restore(estate.counted)
        await self._relay.open()
        await self._front.open(self._directory, estate.admin_sockets())
        for worker in estate.workers:
            link = self._meet(worker.generation, worker.pid, Channel.thaw(worker.channel))
            link.slot, link.serves = worker.slot, worker.serves
            standing = Standing(worker.standing)
            self._crew.adopt(worker.generation, worker.slot, standing, self._now())
        self._front.enter(Stage.SERVING)
        _LOG.info("rolling.taken_over", version=__version__, workers=self._slots)

    # Small things.

    def _now(self) -> float:
        return self._clock.monotonic_seconds()


def _private_directory() -> Path:
    """A directory that only this user may enter, with a path short enough for sockets in it."""
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir()):
        if parent and len(parent) <= _LONGEST_PARENT:
            with contextlib.suppress(OSError):
                return Path(tempfile.mkdtemp(prefix="earhook-", dir=parent))
    return Path(tempfile.mkdtemp(prefix="earhook-", dir="/tmp"))


_WORKER_MODULE: Final = "earhook.workers.worker"
_ORDERLY: Final = (0, -signal.SIGTERM)
_LOOK_SECONDS: Final = 1.0
_LEAVE_SECONDS: Final = 10.0
_LEAVE_LOOK_SECONDS: Final = 0.01
_LINES_SECONDS: Final = 1.0
"""What a reader of our log that has fallen behind gets before the thread that writes it ends."""
_SERVE_SECONDS: Final = 60.0
_RELAY_END_SECONDS: Final = 0.5
_LONGEST_PARENT: Final = 60
