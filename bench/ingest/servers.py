"""The servers that are compared. Each runs on one core and says at the end what it received."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, TypeAlias

Process: TypeAlias = "subprocess.Popen[str]"
HERE = Path(__file__).parent
SERVER_CORE, LOAD_CORE = 0, 1
START_SECONDS = 20.0
STOP_SECONDS = 30.0
FRAME_HEADER_BYTES = 8
"""Of a masked frame of 126 to 65,535 bytes of payload (RFC 6455 §5.2)."""


def pinned(command: Sequence[object], core: int) -> list[str]:
    """A command that runs on that core alone."""
    return [str(word) for word in ("taskset", "-c", core, *command)]


class Server(ABC):
    """One server under load; `with` starts and stops it.

    Args:
        directory: A fresh one for its files, with `server.crt` and `server.key` beside it.
        tls: False: plain TCP.
    """

    name: str

    def __init__(self, directory: Path, *, tls: bool = True) -> None:
        self.directory = directory
        self.tls = tls
        self.certificate = directory.parent / "server.crt"
        self.key = directory.parent / "server.key"

    def __enter__(self) -> Self:
        self.process = self.start()
        self.port = self.wait_until_listening()
        return self

    def __exit__(self, *_exc: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @classmethod
    def is_here(cls) -> str:
        """Why it cannot run on this machine; empty if it can."""
        return ""

    @property
    def identity(self) -> list[Path]:
        """What a reference server gets as arguments: certificate and key, or nothing."""
        return [self.certificate, self.key] if self.tls else []

    def memory_kib(self) -> int:
        """Resident now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def stop(self) -> str:
        """End the server politely; what it has printed since it listens."""
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=STOP_SECONDS)
        return str(output or "")

    @abstractmethod
    def start(self) -> Process:
        """Start the process on its core."""

    @abstractmethod
    def frames_received(self, frame_bytes: int) -> float:
        """Stop, and say how many frames arrived. A fraction is a fault."""

    def wait_until_listening(self) -> int:
        """The port, read from the first line that is printed."""
        assert self.process.stdout is not None
        word, port = self.process.stdout.readline().split()
        assert word == "listening"
        return int(port)


class Floor(Server):
    """epoll and OpenSSL in C that only reads."""

    name = "C floor"

    def start(self) -> Process:
        """Start the process on its core."""
        program = self.directory.parent / "floor"
        return spawn([program, *self.identity], stdout=subprocess.PIPE)

    def frames_received(self, frame_bytes: int) -> float:
        """Stop, and say how many frames arrived."""
        return int(self.stop().split()[1]) / (frame_bytes + FRAME_HEADER_BYTES)


class Bare(Server):
    """A WebSocket library that answers `open` and counts frames: `bare_*.py` beside this file."""

    program: str

    def start(self) -> Process:
        """Start the process on its core."""
        return spawn([sys.executable, HERE / self.program, *self.identity], stdout=subprocess.PIPE)

    def frames_received(self, frame_bytes: int) -> float:
        """Stop, and say how many frames arrived."""
        del frame_bytes
        return int(self.stop().split()[1])


class BarePicows(Bare):
    """picows."""

    name, program = "bare picows", "bare_picows.py"


class BareAiohttp(Bare):
    """aiohttp."""

    name, program = "aiohttp", "bare_aiohttp.py"


class BareWebsockets(Bare):
    """The library that is called `websockets`, its asyncio implementation."""

    name, program = "websockets", "bare_websockets.py"


class BareNode(Bare):
    """`ws` on Node."""

    name = "Node ws"

    @classmethod
    def is_here(cls) -> str:
        """Node and the library."""
        if shutil.which("node") is None:
            return "there is no node"
        if not (HERE / "node" / "node_modules" / "ws").is_dir():
            return "its library is missing: npm ci --prefix bench/ingest/node"
        return ""

    def start(self) -> Process:
        """Start the process on its core."""
        return spawn(["node", HERE / "node" / "bare_ws.js", *self.identity], stdout=subprocess.PIPE)


