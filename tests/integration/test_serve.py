"""`earhook serve` as a process: ready, drained by SIGTERM, reloaded by SIGHUP."""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
import os
import signal
import socket
import ssl
import sys
import time
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from earhook.testing.peer import CallPeer, CallPlan
from earhook.testing.peer_setup import PeerCredential
from earhook.testing.sources import Source

API_KEY = "canary-key-51aa"
SECRET = b"canary-secret-0123456789abcdef!!"
TOKEN = "canary-token-c0ffee"


class Served:
    """A gateway in a process of its own, and what it logs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.text = ""
        self._grown = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            async with self._grown:
                self.text += line.decode()
                if line.startswith(b"{"):
                    self.lines.append(json.loads(line))
                self._grown.notify_all()
        async with self._grown:
            self._grown.notify_all()

    async def line(self, event: str, seconds: float = 15.0, **keys: object) -> dict[str, Any]:
        """The first line of that event with those keys, when it has come."""

        def found() -> dict[str, Any] | None:
            for line in self.lines:
                if line["event"] == event and keys.items() <= line.items():
                    return line
            return None

        async with asyncio.timeout(seconds), self._grown:
            await self._grown.wait_for(lambda: found() or self._reading.done())
        line = found()
        assert line is not None, f"no {event} in\n{self.text}"
        return line

    async def grown(self) -> None:
        """Wait for the next line."""
        async with self._grown:
            await self._grown.wait()

    async def exit_code(self, seconds: float = 15.0) -> int:
        async with asyncio.timeout(seconds):
            code = await self.process.wait()
            await self._reading
        return code


@asynccontextmanager
async def served(
    directory: Path, extra: str = "", *, directly: bool = False, **environment: str
) -> AsyncIterator[Served]:
    """Run `earhook serve` on free ports with one key, and kill what is left of it.

    `directly`: in the directory, so that it finds the file by itself.
    """
    (directory / "earhook.toml").write_text(
        f"""\
[media]
host = "127.0.0.1"
port = 0
[admin]
port = 0
[[keys]]
name = "test"
api_key_file = "api-key"
secret_files = ["secret"]
[[sinks]]
kind = "pcm-stream"
listen = "unix:pcm.sock"
[[sinks]]
kind = "recording"
directory = "recordings"
{extra}
"""
    )
    for name, content in (("api-key", API_KEY.encode()), ("secret", base64.b64encode(SECRET))):
        (directory / name).write_bytes(content)
        (directory / name).chmod(0o600)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "earhook", "serve"),
        *(() if directly else ("--config", str(directory / "earhook.toml"))),
        cwd=directory if directly else None,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    gateway = Served(process)
    try:
        yield gateway
    finally:
        if process.returncode is None:
            process.kill()
        await gateway.exit_code()


async def get(port: int, path: str, **headers: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as client:
        async with client.get(f"http://127.0.0.1:{port}{path}", headers=headers) as answer:
            return answer.status, await answer.text()


async def ready(port: int) -> int:
    """The status of `/readyz`; 0 while nobody listens."""
    try:
        return (await get(port, "/readyz"))[0]
    except aiohttp.ClientConnectionError:
        return 0


def plan(seed: str) -> CallPlan:
    return CallPlan(source=Source.random(seed), credential=PeerCredential(API_KEY, SECRET))


def install(certificate: trustme.LeafCert, directory: Path) -> None:
    """Put certificate and key where `[media.tls]` of these tests looks for them."""
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    (directory / "server.crt").write_bytes(chain)
    (directory / "server.key").write_bytes(certificate.private_key_pem.bytes())


async def serial_number(port: int, authority: trustme.CA) -> int:
    """The certificate that a new connection is shown."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    shown = writer.get_extra_info("peercert")
    writer.close()
    return int(shown["serialNumber"], 16)


def recorded_samples(directory: Path) -> int:
    """The length of the one recording there."""
    (recording,) = directory.glob("**/*.wav")
    with wave.open(str(recording)) as written:
        return written.getnframes()


TLS = '[media.tls]\ncertificate = "server.crt"\nprivate_key = "server.key"'


