"""Worker processes that share their sessions, each with an ingest port of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import wave
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from earhook.control.board import Board
from earhook.control.claims import Claims
from earhook.control.replay_store import ReplayStore
from earhook.testing.http_sender import HttpConnection

from .asking import PATH

TOKEN = "a-token-of-a-sender"
DEADLINE_SECONDS = 20.0


class Crew:
    """What a parent has: the tables, the directory, and the processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.claims = Claims.create(1000)
        self._board = Board.create()
        self._replay = ReplayStore.create(100)
        self._directory = folder / "private"
        self._directory.mkdir(mode=0o700)
        self.processes: dict[int, subprocess.Popen[str]] = {}
        self._ports: dict[int, int] = {}
        self._connections: list[HttpConnection] = []

    def start(self, generation: int, **ingest: Any) -> None:
        """Start a worker; `wait` before it is used."""
        listening = socket.create_server(("127.0.0.1", 0))
        self._ports[generation] = listening.getsockname()[1]
        self._board.enter(generation, generation)
        door = {"host": "127.0.0.1", "plaintext": True, "tokens": [{"name": "a", "token": TOKEN}]}
        given = {
            "generation": generation,
            "directory": str(self._directory),
            "socket": listening.fileno(),
            "claims": self.claims.fileno(),
            "board": self._board.fileno(),
            "replay": self._replay.fileno(),
            "configuration": {
                "media": {"host": "127.0.0.1", "port": 0},
                "admin": {"port": 0},
                "ingest": door | ingest,
                "sinks": [{"kind": "recording", "directory": str(self.recordings(generation))}],
            },
        }
        passed = [given[name] for name in ("socket", "claims", "board", "replay")]
        program = Path(__file__).with_name("worker_process.py")
        self.processes[generation] = subprocess.Popen(
            [sys.executable, str(program), json.dumps(given)],
            pass_fds=passed,
            stdout=subprocess.PIPE,
            text=True,
        )
        listening.close()

    def wait(self) -> None:
        """Until all of them serve."""
        for process in self.processes.values():
            assert process.stdout is not None
            assert process.stdout.readline() == "serving\n"

    def recordings(self, generation: int) -> Path:
        return self.folder / f"recordings-{generation}"

    def recorded(self, generation: int) -> list[bytes]:
        """What was recorded by a worker, call by call, of the customer."""
        found = []
        for path in sorted(self.recordings(generation).rglob("*.wav")):
            with wave.open(str(path)) as file:
                lanes = memoryview(file.readframes(file.getnframes())).cast("h")
                found.append(bytes(lanes[:: file.getnchannels()]))
        return found

    async def connect(self, generation: int) -> HttpConnection:
        url = f"http://127.0.0.1:{self._ports[generation]}{PATH}"
        self._connections.append(await HttpConnection.open(url))
        return self._connections[-1]

    async def hear(self, story: Callable[[Crew], Awaitable[None]]) -> None:
        """Let a story happen, and leave no connection of it behind."""
        try:
            await story(self)
        finally:
            while self._connections:
                await self._connections.pop().close()

    def kill(self, generation: int) -> None:
        """End it as nobody wants to be ended."""
        self.signal(generation, signal.SIGKILL)
        self.leave(generation)

    def signal(self, generation: int, number: signal.Signals) -> None:
        os.kill(self.processes[generation].pid, number)

    def leave(self, generation: int) -> int:
        """Wait until one that was told to has ended; its exit code."""
        with self.processes.pop(generation) as process:
            return process.wait(DEADLINE_SECONDS)


@contextmanager
def crew(folder: Path, count: int = 2, **ingest: Any) -> Iterator[Crew]:
    """That many workers, of generations 1 and up; ended at the end, whatever became of them."""
    made = Crew(folder)
    try:
        for generation in range(1, count + 1):
            made.start(generation, **ingest)
        made.wait()
        yield made
    finally:
        for generation in tuple(made.processes):
            made.kill(generation)
