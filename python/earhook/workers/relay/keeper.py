"""The parent's part: the sockets that consumers connect to, and a relay that accepts on them.

The sockets are open for as long as the gateway runs. A relay that dies is replaced by one that
stands by; consumers come again, wait in the backlog until it accepts, and go on where they were.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from earhook.config.schema import Configuration
from earhook.errors import ChannelError, ConfigurationError, ConfigurationFault
from earhook.ops.logging import get_logger
from earhook.sinks.pcm_stream.listening import Listening, listen_on
from earhook.workers.carried import packed
from earhook.workers.channel import Channel, socket_pair
from earhook.workers.spawn import Process, spawn_module
from earhook.workers.tasks import Tasks

from .terms import relayed_sinks

__all__ = ["RelayKeeper"]

SERVE_SECONDS: Final = 30.0
PING_SECONDS: Final = 1.0
FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 10.0
YOUNG_SECONDS: Final = 10.0
"""One that dies younger makes the pause before the next one longer."""
SPARE_SECONDS: Final = 2.0
"""How often it is looked whether another one stands by."""
LEAVE_SECONDS: Final = 5.0
"""How long one that was told to go may take longer than it was told."""

logger = get_logger(__name__)


@dataclass(eq=False, slots=True)
class _Relay:
    """A relay's process; it stands by until it serves."""

    process: Process
    channel: Channel
    ended: asyncio.Event
    serves: bool = False
    is_dismissed: bool = False


