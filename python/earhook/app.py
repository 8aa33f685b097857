"""Composition: the only file that knows every room. Read it from the top.

A gateway is built in the direction in which audio flows, the last room first: sinks, the hub that
feeds them, the media port that feeds the hub; and beside them the control plane. It runs until
its lifecycle has come to its end, and carries out what the lifecycle says on the way.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple, Self

import uvloop

from earhook import __version__
from earhook.clock import Clock, SystemClock
from earhook.config.changes import changed_keys
from earhook.config.checks.machine import needed_descriptors
from earhook.config.rules import require_servable
from earhook.config.schema import Configuration, SinkSettings
from earhook.control.admin import AdminServer
from earhook.control.admission import Admissions
from earhook.control.authentication import Authenticator
from earhook.control.credentials import read_keyring, read_token, warn_exposed
from earhook.control.lifecycle import Action, Input, Lifecycle, Stage
from earhook.control.process import (
    harden,
    keep_standard_streams,
    raise_open_files,
    warn_open_files,
)
from earhook.control.reload import Reloader, expiry_text
from earhook.control.signals import SignalWatch, ignore_reload
from earhook.control.view import GatewayView
from earhook.edge.tls import ServerCertificate
from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.hub.hub import Hub
from earhook.ops.background import BackgroundStream
from earhook.ops.logging import configure_logging, get_logger
from earhook.ops.metrics import metrics_registry
from earhook.ops.watchdog import LoopWatch
from earhook.protocol.commands import Command
from earhook.protocol.signature import KeyRing
from earhook.sinks.base import Sink
from earhook.sinks.pcm_stream.settings import PcmStreamSettings
from earhook.sinks.pcm_stream.sink import PcmStreamSink
from earhook.sinks.recording.settings import RecordingSettings
from earhook.sinks.recording.sink import RecordingSink
from earhook.transport.connection import CallListeners
from earhook.transport.heap import return_free_pages, return_large_blocks
from earhook.transport.server import MediaServer
from earhook.transport.tally import TransportTally
from earhook.transport.upgrade import Admission, Doors

__all__ = ["Gateway", "serve"]

SWEEP_SECONDS: Final = 1.0
CUT_SECONDS: Final = 0.5
"""What a cut connection gets to close in, before its socket is taken away."""
LAST_LINES_SECONDS: Final = 0.1
"""What a reader of our log that has fallen behind gets to take the last lines in."""
LATE_SECONDS: Final = 1.0
"""A sink that takes longer to stop is named in the log: the operator waits for it."""
SETTLE_SECONDS: Final = 0.1
"""What is left of a deadline for this file itself."""

_LOG: Final = get_logger(__name__)


def serve(configuration: Configuration, reread: Callable[[], Configuration]) -> None:
    """Run a gateway in this process until it is told to stop, or cannot start.

    Args:
        configuration: What to run.
        reread: Reads the configuration again when the process gets SIGHUP.

    Raises:
        ConfigurationError: It cannot start; with every fault that was found.
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
            runner.run(_serve(configuration, reread))
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
            await gateway.run()
    finally:
        signals.stop()


