#!/usr/bin/env python3
"""Floods against the listener, gate and server of calls, and what others notice of them.

Three processes: an echo server, an attacker, and twenty peers that behave and measure how long a
frame of 3,200 bytes, sent five times a second, takes to come back. For each attack the table shows
these times without and under attack, the server's memory, and its CPU.

    python bench/floods.py                  all attacks, 5 s each, over TLS
    python bench/floods.py --only probes    one of them
    python bench/floods.py --plain          without TLS
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import socket
import ssl
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import trustme
import uvloop

from earhook.clock import SystemClock
from earhook.testing.echo import echo_server
from earhook.transport.dial import DialedSocket, dial
from earhook.transport.heap import return_large_blocks
from earhook.transport.settings import ConnectionLimits, LimitSettings, TlsSettings
from earhook.transport.tls import ServerCertificate

PEERS = 20
FRAME_BYTES = 3200
FRAME_SECONDS = 0.2
PROBES = 20_000
HALF_OPEN = 500
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """A masked frame with a zero mask."""
    first = (0x80 if fin else 0) | opcode
    if len(payload) < 126:
        return struct.pack(">BB", first, 0x80 | len(payload)) + bytes(4) + payload
    return struct.pack(">BBH", first, 0xFE, len(payload)) + bytes(4) + payload


# The server.


def serve(pipe: Connection, directory: str, tls: bool) -> None:
    """Run the echo server; answer each message on the pipe with figures."""
    return_large_blocks()
    uvloop.run(_serve(pipe, Path(directory), tls=tls))


async def _serve(pipe: Connection, directory: Path, *, tls: bool) -> None:
    settings = TlsSettings(certificate=directory / "crt", private_key=directory / "key")
    certificate = ServerCertificate(settings, SystemClock()) if tls else None
    # All of this comes from one address, which is what a balancer looks like.
    shared = ConnectionLimits(shared_addresses=("127.0.0.0/8",))
    limits = LimitSettings(connections=shared)
    async with echo_server(limits=limits, certificate=certificate) as server:
        pipe.send(server.port)
        told: asyncio.Queue[str] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        loop.add_reader(pipe.fileno(), lambda: told.put_nowait(pipe.recv()))
        while await told.get() == "figures":
            shot = server.snapshot()
            pipe.send(
                {
                    "rss_mib": _rss_mib(),
                    "cpu_seconds": time.process_time(),
                    "connections": shot.connections,
                    "unproven": shot.unproven,
                    "broken": dict(shot.broken),
                    "handshakes_failed": shot.handshakes_failed,
                    "closed_early": dict(shot.closed_early),
                }
            )
        loop.remove_reader(pipe.fileno())


def _rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


# The attacker.


@dataclass(frozen=True)
class Attack:
    """What is done over and over to one port for some seconds."""

    name: str
    run: Callable[[int, ssl.SSLContext | None, float], int]


def sending(chunk: bytes, *, reads: bool = False) -> Callable[..., int]:
    """Upgrade, then send a chunk as fast as the server takes it; when cut, come again."""

    def run(port: int, context: ssl.SSLContext | None, seconds: float) -> int:
        ending, connections = time.monotonic() + seconds, 0
        while time.monotonic() < ending:
            connections += 1
            with contextlib.suppress(OSError), _upgraded(port, context) as connection:
                while time.monotonic() < ending:
                    connection.sendall(chunk)
                    if reads:
                        connection.recv(65_536)
        return connections

    return run


def requesting(request: bytes, chunk: bytes) -> Callable[..., int]:
    """Send a request that is not upgraded, and go on sending."""

    def run(port: int, context: ssl.SSLContext | None, seconds: float) -> int:
        ending, connections = time.monotonic() + seconds, 0
        while time.monotonic() < ending:
            connections += 1
            with contextlib.suppress(OSError), _connected(port, context) as connection:
                connection.sendall(request)
                while time.monotonic() < ending:
                    connection.sendall(chunk)
        return connections

    return run


@contextlib.contextmanager
def _connected(port: int, context: ssl.SSLContext | None) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), 5) as raw:
        yield context.wrap_socket(raw, server_hostname="localhost") if context else raw


@contextlib.contextmanager
def _upgraded(port: int, context: ssl.SSLContext | None) -> Iterator[socket.socket]:
    with _connected(port, context) as connection:
        connection.sendall(UPGRADE)
        connection.recv(1024)
        yield connection


def probes(port: int, _context: ssl.SSLContext | None, seconds: float) -> int:
    """Connect and close, as the health checks of balancers do."""
    del seconds
    for _ in range(PROBES):
        socket.create_connection(("127.0.0.1", port)).close()
    return PROBES


def half_open(port: int, _context: ssl.SSLContext | None, seconds: float) -> int:
    """Connect, say a few bytes of a handshake, and wait."""
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(HALF_OPEN)]
    for each in held:
        each.sendall(b"\x16\x03\x01")
    ending = time.monotonic() + max(seconds, 6.0)
    for each in held:
        each.settimeout(max(0.1, ending - time.monotonic()))
        with contextlib.suppress(OSError):
            each.recv(1)
        each.close()
    return HALF_OPEN


def attacks() -> list[Attack]:
    """The floods of a day on the internet, and of a bad one."""
    oversize = b"\x82\xff" + struct.pack(">Q", 9_000_000) + bytes(4) + bytes(1 << 20)
    fragments = frame(2, b"", fin=False) + frame(0, b"", fin=False) * 2000
    return [
        Attack("pings, pongs not read", sending(frame(9, b"p" * 125) * 500)),
        Attack("pings, pongs read", sending(frame(9, b"p" * 125) * 5, reads=True)),
        Attack("frames of 1 byte", sending(frame(2, b"x") * 8000)),
        Attack("fragments of nothing", sending(fragments)),
        Attack("frames of 9 MB", sending(oversize)),
        Attack("endless requests", requesting(b"GET /", b"a" * (1 << 20))),
        Attack("floods behind requests", requesting(LIVEZ, bytes(1 << 20))),
        Attack("half-open handshakes", half_open),
        Attack("probes", probes),
    ]


def attack(number: int, port: int, directory: str, tls: bool, seconds: float) -> None:
    """The attacker's process."""
    context = None
    if tls:
        context = ssl.create_default_context(cafile=str(Path(directory) / "ca"))
    attacks()[number].run(port, context, seconds)


