"""The floods of a day on the internet and of a bad one, each from one blocking process.

The attacker knows the gateway's key and signs its upgrades, because a stranger without it gets no
further than the gate; what such a stranger can do there is in the list as well.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from earhook.testing import CallSetup
from earhook.testing.peer_request import upgrade_headers

from .gateway_process import MEDIA_PATH, Place

PROBES = 20_000
PROBE_SECONDS = 30.0
HALF_OPEN = 500
HALF_OPEN_SECONDS = 6.0
"""A second more than the gateway's limit for a TLS handshake."""
REFUSALS_HELD = 300
"""More than the gateway lets wait for the time of their refusal."""
CONNECT_SECONDS = 5.0
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
WEBSOCKET = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@dataclass(frozen=True)
class Attack:
    """What is done to a gateway for some seconds; gives how many connections it took."""

    name: str
    run: Callable[[Place, float], int]


class Struck(NamedTuple):
    """What came of an attack: when it was, on the monotonic clock, and its connections."""

    began: float
    ended: float
    connections: int


def strike(number: int, place: Place, seconds: float) -> Struck:
    """Carry out one attack of the list."""
    began = time.monotonic()
    connections = attacks()[number].run(place, seconds)
    return Struck(began, time.monotonic(), connections)


def attacks() -> list[Attack]:
    """All of them; the first is the reference, which only takes a core away from the others."""
    oversize = b"\x82\xff" + struct.pack(">Q", 9_000_000) + bytes(4) + bytes(1 << 20)
    fragments = frame(2, b"", fin=False) + frame(0, b"", fin=False) * 2000
    tiny = frame(2, b"x") * 8000
    return [
        Attack("none, but a busy core", idling),
        Attack("pings, pongs not read", sending(frame(9, b"p" * 125) * 500)),
        Attack("pings, pongs read", sending(frame(9, b"p" * 125) * 5, reads=True)),
        Attack("frames of 1 byte", sending(tiny)),
        Attack("frames of 1 byte in an open call", sending(tiny, opens=True)),
        Attack("fragments of nothing", sending(fragments)),
        Attack("frames of 9 MB", sending(oversize)),
        Attack("calls opened and dropped", sending(b"", opens=True, stays=False)),
        Attack("endless requests", requesting(b"GET /", b"a" * (1 << 20))),
        Attack("floods behind requests", requesting(LIVEZ, bytes(1 << 20))),
        Attack("wrong signatures", forging),
        Attack("half-open handshakes", half_open),
        Attack("probes", probes),
    ]


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """A masked frame with a zero mask."""
    first = (0x80 if fin else 0) | opcode
    if len(payload) < 126:
        return struct.pack(">BB", first, 0x80 | len(payload)) + bytes(4) + payload
    return struct.pack(">BBH", first, 0xFE, len(payload)) + bytes(4) + payload


def idling(_place: Place, seconds: float) -> int:
    """Do as much work as the others, and let the gateway be."""
    ending = time.monotonic() + seconds
    while time.monotonic() < ending:
        pass
    return 0


def sending(
    chunk: bytes, *, opens: bool = False, reads: bool = False, stays: bool = True
) -> Callable[[Place, float], int]:
    """Upgrade, then send a chunk as fast as it is taken; when cut, come again.

    Args:
        chunk: Whole frames.
        opens: Open a call first.
        reads: Read what the gateway answers.
        stays: Send until cut; otherwise leave at once, without a word.
    """

    def run(place: Place, seconds: float) -> int:
        ending, connections = time.monotonic() + seconds, 0
        while time.monotonic() < ending:
            connections += 1
            with contextlib.suppress(OSError), _upgraded(place, opens=opens) as connection:
                while stays and time.monotonic() < ending:
                    connection.sendall(chunk)
                    if reads:
                        connection.recv(65_536)
        return connections

    return run


def requesting(request: bytes, chunk: bytes) -> Callable[[Place, float], int]:
    """Send a request that is not upgraded, and go on sending."""

    def run(place: Place, seconds: float) -> int:
        ending, connections = time.monotonic() + seconds, 0
        while time.monotonic() < ending:
            connections += 1
            with contextlib.suppress(OSError), _connected(place) as connection:
                connection.sendall(request)
                while time.monotonic() < ending:
                    connection.sendall(chunk)
        return connections

    return run


def forging(place: Place, seconds: float) -> int:
    """Ask for calls with signatures of another secret, without waiting for the answers."""
    forged = replace(place, secret=bytes(32))
    ending, connections = time.monotonic() + seconds, 0
    held: deque[contextlib.ExitStack] = deque()
    while time.monotonic() < ending:
        connections += 1
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            connection = stack.enter_context(_connected(forged))
            connection.sendall(_upgrade(forged, CallSetup()))
            held.append(stack.pop_all())
        if len(held) > REFUSALS_HELD:
            held.popleft().close()
    for each in held:
        each.close()
    return connections


def half_open(place: Place, seconds: float) -> int:
    """Connect, say a few bytes of a handshake, and wait."""
    held = [_dialled(place) for _ in range(HALF_OPEN)]
    for each in held:
        with contextlib.suppress(OSError):
            each.sendall(b"\x16\x03\x01")
    ending = time.monotonic() + max(seconds, HALF_OPEN_SECONDS)
    for each in held:
        each.settimeout(max(0.1, ending - time.monotonic()))
        with contextlib.suppress(OSError):
            each.recv(1)
        each.close()
    return HALF_OPEN


def probes(place: Place, _seconds: float) -> int:
    """Connect and close, as the health checks of balancers do."""
    ending = time.monotonic() + PROBE_SECONDS
    for number in range(PROBES):
        if time.monotonic() > ending:
            return number
        _dialled(place).close()
    return PROBES


@contextlib.contextmanager
def _upgraded(place: Place, *, opens: bool) -> Iterator[socket.socket]:
    setup = CallSetup()
    with _connected(place) as connection:
        connection.sendall(_upgrade(place, setup))
        connection.recv(1024)
        if opens:
            connection.sendall(frame(1, _open(setup)))
            connection.recv(4096)
        yield connection


@contextlib.contextmanager
def _connected(place: Place) -> Iterator[socket.socket]:
    context = _context(place.cafile)
    with _dialled(place) as raw, context.wrap_socket(raw, server_hostname="localhost") as secure:
        yield secure


def _dialled(place: Place) -> socket.socket:
    return socket.create_connection(("127.0.0.1", place.port), CONNECT_SECONDS)


@lru_cache
def _context(cafile: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=cafile)


def _upgrade(place: Place, setup: CallSetup) -> bytes:
    nonce = base64.b64encode(os.urandom(18)).decode()
    headers = upgrade_headers(place.url, setup, place.credential, time.time(), nonce)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"GET {MEDIA_PATH} HTTP/1.1\r\n{lines}".encode() + WEBSOCKET


def _open(setup: CallSetup) -> bytes:
    return json.dumps(
        {
            "version": "2",
            "id": setup.session_id,
            "type": "open",
            "seq": 1,
            "serverseq": 0,
            "position": "PT0.0S",
            "parameters": setup.open_parameters(),
        }
    ).encode()
