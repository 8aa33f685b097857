"""What runs in the relay's process: the exchanges, and the parent's word about workers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import uvloop

from earhook.control.process import harden, keep_standard_streams
from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ops.background import BackgroundStream
from earhook.ops.logging import configure_logging, get_logger, name_process
from earhook.ops.readings import Readings
from earhook.ops.settings import LogSettings
from earhook.sinks.pcm_stream.settings import PcmStreamSettings
from earhook.transport.heap import return_large_blocks
from earhook.workers.channel import Channel, Message
from earhook.workers.spawn import CHANNEL_DESCRIPTOR

from .exchange import Exchange

__all__ = ["Relay", "main"]

NAME: Final = "relay"
"""What log lines and figures call this process."""

logger = get_logger(__name__)


def main() -> None:
    """Be the relay, on the channel that whoever started us has left open."""
    end = socket.socket(fileno=CHANNEL_DESCRIPTOR)
    end.set_inheritable(False)
    keep_standard_streams()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2):
        # At a terminal, and from some supervisors, they come to all processes: the parent decides.
        signal.signal(number, signal.SIG_IGN)
    harden()
    return_large_blocks()
    lines = BackgroundStream(sys.stderr)
    name_process(NAME)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_live(end, lines))
    finally:
        lines.end(_LAST_LINES_SECONDS)


async def _live(end: socket.socket, lines: BackgroundStream) -> None:
    relay = Relay(lambda settings: configure_logging(settings, lines))
    channel = Channel(end, relay.orphan)
    relay.listen_to(channel)
    channel.start()
    await relay.done.wait()
    await channel.flush(_LAST_WORDS_SECONDS)


class Relay:
    """All exchanges of a gateway, and what the parent asks of them.

    Args:
        configure: What is done with the settings of the log.
    """

    def __init__(self, configure: Callable[[LogSettings], None]) -> None:
        self.done = asyncio.Event()
        """Set when there is nothing left to do."""
        self._configure = configure
        self._exchanges: dict[str, Exchange] = {}
        self._ending: asyncio.Task[None] | None = None

    @property
    def exchanges(self) -> dict[str, Exchange]:
        """By the names of the sinks."""
        return self._exchanges

    def listen_to(self, channel: Channel) -> None:
        """Take these messages from the parent."""
        channel.on("serve", self._serve)
        channel.on("worker_added", self._worker_added)
        channel.on("worker_gone", lambda message: self._worker_gone(message.body["generation"]))
        channel.on("stop", lambda message: self._stop(message.body["seconds"]))
        channel.on("ping", lambda _: None)
        channel.on("figures", lambda _: self._figures())
        channel.on("sinks", lambda _: [one.snapshot() for one in self._exchanges.values()])

    def orphan(self) -> None:
        """The parent has gone: serve on what is there, and then end."""
        if self._ending is None:
            if self._exchanges:
                logger.error("relay.parent_lost", remedy="see why the parent process ended")
            work = asyncio.gather(*(one.orphan() for one in self._exchanges.values()))
            self._ending = asyncio.create_task(self._end(work))

    async def _serve(self, message: Message) -> None:
        """Begin.

        Raises:
            ConfigurationError: A sink cannot be served; this process ends.
        """
        body = message.body
        sockets = [socket.socket(fileno=descriptor) for descriptor in message.descriptors]
        self._configure(LogSettings.model_validate(body["log"]))
        faults: list[ConfigurationFault] = []
        for sink in body["sinks"]:
            settings = PcmStreamSettings.model_validate(sink["settings"])
            its_own = [sockets.pop(0) for _ in range(sink["sockets"])]
            try:
                exchange = Exchange(settings, its_own, body["instance"])
                for worker in body["workers"]:
                    # One of an earlier configuration may not have this sink.
                    if (path := worker["addresses"].get(settings.name)) is not None:
                        exchange.worker_added(worker["generation"], path)
                await exchange.start()
            except ConfigurationError as error:
                faults += error.faults
            else:
                self._exchanges[settings.name] = exchange
        if faults:
            asyncio.get_running_loop().call_later(_LAST_WORDS_SECONDS, self.done.set)
            raise ConfigurationError(faults)

    def _worker_added(self, message: Message) -> None:
        for name, path in message.body["addresses"].items():
            exchange = self._exchanges.get(name)
            if exchange is not None:  # of another configuration, in a rolling restart
                exchange.worker_added(message.body["generation"], path)

    def _worker_gone(self, generation: int) -> None:
        for exchange in self._exchanges.values():
            exchange.worker_gone(generation)

    def _stop(self, seconds: float) -> None:
        if self._ending is None:
            work = asyncio.gather(*(one.stop(seconds) for one in self._exchanges.values()))
            self._ending = asyncio.create_task(self._end(work))

    async def _end(self, work: asyncio.Future[list[None]]) -> None:
        try:
            await work
        finally:
            self.done.set()

    def _figures(self) -> dict[str, Any]:
        readings = Readings()
        for exchange in self._exchanges.values():
            snapshot = exchange.snapshot()
            subscribers = len(snapshot["subscribers"])
            readings.put("earhook_sink_subscribers", subscribers, sink=exchange.name)
            readings.put_each(
                "earhook_sink_events_total",
                snapshot["counters"],
                label="reason",
                sink=exchange.name,
            )
        readings.put("earhook_worker_resident_memory_bytes", _resident_bytes(), slot=NAME)
        readings.put("earhook_worker_cpu_seconds_total", time.process_time(), slot=NAME)
        return readings.as_json()


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


_LAST_WORDS_SECONDS: Final = 0.2
_LAST_LINES_SECONDS: Final = 0.1