def test_it_becomes_ready_and_an_idle_one_ends_at_once(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as gateway:
            port = (await gateway.line("gateway.started"))["admin_port"]
            assert await get(port, "/livez") == (200, "live\n")
            assert await get(port, "/readyz") == (200, "ready\n")
            gateway.process.send_signal(signal.SIGTERM)
            assert await gateway.exit_code(5.0) == 0
            await gateway.line("gateway.stage", stage="stopped")

    run(story())


def test_the_admin_port_shows_calls_sinks_and_figures(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as gateway:
            started = await gateway.line("gateway.started")
            port, url = started["admin_port"], f"ws://127.0.0.1:{started['media_port']}/audiohook"
            async with CallPeer.dial(url, plan("a")) as peer:
                await peer.opened()
                await peer.reached(1600)
                _, text = await get(port, "/api/v1/calls")
                (call,) = json.loads(text)["calls"]
                assert call["session"] == peer.setup.session_id
                assert call["codec"] == "PCMU"
                assert "participant" not in text
                _, text = await get(port, "/metrics")
                assert "\nearhook_calls 1.0\n" in text
                assert 'earhook_sink_received_samples_total{sink="pcm-stream"}' in text
                status, text = await get(port, "/readyz?verbose")
                assert status == 200
                assert "[+] sink:pcm-stream" in text
                _, text = await get(port, "/api/v1/sinks")
                assert json.loads(text)["sinks"][0]["name"] == "pcm-stream"
            closed = await gateway.line("call.closed")
            assert closed["balanced"] is True
            for path in ("/nope", "/api/v1/calls?limit=x", "/api/v1/calls?limit=1001"):
                assert (await get(port, path))[0] in {400, 404}
            assert (await get(port, "/metrics", Host="evil.example"))[0] == 403

    run(story())


def test_a_token_guards_all_but_plain_health(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path, EARHOOK__ADMIN__TOKEN=TOKEN) as gateway:
            port = (await gateway.line("gateway.started"))["admin_port"]
            for path in ("/livez", "/readyz"):
                assert (await get(port, path))[0] == 200
            for path in ("/readyz?verbose", "/metrics", "/api/v1/calls", "/api/v1/sinks"):
                assert (await get(port, path))[0] == 401
                assert (await get(port, path, Authorization=f"Bearer {TOKEN}x"))[0] == 401
                assert (await get(port, path, Authorization=f"Bearer {TOKEN}"))[0] == 200

    run(story())


def test_sigterm_lets_a_call_end_and_admits_no_other(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as gateway:
            started = await gateway.line("gateway.started")
            port, url = started["admin_port"], f"ws://127.0.0.1:{started['media_port']}/audiohook"
            async with CallPeer.dial(url, plan("a")) as peer:
                await peer.opened()
                gateway.process.send_signal(signal.SIGTERM)
                await gateway.line("gateway.stage", stage="draining")
                assert await get(port, "/readyz") == (503, "not ready: stage\n")
                with pytest.raises(Exception, match="503"):
                    await CallPeer.connect(url, plan("b"))
                await peer.reached(peer.position + 1600)  # the call goes on
            assert await gateway.exit_code(5.0) == 0
            assert (await gateway.line("call.closed"))["balanced"] is True

    run(story())


def test_after_the_grace_calls_are_disconnected(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        drain = "[drain]\ngrace_seconds = 0.2\ndisconnect_seconds = 0.2"
        async with served(tmp_path, drain) as gateway:
            port = (await gateway.line("gateway.started"))["media_port"]
            peer = await CallPeer.connect(f"ws://127.0.0.1:{port}/audiohook", plan("a"))
            await peer.opened()
            gateway.process.send_signal(signal.SIGTERM)
            await peer.finished()
            assert await gateway.exit_code(5.0) == 0
            await gateway.line("gateway.stage", stage="disconnecting")
            assert (await gateway.line("call.closed"))["balanced"] is True

    run(story())


def test_a_second_sigterm_ends_within_two_seconds_with_the_books_closed(
    run: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        async with served(tmp_path) as gateway:
            port = (await gateway.line("gateway.started"))["media_port"]
            peer = await CallPeer.connect(f"ws://127.0.0.1:{port}/audiohook", plan("a"))
            await peer.reached(1600)
            gateway.process.send_signal(signal.SIGTERM)
            await gateway.line("gateway.stage", stage="draining")
            began = time.monotonic()
            gateway.process.send_signal(signal.SIGTERM)
            assert await gateway.exit_code(2.0) == 0
            assert time.monotonic() - began < 2.0
            closed = await gateway.line("call.closed")
            assert closed["balanced"] is True
            assert closed["sinks"]["recording"]["forwarded"] == closed["written"] > 0
            assert recorded_samples(tmp_path / "recordings") == closed["written"]
            peer.abort()

    run(story())


def test_sighup_changes_the_certificate_under_a_live_call(
    run: Any, tmp_path: Path, certificate_authority: trustme.CA
) -> None:
    async def story() -> None:
        install(certificate_authority.issue_cert("localhost", "127.0.0.1"), tmp_path)
        async with served(tmp_path, TLS) as gateway:
            port = (await gateway.line("gateway.started"))["media_port"]
            context = ssl.create_default_context()
            certificate_authority.configure_trust(context)
            url = f"wss://127.0.0.1:{port}/audiohook"
            async with CallPeer.dial(url, plan("a"), context) as peer:
                await peer.opened()
                before = await serial_number(port, certificate_authority)
                renewed = certificate_authority.issue_cert("localhost", "127.0.0.1")
                install(renewed, tmp_path)
                gateway.process.send_signal(signal.SIGHUP)
                await gateway.line("reload.done")
                assert await serial_number(port, certificate_authority) != before
                await peer.reached(peer.position + 1600)

    run(story())


def mismatched(authority: trustme.CA, directory: Path) -> None:
    install(authority.issue_cert("localhost", "127.0.0.1"), directory)
    other = authority.issue_cert("localhost", "127.0.0.1")
    (directory / "server.key").write_bytes(other.private_key_pem.bytes())


def expired(authority: trustme.CA, directory: Path) -> None:
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    install(authority.issue_cert("localhost", "127.0.0.1", not_after=past), directory)


def missing(_authority: trustme.CA, directory: Path) -> None:
    (directory / "server.crt").unlink()


def bad_secret(_authority: trustme.CA, directory: Path) -> None:
    (directory / "secret").write_text("not base64!")


def bad_configuration(_authority: trustme.CA, directory: Path) -> None:
    with (directory / "earhook.toml").open("a") as file:
        file.write("\n[medai]\nport = 1\n")


@pytest.mark.parametrize("harm", [mismatched, expired, missing, bad_secret, bad_configuration])
def test_a_bad_reload_changes_nothing_and_says_why(
    run: Any,
    tmp_path: Path,
    certificate_authority: trustme.CA,
    harm: Callable[[trustme.CA, Path], None],
) -> None:
    async def story() -> None:
        install(certificate_authority.issue_cert("localhost", "127.0.0.1"), tmp_path)
        async with served(tmp_path, TLS) as gateway:
            started = await gateway.line("gateway.started")
            port = started["media_port"]
            before = await serial_number(port, certificate_authority)
            harm(certificate_authority, tmp_path)
            gateway.process.send_signal(signal.SIGHUP)
            refused = await gateway.line("reload.refused")
            assert refused["faults"]
            assert await serial_number(port, certificate_authority) == before
            context = ssl.create_default_context()
            certificate_authority.configure_trust(context)
            url = f"wss://127.0.0.1:{port}/audiohook"
            async with CallPeer.dial(url, plan("a"), context) as peer:
                await peer.opened()
            _, text = await get(started["admin_port"], "/metrics")
            assert 'earhook_reloads_total{reason="bad"} 1.0' in text

    run(story())


def test_sighup_takes_a_secret_out_of_service(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as gateway:
            port = (await gateway.line("gateway.started"))["media_port"]
            url = f"ws://127.0.0.1:{port}/audiohook"
            (tmp_path / "secret").write_text(base64.b64encode(b"another secret, 32 bytes").decode())
            gateway.process.send_signal(signal.SIGHUP)
            await gateway.line("reload.done")
            with pytest.raises(Exception, match="401"):
                await CallPeer.connect(url, plan("a"))

    run(story())


def test_no_secret_shows_in_logs_errors_or_figures(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path, EARHOOK__ADMIN__TOKEN=TOKEN) as gateway:
            started = await gateway.line("gateway.started")
            port, url = started["admin_port"], f"ws://127.0.0.1:{started['media_port']}/audiohook"
            async with CallPeer.dial(url, plan("a")) as peer:
                await peer.opened()
            bearer = f"Bearer {TOKEN}"
            paths = ("/metrics", "/api/v1/calls", "/api/v1/sinks", "/readyz?verbose", "/x")
            bodies = [(await get(port, path))[1] for path in paths]
            bodies += [(await get(port, path, Authorization=bearer))[1] for path in paths]
            gateway.process.send_signal(signal.SIGHUP)
            await gateway.line("reload.done")
            gateway.process.send_signal(signal.SIGTERM)
            assert await gateway.exit_code() == 0
            shown = gateway.text + "".join(bodies)
            for secret in (API_KEY, SECRET.decode(), base64.b64encode(SECRET).decode(), TOKEN):
                assert secret not in shown

    run(story())


def test_faults_are_a_list_and_exit_code_1(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        extra = "[medai]\nport = 1\n[drain]\ngrace_seconds = -1"
        async with served(tmp_path, extra) as gateway:
            assert await gateway.exit_code() == 1
            assert "2 faults to correct" in gateway.text
            assert "did you mean 'media'?" in gateway.text
            assert "Traceback" not in gateway.text

    run(story())


def test_a_port_that_is_taken_is_told_for_every_room_at_once(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as first,
            socket.create_server(("127.0.0.1", 0)) as second,
        ):
            ports = [str(taken.getsockname()[1]) for taken in (first, second)]
            taken = {"EARHOOK__ADMIN__PORT": ports[0], "EARHOOK__MEDIA__PORT": ports[1]}
            async with served(tmp_path, **taken) as gateway:
                assert await gateway.exit_code() == 1
                assert "2 faults to correct" in gateway.text
                assert all(f":{port}" in gateway.text for port in ports)
                assert "Traceback" not in gateway.text
                line = await gateway.line("gateway.not_started")
                assert len(line["faults"]) == 2

    run(story())


@pytest.mark.parametrize("content", [None, "[media]\nport = 0\n"])
def test_a_reload_that_would_leave_no_key_is_refused(
    run: Any, tmp_path: Path, content: str | None
) -> None:
    async def story() -> None:
        async with served(tmp_path, directly=True) as gateway:
            started = await gateway.line("gateway.started")
            file = tmp_path / "earhook.toml"
            file.unlink() if content is None else file.write_text(content)
            gateway.process.send_signal(signal.SIGHUP)
            await gateway.line("reload.refused")
            async with CallPeer.dial(
                f"ws://127.0.0.1:{started['media_port']}/audiohook", plan("a")
            ) as peer:
                await peer.opened()
            _, text = await get(started["admin_port"], "/metrics")
            assert "earhook_reload_good 0.0" in text
            _, text = await get(started["admin_port"], "/readyz?verbose")
            assert "[+] reload: the last one was refused" in text

    run(story())


def test_a_reload_names_what_only_a_restart_changes_and_who_may_read_secrets(
    run: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        async with served(tmp_path) as gateway:
            await gateway.line("gateway.started")
            file = tmp_path / "earhook.toml"
            file.write_text(file.read_text() + "\n[ring]\nseconds = 3.0\n")
            (tmp_path / "secret").chmod(0o644)
            gateway.process.send_signal(signal.SIGHUP)
            needs = await gateway.line("reload.needs_restart")
            assert needs["settings"] == ["ring.seconds"]
            exposed = await gateway.line("secret.exposed")
            assert exposed["file"] == str(tmp_path / "secret")

    run(story())


def test_a_drain_says_how_long_it_may_take(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path, "[drain]\ngrace_seconds = 77") as gateway:
            started = await gateway.line("gateway.started")
            url = f"ws://127.0.0.1:{started['media_port']}/audiohook"
            async with CallPeer.dial(url, plan("a")) as peer:
                await peer.opened()
                gateway.process.send_signal(signal.SIGTERM)
                line = await gateway.line("gateway.stage", stage="draining")
                assert 76 < line["at_most_seconds"] <= 77

    run(story())


def test_it_serves_with_its_standard_streams_closed(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with served(tmp_path) as found:
            port = (await found.line("gateway.started"))["admin_port"]
        # The port was free a moment ago, and there is no output to read another one from.
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", sys.executable),
            *("-m", "earhook", "serve", "--config", str(tmp_path / "earhook.toml")),
            *("--set", f"admin.port={port}"),
        )
        try:
            async with asyncio.timeout(15.0):
                while await ready(port) != 200:
                    assert process.returncode is None
            streams = [Path(f"/proc/{process.pid}/fd/{number}") for number in range(3)]
            assert [stream.readlink() for stream in streams] == [Path(os.devnull)] * 3
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(5.0):
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    run(story())


def test_every_file_that_is_missing_is_told_at_once(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        extra = """[media.tls]
certificate = "no.crt"
private_key = "no.key"
[[keys]]
api_key_file = "no.api-key"
unsigned = true
"""
        missing = {"EARHOOK__ADMIN__TOKEN_FILE": str(tmp_path / "no.token")}
        async with served(tmp_path, extra, **missing) as gateway:
            assert await gateway.exit_code() == 1
            for name in ("no.crt", "no.api-key", "no.token"):
                assert name in gateway.text

    run(story())
