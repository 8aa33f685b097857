"""A gateway in a process of its own: how it is configured, started, and read from outside."""

from __future__ import annotations

import base64
import json
import math
import os
import re
import secrets
import ssl
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import trustme

from earhook.testing.peer_setup import PeerCredential

START_SECONDS = 20.0
STOP_SECONDS = 30.0
MEDIA_PATH = "/audiohook"
CONFIGURATION = """\
[media]
host = "127.0.0.1"
port = 0
tls = { certificate = "server.crt", private_key = "server.key" }
[admin]
port = 0
[[keys]]
name = "bench"
api_key_file = "api-key"
secret_files = ["secret"]
[[sinks]]
kind = "pcm-stream"
listen = "unix:pcm.sock"
"""
RECORDINGS = """\
[[sinks]]
kind = "recording"
directory = "recordings"
"""
SHARED = '[limits.connections]\nshared_addresses = ["127.0.0.0/8"]\n'
"""All of it comes from one address, which is what a balancer looks like."""
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """All that a process must know to call a gateway, or to listen to it."""

    port: int
    address: str
    cafile: str
    api_key: str = field(repr=False)
    secret: bytes = field(repr=False)

    @property
    def url(self) -> str:
        """What Genesys would dial."""
        return f"wss://localhost:{self.port}{MEDIA_PATH}"

    @property
    def credential(self) -> PeerCredential:
        """The key that the gateway knows."""
        return PeerCredential(self.api_key, self.secret)

    def client_context(self) -> ssl.SSLContext:
        """Trusts the gateway's certificate and no other."""
        return ssl.create_default_context(cafile=self.cafile)


class GatewayProcess:
    """`earhook serve` over TLS with recordings and a PCM stream; `with` starts and ends it.

    Args:
        directory: A fresh one for its files; `recordings` will be in it.
        more: Further tables of the configuration.
        core: That it may run on; None: any.
        records: Whether there are recordings.
    """

    def __init__(
        self, directory: Path, more: str = "", *, core: int | None = None, records: bool = True
    ) -> None:
        self.directory = directory
        self._core = core
        self.exit_code: int | None = None
        self._api_key, self._secret = secrets.token_urlsafe(24), secrets.token_bytes(32)
        self._log = directory / "gateway.log"
        self._configure(more + RECORDINGS if records else more)

    def __enter__(self) -> Self:
        pinned = [] if self._core is None else ["taskset", "-c", str(self._core)]
        command = [*pinned, sys.executable, "-m", "earhook", "serve", "--config"]
        with self._log.open("w") as log:
            # In a session of its own: Ctrl-C is for the bench, which then ends it.
            self._process = subprocess.Popen(
                [*command, str(self.directory / "earhook.toml")], stderr=log, start_new_session=True
            )
        self.started = self._wait_until_started()
        self.place = Place(
            self.started["media_port"],
            f"unix:{self.directory}/pcm.sock",
            str(self.directory / "ca.crt"),
            self._api_key,
            self._secret,
        )
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it politely. Harmless when it has ended."""
        self._process.terminate()
        try:
            self.exit_code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.exit_code = self._process.wait()
        self._logged = self._log.read_text()

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def cpu_seconds(self) -> float:
        """CPU time so far, of all its threads."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        """Resident memory now."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    def counters(self) -> dict[str, float]:
        """Its metrics, by name and labels as they are written."""
        url = f"http://127.0.0.1:{self.started['admin_port']}/metrics"
        with urllib.request.urlopen(url, timeout=10) as response:
            text = response.read().decode()
        return {
            name + (f"{{{labels}}}" if labels else ""): float(value)
            for name, labels, value in _SAMPLE.findall(text)
        }

    def log_lines(self, event: str) -> list[dict[str, Any]]:
        """What it had logged under that name when it ended."""
        lines = (json.loads(line) for line in self._logged.splitlines())
        return [line for line in lines if line["event"] == event]

    def _configure(self, more: str) -> None:
        directory, authority = self.directory, trustme.CA()
        authority.cert_pem.write_to_path(str(directory / "ca.crt"))
        certificate = authority.issue_cert("localhost")
        certificate.cert_chain_pems[0].write_to_path(str(directory / "server.crt"))
        certificate.private_key_pem.write_to_path(str(directory / "server.key"))
        (directory / "api-key").write_text(self._api_key)
        (directory / "secret").write_text(base64.b64encode(self._secret).decode())
        for name in ("api-key", "secret", "server.key"):
            (directory / name).chmod(0o600)
        (directory / "earhook.toml").write_text(CONFIGURATION + more)

    def _wait_until_started(self) -> dict[str, Any]:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            for line in self._log.read_text().splitlines():
                if '"gateway.started"' in line:
                    started: dict[str, Any] = json.loads(line)
                    return started
            time.sleep(0.05)
        self._process.kill()
        self._process.wait()
        sys.exit(f"the gateway did not start:\n{self._log.read_text()}")


def percentiles(values: list[float]) -> dict[str, float]:
    """Milliseconds, of seconds: the smallest that so large a share does not exceed."""
    ordered = sorted(value * 1000 for value in values)
    if not ordered:
        return {}
    ranks = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    places = {name: math.ceil(rank * len(ordered)) - 1 for name, rank in ranks.items()}
    return {name: round(ordered[place], 2) for name, place in places.items()}