# Those who behave.


@dataclass
class Peer:
    """One peer that behaves."""

    latencies: list[float] = field(default_factory=list)
    socket: DialedSocket | None = None
    sent_at: float = 0.0
    closed: bool = False

    def on_connected(self, socket: DialedSocket) -> None:
        """Ready."""
        self.socket = socket

    def on_text(self, payload: bytes) -> None:
        """Not expected."""

    def on_audio(self, payload: bytes) -> None:
        """The frame is back."""
        assert len(payload) == FRAME_BYTES
        self.latencies.append(time.perf_counter() - self.sent_at)

    def on_closed(self, code: int | None) -> None:
        """Nobody behaves and is cut."""
        del code
        self.closed = True

    def on_writable(self) -> None:
        """Fine."""


async def measure(peers: list[Peer], until: Callable[[], bool]) -> list[float]:
    """Let the peers send at their pace, evenly staggered, until told to stop."""
    for peer in peers:
        peer.latencies.clear()
    payload, due, number = bytes(FRAME_BYTES), time.monotonic(), 0
    while not until():
        peer = peers[number % len(peers)]
        peer.sent_at = time.perf_counter()
        assert peer.socket is not None
        peer.socket.send_audio(payload)
        number += 1
        due += FRAME_SECONDS / len(peers)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    assert not any(peer.closed for peer in peers), "a peer that behaves was cut"
    return sorted(latency for peer in peers for latency in peer.latencies)


