"""One process of `earhook analyze`: told what to do on standard input, tells on standard output.

Its input is one line, an `Order`; the end of its input is its end. Its output is JSON lines, those
of `Outlets` and a few about itself: `waiting`, `ready`, `trouble`, `fault`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
import sys
from collections.abc import Mapping
from typing import Any, Final

import orjson
import uvloop

from earhook.client import connect
from earhook.errors import ConfigurationError, EarhookError, reason_of

from .analysis import Analyst
from .call import Before, Workshop
from .engine import find_engine
from .listener import Listener
from .outlets import Line, Outlets
from .plan import Order, order_from_json
from .pulse import Pulse

__all__ = ["run_process"]

LINE_BYTES: Final = 16 << 20
"""Of the order: it holds where thousands of calls are."""
BUFFER_BYTES: Final = 4 << 20
"""Lines that wait for whoever reads them; beyond it, lines are dropped and counted."""
FAULT: Final = 3
"""The exit code of a process that has said why it cannot go on."""


def run_process() -> int:
    """Run one process; its exit code."""
    # Ctrl-C reaches every process of a terminal; only the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_work())


async def _work() -> int:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    lines = await _Lines.open()
    order = order_from_json(orjson.loads(await reader.readline()))
    stopped = asyncio.create_task(reader.read())
    try:
        await _listen(order, lines, stopped)
    except ConfigurationError as error:
        faults = [fault._asdict() for fault in error.faults]
        lines.write({"type": "fault", "faults": faults})
        return FAULT
    except (EarhookError, OSError, ValueError) as error:
        lines.write({"type": "fault", "text": _reason(error), "address": order.plan.door.address})
        return FAULT
    finally:
        stopped.cancel()
        await lines.close()
    return 0


async def _listen(order: Order, lines: _Lines, stopped: asyncio.Task[bytes]) -> None:
    plan = order.plan
    analyst = Analyst.of(plan.analyst)
    engine = find_engine(plan.engine)(plan.options)
    wishes = plan.door.wishes(order.number, plan.processes)
    if order.heard:  # we come after a process that died: what the ring still has is ours
        wishes["start"] = "start"
    wishes["on_trouble"] = lambda error: lines.write(_waiting(plan.door.address, error))
    stream = connect(plan.door.address, **wishes)
    outlets = Outlets(
        stream, lines.write_line, to_gateway=plan.to_gateway, transcripts=plan.transcripts
    )
    pulse = Pulse() if order.pulse is None else Pulse.inherited(order.pulse)
    before = Before(order.heard, order.why)
    workshop = Workshop(
        engine, analyst, outlets, plan.hearing, plan.options.language, before, pulse
    )
    beating = asyncio.create_task(pulse.beat())
    try:
        entering = asyncio.ensure_future(stream.__aenter__())
        await asyncio.wait([entering, stopped], return_when=asyncio.FIRST_COMPLETED)
        if not entering.done():
            return
        entering.result()
        listener = Listener(stream, workshop, outlets, order.done)
        lines.write({"type": "ready", "sessions": [call.session_id for call in stream.calls]})
        running = asyncio.create_task(listener.run())
        await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        running.cancel()
        await asyncio.wait([running])
        await listener.hear_out()
    finally:
        await stream.close()
        await engine.close()
        beating.cancel()
        if outlets.answers.refused or outlets.dropped:
            lines.write(_unsent(outlets))


class _Lines:
    """Standard output, never waited for."""

    def __init__(self, transport: asyncio.WriteTransport, protocol: _Drained) -> None:
        self._transport = transport
        self._protocol = protocol
        self._lost = 0

    @classmethod
    async def open(cls) -> _Lines:
        """Take standard output over; whatever else prints, prints to standard error."""
        own = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(_Drained, own)
        return cls(transport, protocol)

    def write_line(self, line: Line) -> None:
        """Write what is told of a call."""
        self.write(line.as_json())

    def write(self, line: Mapping[str, Any]) -> None:
        """Write a line, or drop it if nobody reads."""
        if self._transport.get_write_buffer_size() > BUFFER_BYTES or self._transport.is_closing():
            self._lost += 1
            return
        if self._lost:
            text = f"{self._lost} lines were dropped because nobody read them"
            self._lost = 0
            self.write({"type": "trouble", "text": text})
        self._transport.write(orjson.dumps(line) + b"\n")

    async def close(self) -> None:
        """Wait until all of it is read, for as long as somebody may read."""
        self._transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                await self._protocol.closed.wait()


class _Drained(asyncio.BaseProtocol):
    def __init__(self) -> None:
        self.closed = asyncio.Event()

    def connection_lost(self, _error: Exception | None) -> None:
        self.closed.set()


def _waiting(address: str, error: Exception) -> dict[str, str]:
    text = f"waiting for a pcm-stream sink at {address}: {_reason(error)}; trying again"
    return {"type": "waiting", "text": text}


def _unsent(outlets: Outlets) -> dict[str, str]:
    answers = outlets.answers
    text = f"the gateway refused {answers.refused} commands and was too slow for {outlets.dropped}"
    last = f"; the last refusal: {answers.last_refusal}" if answers.refused else ""
    return {"type": "trouble", "text": text + last}


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the gateway's certificate is not trusted: {error.verify_message}"
    return reason_of(error)
