"""A gateway with more to do than it can: new calls are sent away, everybody else is served."""

from __future__ import annotations

import asyncio
import base64
import errno
import os
import time
import uuid
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest

from earhook.app import Gateway
from earhook.clock import SystemClock
from earhook.config.schema import Configuration
from earhook.control.pressure import Pressure, Sample, Strain
from earhook.control.pressure_watch import Machine, PressureWatch
from earhook.control.settings import SheddingSettings
from earhook.ops.watchdog import LoopWatch
from earhook.testing.peer import CallPeer, CallPlan
from earhook.testing.peer_setup import CallSetup, PeerCredential
from earhook.testing.sources import Source
from earhook.transport.dial import DialError

TOKEN = "canary-token-0123456789"
SECRET = b"0123456789abcdef0123456789abcdef"


class Burden:
    """Stands in for the machine: what it measures is what a test says."""

    def __init__(self) -> None:
        self.memory_bytes = 10

    def sample(self, _loop_lag_seconds: float) -> Sample:
        return Sample(0.0, 0.0, 1.0, 0.0, self.memory_bytes, 1000, 10, 1000)


@pytest.fixture
def burden(monkeypatch: pytest.MonkeyPatch) -> Burden:
    made = Burden()
    monkeypatch.setattr(Machine, "sample", lambda _machine, lag_seconds: made.sample(lag_seconds))
    return made


def configuration(directory: Path, **sections: Any) -> Configuration:
    key = {"api_key": "k", "secrets": [base64.b64encode(SECRET).decode()]}
    recording = {"kind": "recording", "directory": directory / "recordings"}
    return Configuration.model_validate(
        {
            "media": {"host": "127.0.0.1", "port": 0},
            "admin": {"port": 0},
            "keys": [key],
            "sinks": [recording],
            **sections,
        }
    )


def url_of(gateway: Gateway) -> str:
    return f"ws://127.0.0.1:{gateway.media_port}/audiohook"


def plan(seed: str, setup: CallSetup | None = None) -> CallPlan:
    return CallPlan(source=Source.random(seed), setup=setup, credential=PeerCredential("k", SECRET))


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def upgrade_status(gateway: Gateway) -> int | None:
    """What a call gets that comes now; None for an upgrade."""
    try:
        peer = await CallPeer.connect(url_of(gateway), plan("knock"))
    except DialError as error:
        return error.status
    peer.abort()
    return None


