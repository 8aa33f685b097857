"""`earhook load` against a gateway, and against servers that do not behave."""

from __future__ import annotations

import asyncio
import base64
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
from typer.testing import CliRunner

from earhook.app import Gateway
from earhook.cli.load import INTERRUPTED, NO_MEASURE, app
from earhook.config.schema import Configuration
from earhook.errors import ConfigurationError

Run = Callable[[Coroutine[Any, Any, Any]], Any]
KEY, SECRET = secrets.token_urlsafe(16), base64.b64encode(secrets.token_bytes(32)).decode()
TOKEN = secrets.token_urlsafe(32)
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
            },
            "admin": {"port": 0},
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


async def begin(*arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "earhook", "load", *arguments,
        env={
            "PATH": "/usr/bin", "COLUMNS": "160",
            "EARHOOK_API_KEY": KEY, "EARHOOK_SECRET": SECRET, "EARHOOK_TOKEN": TOKEN,
        },
        stdout=PIPE, stderr=PIPE,
    )  # fmt: skip


async def ended(process: Process) -> Ended:
    output, complaint = await process.communicate()
    report = orjson.loads(output) if output.startswith(b"{") else {}
    return Ended(process.returncode, report, output.decode(), complaint.decode())


async def load(*arguments: str) -> Ended:
    return await ended(await begin(*arguments))


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


def test_over_https_too(run: Run, tmp_path: Path) -> None:
    async def scenario() -> list[Ended]:
        async with gateway(tmp_path) as doors:
            given = ("--http", "--calls", "4", "--duration", "1.2s", "--verify", doors.pcm)
            mixed = (doors.ingest, *given, "--mix", "burst=50%,late=50%,abrupt=25%", "--json")
            return await asyncio.gather(load(*mixed), load(*mixed, "--stream", "--codec", "L16"))

    blocks, stream = run(scenario())
    for done, timed in ((blocks, "block"), (stream, "connect")):
        assert done.code in MEASURED, done
        assert done.report["counts"]["completed"] == 4
        samples = done.report["verified"]["samples"]
        assert samples["sent"] == 2 * done.report["counts"]["samples"] > 0
        assert samples["right"] == samples["sent"] - samples["cut_off"]
        assert done.report["latencies"][timed]["count"] > 0


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
    ],
)
def test_faults_of_the_command_line_are_told_at_once(arguments: tuple[str, ...], word: str) -> None:
    told = CliRunner().invoke(app, arguments)
    assert isinstance(told.exception, ConfigurationError)
    assert word in str(told.exception)