class Gateway:
    """A whole gateway on the running loop.

    `async with Gateway(configuration) as gateway:` starts it and, at the end of the block, cuts
    what is live and flushes every sink. `await gateway.run()` waits until it has been told to
    stop, by `receive`.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        clock: Clock | None = None,
        reread: Callable[[], Configuration] | None = None,
    ) -> None:
        self._configuration = configuration
        self._clock = clock or SystemClock()
        self._lifecycle = Lifecycle(configuration.drain)
        self._changed = asyncio.Event()
        self._conducting: asyncio.Task[None] | None = None
        self._work: list[asyncio.Task[None]] = []
        self._build(reread or (lambda: configuration))

    def _build(self, reread: Callable[[], Configuration]) -> None:
        """Make every room and tie them together; nothing listens yet."""
        configuration, clock = self._configuration, self._clock
        media = configuration.media
        files = _read_files(configuration, clock)
        self._certificate = certificate = files.certificate
        tally = TransportTally()

        self.sinks = tuple(_make_sink(sink, self.command) for sink in configuration.sinks)
        self.hub = Hub(configuration.ring, self.sinks, clock)
        self._authenticator = Authenticator(files.keyring, configuration.signature)
        self._admissions = Admissions(media.max_calls)
        listeners = CallListeners(
            self.hub, configuration.protocol, configuration.limits.frames, tally, clock
        )
        self.media = MediaServer(
            media,
            configuration.limits,
            Doors(self._authenticator.judge, self._admit, listeners),
            clock=clock,
            tally=tally,
            certificate=certificate,
        )
        self._watch = LoopWatch(asyncio.get_running_loop(), clock)
        self._reloader = Reloader(
            lambda: self._reread(reread), self._authenticator, certificate, media.tls, clock
        )
        self.view = GatewayView(
            lifecycle=self._lifecycle,
            admissions=self._admissions,
            authenticator=self._authenticator,
            reloader=self._reloader,
            certificate=certificate,
            media=self.media,
            hub=self.hub,
            sinks=self.sinks,
            watch=self._watch,
        )
        self.admin = AdminServer(
            configuration.admin,
            files.token,
            self.view,
            metrics_registry(self.view.read),
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
        self._conducting = asyncio.create_task(self._conduct())
        self.receive(Input.STARTED)
        self._say_what_runs()

    def receive(self, happened: Input) -> None:
        """Tell the lifecycle; twice `Input.STOP` ends within two seconds."""
        before = self._lifecycle.stage
        self._lifecycle.receive(happened, self._clock.monotonic_seconds())
        self._say_stage(before)
        self._changed.set()

    def reload(self) -> bool:
        """Read keys and certificates again; if anything is wrong, nothing changes."""
        return self._reloader.reload()

    def _reread(self, reread: Callable[[], Configuration]) -> Configuration:
        """Read again, and name what has changed and is not put in service."""
        fresh = reread()
        require_servable(fresh)
        changed = [key for key in changed_keys(self._configuration, fresh) if key != "keys"]
        if changed:
            _LOG.warning("reload.needs_restart", settings=changed)
        return fresh

    def command(self, session_id: str, command: Command) -> None:
        """Pass a consumer's command to a live session; raises `CommandRefused`."""
        self.hub.command(session_id, command)

    async def run(self) -> None:
        """Wait until the gateway has stopped."""
        if self._conducting is not None:
            await asyncio.shield(self._conducting)

    async def stop(self) -> None:
        """Stop, without waiting for calls to end by themselves."""
        self.receive(Input.STOP)
        if self.media.connections:
            self.receive(Input.STOP)
        await self.run()

    async def _open_rooms(self) -> None:
        faults: list[ConfigurationFault] = []
        for start in (*(sink.start for sink in self.sinks), self.admin.start, self.media.start):
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
            self.hub.sweep()
            return_free_pages()
            before = self._lifecycle.stage
            self._lifecycle.handle_timeout(self._clock.monotonic_seconds())
            self._say_stage(before)
        for work in self._work:
            work.cancel()
        for failed in await asyncio.gather(*self._work, return_exceptions=True):
            if isinstance(failed, Exception):
                _LOG.error("gateway.stop_failed", exc_info=failed)
        self._watch.stop()
        await self.admin.stop()

    def _act(self, action: Action) -> None:
        match action:
            case Action.REFUSE_CALLS:
                self.media.refuse_calls()
                self._begin(self._await_calls())
            case Action.DISCONNECT_CALLS:
                self.media.disconnect_calls(self._configuration.drain.disconnect_seconds)
            case Action.CUT_CALLS:
                self.media.cut_calls()
            case Action.STOP_SINKS:
                self._begin(self._flush())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._work.append(asyncio.create_task(work))

    async def _await_calls(self) -> None:
        await self.media.wait_idle()
        self.receive(Input.CALLS_GONE)

    async def _flush(self) -> None:
        deadline = self._lifecycle.deadline or 0.0
        left = max(0.0, deadline - self._clock.monotonic_seconds() - SETTLE_SECONDS)
        await self._close_rooms(deadline_seconds=left)
        self.receive(Input.FLUSHED)

    async def _close_rooms(self, deadline_seconds: float) -> None:
        """Close the way in, then let every sink write what it holds."""
        cut_seconds = min(CUT_SECONDS, deadline_seconds / 2)
        await self.media.stop(cut_seconds)
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

    def _admit(self) -> Admission:
        return self._admissions.judge(self._lifecycle.stage, self.media.proven_connections)

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
        configuration = self._configuration
        _LOG.info(
            "gateway.started",
            version=__version__,
            media_port=self.media_port,
            admin_port=self.admin_port,
            tls=self.media.is_secure,
            certificate_expires=expiry_text(self._certificate),
            max_calls=configuration.media.max_calls,
            keys=len(configuration.keys),
            sinks=[sink.name for sink in self.sinks],
        )
        warn_exposed(configuration.keys, configuration.admin)
        if not self.sinks:
            _LOG.warning("gateway.idle", reason="no [[sinks]]: calls are answered and go nowhere")


class _Files(NamedTuple):
    """What lies in files of its own, read."""

    certificate: ServerCertificate | None
    keyring: KeyRing
    token: str | None


def _read_files(configuration: Configuration, clock: Clock) -> _Files:
    """Read every file that a part of the gateway is made from.

    Raises:
        ConfigurationError: With the faults of all of them.
    """
    faults: list[ConfigurationFault] = []
    tls = configuration.media.tls
    certificate = keyring = token = None
    try:
        certificate = ServerCertificate(tls, clock) if tls is not None else None
    except ConfigurationError as error:
        faults.extend(error.faults)
    try:
        keyring = read_keyring(configuration.keys)
    except ConfigurationError as error:
        faults.extend(error.faults)
    try:
        token = read_token(configuration.admin)
    except ConfigurationError as error:
        faults.extend(error.faults)
    if faults or keyring is None:
        raise ConfigurationError(faults)
    return _Files(certificate, keyring, token)


def _make_sink(settings: SinkSettings, command: Callable[[str, Command], None]) -> Sink:
    match settings:
        case RecordingSettings():
            return RecordingSink(settings)
        case PcmStreamSettings():
            return PcmStreamSink(settings, command)