async def answer_to_upgrade(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"GET /audiohook HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    async with asyncio.timeout(5):
        answer = await reader.read(-1)
    writer.close()
    return answer


def test_within_half_a_second_of_a_shortage_new_calls_are_refused_and_nothing_else(
    run: Any, until: Any, burden: Burden, tmp_path: Path
) -> None:
    async def story() -> None:
        async with Gateway(configuration(tmp_path)) as gateway:
            admin = f"http://127.0.0.1:{gateway.admin_port}"
            async with CallPeer.dial(url_of(gateway), plan("running")) as running:
                await running.opened()
                await running.reached(1600)
                burden.memory_bytes = 900
                began = time.monotonic()
                await until(lambda: gateway.view.pressure.strains)
                assert await upgrade_status(gateway) == 503
                assert time.monotonic() - began < 0.5
                answer = await answer_to_upgrade(gateway.media_port)
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert b"\r\nRetry-After: 10\r\n" in answer

                status, _ = await get(f"http://127.0.0.1:{gateway.media_port}/livez")
                assert status == 200
                assert (await get(f"{admin}/livez"))[0] == 200
                status, text = await get(f"{admin}/readyz?verbose")
                assert status == 503
                assert "[-] memory: 0.90, limit 0.85" in text
                _, text = await get(f"{admin}/metrics")
                assert 'earhook_shedding{reason="memory"} 1.0' in text
                assert 'earhook_shedding{reason="cpu"} 0.0' in text
                assert 'earhook_calls_refused_total{door="media",reason="memory"} 2.0' in text

                position = running.position
                await running.reached(position + 1600)
                burden.memory_bytes = 700  # below the limit, above the release
                refused = gateway.view.admissions.refused[Strain.MEMORY]
                assert await upgrade_status(gateway) == 503
                assert gateway.view.admissions.refused[Strain.MEMORY] == refused + 1
                burden.memory_bytes = 600
                await until(lambda: not gateway.view.pressure.strains)
                assert await upgrade_status(gateway) is None
            assert running.record.outcome == "completed"

    run(story())


def test_probes_are_answered_in_a_lane_of_their_own_and_calls_in_it_are_ended(
    run: Any, until: Any, burden: Burden, tmp_path: Path
) -> None:
    shedding = {"probes": "answer", "probe_sessions": 1}

    async def story() -> None:
        burden.memory_bytes = 900
        async with Gateway(configuration(tmp_path, shedding=shedding)) as gateway:
            await until(lambda: gateway.view.pressure.strains)
            async with CallPeer.dial(url_of(gateway), plan("probe", CallSetup.probe())) as probe:
                await probe.opened()
                assert gateway.media.probe_connections == 1
                assert gateway.media.proven_connections == 0
                assert await upgrade_status(gateway) == 503
            assert probe.record.outcome == "completed"
            await until(lambda: gateway.media.probe_connections == 0)
            assert gateway.media.snapshot().probes == 1

            caller = await CallPeer.connect(url_of(gateway), plan("call"))
            await caller.finished()
            assert "disconnect" in [rung.type for rung in caller.ladder.rungs]
            assert gateway.media.snapshot().calls_refused == {"no-probe": 1}
            assert gateway.hub.snapshot().opened_calls == 0

    run(story())


def test_a_full_gateway_is_not_ready_and_says_so(run: Any, until: Any, tmp_path: Path) -> None:
    media = {"host": "127.0.0.1", "port": 0, "max_calls": 1}

    async def story() -> None:
        shedding = {"enabled": False}
        async with Gateway(configuration(tmp_path, media=media, shedding=shedding)) as gateway:
            readiness = f"http://127.0.0.1:{gateway.admin_port}/readyz"
            async with CallPeer.dial(url_of(gateway), plan("only")) as only:
                await only.opened()
                status, text = await get(readiness)
                assert (status, text) == (503, "not ready: max-calls\n")
                assert await upgrade_status(gateway) == 503
            await until(lambda: gateway.media.proven_connections == 0)
            assert (await get(readiness))[0] == 200
            assert await upgrade_status(gateway) is None

    run(story())


def with_ingest(directory: Path, **sections: Any) -> Configuration:
    ingest = {
        "host": "127.0.0.1",
        "port": 0,
        "plaintext": True,
        "tokens": [{"name": "sender", "token": TOKEN}],
    }
    return configuration(directory, ingest=ingest, **sections)


class Sender:
    """Sends blocks of one call."""

    def __init__(self, gateway: Gateway, session: aiohttp.ClientSession) -> None:
        self._url = f"http://127.0.0.1:{gateway.ingest_port}/stream/v1/audiohook"
        self._session = session
        self._headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "audio/PCMU;rate=8000",
            "Audiohook-Session-Id": str(uuid.uuid4()),
        }
        self._sequence = 0

    async def block(self, **more: str) -> aiohttp.ClientResponse:
        headers = {**self._headers, "Earhook-Sequence": str(self._sequence), **more}
        async with self._session.post(self._url, data=bytes(1600), headers=headers) as response:
            await response.read()
        self._sequence += response.status == 200
        return response

    async def check(self, method: str) -> int:
        async with self._session.request(method, self._url) as response:
            return response.status


