"""A whole gateway on one event loop.

It is built in the direction in which audio flows, the last room first: sinks, the hub that feeds
them, the doors that feed the hub; and beside them the control plane. It runs until its lifecycle
has come to its end, and carries out what the lifecycle says on the way.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine
from typing import Any, Final, Self

from earhook import __version__
from earhook.clock import Clock, SystemClock
from earhook.config.changes import changed_keys
from earhook.config.rules import require_servable
from earhook.config.schema import Configuration, SinkSettings
from earhook.console.house import HouseSource
from earhook.control.admin import AdminServer
from earhook.control.authentication import Authenticator
from earhook.control.cores import worker_count
from earhook.control.expiry import (
    Expiring,
    ExpiryWatch,
    expiring_certificate,
    expiring_tokens,
    expiry_text,
)
from earhook.control.lifecycle import Action, Input, Lifecycle, Stage
from earhook.control.pressure import Pressure
from earhook.control.pressure_watch import Machine, PressureWatch
from earhook.control.reload import Commit, Reloader
from earhook.control.settings import AdminSettings
from earhook.control.together import Alone, SharedCalls
from earhook.control.view import AloneView, GatewayView
from earhook.edge.access import Access
from earhook.edge.arrival import EdgeRules
from earhook.edge.proxies import TrustedProxies
from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.hub.hub import Hub
from earhook.ops.logging import get_logger
from earhook.ops.watchdog import LoopWatch
from earhook.protocol.commands import Command
from earhook.sinks.base import CallEvent, LiveCall, Sink
from earhook.sinks.pcm_stream.settings import PcmStreamSettings
from earhook.sinks.pcm_stream.sink import PcmStreamSink
from earhook.sinks.recording.settings import RecordingSettings
from earhook.sinks.recording.sink import RecordingSink
from earhook.sinks.signal.sink import SignalSink
from earhook.transport.heap import return_free_pages

from .console_pages import make_board, make_console
from .files import read_files, warn_exposed_files
from .https_door import Neighbours, Shared
from .inherited import Inherited
from .reloading import Changeable
from .ways_in import WaysIn

__all__ = ["Gateway"]

SWEEP_SECONDS: Final = 1.0
CUT_SECONDS: Final = 0.5
"""What a cut connection gets to close in, before its socket is taken away."""
LATE_SECONDS: Final = 1.0
"""A sink that takes longer to stop is named in the log: the operator waits for it."""
SETTLE_SECONDS: Final = 0.1
"""What is left of a deadline for this file itself."""

_LOG: Final = get_logger(__name__)


class Gateway:
    """A whole gateway on the running loop.

    `async with Gateway(configuration) as gateway:` starts it and, at the end of the block, cuts
    what is live and flushes every sink. `await gateway.run()` waits until it has been told to
    stop, by `receive`.

    Args:
        configuration: What to run.
        clock: Time.
        reread: Reads the configuration again for `reload`.
        inherited: What it shares with others, where it is one of several workers. Then it has no
            admin port: their parent has one for all.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        clock: Clock | None = None,
        reread: Callable[[], Configuration] | None = None,
        inherited: Inherited | None = None,
    ) -> None:
        self._configuration = configuration
        self._inherited = inherited
        self._clock = clock or SystemClock()
        self._lifecycle = Lifecycle(configuration.drain)
        self._changed = asyncio.Event()
        self._conducting: asyncio.Task[None] | None = None
        self._work: list[asyncio.Task[None]] = []
        self._aside_until: float | None = None
        self._build(reread or (lambda: configuration))

    def _build(self, reread: Callable[[], Configuration]) -> None:
        """Make every room and tie them together; nothing listens yet."""
        configuration, clock, inherited = self._configuration, self._clock, self._inherited
        loop = asyncio.get_running_loop()
        self._files = files = read_files(configuration, clock)
        self._watch = LoopWatch(loop, clock)
        processes = worker_count(configuration.workers)
        pressure = Pressure(configuration.shedding)
        machine = Machine(configuration.shedding, processes)
        self._pressure_watch = PressureWatch(pressure, machine, self._watch, loop=loop, clock=clock)
        self._expiry = ExpiryWatch(self._expiring, clock)

        chosen = configuration.signal
        self.signal = SignalSink(chosen, self.publish) if chosen.enabled else None
        made = tuple(_make_sink(sink, self) for sink in configuration.sinks)
        listening = () if self.signal is None else (self.signal,)
        self.sinks: tuple[Sink, ...] = (*made, *listening)
        claims = None if inherited is None else inherited.claims
        replay = None if inherited is None else inherited.replay
        self.board = make_board(configuration, self.sinks, clock)
        spectators = () if self.board is None else (self.board,)
        # Told first that a call has ended, it tells all others its last facts before they are.
        told_in_order = (*listening, *made)
        self.hub = Hub(configuration.ring, told_in_order, clock, claims, spectators)
        self._authenticator = Authenticator(files.keyring, configuration.signature, replay)
        rules = EdgeRules(
            configuration.limits.connections,
            Access(files.networks),
            TrustedProxies(configuration.proxies),
        )
        doors = (self.hub, clock, rules, self._authenticator, pressure, lambda: self.stage)
        shared = Shared(*doors, _neighbours(inherited), _together(inherited, loop))
        self.ways_in = WaysIn(configuration, files, shared)
        self.media = self.ways_in.media

        changeable = Changeable(files, self.ways_in, self._authenticator, self._prepare_admin)
        self._reloader = Reloader(
            lambda: _reread(reread),
            changeable.parts(pressure, machine),
            lambda fresh: changed_keys(configuration, fresh),
            self._reloaded,
        )
        self.view = self._make_view(rules.access, pressure)
        view, pages = AloneView(self.view), None
        if self.board is not None:
            pages = make_console(configuration, HouseSource(self.board), view, clock)
        self.admin = AdminServer(configuration.admin, files.admin_token, view, pages)

    def _make_view(self, access: Access, pressure: Pressure) -> GatewayView:
        """What the admin port shows of all of them."""
        files, ways_in = self._files, self.ways_in
        return GatewayView(
            clock=self._clock,
            lifecycle=self._lifecycle,
            admissions=ways_in.admissions,
            pressure=pressure,
            authenticator=self._authenticator,
            reloader=self._reloader,
            certificate=files.certificate,
            access=access,
            media=self.media,
            hub=self.hub,
            sinks=self.sinks,
            signal=self.signal,
            watch=self._watch,
            ingest=None if ways_in.https is None else ways_in.https.parts,
            ip_ranges=ways_in.ip_ranges,
            redirect=ways_in.redirect,
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    @property
    def media_port(self) -> int:
        """The port that calls come in on."""
        return self.media.port

    @property
    def ingest_port(self) -> int | None:
        """The port that audio is posted to; None where there is none."""
        https = self.ways_in.https
        return None if https is None else https.server.port

    @property
    def admin_port(self) -> int:
        """The port of health, metrics and the API."""
        return self.admin.port

    @property
    def stage(self) -> Stage:
        """Where the gateway is in its life."""
        return self._lifecycle.stage

    async def start(self) -> None:
        """Open every way out, then every way in.

        Raises:
            ConfigurationError: With the faults of all rooms; nothing is left open.
        """
        try:
            await self._open_rooms()
        except BaseException:
            await self._close_rooms(deadline_seconds=0.0)
            await self.admin.stop()
            raise
        self._watch.start()
        self._pressure_watch.start()
        self._conducting = asyncio.create_task(self._conduct())
        self.receive(Input.STARTED)
        self._say_what_runs()

    def receive(self, happened: Input) -> None:
        """Tell the lifecycle; twice `Input.STOP` ends within two seconds."""
        before = self._lifecycle.stage
        self._lifecycle.receive(happened, self._clock.monotonic_seconds())
        self._say_stage(before)
        self._changed.set()

    def step_aside(self) -> None:
        """Somebody else accepts in our place: who has come in already is served to the end.

        Then, and after the grace of a drain at the latest, the gateway stops.
        """
        if self._lifecycle.stage is Stage.SERVING and self._aside_until is None:
            upgrade_seconds = self._configuration.limits.connections.upgrade_seconds
            self._aside_until = self._clock.monotonic_seconds() + upgrade_seconds
            self.ways_in.stop_accepting()
            self._changed.set()

    def reload(self) -> bool:
        """Read the configuration again; if anything is wrong, nothing changes."""
        return self._reloader.reload()

    def _prepare_admin(self, settings: AdminSettings) -> Commit:
        return self.admin.prepare(settings)

    def _reloaded(self, fresh: Configuration) -> dict[str, object]:
        """Look at what is in service from now on; for the line that says so."""
        warn_exposed_files(fresh)
        self._expiry.look_now()
        https = self.ways_in.https
        return {
            "keys": len(self._authenticator.keyring),
            "tokens": len(https.doorkeeper.tokens.static) if https is not None else 0,
            "certificate_expires": expiry_text(self._files.certificate),
        }

    def _expiring(self) -> list[Expiring]:
        files, https = self._files, self.ways_in.https
        found = expiring_certificate("media.tls", files.certificate)
        if files.ingest_certificate is not files.certificate:
            found += expiring_certificate("ingest.tls", files.ingest_certificate)
        if https is not None:
            found += expiring_tokens(https.doorkeeper.tokens)
        return found

    def command(self, session_id: str, command: Command) -> None:
        """Pass a consumer's command to a live session; raises `CommandRefused`."""
        self.hub.command(session_id, command)

    def publish(self, call: LiveCall, event: CallEvent) -> None:
        """Tell every sink what one of them, or a consumer, has found out of a call."""
        self.hub.publish(call, event)

    async def run(self) -> None:
        """Wait until the gateway has stopped."""
        if self._conducting is not None:
            await asyncio.shield(self._conducting)

    async def stop(self) -> None:
        """Stop, without waiting for calls to end by themselves."""
        self.receive(Input.STOP)
        if self.ways_in.connections:
            self.receive(Input.STOP)
        await self.run()

    async def _open_rooms(self) -> None:
        faults: list[ConfigurationFault] = []
        sinks = (sink.start for sink in self.sinks)
        inherited = self._inherited
        admin = (self.admin.start,) if inherited is None else ()
        ways_in = self.ways_in.starts({} if inherited is None else inherited.sockets)
        for start in (*sinks, *admin, *ways_in):
            try:
                await start()
            except ConfigurationError as error:
                faults.extend(error.faults)
        if faults:
            raise ConfigurationError(faults)

    async def _conduct(self) -> None:
        """Carry out what the lifecycle says, until it has come to its end."""
        while self._lifecycle.stage is not Stage.STOPPED:
            for action in self._lifecycle.take_actions():
                self._act(action)
            now = self._clock.monotonic_seconds()
            deadline = self._lifecycle.deadline
            seconds = SWEEP_SECONDS if deadline is None else min(SWEEP_SECONDS, deadline - now)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, seconds)):
                    await self._changed.wait()
            self._changed.clear()
            self.ways_in.sweep()
            self.hub.sweep()
            self._expiry.handle_timeout()
            self._drain_once_all_are_in()
            return_free_pages()
            before = self._lifecycle.stage
            self._lifecycle.handle_timeout(self._clock.monotonic_seconds())
            self._say_stage(before)
        for work in self._work:
            work.cancel()
        for failed in await asyncio.gather(*self._work, return_exceptions=True):
            if isinstance(failed, Exception):
                _LOG.error("gateway.stop_failed", exc_info=failed)
        self._pressure_watch.stop()
        self._watch.stop()
        await self.admin.stop()

    def _act(self, action: Action) -> None:
        match action:
            case Action.REFUSE_CALLS:
                self.ways_in.refuse_calls()
                self._begin(self._await_calls())
            case Action.DISCONNECT_CALLS:
                self.ways_in.disconnect_calls(self._configuration.drain.disconnect_seconds)
            case Action.CUT_CALLS:
                self.ways_in.cut_calls()
            case Action.STOP_SINKS:
                self._begin(self._flush())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._work.append(asyncio.create_task(work))

    def _drain_once_all_are_in(self) -> None:
        """Refuse nobody who was accepted before: a handshake under way may come to its end."""
        due = self._aside_until
        if due is None or self._lifecycle.stage is not Stage.SERVING:
            return
        if not self.ways_in.strangers or self._clock.monotonic_seconds() >= due:
            self.receive(Input.STOP)

    async def _await_calls(self) -> None:
        await self.ways_in.wait_idle()
        self.receive(Input.CALLS_GONE)

    async def _flush(self) -> None:
        deadline = self._lifecycle.deadline or 0.0
        left = max(0.0, deadline - self._clock.monotonic_seconds() - SETTLE_SECONDS)
        await self._close_rooms(deadline_seconds=left)
        self.receive(Input.FLUSHED)

    async def _close_rooms(self, deadline_seconds: float) -> None:
        """Close the way in, then let every sink write what it holds."""
        cut_seconds = min(CUT_SECONDS, deadline_seconds / 2)
        await self.ways_in.stop(cut_seconds)
        left = deadline_seconds - cut_seconds
        await asyncio.gather(*(self._stop_sink(sink, left) for sink in self.sinks))
        self.hub.finish()

    async def _stop_sink(self, sink: Sink, deadline_seconds: float) -> None:
        """Stop one sink, and say so if it failed or made everybody wait."""
        began = self._clock.monotonic_seconds()
        try:
            await sink.stop(deadline_seconds)
        except Exception:  # noqa: BLE001 - the other sinks still have audio to write
            _LOG.exception("sink.stop_failed", sink=sink.name)
        seconds = self._clock.monotonic_seconds() - began
        if seconds >= LATE_SECONDS:
            _LOG.warning("sink.stopped_late", sink=sink.name, seconds=round(seconds, 1))

    def _say_stage(self, before: Stage) -> None:
        stage, deadline = self._lifecycle.stage, self._lifecycle.deadline
        if stage is before:
            return
        line = _LOG.bind(stage=str(stage), calls=self.hub.live_calls)
        if deadline is not None and stage is not Stage.STOPPED:
            seconds = max(0.0, deadline - self._clock.monotonic_seconds())
            line = line.bind(at_most_seconds=round(seconds, 1))
        line.info("gateway.stage")

    def _say_what_runs(self) -> None:
        configuration, ingest = self._configuration, self._configuration.ingest
        if self._inherited is not None:
            _LOG.info(
                "worker.serving",
                version=__version__,
                pid=os.getpid(),
                generation=self._inherited.generation,
                sinks=[sink.name for sink in self.sinks],
            )
            return  # the rest is for their parent to say, once for all
        _LOG.info(
            "gateway.started",
            version=__version__,
            media_port=self.media_port,
            ingest_port=self.ingest_port,
            admin_port=self.admin_port,
            tls=self.media.is_secure,
            certificate_expires=expiry_text(self._files.certificate),
            max_calls=configuration.media.max_calls,
            keys=len(configuration.keys),
            ingest_max_calls=None if ingest is None else ingest.max_calls,
            tokens=0 if ingest is None else len(ingest.tokens) + len(ingest.issuers),
            sinks=[sink.name for sink in self.sinks],
        )
        warn_exposed_files(configuration)
        if not configuration.sinks:
            _LOG.warning("gateway.idle", reason="no [[sinks]]: calls are answered and go nowhere")


def _reread(reread: Callable[[], Configuration]) -> Configuration:
    fresh = reread()
    require_servable(fresh)
    return fresh


def _neighbours(inherited: Inherited | None) -> Neighbours | None:
    if inherited is None:
        return None
    return Neighbours(inherited.claims, inherited.private_directory)


def _together(inherited: Inherited | None, loop: asyncio.AbstractEventLoop) -> Alone | SharedCalls:
    if inherited is None:
        return Alone()
    return SharedCalls(inherited.board.seat(inherited.generation), loop)


def _make_sink(settings: SinkSettings, gateway: Gateway) -> Sink:
    match settings:
        case RecordingSettings():
            return RecordingSink(settings)
        case PcmStreamSettings():
            return PcmStreamSink(settings, gateway.command, gateway.publish)
