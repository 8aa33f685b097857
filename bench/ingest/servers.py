"""The servers that are compared. Each runs on one core and says at the end what it received."""

from __future__ import annotations

import json
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
    """

    name: str

    def __init__(self, directory: Path) -> None:
        self.directory = directory
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
        return spawn([program, self.certificate, self.key], stdout=subprocess.PIPE)

    def frames_received(self, frame_bytes: int) -> float:
        """Stop, and say how many frames arrived."""
        return int(self.stop().split()[1]) / (frame_bytes + FRAME_HEADER_BYTES)


class BarePicows(Server):
    """picows on uvloop that only counts."""

    name = "bare picows"

    def start(self) -> Process:
        """Start the process on its core."""
        program = HERE / "bare_picows.py"
        return spawn([sys.executable, program, self.certificate, self.key], stdout=subprocess.PIPE)

    def frames_received(self, frame_bytes: int) -> float:
        """Stop, and say how many frames arrived."""
        return int(self.stop().split()[1])


class Gateway(Server):
    """`earhook serve` with one subscriber of its PCM stream, which runs on the other core."""

    name = "earhook"

    def __enter__(self) -> Self:
        super().__enter__()
        command = [sys.executable, HERE / "subscriber.py", self.directory / "pcm.sock"]
        self.subscriber = spawn(command, core=LOAD_CORE, stdout=subprocess.PIPE)
        assert self.subscriber.stdout is not None
        assert self.subscriber.stdout.readline() == "subscribed\n"
        return self

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        if self.subscriber.poll() is None:
            self.subscriber.kill()
            self.subscriber.wait()

    def start(self) -> Process:
        """Start the process on its core, logging to a file."""
        (self.directory / "earhook.toml").write_text(CONFIGURATION.format(server=self))
        command = [sys.executable, "-m", "earhook", "serve", "--config", "earhook.toml"]
        with self._log.open("w") as log:
            return spawn(command, stderr=log, cwd=self.directory)

    def wait_until_listening(self) -> int:
        """The port, read from the log."""
        due = time.monotonic() + START_SECONDS
        while time.monotonic() < due and self.process.poll() is None:
            for line in self._log.read_text().splitlines():
                if '"gateway.started"' in line:
                    return int(json.loads(line)["media_port"])
            time.sleep(0.02)
        raise RuntimeError(f"the gateway did not start:\n{self._log.read_text()}")

    def frames_received(self, frame_bytes: int) -> float:
        """Stop, and say how many frames the subscriber got or was told of as gaps."""
        self.stop()
        output, _ = self.subscriber.communicate(timeout=STOP_SECONDS)
        totals: dict[str, int] = json.loads(output)
        return sum(totals.values()) / frame_bytes

    @property
    def _log(self) -> Path:
        return self.directory / "log.jsonl"


SERVERS: tuple[type[Server], ...] = (Floor, BarePicows, Gateway)

CONFIGURATION = """\
[media]
host = "127.0.0.1"
port = 0
[media.tls]
certificate = "{server.certificate}"
private_key = "{server.key}"
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