def test_at_the_ingest_new_calls_are_sent_away_and_blocks_of_live_ones_taken(
    run: Any, until: Any, burden: Burden, tmp_path: Path
) -> None:
    shedding = {"retry_after_seconds": 7, "probes": "answer"}

    async def story() -> None:
        async with (
            Gateway(with_ingest(tmp_path, shedding=shedding)) as gateway,
            aiohttp.ClientSession() as session,
        ):
            live, late = Sender(gateway, session), Sender(gateway, session)
            assert (await live.block()).status == 200
            burden.memory_bytes = 900
            await until(lambda: gateway.view.pressure.strains)
            refused = await late.block()
            assert (refused.status, refused.headers["Retry-After"]) == (429, "7")
            assert (await live.block()).status == 200
            for method in ("GET", "HEAD", "POST"):
                assert await late.check(method) == 200
            admin = f"http://127.0.0.1:{gateway.admin_port}"
            _, text = await get(f"{admin}/metrics")
            assert 'earhook_calls_refused_total{door="ingest",reason="memory"} 1.0' in text
            assert 'earhook_calls_refused_total{door="ingest",reason="no-room"} 0.0' in text
            burden.memory_bytes = 10
            await until(lambda: not gateway.view.pressure.strains)
            assert (await late.block()).status == 200

    run(story())


def test_the_admin_port_shows_both_doors(run: Any, until: Any, tmp_path: Path) -> None:
    access = {"networks": ["127.0.0.0/8"]}

    async def story() -> None:
        async with (
            Gateway(with_ingest(tmp_path, access=access)) as gateway,
            aiohttp.ClientSession() as session,
            CallPeer.dial(url_of(gateway), plan("beside")) as peer,
        ):
            await peer.reached(1600)
            stamp = str(int(time.time() * 1000) - 250)
            sender = Sender(gateway, session)
            await sender.block(**{"X-Genesys-Cloud-Timestamp": stamp})
            admin = f"http://127.0.0.1:{gateway.admin_port}"
            async with session.get(f"{admin}/api/v1/calls") as response:
                calls = (await response.json())["calls"]
            assert [call["door"] for call in calls] == ["media", "ingest"]
            assert calls[0]["delay_seconds"] is None
            assert 0.2 < calls[1]["delay_seconds"] < 5.0
            assert [call["suspicion"] for call in calls] == [None, None]
            status, text = await get(f"{admin}/readyz?verbose")
            assert status == 200
            assert "[+] ingest-max-calls: 1 of 5000" in text
            assert "[+] access: networks: 1" in text
            _, text = await get(f"{admin}/metrics")
            for line in (
                'earhook_calls_counted{door="ingest"} 1.0',
                'earhook_calls_limit{door="media"} 5000.0',
                "earhook_access_networks 1.0",
                'earhook_connections{door="ingest"} 1.0',
                'earhook_ingest_blocks_total{kind="taken"} 1.0',
                'earhook_ingest_authenticated_total{kind="token"} 1.0',
                "earhook_ingest_delay_seconds_count 1.0",
                "earhook_ingest_read_pause_max_seconds 0.0",
            ):
                assert f"\n{line}\n" in text, line
            received, written = (
                float(text.partition(f"\nearhook_samples_{name}_total ")[2].partition("\n")[0])
                for name in ("received", "written")
            )
            assert received == written >= 3200
            series = [line for line in text.splitlines() if line and not line.startswith("#")]
            assert len(series) < 1000

    run(story())


def test_other_limits_come_into_service_with_a_reload(
    run: Any, until: Any, burden: Burden, tmp_path: Path
) -> None:
    configurations = [
        configuration(tmp_path, shedding={"memory_percent": 50}),
        configuration(tmp_path, shedding={"enabled": False}),
    ]

    async def story() -> None:
        burden.memory_bytes = 600
        gateway = Gateway(configuration(tmp_path), reread=lambda: configurations.pop(0))
        async with gateway:
            assert await upgrade_status(gateway) is None
            assert gateway.reload()
            await until(lambda: gateway.view.pressure.strains)
            assert await upgrade_status(gateway) == 503
            assert gateway.reload()
            await until(lambda: not gateway.view.pressure.strains)
            assert await upgrade_status(gateway) is None

    run(story())