class RelayKeeper:
    """Keeps a relay running where the configuration has sinks to be relayed; else does nothing.

    Args:
        configuration: Its sinks, its log, and how long a silent process is waited for.
        estate: What another program in this process has left, to go on with.
    """

    def __init__(
        self, configuration: Configuration, estate: Mapping[str, Any] | None = None
    ) -> None:
        self._configuration = configuration
        self._sinks = relayed_sinks(configuration.sinks)
        self._estate = estate
        # The same for as long as calls can go on: whoever resumes them must find it again.
        self._instance = secrets.token_hex(8) if estate is None else str(estate["instance"])
        self._listening: dict[str, Listening] = {}
        self._workers: dict[int, dict[str, str]] = {}
        self._relays: list[_Relay] = []
        self._tasks = Tasks("relay.defect")
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._is_stopping = False

    @property
    def channel(self) -> Channel | None:
        """To the relay that serves; None while there is none."""
        relay = self._serving()
        return None if relay is None else relay.channel

    @property
    def pid(self) -> int | None:
        """Of the relay that serves; None while there is none."""
        relay = self._serving()
        return None if relay is None else relay.process.pid

    @property
    def is_whole(self) -> bool:
        """Whether all that run can be handed on by `estate`: none is about to end."""
        return all(relay.channel.is_open for relay in self._relays)

    @property
    def addresses(self) -> dict[str, str]:
        """Where consumers connect, by the name of the sink."""
        return {name: str(listening.address) for name, listening in self._listening.items()}

    async def open(self) -> None:
        """Open the sockets, so that from now on consumers may come.

        Raises:
            ConfigurationError: An address cannot be used.
        """
        inherited = {} if self._estate is None else dict(self._estate["sockets"])
        faults: list[ConfigurationFault] = []
        for sink in self._sinks:
            known = inherited.pop(f"{sink.name} {sink.listen}", None)
            try:
                if known is None:
                    self._listening[sink.name] = await listen_on(sink)
                else:
                    sockets = [socket.socket(fileno=descriptor) for descriptor in known]
                    self._listening[sink.name] = Listening.adopt(sink, sockets)
            except ConfigurationError as error:
                faults += error.faults
        for descriptor in (one for known in inherited.values() for one in known):
            socket.close(descriptor)
        if faults:
            self._close_sockets()
            raise ConfigurationError(faults)

    async def start(self) -> None:
        """Start a relay, and keep one running.

        Raises:
            ConfigurationError: It cannot serve.
        """
        if not self._sinks:
            return
        if self._estate is not None:
            self._adopt(self._estate)
        try:
            await self._start_one()
        except (OSError, ChannelError) as error:
            self._say_failed(error)
            self._tasks.begin(self._start_another())
        self._tasks.begin(self._listen_for_life())
        self._tasks.begin(self._have_one_stand_by())

    def worker_serves(self, generation: int, paths: Mapping[str, Path]) -> None:
        """A worker serves.

        Args:
            generation: Its number.
            paths: Where the relay finds its streams, by the name of the sink.
        """
        addresses = {name: str(path) for name, path in paths.items()}
        self._workers[generation] = addresses
        self._tell("worker_added", {"generation": generation, "addresses": addresses})

    def worker_gone(self, generation: int) -> None:
        """A worker's process has ended, whichever way."""
        if self._workers.pop(generation, None) is not None:
            self._tell("worker_gone", {"generation": generation})

    async def stop(self, seconds: float) -> None:
        """End the relay, after the workers have ended; and close the sockets.

        Args:
            seconds: What it gets to pass on what it has, before it tells consumers to go.
        """
        self._is_stopping = True
        await self._tasks.end()
        self._close_sockets()
        await asyncio.gather(*(self._dismiss(relay, seconds) for relay in list(self._relays)))

    def estate(self) -> dict[str, Any]:
        """What another program in this process needs to go on; `descriptors` have to stay open.

        Nothing is heard of the relay from now on, unless `keep_on` is called.
        """
        sockets = {
            f"{sink.name} {sink.listen}": [
                one.fileno() for one in self._listening[sink.name].sockets
            ]
            for sink in self._sinks
        }
        relays: list[dict[str, Any]] = [
            {
                "pid": relay.process.pid,
                "serves": relay.serves,
                "channel": relay.channel.freeze(),
            }
            for relay in self._relays
        ]
        descriptors = [one for known in sockets.values() for one in known]
        return {
            "instance": self._instance,
            "sockets": sockets,
            "relays": relays,
            "workers": [[number, paths] for number, paths in self._workers.items()],
            "descriptors": descriptors + [relay["channel"]["descriptor"] for relay in relays],
        }

    def keep_on(self) -> None:
        """The other program has not come."""
        for relay in self._relays:
            relay.channel.start()

    def _adopt(self, estate: Mapping[str, Any]) -> None:
        """The relays that run already: they serve until the next one does."""
        for number, paths in estate["workers"]:
            self._workers[number] = paths
        for relay in estate["relays"]:
            known = self._meet(relay["pid"], Channel.thaw(relay["channel"]))
            known.serves = relay["serves"]
            if not known.serves:
                known.is_dismissed = True  # at once: it is of another program and not to serve
                self._tasks.begin(self._dismiss(known, 0.0))

    async def _start_one(self) -> None:
        """Have a relay serve; as soon as it does, those that did before are told to go.

        Raises:
            OSError, ChannelError: It could not be started.
            ConfigurationError: It cannot serve.
        """
        relay = self._standing_by() or self._spawn()
        known = dict(self._workers)
        body, sockets = self._serve_body()
        descriptors = [one.fileno() for one in sockets]
        try:
            await relay.channel.ask("serve", body, descriptors, seconds=SERVE_SECONDS)
        except BaseException:
            relay.is_dismissed = True
            relay.process.send(signal.SIGKILL)
            raise
        relay.serves = True
        self._catch_up(relay.channel, known)
        logger.info("relay.serving", pid=relay.process.pid, addresses=self.addresses)
        for earlier in self._relays:
            if earlier is not relay and earlier.serves and not earlier.is_dismissed:
                self._tasks.begin(self._dismiss(earlier, 0.0))

    def _serving(self) -> _Relay | None:
        serving = (one for one in reversed(self._relays) if one.serves and not one.is_dismissed)
        return next(serving, None)

    def _standing_by(self) -> _Relay | None:
        idle = (one for one in self._relays if not one.serves and not one.is_dismissed)
        return next(idle, None)

    def _spawn(self) -> _Relay:
        ours, theirs = socket_pair()
        try:
            with theirs:
                pid = spawn_module(_RELAY_MODULE, theirs)
        except OSError:
            ours.close()
            raise
        return self._meet(pid, Channel(ours))

    async def _have_one_stand_by(self) -> None:
        """See from time to time that there is one."""
        while True:
            await asyncio.sleep(SPARE_SECONDS)
            if self.channel is not None and self._standing_by() is None:
                with contextlib.suppress(OSError):
                    self._spawn()

    def _serve_body(self) -> tuple[dict[str, Any], list[socket.socket]]:
        sockets = [self._listening[sink.name].sockets for sink in self._sinks]
        workers = [
            {"generation": generation, "addresses": addresses}
            for generation, addresses in self._workers.items()
        ]
        body = {
            "instance": self._instance,
            "log": packed(self._configuration.log),
            "sinks": [
                {"settings": packed(sink), "sockets": len(found)}
                for sink, found in zip(self._sinks, sockets, strict=True)
            ],
            "workers": workers,
        }
        return body, [one for found in sockets for one in found]

    def _catch_up(self, channel: Channel, known: Mapping[int, dict[str, str]]) -> None:
        """Tell a relay what has happened since it was told who there is."""
        for generation in self._workers.keys() - known.keys():
            addresses = self._workers[generation]
            channel.tell("worker_added", {"generation": generation, "addresses": addresses})
        for generation in known.keys() - self._workers.keys():
            channel.tell("worker_gone", {"generation": generation})

    def _meet(self, pid: int, channel: Channel) -> _Relay:
        relay = _Relay(
            Process(pid, lambda code: self._on_exit(relay, code)), channel, asyncio.Event()
        )
        self._relays.append(relay)
        channel.start()
        return relay

    def _on_exit(self, relay: _Relay, code: int) -> None:
        relay.channel.finish()
        self._relays.remove(relay)
        relay.ended.set()
        if relay.is_dismissed or self._is_stopping or not relay.serves:
            return
        how = signal.Signals(-code).name if code < 0 else str(code)
        logger.error(
            "relay.lost",
            pid=relay.process.pid,
            exit=how,
            remedy="none: consumers come again, and have what the rings still hold",
        )
        self._tasks.begin(self._start_another())

    async def _start_another(self) -> None:
        """Start relays until one serves."""
        while not self._is_stopping:
            if self._standing_by() is None:
                await asyncio.sleep(self._pause_seconds)
            self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
            try:
                await self._start_one()
            except (OSError, ChannelError, ConfigurationError) as error:
                self._say_failed(error)
            else:
                self._tasks.begin(self._forgive())
                return

    async def _forgive(self) -> None:
        channel = self.channel
        await asyncio.sleep(YOUNG_SECONDS)
        if self.channel is channel:
            self._pause_seconds = FIRST_PAUSE_SECONDS

    async def _listen_for_life(self) -> None:
        """Kill a relay that serves and is silent; that it has ended is noticed as always."""
        while True:
            await asyncio.sleep(PING_SECONDS)
            relay = self._serving()
            if relay is None:
                continue
            silent_seconds = self._configuration.workers.silent_seconds
            try:
                await relay.channel.ask("ping", seconds=silent_seconds)
            except ChannelError:
                if not relay.ended.is_set() and not relay.is_dismissed:
                    logger.error("relay.silent", pid=relay.process.pid, seconds=silent_seconds)
                    relay.process.send(signal.SIGKILL)

    async def _dismiss(self, relay: _Relay, seconds: float) -> None:
        relay.is_dismissed = True
        if not relay.serves:
            relay.process.send(signal.SIGKILL)  # it only stands by
        with contextlib.suppress(ChannelError):
            relay.channel.tell("stop", {"seconds": seconds})
        try:
            async with asyncio.timeout(seconds + LEAVE_SECONDS):
                await relay.ended.wait()
        except TimeoutError:
            relay.process.send(signal.SIGKILL)
            await relay.ended.wait()

    def _tell(self, kind: str, body: object) -> None:
        for relay in self._relays:
            if relay.serves:
                # One that takes nothing is found silent, and its successor told everything.
                with contextlib.suppress(ChannelError):
                    relay.channel.tell(kind, body)

    def _say_failed(self, error: Exception) -> None:
        faults = [str(fault) for fault in getattr(error, "faults", ())] or [str(error)]
        logger.error(
            "relay.not_started", faults=faults, next_in_seconds=round(self._pause_seconds, 1)
        )

    def _close_sockets(self) -> None:
        for listening in self._listening.values():
            listening.close()
        self._listening.clear()


_RELAY_MODULE: Final = "earhook.workers.relay"
