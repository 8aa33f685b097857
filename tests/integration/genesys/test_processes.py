"""The whole way by commands, each a process: keys, gateway, platform, apply, calls, destroy."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import trustme

from earhook.client import Block, connect
from earhook.demo import speech
from integration.genesys.world import CHANNELS, Ear
from integration.test_serve import TLS, install, served

TOKEN = "0123456789abcdef" * 3
INGEST = """\
[ingest]
host = "127.0.0.1"
port = 0
[[ingest.tokens]]
name = "platform"
token_file = "token"
[[ingest.encryption_keys]]
key_id = "posted"
key_file = "keys/payload"
[[keys]]
name = "platform"
api_key_file = "keys/api-key"
secret_files = ["keys/secret"]
"""


def describe(directory: Path, media_port: int, ingest_port: int, queue_id: str) -> None:
    (directory / "genesys.toml").write_text(
        f"""\
monitored_queues = [{json.dumps(queue_id)}]
[[integrations]]
name = "monitored"
connection_uri = "wss://localhost:{media_port}/audiohook"
api_key_file = "keys/api-key"
client_secret_file = "keys/secret"
[[audiohooks]]
name = "posted"
destination_url = "https://localhost:{ingest_port}/stream/v1/audiohook"
format = "PCMU"
encryption_key_file = "keys/payload"
"""
    )


@dataclass
class Desk:
    """Somebody at a terminal, in a directory."""

    directory: Path
    environment: dict[str, str]

    async def earhook(self, *words: str) -> dict[str, Any]:
        """What a command prints as JSON."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "earhook", "genesys", *words, "--json"),
            cwd=self.directory,
            env={**os.environ, **self.environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, (words, out, err)
        shown: dict[str, Any] = json.loads(out)
        return shown

    async def play(self, path: str, body: Any = None) -> dict[str, Any]:
        """Play the platform."""
        url = f"{self.environment['EARHOOK_GENESYS_URL']}/fake/{path}"
        async with aiohttp.ClientSession() as client, client.post(url, json=body) as answer:
            assert answer.status == 200
            shown: dict[str, Any] = await answer.json()
            return shown


@asynccontextmanager
async def fake_platform(directory: Path) -> AsyncIterator[dict[str, str]]:
    """`earhook genesys fake`, and what it says to export."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "earhook", "genesys", "fake"),
        *("--cafile", "ca", "--token-file", "token"),
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        lines = [(await process.stdout.readline()).decode().strip() for _ in range(4)]
        words = [line.removeprefix("export ").partition("  #")[0] for line in lines]
        yield {**dict(word.split("=", 1) for word in words), "NO_PROXY": "127.0.0.1,localhost"}
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(10.0):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def is_spoken(ear: Ear, session: str) -> bool:
    """Whether each block of a session is what the shipped conversation has at its place."""
    spoken, blocks = replace(speech(), length_samples=None), ear.of(session, Block)
    return bool(blocks) and all(
        block.samples.tobytes()
        == spoken.pcm(CHANNELS.index(block.channel), block.position, len(block.samples))
        for block in blocks
    )


def test_from_an_empty_directory_to_audio_and_back(
    run: Any, until: Any, tmp_path: Path, certificate_authority: trustme.CA
) -> None:
    install(certificate_authority.issue_cert("localhost"), tmp_path)
    certificate_authority.cert_pem.write_to_path(tmp_path / "ca")
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)
    describe(tmp_path, 1, 1, "queue")
    trusting = ("--endpoint-cafile", "ca")

    async def story() -> None:
        made = await Desk(tmp_path, {}).earhook("keys")
        assert len(made["made"]) == 3
        async with (
            served(tmp_path, f"{TLS}\n{INGEST}") as gateway,
            fake_platform(tmp_path) as told,
        ):
            started = await gateway.line("gateway.started")
            describe(tmp_path, started["media_port"], started["ingest_port"], told["QUEUE"])
            desk = Desk(tmp_path, told)
            applied = await desk.earhook("apply", "--watch-seconds", "2", *trusting)
            assert applied["well"], applied
            await streamed(desk)
            assert (await desk.earhook("destroy", "--yes"))["gone"]

    async def streamed(desk: Desk) -> None:
        ear = Ear()
        async with connect(f"unix:{tmp_path}/pcm.sock", gaps=True, events=True) as stream:

            async def listen() -> None:
                async for item in stream:
                    ear.items.append(item)

            listening = asyncio.create_task(listen())
            await converse(desk, ear)
            listening.cancel()
            await asyncio.wait([listening])

    async def converse(desk: Desk, ear: Ear) -> None:
        queue = {"queueId": desk.environment["QUEUE"], "state": "connected"}
        conversation = (await desk.play("conversations", queue))["id"]
        assert (await desk.earhook("bind", conversation))["audiohook"] == "posted"
        await until(lambda: len({one.call.session_id for one in ear.items}) == 2)
        await desk.earhook("pause", conversation)
        await desk.earhook("resume", conversation)
        ended = await desk.play(f"conversations/{conversation}/disconnect")
        monitored, posted = ended["streams"]
        assert [one["of"] for one in ended["streams"]] == ["monitored", "posted"]
        await until(lambda: all(ear.is_over(one["sessionId"]) for one in ended["streams"]))
        for one, reason in ((monitored, "paused"), (posted, "missing")):
            assert is_spoken(ear, one["sessionId"])
            assert {gap_reason for _, _, gap_reason in ear.gaps(one["sessionId"])} == {reason}

    run(story())