def shown(latencies: list[float]) -> dict[str, float]:
    """Milliseconds at the usual places."""
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        name: round(latencies[min(len(latencies) - 1, int(share * len(latencies)))] * 1e3, 2)
        for name, share in at.items()
    }


def ask(pipe: Connection) -> dict[str, Any]:
    """The server's figures now."""
    pipe.send("figures")
    figures: dict[str, Any] = pipe.recv()
    return figures


async def run(arguments: argparse.Namespace, pipe: Connection, directory: Path) -> list[Any]:
    """All attacks, one after the other."""
    port, tls = pipe.recv(), not arguments.plain
    context = ssl.create_default_context(cafile=str(directory / "ca")) if tls else None
    peers = [Peer() for _ in range(PEERS)]
    for peer in peers:
        url = f"wss://localhost:{port}/" if tls else f"ws://127.0.0.1:{port}/"
        await dial(url, [], peer, context)
    spawn, rows = multiprocessing.get_context("spawn"), []
    for number, each in enumerate(attacks()):
        if arguments.only and arguments.only not in each.name:
            continue
        calm_until = time.monotonic() + min(arguments.seconds, 3.0)
        calm = await measure(peers, lambda end=calm_until: time.monotonic() > end)
        before = ask(pipe)
        given = (number, port, str(directory), tls, arguments.seconds)
        attacker: SpawnProcess = spawn.Process(target=attack, args=given)
        started = time.monotonic()
        attacker.start()
        under = await measure(peers, lambda one=attacker: not one.is_alive())
        seconds = time.monotonic() - started
        after = ask(pipe)
        rows.append(
            {
                "attack": each.name,
                "calm_ms": shown(calm),
                "attacked_ms": shown(under),
                "rss_mib": [round(before["rss_mib"], 1), round(after["rss_mib"], 1)],
                "cpu_share": round((after["cpu_seconds"] - before["cpu_seconds"]) / seconds, 2),
                "cut": sum(after["broken"].values()) - sum(before["broken"].values()),
                "handshakes_failed": after["handshakes_failed"] - before["handshakes_failed"],
            }
        )
        print_row(rows[-1])
    return rows


def print_row(row: dict[str, Any]) -> None:
    """One line of the table."""
    calm, attacked = row["calm_ms"], row["attacked_ms"]
    print(
        f"| {row['attack']} | {calm['p50']} / {calm['p99']} / {calm['max']} "
        f"| {attacked['p50']} / {attacked['p99']} / {attacked['max']} "
        f"| {row['rss_mib'][0]} → {row['rss_mib'][1]} | {row['cpu_share']:.0%} "
        f"| {row['cut'] or row['handshakes_failed']} |",
        flush=True,
    )


def main() -> int:
    """Run, print the table, judge it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each attack")
    parser.add_argument("--only", help="attacks whose name holds this")
    parser.add_argument("--plain", action="store_true", help="without TLS")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        authority.cert_pem.write_to_path(directory / "ca")
        issued.cert_chain_pems[0].write_to_path(directory / "crt")
        issued.private_key_pem.write_to_path(directory / "key")
        pipe, far = multiprocessing.Pipe()
        spawn = multiprocessing.get_context("spawn")
        server = spawn.Process(target=serve, args=(far, scratch, not arguments.plain))
        server.start()
        print("| attack | echo ms calm p50/p99/max | attacked | server RSS MiB | CPU | cut |")
        print("|---|---|---|---|---|---|")
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                rows = runner.run(run(arguments, pipe, directory))
        finally:
            pipe.send("stop")
            server.join(10)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    worst = max(row["attacked_ms"]["p99"] - row["calm_ms"]["p99"] for row in rows)
    grown = max(row["rss_mib"][1] - row["rss_mib"][0] for row in rows)
    print(f"worst change of p99: {worst:.1f} ms; most memory gained by one attack: {grown:.1f} MiB")
    return 0 if worst < 20 and grown < 32 else 1


if __name__ == "__main__":
    sys.exit(main())
