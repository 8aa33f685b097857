"""The page that tries it without an account: every command of it, each a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from earhook.client import Block, Call, CallClosed, Gap, connect
from earhook.demo import speech
from integration.genesys.world import CHANNELS, Ear
from integration.test_serve import Served

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "try-without-an-account.md"
ADDED = """
[admin]
port = 0
[shedding]                          # the machine may have other tests to run
enabled = false
[[sinks]]
kind = "pcm-stream"
listen = "unix:pcm.sock"
"""


def snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@dataclass
class Desk:
    """Somebody at a terminal in a directory, where `earhook` is this very package."""

    directory: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        commands = self.directory / "bin"
        commands.mkdir()
        (commands / "earhook").write_text(f'#!/bin/sh\nexec {sys.executable} -m earhook "$@"\n')
        (commands / "earhook").chmod(0o755)
        self.environment |= {
            **os.environ,
            "PATH": f"{commands}:{os.environ['PATH']}",
            "NO_PROXY": "127.0.0.1,localhost",
        }

    async def start(self, *words: str, **more: Any) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *words, cwd=self.directory, env=self.environment, **more
        )

    async def run(self, commands: str) -> str:
        """What a shell prints that gets these commands and stops at the first that fails."""
        pipe = asyncio.subprocess.PIPE
        shell = await self.start("bash", "-ec", commands, stdout=pipe, stderr=pipe)
        out, err = await shell.communicate()
        assert shell.returncode == 0, (commands, out, err)
        return out.decode()


@asynccontextmanager
async def ending(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    """Ctrl-C at the end, which is to end it well."""
    try:
        yield
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20.0):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def platform(desk: Desk, command: str) -> AsyncIterator[None]:
    """The fake; what it says to export is exported."""
    process = await desk.start(*shlex.split(command), stdout=asyncio.subprocess.PIPE)
    async with ending(process):
        assert process.stdout is not None
        lines = [(await process.stdout.readline()).decode() for _ in range(4)]
        words = [line.removeprefix("export ").partition("  #")[0].strip() for line in lines]
        desk.environment |= dict(word.split("=", 1) for word in words)
        yield


@asynccontextmanager
async def gateway(desk: Desk, configuration: str) -> AsyncIterator[dict[str, Any]]:
    """`earhook serve` with a configuration, but on free ports; what it says when it has begun."""
    (desk.directory / "earhook.toml").write_text(configuration + ADDED)
    ports = ("--set", "media.port=0", "--set", "ingest.port=0")
    process = await desk.start("earhook", "serve", *ports, stderr=asyncio.subprocess.PIPE)
    async with ending(process):
        yield await Served(process).line("gateway.started")


@asynccontextmanager
async def heard(directory: Path) -> AsyncIterator[Ear]:
    """Somebody who listens to the gateway."""
    ear = Ear()
    async with connect(f"unix:{directory}/pcm.sock", gaps=True, events=True) as stream:

        async def listen() -> None:
            async for item in stream:
                ear.items.append(item)

        listening = asyncio.create_task(listen())
        yield ear
        listening.cancel()
        await asyncio.wait([listening])


def is_spoken(blocks: list[Block]) -> bool:
    """Whether each of them is what the shipped conversation has at its place."""
    spoken = replace(speech(), length_samples=None)
    return bool(blocks) and all(
        block.samples.tobytes()
        == spoken.pcm(CHANNELS.index(block.channel), block.position, len(block.samples))
        for block in blocks
    )


def closed(ear: Ear) -> list[Call]:
    """The calls that are over."""
    return [one.call for one in ear.items if isinstance(one, CallClosed)]


def gaps_of(ear: Ear) -> set[str]:
    """Why there are gaps, in any call."""
    return {one.reason for one in ear.items if isinstance(one, Gap)}


@pytest.mark.skipif(not shutil.which("openssl") or not shutil.which("curl"), reason="no commands")
def test_every_command_of_the_page_does_what_it_says(run: Any, until: Any, tmp_path: Path) -> None:
    certificate, fake, description, provisioning, call = snippets("sh")
    (configuration,) = snippets("toml")

    async def story() -> None:
        desk = Desk(tmp_path)
        await desk.run(certificate)
        async with platform(desk, fake):
            await desk.run(description)
            async with gateway(desk, configuration) as started:
                wanted = (tmp_path / "genesys.toml").read_text()
                for usual, port in (("8443", "media_port"), ("8444", "ingest_port")):
                    wanted = wanted.replace(usual, str(started[port]))
                (tmp_path / "genesys.toml").write_text(wanted)
                # The plan ends with 3: there is something to do.
                shown = await desk.run(provisioning.replace("plan\n", "plan || [ $? = 3 ]\n"))
                assert "ENABLED  earhook-posts" in shown
                async with heard(tmp_path) as ear:
                    # Whoever does it by hand is slower than audio; a program is not.
                    before, ending, after = call.partition('curl -s -X POST "$fake/$id/disc')
                    desk.environment["id"] = (await desk.run(f"{before}echo; echo $id")).split()[-1]
                    await until(lambda: gaps_of(ear) == {"paused", "missing"})
                    shown = await desk.run(before.splitlines()[0] + "\n" + ending + after)
                    await until(lambda: len(closed(ear)) == 2)
                assert shown.count(" complete ") == 2
                await desk.run("earhook genesys destroy --yes")
        by_socket, by_post = sorted(closed(ear), key=lambda one: one.codec, reverse=True)
        assert (by_socket.codec, by_post.codec) == ("PCMU", "OPUS")
        assert is_spoken(ear.of(by_socket.session_id, Block))
        assert any(block.samples.any() for block in ear.of(by_post.session_id, Block))
        for one, reason in ((by_socket, "paused"), (by_post, "missing")):
            assert {why for _, _, why in ear.gaps(one.session_id)} == {reason}
        assert by_socket.conversation_id == by_post.conversation_id

    run(story())
