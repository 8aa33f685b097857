"""Slow requests, endless ones, and what an answer never says; `table/requests.py` has the rest."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from earhook.edge.settings import ConnectionLimits
from earhook.transport.settings import LimitSettings


def test_no_request_is_answered_with_words_of_its_own(run: Any, wire: Any) -> None:
    async def work() -> None:
        async with wire.serve() as server:
            for line in (b"GET /CANARY HTTP/1.1", b"CANARY / HTTP/1.1", b"GET CANARY HTTP/1.1"):
                async with wire.dial(server, upgrade=False) as peer:
                    peer.send(line + b"\r\nHost: CANARY\r\nX: CANARY\x01\r\n\r\n")
                    _, headers, body = await peer.response()
                    assert b"CANARY" not in body
                    assert "CANARY" not in str(headers)

    run(work())


QUICK = LimitSettings(connections=ConnectionLimits(upgrade_seconds=0.3, tls_handshake_seconds=0.3))


@pytest.mark.parametrize("tls", [False, True])
def test_a_request_that_never_ends_is_cut_in_time(run: Any, wire: Any, *, tls: bool) -> None:
    async def work() -> None:
        async with wire.serve(QUICK, tls=tls) as server:
            async with wire.dial(server, upgrade=False) as silent:
                assert 0.2 < await silent.seconds_to_end() < 1.0
            async with wire.dial(server, upgrade=False) as slow:
                started = time.monotonic()
                for byte in wire.UPGRADE.encode():
                    slow.send(bytes([byte]))
                    try:
                        async with asyncio.timeout(0.02):
                            if not await slow.reader.read(1):
                                break
                    except TimeoutError:
                        continue
                    except OSError:
                        break
                assert 0.2 < time.monotonic() - started < 1.0
            assert server.snapshot().closed_early == {"upgrade-timeout": 2}
            assert server.snapshot().unproven == 0

    run(work())


def test_half_open_tls_is_cut_in_time(run: Any, wire: Any, until: Any) -> None:
    async def work() -> None:
        async with wire.serve(QUICK, tls=True) as server:
            loop = asyncio.get_running_loop()
            started = loop.time()
            peers = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
            for number, (_, writer) in enumerate(peers):
                writer.write(b"\x16\x03\x01\x02\x00\x01"[: number % 7])
            for reader, writer in peers:
                async with asyncio.timeout(2):
                    try:
                        await reader.read(-1)
                    except OSError:
                        pass
                writer.close()
            assert 0.25 < loop.time() - started < 1.5
            await until(lambda: server.snapshot().unproven == 0)
            assert server.snapshot().handshakes_failed == 20

    run(work())


def test_plain_http_on_the_tls_port_is_only_a_failed_handshake(
    run: Any, wire: Any, until: Any, caplog: Any
) -> None:
    async def work() -> None:
        async with wire.serve(tls=True) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            async with asyncio.timeout(2):
                try:
                    await reader.read(-1)
                except OSError:
                    pass
            writer.close()
            await until(lambda: server.snapshot().handshakes_failed == 1)
            assert server.snapshot().unproven == 0

    run(work())
    assert "Traceback" not in caplog.text
    assert "ssl" not in caplog.text.lower()


def test_a_flood_behind_a_request_that_waits_for_its_answer_is_cut(
    run: Any, wire: Any, until: Any
) -> None:
    from earhook.protocol.signature import Refusal, Refused

    async def work() -> None:
        async with wire.serve() as server:
            house = server._house
            house.doors = house.doors._replace(
                authenticate=lambda _request, _wall: Refused(Refusal.MISMATCH)
            )
            async with wire.dial(server, upgrade=False) as peer:
                peer.send((wire.UPGRADE + "\r\n").encode())
                for _ in range(100):
                    peer.send(bytes(65_536))
                assert await peer.seconds_to_end() < 0.4
            assert server.snapshot().broken == {"early-bytes": 1}
            await until(lambda: server.snapshot().unproven == 0)
            assert house.pending_refusals == 0

    run(work())


def test_refusals_that_wait_are_bounded(run: Any, wire: Any, until: Any) -> None:
    from earhook.protocol.signature import Refusal, Refused

    limits = LimitSettings(connections=ConnectionLimits(pending_refusals=5, refusal_seconds=0.3))

    async def work() -> None:
        async with wire.serve(limits) as server:
            house = server._house
            house.doors = house.doors._replace(
                authenticate=lambda _request, _wall: Refused(Refusal.MISMATCH)
            )

            async def one() -> int:
                async with wire.dial(server, upgrade=False) as peer:
                    peer.send((wire.UPGRADE + "\r\n").encode())
                    return (await peer.response())[0]

            statuses = await asyncio.gather(*(one() for _ in range(12)))
            assert sorted(statuses) == [0] * 7 + [401] * 5
            assert house.pending_refusals == 0
            assert server.snapshot().closed_early == {"refusals-full": 7}

    run(work())


def test_an_exception_of_ours_at_the_gate_shows_nothing_and_costs_one_connection(
    run: Any, wire: Any
) -> None:
    def explode(*_: object) -> Any:
        raise RuntimeError("CANARY secret detail")

    async def work() -> None:
        async with wire.serve() as server:
            good = server._house.doors
            for door in ("authenticate", "listener", "identify"):
                server._house.doors = good._replace(**{door: explode})
                async with wire.dial(server, upgrade=False) as peer:
                    peer.send((wire.UPGRADE + "\r\n").encode())
                    status, headers, body = await peer.response()
                    assert status == 500
                    assert "CANARY" not in f"{headers}{body!r}"
            server._house.doors = good
            async with wire.dial(server) as peer:
                peer.send(wire.frame(wire.TEXT, b"hello"))
                assert await peer.read_frame() == (wire.TEXT, b"hello")
            assert server.snapshot().faults == 3
            assert server.snapshot().unproven == 0

    run(work())
