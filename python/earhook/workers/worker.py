"""`python -m earhook.workers.worker`: an ordinary gateway, in a process that others stand beside.

It says that it is warm and waits for a slot, serves what it is given, and ends when it is told to
or when its parent has gone: then it accepts no more, and what is live goes on to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from typing import Final

import uvloop

from earhook.app.gateway import Gateway
from earhook.app.serving import LAST_LINES_SECONDS
from earhook.control.lifecycle import Input
from earhook.control.process import collect_rarely, harden, keep_standard_streams
from earhook.errors import ChannelError
from earhook.ops.background import BackgroundStream
from earhook.ops.logging import configure_logging, get_logger, name_process
from earhook.transport.heap import return_large_blocks

from .answers import Answers
from .carried import unpacked
from .channel import Channel, Message
from .shared import take_inheritance
from .shown import ShownCalls
from .spawn import CHANNEL_DESCRIPTOR

__all__ = ["main"]

_LOG: Final = get_logger(__name__)


def main() -> None:
    """Be a worker, on the channel that whoever started us has left open."""
    end = socket.socket(fileno=CHANNEL_DESCRIPTOR)
    end.set_inheritable(False)
    keep_standard_streams()
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
        # At a terminal, and from some supervisors, they come to all processes: the parent decides.
        signal.signal(number, signal.SIG_IGN)
    harden()
    return_large_blocks()
    lines = BackgroundStream(sys.stderr)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_Worker(lines).live(end))
    finally:
        lines.end(LAST_LINES_SECONDS)


class _Worker:
    """From the first message to the last."""

    def __init__(self, lines: BackgroundStream) -> None:
        self._lines = lines
        self._channel: Channel
        self._gateway: Gateway | None = None
        self._answers: Answers | None = None
        self._directory: str | None = None
        self._is_told = False
        self._done = asyncio.Event()

    async def live(self, end: socket.socket) -> None:
        """Wait for a slot, serve, and come back when all is over."""
        self._channel = channel = Channel(end, self._on_lost)
        channel.on("serve", self._serve)
        channel.on("ping", lambda _: channel.tell("pong"))
        channel.on("step_aside", lambda _: self._step_aside())
        channel.on("stop", lambda message: self._stop(_input_of(message.body)))
        channel.on("end", lambda _: self._end())
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        channel.start()
        channel.tell("warm")
        await self._done.wait()
        if self._gateway is not None:
            await self._gateway.run()
        if self._answers is not None:
            self._answers.say_goodbye()
        with contextlib.suppress(ChannelError):
            await channel.flush(0.2)
        self._remove_directory()

    async def _serve(self, message: Message) -> dict[str, object]:
        """Begin to serve at a slot.

        Raises:
            ConfigurationError: It cannot be done; this process ends.
        """
        configuration = unpacked(message.body["configuration"])
        configure_logging(configuration.log, self._lines)
        name_process(message.body["slot"])
        inherited = take_inheritance(message)
        self._directory = str(inherited.private_directory)
        try:
            gateway = Gateway(configuration, inherited=inherited)
            await gateway.start()
            collect_rarely()
        except BaseException:
            # Whoever asked hears it before this process ends.
            asyncio.get_running_loop().call_later(_LAST_WORDS_SECONDS, self._done.set)
            raise
        self._gateway = gateway
        self._answers = Answers(self._channel, gateway.view, inherited.slot)
        if gateway.board is not None:
            ShownCalls(self._channel, gateway.board)
        if self._is_told:
            gateway.receive(Input.STOP)
        return {}

    def _step_aside(self) -> None:
        if self._gateway is not None:
            self._gateway.step_aside()
        self._done.set()

    def _stop(self, happened: Input = Input.STOP) -> None:
        """Drain. However often it is said, it is never a second request to stop."""
        if self._is_told:
            return
        self._is_told = True
        if self._gateway is not None:
            self._gateway.receive(happened)
        self._done.set()

    def _end(self) -> None:
        self._stop()
        if self._gateway is not None:
            self._gateway.receive(Input.STOP)

    def _on_lost(self) -> None:
        """The parent has gone, and with it who could take our place."""
        if self._gateway is not None and not self._is_told:
            _LOG.error("worker.parent_lost", remedy="see why the parent process ended")
        self._step_aside()

    def _remove_directory(self) -> None:
        """The last one out: the parent does it, unless it was killed."""
        if self._directory is not None:
            with contextlib.suppress(OSError):
                os.rmdir(self._directory)  # noqa: PTH106 - and nothing that is in it


def _input_of(body: dict[str, bool]) -> Input:
    return Input.INTERRUPT if body["interrupted"] else Input.STOP


_LAST_WORDS_SECONDS: Final = 0.2


if __name__ == "__main__":
    main()
