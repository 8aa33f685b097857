"""Peers that were let in and flood: they are cut, and nobody else notices.

Short forms; `bench/floods.py` runs them for seconds and prints figures.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest

from earhook.transport.settings import FrameLimits, LimitSettings

PIECE_BYTES = 65_536
FLOOD_BYTES = 32 << 20


async def flood(peer: Any, chunk: bytes) -> None:
    """Send as fast as the kernel takes it, until cut or done, and read nothing.

    In pieces, and never more than one of them ahead of the kernel: the flooding peer lives in the
    process whose memory is looked at.
    """
    peer.reader._transport.pause_reading()
    peer.writer.transport.set_write_buffer_limits(high=PIECE_BYTES)
    try:
        async with asyncio.timeout(5):
            for _ in range(FLOOD_BYTES // len(chunk) + 1):
                for start in range(0, len(chunk), PIECE_BYTES):
                    peer.send(chunk[start : start + PIECE_BYTES])
                    await peer.writer.drain()
                    if peer.writer.transport.is_closing():
                        return
    except (OSError, TimeoutError):
        return


def attacks(wire: Any) -> dict[str, tuple[bytes, str]]:
    """Name: what is sent over and over, and the rule that it breaks."""
    return {
        "pings that nobody reads the answers of": (wire.frame(9, b"p" * 125) * 100, "control-rate"),
        "frames of one byte": (wire.frame(2, b"x") * 5000, "frame-rate"),
        "frames of nothing": (wire.frame(2) * 5000, "frame-rate"),
        "fragments of nothing": (
            wire.frame(2, b"", fin=False) + wire.frame(0, b"", fin=False) * 5000,
            "fragments",
        ),
        "a frame of 9 MB": (
            b"\x82\xff" + struct.pack(">Q", 9_000_000) + bytes(4) + bytes(9_000_000),
            "too-large",
        ),
        "a message that never ends": (
            wire.frame(2, bytes(1400), fin=False) + wire.frame(0, bytes(1400), fin=False) * 60,
            "too-large",
        ),
        "garbage": (b"\xff" * 100_000, "framing"),
    }


NAMES = list(attacks(type("W", (), {"frame": staticmethod(lambda *_, **__: b"")})))


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_flood_is_cut_and_nobody_else_notices(
    run: Any,
    wire: Any,
    beside: Any,
    until: Any,
    resident_bytes: Any,
    name: str,
    *,
    tls: bool,
) -> None:
    chunk, rule = attacks(wire)[name]

    async def work() -> None:
        async with wire.serve(tls=tls) as server, beside(server) as bystander:
            await until(lambda: len(bystander.latencies) > 5)
            before = resident_bytes()
            for _ in range(3):
                async with wire.dial(server) as peer:
                    connections = server.connections
                    sending = asyncio.create_task(flood(peer, chunk))
                    await until(lambda n=connections: server.connections < n, 2.0)
                    await sending
            assert server.snapshot().broken == {rule: 3}
            assert resident_bytes() - before < 16 << 20
            seen = len(bystander.latencies)
            await until(lambda: len(bystander.latencies) > seen + 5)
        assert bystander.percentile(0.5) < 0.02
        assert server.snapshot().faults == 0

    run(work())


def test_a_peer_that_drips_a_large_frame_holds_little(
    run: Any, wire: Any, resident_bytes: Any
) -> None:
    async def work() -> None:
        async with wire.serve() as server, wire.dial(server) as peer:
            before = resident_bytes()
            peer.send(wire.frame(2, bytes(65_536))[:40_000])
            peer.send(bytes(20_000))
            async with wire.dial(server) as other:
                other.send(wire.frame(1, b"hello"))
                assert await other.read_frame() == (1, b"hello")
            assert resident_bytes() - before < 4 << 20

    run(work())


def test_after_our_close_a_peer_that_goes_on_is_cut(run: Any, wire: Any, until: Any) -> None:
    async def work() -> None:
        async with wire.serve() as server, wire.dial(server) as peer:
            await until(lambda: server.connections == 1)
            server.cut_calls()
            sending = asyncio.create_task(flood(peer, wire.frame(2, b"x") * 1000))
            await until(lambda: server.connections == 0, 1.0)
            await sending
            assert server.snapshot().broken == {"frame-rate": 1}

    run(work())


def test_a_peer_that_ignores_our_close_is_cut_after_two_seconds(
    run: Any, wire: Any, until: Any
) -> None:
    async def work() -> None:
        async with wire.serve(tls=True) as server, wire.dial(server) as peer:
            await until(lambda: server.connections == 1)
            server.cut_calls()
            assert await peer.read_frame() == (8, struct.pack(">H", 1001))
            await until(lambda: server.connections == 0, 5.0)

    run(work())


def test_a_peer_that_stops_reading_while_it_is_answered_is_cut(
    run: Any, wire: Any, until: Any, resident_bytes: Any
) -> None:
    limits = LimitSettings(frames=FrameLimits(frames_per_second=1_000_000))

    async def work() -> None:
        async with wire.serve(limits, tls=True) as server, wire.dial(server) as peer:
            before = resident_bytes()
            await flood(peer, wire.frame(1, b"x" * 60_000) * 4)
            await until(lambda: server.connections == 0, 2.0)
            assert server.snapshot().broken == {"unsent": 1}
            assert resident_bytes() - before < 32 << 20

    run(work())
