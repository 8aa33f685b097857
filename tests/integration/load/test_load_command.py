"""`earhook load` against a gateway, and against servers that do not behave."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import secrets
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
import trustme
from typer.testing import CliRunner

from earhook.app import Gateway
from earhook.cli.exit_codes import INTERRUPTED
from earhook.cli.load import NO_MEASURE, app
from earhook.config.schema import Configuration
from earhook.errors import ConfigurationError

Run = Callable[[Coroutine[Any, Any, Any]], Any]
KEY, SECRET = secrets.token_urlsafe(16), base64.b64encode(secrets.token_bytes(32)).decode()
TOKEN = secrets.token_urlsafe(32)
PAYLOAD_KEY = base64.b64encode(secrets.token_bytes(16)).decode()
MEASURED = {0, NO_MEASURE}
"""Other tests may keep this machine busy: then it says so."""
RARE = ("--mix", "pause=50%,discard=50%,burst=50%,late=30%,abrupt=30%,probe=20%")


class Doors(NamedTuple):
    media: str
    ingest: str
    pcm: str


class Ended(NamedTuple):
    code: int | None
    report: dict[str, Any]
    output: str
    complaint: str


@asynccontextmanager
async def gateway(directory: Path, **media: Any) -> AsyncIterator[Doors]:
    pcm = f"unix:{directory}/pcm.sock"
    configuration = Configuration.model_validate(
        {
            "media": {"host": "127.0.0.1", "port": 0, **media},
            "ingest": {
                "host": "127.0.0.1", "port": 0, "plaintext": True,
                "tokens": [{"name": "load", "token": TOKEN}],
                "encryption_keys": [{"key_id": "load", "key": PAYLOAD_KEY}],
            },
            "admin": {"port": 0},
            "shedding": {"enabled": False},
            "keys": [{"api_key": KEY, "secrets": [SECRET]}],
            "sinks": [{"kind": "pcm-stream", "listen": pcm}],
        }
    )  # fmt: skip
    async with Gateway(configuration) as running:
        yield Doors(
            f"ws://localhost:{running.media_port}/audiohook",
            f"http://localhost:{running.ingest_port}/stream/v1/audiohook",
            pcm,
        )


async def begin(*arguments: str, token: str = TOKEN) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "earhook", "load", *arguments,
        env={
            "PATH": "/usr/bin", "COLUMNS": "160",
            "EARHOOK_API_KEY": KEY, "EARHOOK_SECRET": SECRET, "EARHOOK_TOKEN": token,
            "EARHOOK_PAYLOAD_KEY": PAYLOAD_KEY,
        },
        stdout=PIPE, stderr=PIPE,
    )  # fmt: skip


async def ended(process: Process) -> Ended:
    output, complaint = await process.communicate()
    report = orjson.loads(output) if output.startswith(b"{") else {}
    return Ended(process.returncode, report, output.decode(), complaint.decode())


async def load(*arguments: str, token: str = TOKEN) -> Ended:
    return await ended(await begin(*arguments, token=token))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--calls", "12", "--ramp", "0.5s", "--processes", "2", *RARE),
        ("--rate", "8", "--hold", "0.5s-1s", "--codec", "L16", "--frame-ms", "20"),
    ],
)
def test_every_sample_of_every_call_is_proved(
    run: Run, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    async def scenario() -> Ended:
        async with gateway(tmp_path) as doors:
            given = (*arguments, "--duration", "1.2s", "--verify", doors.pcm, "--seed", "5")
            return await load(doors.media, *given, "--json")

    done = run(scenario())
    report, counts = done.report, done.report["counts"]
    assert done.code in MEASURED, done
    assert report["ok"], done
    assert counts["due"] == counts["opened"] == counts["completed"] > 0
    samples = report["verified"]["samples"]
    assert samples["sent"] == 2 * counts["samples"] > 0
    assert samples["right"] == samples["sent"] - samples["cut_off"]
    assert report["verified"]["proved"] == report["verified"]["calls"] > 0
    assert report["latencies"]["end_to_end"]["count"] > 0
    assert report["latencies"]["opened"]["count"] == counts["opened"]
    if RARE[1] in arguments:
        assert counts["probes"] > 0
        assert counts["broken_off"] > 0
    assert KEY not in done.output + done.complaint
    assert SECRET not in done.output + done.complaint


SEALED = ("--payload-key-id", "load")
OPUS = ("--codec", "OPUS", "--frame-ms", "100")
OVER_HTTPS = {
    "mixed": (TOKEN, ("--mix", "burst=50%,late=50%,abrupt=25%,discard=50%,probe=25%")),
    "sealed stream": (TOKEN, ("--mix", "burst=50%", "--stream", "--codec", "L16", *SEALED)),
    "signed and sealed Opus": ("", (*OPUS, *SEALED, "--mix", "burst=50%,abrupt=25%")),
    "signed Opus stream": ("", (*OPUS, "--stream")),
}


def test_over_https_too(run: Run, tmp_path: Path) -> None:
    async def scenario() -> list[Ended]:
        async with gateway(tmp_path) as doors:
            given = ("--http", "--calls", "4", "--ramp", "0.2s", "--duration", "1s", "--seed", "2")
            common = (doors.ingest, *given, "--verify", doors.pcm, "--json")
            every = OVER_HTTPS.values()
            return [await load(*common, *own, token=token) for token, own in every]

    for name, done in zip(OVER_HTTPS, run(scenario()), strict=True):
        report, counts = done.report, done.report["counts"]
        assert done.code in MEASURED, (name, done)
        assert counts["completed"] == 4, (name, done)
        samples, proved = report["verified"]["samples"], report["verified"]["proved"]
        assert samples["sent"] == 2 * counts["samples"] > 0, name
        assert samples["right"] == samples["sent"] - samples["cut_off"], name
        assert proved == report["verified"]["calls"] == 4 - counts["probes"], name
        assert report["latencies"]["connect" if "stream" in name else "block"]["count"] > 0, name
        if name == "mixed":
            assert counts["probes"] + counts["broken_off"] > 0


def test_tables_and_files_for_people(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "load.hlog"

    async def scenario() -> Ended:
        async with gateway(tmp_path) as doors:
            given = ("--calls", "2", "--duration", "1s", "--hlog", str(log))
            heard = ("--source", "speech", "--channels", "1", "--verify", doors.pcm)
            return await load(doors.media, *given, *heard, "--fail-if", "opened.p99>30s")

    done = run(scenario())
    assert done.code in MEASURED, done
    for word in ("2 opened", "p99.9", "end to end", "2  of 2 calls, sample for sample"):
        assert word in done.output, done.output
    assert "Tag=opened," in log.read_text()


def test_refusals_are_counted_by_kind(run: Run, tmp_path: Path) -> None:
    async def scenario() -> list[Ended]:
        async with gateway(tmp_path, max_calls=2) as doors:
            given = ("--calls", "6", "--duration", "1s", "--json")
            full = await load(doors.media, *given)
            others = await asyncio.gather(
                load(doors.media, *given, "--api-key", "nobody"),
                load("ws://127.0.0.1:1/audiohook", *given),
                load(doors.media, *given, "--verify", "tcp:127.0.0.1:1"),
            )
            return [full, *others]

    full, wrong, gone, unheard = run(scenario())
    assert unheard.code == 1, "what cannot be verified is not begun"
    assert "--verify tcp:127.0.0.1:1" in unheard.complaint
    assert [one.code for one in (full, wrong, gone)] == [3, 3, 3]
    assert full.report["counts"]["completed"] == 2
    assert full.report["failures"] == {"connect: HTTP 503": 4}
    assert full.report["crossed"] == ["failed>0"]
    assert wrong.report["failures"] == {"connect: HTTP 401": 6}
    assert gone.report["failures"] == {"connect: unreachable": 6}


def test_sessions_of_tls_are_resumed_on_demand(
    run: Run, tmp_path: Path, certificate_authority: trustme.CA
) -> None:
    authority, issued = tmp_path / "ca.crt", certificate_authority.issue_cert("localhost")
    certificate_authority.cert_pem.write_to_path(str(authority))
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    tls = {"certificate": tmp_path / "server.pem", "private_key": tmp_path / "server.pem"}

    async def scenario() -> list[Ended]:
        async with gateway(tmp_path, tls=tls) as doors:
            given = ("--calls", "4", "--ramp", "0.4s", "--duration", "0.2s", "--json")
            url = doors.media.replace("ws:", "wss:")
            common = (url, *given, "--cafile", str(authority))
            return await asyncio.gather(load(*common), load(*common, "--resume-tls"))

    anew, resumed = (done.report["counts"] for done in run(scenario()))
    assert (anew["completed"], anew["resumed"]) == (4, 0)
    assert resumed["completed"] == 4
    assert 1 <= resumed["resumed"] <= 3, "the first has nothing to resume"


def test_a_server_whose_frames_cannot_be_read_is_told_so_once_each(run: Run) -> None:
    async def scenario() -> Ended:
        async with await asyncio.start_server(_break_frames, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            shape = "--calls", "3", "--ramp", "0s", "--duration", "1s"
            return await load(f"ws://localhost:{port}/", *shape, "--json")

    done = run(scenario())
    [(kind, count)] = done.report["failures"].items()
    assert count == 3
    assert kind.startswith("WebSocket: "), kind
    assert not done.complaint, "nothing but the report"


async def _break_frames(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Upgrades, then sends a length in a longer form than it needs (RFC 6455 §5.2)."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    [key] = [line[19:] for line in head.splitlines() if line.startswith("Sec-WebSocket-Key")]
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n\r\n\x81\x7e\x00\x02{}" % base64.b64encode(digest)
    )
    await reader.read()
    writer.close()


def test_a_server_that_stalls_is_measured_from_when_blocks_were_due(run: Run) -> None:
    """Three blocks fall due while nothing is answered. Asked one after the other, only the first
    would look slow; all three are."""
    stall_seconds = 0.7

    async def scenario() -> Ended:
        server = _Staller(stall_seconds)
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            shape = "--calls", "5", "--ramp", "0s", "--duration", "1.1s", "--frame-ms", "200"
            return await load(f"http://127.0.0.1:{port}/", "--http", *shape, "--json")

    report = run(scenario()).report
    block = report["latencies"]["block"]
    assert report["counts"]["completed"] == 5
    assert block["count"] == report["counts"]["frames"] >= 5 * 5
    assert block["milliseconds"]["max"] >= stall_seconds * 1000 - 50
    assert block["milliseconds"]["p50"] >= 50, "the median block fell due within the stall too"


class _Staller:
    """Answers blocks, but none within so long after the first one."""

    def __init__(self, stall_seconds: float) -> None:
        self._stall_seconds = stall_seconds
        self._released: asyncio.Future[None] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        if self._released is None:
            self._released = released = loop.create_future()
            loop.call_later(self._stall_seconds, released.set_result, None)
        octets = 0
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split()[0])
                octets += len(await reader.readexactly(length))
                await asyncio.shield(self._released)
                body = orjson.dumps({"total_samples": octets // 2})
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def test_ctrl_c_hangs_up_and_still_reports(run: Run, tmp_path: Path) -> None:
    async def scenario() -> Ended:
        async with gateway(tmp_path) as doors:
            process = await begin(doors.media, "--calls", "2", "--duration", "1h")
            assert process.stderr is not None
            await process.stderr.readline()  # it runs
            # A terminal tells the whole group; here each one is told by its number.
            for pid in (*children_of(process.pid), process.pid):
                os.kill(pid, signal.SIGINT)
            return await ended(process)

    done = run(scenario())
    assert done.code == INTERRUPTED, done
    assert "2 went as they should" in done.output


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("ws://localhost/",), "--calls"),
        (("http://localhost/", "--calls", "1"), "ws://"),
        (("ws://localhost/", "--calls", "1", "--mix", "sleep=1%"), "--mix"),
        (("ws://localhost/", "--calls", "1", "--fail-if", "beauty<1"), "--fail-if"),
        (("ws://localhost/", "--calls", "1", "--stream"), "--stream"),
        (("http://localhost/", "--calls", "1", "--http", "--mix", "pause=1%"), "--mix"),
        (("http://h/", "--calls", "1", "--http", "--stream", "--mix", "discard=1%"), "--mix"),
        (("ws://localhost/", "--calls", "1", "--codec", "OPUS"), "--codec"),
        (("http://h/", "--calls", "1", "--http", *OPUS, "--frame-ms", "50"), "--frame-ms"),
        (("http://h/", "--calls", "1", "--http", *OPUS, "--channels", "1"), "--source"),
        (("http://h/", "--calls", "1", "--http", *OPUS, "--source", "/etc/passwd"), "--source"),
        (("ws://localhost/", "--calls", "1", "--payload-key-id", "k"), "--payload-key-id"),
    ],
)
def test_faults_of_the_command_line_are_told_at_once(arguments: tuple[str, ...], word: str) -> None:
    told = CliRunner().invoke(app, arguments)
    assert isinstance(told.exception, ConfigurationError)
    assert word in str(told.exception)
