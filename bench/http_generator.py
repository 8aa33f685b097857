"""Calls over HTTPS POST in real time, and what they cost the process that takes them.

    http_generator.py PORT CAFILE PID SHAPE CALLS WARM WINDOW

SHAPE `chunks`: a call is one request, a chunk every 20 ms. SHAPE `blocks`: a call is a request
every 200 ms on a connection that is kept. The pieces of all calls are spread evenly, so no server
is helped by bursts that real senders would not send. Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

TARGET = "/stream/v1/audiohook"
TOKEN = "the-token-of-the-bench"
RATE = 8000
TICK_SECONDS = 0.001
CONNECTING = 50
"""Handshakes under way at once."""
END_SECONDS = 30.0


class Shape(NamedTuple):
    """How a call is cut."""

    piece_seconds: float
    chunked: bool

    @property
    def samples(self) -> int:
        """Samples, and bytes of mu-law, of a piece."""
        return round(self.piece_seconds * RATE)


SHAPES = {"chunks": Shape(0.02, chunked=True), "blocks": Shape(0.2, chunked=False)}


class Call(asyncio.Protocol):
    """One call on its connection."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.sent = 0
        self.missed = 0
        self.waits = False
        self.ended = asyncio.get_running_loop().create_future()
        self._session = str(uuid.uuid4())
        self._payload = bytes([0xFF]) * shape.samples
        self._answers = b""
        self._is_last = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        """The connection is there; a call in chunks begins its request."""
        self._transport = transport
        if self.shape.chunked:
            transport.write(self._head("Transfer-Encoding: chunked"))

    def send(self) -> None:
        """Send the next piece, unless the last one is not answered yet."""
        assert self._transport is not None
        if self.waits:
            self.missed += 1
            return
        if self.shape.chunked:
            self._transport.write(b"%x\r\n%b\r\n" % (len(self._payload), self._payload))
        else:
            self._post(self._payload)
        self.sent += 1

    def end(self) -> None:
        """End the call; `ended` holds what the server says that it got."""
        assert self._transport is not None
        self._is_last = True
        if self.shape.chunked:
            self.waits = True
            self._transport.write(b"0\r\n\r\n")
        elif not self.waits:
            self._post(b"", "Earhook-End: true")

    def data_received(self, data: bytes) -> None:
        """An answer, or some of it."""
        self._answers += data
        head, found, rest = self._answers.partition(b"\r\n\r\n")
        if not found:
            return
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        if len(rest) < length:
            return
        if not head.startswith(b"HTTP/1.1 200 "):
            self._give_up(head + rest)
            return
        self._answers = b""
        was_last, self.waits = self._is_last, False
        if was_last and (self.shape.chunked or b'ended":true' in rest or b"ended" not in rest):
            if not self.ended.done():
                self.ended.set_result(json.loads(rest)["total_samples"])
        elif was_last:
            self._post(b"", "Earhook-End: true")

    def connection_lost(self, _error: Exception | None) -> None:
        """The connection is gone; before the end that is a fault."""
        self._give_up(b"the connection was lost")

    def _give_up(self, why: bytes) -> None:
        if not self.ended.done():
            self.ended.set_exception(RuntimeError(why.decode()))

    def _post(self, body: bytes, *more: str) -> None:
        assert self._transport is not None
        self.waits = True
        numbers = (f"Earhook-Sequence: {self.sent}", f"Content-Length: {len(body)}")
        self._transport.write(self._head(*numbers, *more) + body)

    def _head(self, *more: str) -> bytes:
        lines = (
            f"POST {TARGET} HTTP/1.1",
            "Host: localhost",
            f"Authorization: Bearer {TOKEN}",
            "Content-Type: audio/PCMU;rate=8000;channels=1",
            f"Audiohook-Session-Id: {self._session}",
            *more,
        )
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def dial(port: int, cafile: str, shape: Shape, count: int) -> list[Call]:
    """Open the connections of all calls."""
    context = ssl.create_default_context(cafile=cafile)
    loop, room = asyncio.get_running_loop(), asyncio.Semaphore(CONNECTING)

    async def one() -> Call:
        async with room:
            _, call = await loop.create_connection(
                lambda: Call(shape), "127.0.0.1", port, ssl=context, server_hostname="localhost"
            )
            return call

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def play(calls: list[Call], seconds: float, pid: int) -> tuple[float, float]:
    """Send the pieces of all calls in real time; CPU time of the server, and real time."""
    step = calls[0].shape.piece_seconds / len(calls)
    began, cpu, turn = time.monotonic(), cpu_seconds(pid), 0
    while (now := time.monotonic() - began) < seconds:
        while turn * step <= now:
            calls[turn % len(calls)].send()
            turn += 1
        await asyncio.sleep(TICK_SECONDS)
    return cpu_seconds(pid) - cpu, time.monotonic() - began


async def main(port: str, cafile: str, pid: str, *load: str) -> None:
    """Warm up, measure, end every call, and say what was found."""
    name, count, warm, window = load
    calls = await dial(int(port), cafile, SHAPES[name], int(count))
    await play(calls, float(warm), int(pid))
    sent_before = sum(call.sent for call in calls)
    cpu, seconds = await play(calls, float(window), int(pid))
    pieces = sum(call.sent for call in calls) - sent_before
    for call in calls:
        call.end()
    async with asyncio.timeout(END_SECONDS):
        received = await asyncio.gather(*(call.ended for call in calls))
    report = {
        "pieces": pieces,
        "cpu_seconds": cpu,
        "seconds": seconds,
        "missed": sum(call.missed for call in calls),
        "samples_sent": sum(call.sent for call in calls) * calls[0].shape.samples,
        "samples_received": sum(received),
    }
    print(json.dumps(report), flush=True)
    for call in calls:
        call.connection_lost(None)


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main(*sys.argv[1:]))
