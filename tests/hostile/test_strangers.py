"""Connections of nobody: caps, probes, and a shortage of file descriptors."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import threading
import time
from typing import Any

import pytest

from earhook.app import Gateway
from earhook.config.schema import Configuration
from earhook.edge.settings import ConnectionLimits
from earhook.transport.settings import LimitSettings


def hold(port: int, source: str) -> socket.socket:
    """Connect and say nothing."""
    return socket.create_connection(("127.0.0.1", port), 5, (source, 0))


@pytest.mark.parametrize("tls", [False, True])
def test_above_the_total_a_connection_is_closed_at_once_and_others_go_on(
    run: Any, wire: Any, beside: Any, until: Any, *, tls: bool
) -> None:
    async def work() -> None:
        async with wire.serve(tls=tls) as server, beside(server) as bystander:
            held = [hold(server.port, f"127.0.1.{number // 100 + 1}") for number in range(1000)]
            await until(lambda: server.snapshot().unproven == 1000)
            for source in ("127.0.1.1", "127.0.2.1"):
                started = time.monotonic()
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", server.port, local_addr=(source, 0)
                )
                assert await reader.read(1) == b""
                assert time.monotonic() - started < 0.1
                writer.close()
            assert server.snapshot().closed_early == {"full": 2}
            for each in held:
                each.close()
            await until(lambda: server.snapshot().unproven == 0)
            async with wire.dial(server) as peer:
                peer.send(wire.frame(wire.TEXT, b"room again"))
                assert await peer.read_frame() == (wire.TEXT, b"room again")
            await until(lambda: len(bystander.latencies) > 20)
        assert bystander.percentile(0.5) < 0.02

    run(work())


def test_above_the_limit_of_an_address_only_that_address_waits(
    run: Any, wire: Any, until: Any
) -> None:
    async def work() -> None:
        async with wire.serve() as server:
            held = [hold(server.port, "127.0.3.1") for _ in range(100)]
            await until(lambda: server.snapshot().unproven == 100)
            with hold(server.port, "127.0.3.1") as one_more:
                one_more.setblocking(False)
                async with asyncio.timeout(0.1):
                    assert await asyncio.get_running_loop().sock_recv(one_more, 1) == b""
            async with wire.dial(server, source="127.0.3.2") as peer:
                peer.send(wire.frame(wire.TEXT, b"hello"))
                assert await peer.read_frame() == (wire.TEXT, b"hello")
            assert server.snapshot().closed_early == {"address-full": 1}
            for each in held:
                each.close()

    run(work())


def test_who_has_proved_itself_takes_no_place(run: Any, wire: Any) -> None:
    limits = LimitSettings(connections=ConnectionLimits(unproven_per_address=1, unproven=1))

    async def work() -> None:
        async with wire.serve(limits) as server:
            async with wire.dial(server), wire.dial(server), wire.dial(server):
                assert server.connections == 3
                assert server.snapshot().unproven == 0

    run(work())


def test_probes_that_only_connect_cost_no_memory_and_no_line(
    run: Any, wire: Any, until: Any, resident_bytes: Any, capfd: Any, caplog: Any
) -> None:
    """2,000 of them here; `bench/floods.py` sends 20,000."""

    def probe(port: int, times: int) -> None:
        for _ in range(times):
            socket.create_connection(("127.0.0.1", port)).close()

    async def probes(server: Any, times: int) -> None:
        goal = server.snapshot().accepted + times
        thread = threading.Thread(target=probe, args=(server.port, times))
        thread.start()
        await until(lambda: server.snapshot().accepted == goal, 30)
        thread.join()
        await until(lambda: server.snapshot().unproven == 0)

    async def work() -> None:
        shared = ConnectionLimits(shared_addresses=("127.0.0.0/8",))
        async with wire.serve(LimitSettings(connections=shared), tls=True) as server:
            await probes(server, 1000)
            before = resident_bytes()
            await probes(server, 2000)
            assert resident_bytes() - before < 4 << 20
            assert server.snapshot().handshakes_failed == 3000

    run(work())
    assert caplog.text == ""
    assert capfd.readouterr().err == ""


def test_a_storm_above_the_limit_is_one_line_a_second(
    run: Any, wire: Any, until: Any, caplog: Any
) -> None:
    limits = LimitSettings(connections=ConnectionLimits(unproven_per_address=1))

    async def work() -> None:
        async with wire.serve(limits) as server:
            held = [hold(server.port, "127.0.4.1") for _ in range(500)]
            await until(lambda: server.snapshot().accepted == 500)
            assert server.snapshot().closed_early == {"address-full": 499}
            for each in held:
                each.close()

    run(work())
    assert caplog.text.count("connections.refused") <= 2


def test_without_descriptors_accepting_rests_and_comes_back(
    run: Any, wire: Any, beside: Any, until: Any, caplog: Any
) -> None:
    async def work() -> None:
        async with wire.serve() as server, beside(server) as bystander:
            # Made now, because later there are no descriptors; below the next one all are in use.
            waiting = [socket.socket() for _ in range(3)]
            following = os.open(os.devnull, os.O_RDONLY)
            os.close(following)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (following, hard))
            try:
                for each in waiting:
                    each.setblocking(False)
                    await asyncio.get_running_loop().sock_connect(each, ("127.0.0.1", server.port))
                busy = time.process_time()
                errors = server.snapshot().accept_errors
                await until(lambda: server.snapshot().accept_errors >= errors + 5)
                assert time.process_time() - busy < 0.3
                seen = len(bystander.latencies)
                await until(lambda: len(bystander.latencies) > seen + 3)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await until(lambda: server.snapshot().unproven == 3, 2.0)
            for each in waiting:
                each.close()
            assert server.snapshot().accept_errors < 30

    run(work())
    lines = [record for record in caplog.records if "accept.failed" in record.getMessage()]
    assert 1 <= len(lines) <= 3
    assert "LimitNOFILE" in lines[0].getMessage()


def test_strangers_that_are_refused_in_band_keep_no_call_out(
    run: Any, wire: Any, until: Any
) -> None:
    async def work() -> None:
        sections = {
            "media": {"host": "127.0.0.1", "port": 0, "refusal": "disconnect", "max_calls": 3},
            "limits": {"connections": {"refusal_seconds": 0.01}},
            "admin": {"port": 0},
            "keys": [{"api_key": "known", "unsigned": True}],
        }
        async with Gateway(Configuration.model_validate(sections)) as gateway:
            port = gateway.media_port
            strangers = [await upgraded(port, wire.UPGRADE) for _ in range(5)]
            assert gateway.media.connections == 5
            assert all(check.passes for check in gateway.view.checks())
            known = wire.UPGRADE + "X-API-KEY: known\r\n"
            callers = [await upgraded(port, known) for _ in range(3)]
            assert gateway.media.proven_connections == 3
            with pytest.raises(ConnectionError, match="503"):
                await upgraded(port, known)
            for writer in (*strangers, *callers):
                writer.transport.abort()
            await until(lambda: gateway.media.connections == 0)
            assert gateway.media.proven_connections == 0

    run(work())


async def upgraded(port: int, request: str) -> asyncio.StreamWriter:
    """Dial and upgrade."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode() + b"\r\n")
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101 "):
        writer.transport.abort()
        raise ConnectionError(head.decode())
    return writer