class Gateway(Server):
    """`earhook serve` with subscribers of its PCM stream, which run on the other core.

    Args:
        subscribers: How many; each takes every sample of every call.
        python: An interpreter that has another build of Earhook.
    """

    name = "earhook"

    def __init__(
        self,
        directory: Path,
        *,
        tls: bool = True,
        subscribers: int = 1,
        python: Path | None = None,
    ) -> None:
        super().__init__(directory, tls=tls)
        self._subscriber_count = subscribers
        self._subscribers: list[Process] = []
        self._python = python or Path(sys.executable)

    def __enter__(self) -> Self:
        super().__enter__()
        command = [sys.executable, HERE / "subscriber.py", self.directory / "pcm.sock"]
        for _ in range(self._subscriber_count):
            subscriber = spawn(command, core=LOAD_CORE, stdout=subprocess.PIPE)
            self._subscribers.append(subscriber)
            assert subscriber.stdout is not None
            assert subscriber.stdout.readline() == "subscribed\n"
        return self

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        for subscriber in self._subscribers:
            if subscriber.poll() is None:
                subscriber.kill()
                subscriber.wait()

    def start(self) -> Process:
        """Start the process on its core, logging to a file."""
        tls = TLS.format(server=self) if self.tls else ""
        (self.directory / "earhook.toml").write_text(self.configuration().format(tls=tls))
        command = [self._python, "-m", "earhook", "serve", "--config", "earhook.toml"]
        with self._log.open("w") as log:
            return spawn(command, stderr=log, cwd=self.directory)

    def configuration(self) -> str:
        """With a place for `tls`."""
        return CONFIGURATION

    def started(self) -> dict[str, Any]:
        """What the gateway says of itself once it serves."""
        due = time.monotonic() + START_SECONDS
        while time.monotonic() < due and self.process.poll() is None:
            for line in self._log.read_text().splitlines():
                if '"gateway.started"' in line:
                    found: dict[str, Any] = json.loads(line)
                    return found
            time.sleep(0.02)
        raise RuntimeError(f"the gateway did not start:\n{self._log.read_text()}")

    def wait_until_listening(self) -> int:
        """The port, read from the log."""
        return int(self.started()["media_port"])

    def frames_received(self, frame_bytes: int) -> float:
        """Stop, and say how many frames every subscriber got or was told of as gaps.

        Not a number where they do not agree.
        """
        self.stop()
        outputs = [own.communicate(timeout=STOP_SECONDS)[0] for own in self._subscribers]
        totals = {sum(json.loads(output).values()) / frame_bytes for output in outputs}
        return totals.pop() if len(totals) == 1 else float("nan")

    @property
    def _log(self) -> Path:
        return self.directory / "log.jsonl"


class DeafGateway(Gateway):
    """The same, not listening to its calls."""

    name = "earhook without [signal]"

    def configuration(self) -> str:
        """With a place for `tls`."""
        return CONFIGURATION + "[signal]\nenabled = false\n"


REFERENCES: tuple[type[Server], ...] = (
    *(Floor, BarePicows, BareNode, BareAiohttp, BareWebsockets),
)
TLS = """\
[media.tls]
certificate = "{server.certificate}"
private_key = "{server.key}"
"""
CONFIGURATION = """\
[media]
host = "127.0.0.1"
port = 0
max_calls = 10000
{tls}
[ring]
budget_mib = 4096
[shedding]
enabled = false
[admin]
port = 0
[[keys]]
name = "bench"
api_key = "bench"
unsigned = true
[[sinks]]
kind = "pcm-stream"
listen = "unix:pcm.sock"
"""


def spawn(command: Sequence[object], core: int = SERVER_CORE, **streams: Any) -> Process:
    """Start a program on a core."""
    return subprocess.Popen(pinned(command, core), text=True, **streams)
