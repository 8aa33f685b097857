"""A gateway of several processes for tests: none of them outlives its test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from earhook.testing.peer import CallPeer, CallPlan
from integration.test_serve import Served, served

START_SECONDS = 60.0
"""Five processes start, maybe on a machine that does a lot besides."""
WORKER = "earhook.workers.worker"


class Crowd:
    """What its operator sees of it."""

    def __init__(self, gateway: Served, started: dict[str, Any]) -> None:
        self.gateway = gateway
        self.pid = gateway.process.pid
        self.admin_port: int = started["admin_port"]
        self.media_port: int = started["media_port"]
        self.url = f"ws://127.0.0.1:{self.media_port}/audiohook"

    def workers(self) -> list[int]:
        """Processes of workers, those that wait for a slot included."""
        return [pid for pid in self.children() if WORKER in command_of(pid)]

    def children(self) -> list[int]:
        return children_of(self.pid)

    def count(self, event: str, **keys: object) -> int:
        """Lines of an event so far."""
        return len(self.lines(event, **keys))

    def lines(self, event: str, **keys: object) -> list[dict[str, Any]]:
        lines = self.gateway.lines
        return [line for line in lines if line["event"] == event and keys.items() <= line.items()]

    def serving(self, slot: int) -> int:
        """The process that serves at a slot: of the last line that says so."""
        return int(self.lines("worker.serving", worker=slot)[-1]["pid"])

    async def line(self, event: str, seconds: float = START_SECONDS, **keys: object) -> Any:
        """The first line of that event with those keys, when it has come."""
        return await self.gateway.line(event, seconds, **keys)

    async def comes(self, condition: Callable[[], object], seconds: float = START_SECONDS) -> None:
        """Wait until a line makes a condition true."""
        async with asyncio.timeout(seconds):
            while not condition():
                await self.gateway.grown()

    def signal(self, number: int) -> None:
        """To the parent alone."""
        self.gateway.process.send_signal(number)

    async def ended(self, seconds: float = START_SECONDS) -> int:
        """The exit code, when every process that has our standard error has ended."""
        return await self.gateway.exit_code(seconds)

    async def call(self, plan: CallPlan) -> CallPeer:
        """A call that is open."""
        peer = await CallPeer.connect(self.url, plan)
        await peer.opened()
        return peer


@asynccontextmanager
async def crowd(directory: Path, extra: str = "", **environment: str) -> AsyncIterator[Crowd]:
    """Run `earhook serve` with two workers on free ports, and kill whatever is left of it."""
    environment = {"EARHOOK__WORKERS__COUNT": "2", "TMPDIR": str(directory), **environment}
    environment["XDG_RUNTIME_DIR"] = ""
    # Not what these tests are about: others may use the machine.
    environment.setdefault("EARHOOK__SHEDDING__ENABLED", "false")
    seen: set[int] = set()
    async with served(directory, extra, **environment) as gateway:
        try:
            yield Crowd(gateway, await gateway.line("gateway.started", START_SECONDS))
        finally:
            seen.update(children_of(gateway.process.pid))
            seen.update(line["pid"] for line in gateway.lines if "pid" in line)
            with contextlib.suppress(ProcessLookupError):
                gateway.process.kill()
            for pid in seen:
                if "earhook.workers" in command_of(pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)


def left_in(directory: Path) -> list[Path]:
    """Private directories that nobody has removed."""
    return list(directory.glob("earhook-*"))


def children_of(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def command_of(pid: int) -> str:
    """Its command line; empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