class Measured:
    """This very process and loop, measured as in a gateway."""

    def __init__(self, settings: SheddingSettings) -> None:
        loop, clock = asyncio.get_running_loop(), SystemClock()
        self.pressure = Pressure(settings)
        self.machine = Machine(settings)
        self._loop_watch = LoopWatch(loop, clock)
        self._watch = PressureWatch(
            self.pressure, self.machine, self._loop_watch, loop=loop, clock=clock
        )

    def __enter__(self) -> Self:
        self._loop_watch.start()
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.stop()
        self._loop_watch.stop()


def occupy(seconds: float) -> None:
    """Keep this thread busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_a_busy_loop_is_cpu_strain_and_a_late_one_is_lag(run: Any, until: Any) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        with Measured(SheddingSettings(cpu_percent=20, loop_lag_seconds=60)) as measured:
            # Half of the time, in pieces that make nobody late.
            busy = [loop.call_later(0.02 * number, occupy, 0.01) for number in range(200)]
            await until(lambda: measured.pressure.strains == (Strain.CPU,))
            for piece in busy:
                piece.cancel()
            await until(lambda: not measured.pressure.strains)
        with Measured(SheddingSettings(cpu_percent=100, cpu_seconds=60)) as measured:
            began = time.monotonic()
            for number in range(8):
                loop.call_later(0.2 * number, occupy, 0.19)
            await until(lambda: measured.pressure.strains == (Strain.LOOP_LAG,))
            assert time.monotonic() - began < 1.0

    run(story())


def test_memory_and_open_files_are_measured() -> None:
    machine = Machine(SheddingSettings(memory_mib=4096))
    before = machine.sample(0.0)
    assert before.memory_limit_bytes == 4096 << 20
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]
    filled = bytearray(os.urandom(1 << 20) * 64)
    try:
        samples = [machine.sample(0.0) for _ in range(4)]
    finally:
        for descriptor in opened:
            os.close(descriptor)
    assert samples[-1].open_files == before.open_files + 20
    assert samples[-1].memory_bytes - before.memory_bytes > 48 << 20
    assert len(filled) == 64 << 20
    machine.replace(SheddingSettings())
    assert machine.sample(0.0).memory_limit_bytes != 4096 << 20


def test_a_kernel_that_does_not_count_is_asked_for_the_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Silent:
        st_size = 0

    machine = Machine(SheddingSettings())
    exact = machine.sample(0.0).open_files
    monkeypatch.setattr(os, "stat", lambda _path: Silent())
    assert abs(machine.sample(0.0).open_files - exact) <= 1
    # From here on the list is not asked for, and growth is seen all the same.
    monkeypatch.setattr(machine, "_ticks_until_list", 1000)
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(50)]
    try:
        assert machine.sample(0.0).open_files >= max(opened)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def test_with_no_descriptor_left_all_of_them_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    machine = Machine(SheddingSettings())
    monkeypatch.setattr(os, "stat", refuse)
    monkeypatch.setattr(Path, "read_text", refuse)
    sample = machine.sample(0.0)
    assert sample.open_files >= sample.open_files_limit
    assert sample.memory_bytes == 0


def test_files_that_are_posted_are_slowed_while_time_is_short(
    run: Any, burden: Burden, tmp_path: Path
) -> None:
    async def story() -> None:
        ingest: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "plaintext": True}
        ingest["tokens"] = [{"name": "a", "token": "a-token-0123456789"}]
        async with Gateway(configuration(tmp_path, ingest=ingest)) as gateway:
            assert gateway.view.ingest is not None
            calls, pressure = gateway.view.ingest.calls, gateway.view.pressure
            assert not calls.is_strained()
            pressure.observe(_SAMPLE._replace(loop_lag_seconds=9.0), 0.0)
            assert calls.is_strained()

    run(story())


_SAMPLE = Sample(0.0, 0.0, 1.0, 0.0, 1, 0, 1, 0)
