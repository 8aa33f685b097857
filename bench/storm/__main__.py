"""A storm of signed TLS connects: how long `opened` takes, beside a C program that reads nothing.

    python -m bench.storm                     1,000 calls: all at once, and at 250 and 500 a second
    python -m bench.storm --rates 0 1000      other rates; 0 is all at once
    python -m bench.storm --key rsa           with an RSA certificate (2048 bits)

Every call is audible as soon as it is open: stereo frames of 200 ms. The server runs on core 0, the
dialler on core 1. A storm of N connects that cost X ms of the server's core each cannot be over in
less than N times X, whoever serves; what a server can choose is who waits: those who are on the
line already, or those who are still to be greeted.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import json
import secrets
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bench.gateway_process import percentiles
from bench.ingest.measure import Contestant, compile_program, figures_of
from bench.ingest.servers import CONFIGURATION, Floor, Gateway, Server
from bench.provenance import machine, sentence, warn_if_busy
from earhook.testing.peer_messages import Envelope, encode_message
from earhook.testing.peer_request import upgrade_headers
from earhook.testing.peer_setup import CallSetup, PeerCredential

HERE: Final = Path(__file__).parent
API_KEY: Final = "bench"
SECRET: Final = secrets.token_bytes(32)
DIALLER_SECONDS: Final = 90.0
LATENCIES: Final = ("late_us", "secure_us", "connect_us", "opened_us")
KEY_TABLE: Final = f"""
[[keys]]
name = "bench"
api_key = "{API_KEY}"
secrets = ["{base64.b64encode(SECRET).decode()}"]
[limits.connections]
shared_addresses = ["127.0.0.0/8"]
"""


class SignedGateway(Gateway):
    """The gateway, which wants signatures."""

    sheds = False

    def configuration(self) -> str:
        """With a place for `tls`."""
        before, _, after = CONFIGURATION.partition("[[keys]]")
        sinks = after[after.index("[[sinks]]") :]
        if self.sheds:
            before = before.replace("[shedding]\nenabled = false\n", "")
        return before + KEY_TABLE + sinks


class SheddingGateway(SignedGateway):
    """The gateway with its default limits: it refuses calls while its core is full."""

    name, sheds = "earhook, shedding", True


def script(port: int, calls: int, rate: float = 0.0) -> Iterator[bytes]:
    """What every call says: its request, signed when it is due, and its `open`; with lengths."""
    url, credential = f"wss://localhost:{port}/audiohook", PeerCredential(API_KEY, SECRET)
    for number in range(calls):
        setup = CallSetup()
        due = time.time() + (number / rate if rate else 0.0)
        nonce = secrets.token_urlsafe(24)
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        headers = [
            *upgrade_headers(url, setup, credential, due, nonce),
            *(("Upgrade", "websocket"), ("Connection", "Upgrade")),
            *(("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", key)),
        ]
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        opening = encode_message(
            "open", setup.open_parameters(), Envelope(setup.session_id, 1, 0, 0)
        )
        for said in (f"GET /audiohook HTTP/1.1\r\n{lines}\r\n".encode(), masked_text(opening)):
            yield struct.pack("<I", len(said)) + said


def masked_text(message: bytes) -> bytes:
    """One frame (RFC 6455 §5.2). A mask of zeros is a mask."""
    return b"\x81\xfe" + struct.pack(">H", len(message)) + bytes(4) + message


def issue(kind: str, directory: Path) -> None:
    """A certificate of itself, with a key of that kind."""
    key: Any = (
        ec.generate_private_key(ec.SECP256R1())
        if kind == "ec"
        else rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    (directory / "server.crt").write_bytes(certificate.public_bytes(encoding))
    pem = key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "server.key").write_bytes(pem)
    (directory / "server.key").chmod(0o600)


def storm(server: Server, calls: int, rate: float) -> dict[str, Any]:
    """One storm on one server."""
    with server:
        before = server.memory_kib()
        spoken = server.directory / "script"
        spoken.write_bytes(b"".join(script(server.port, calls, rate)))
        words = (
            *(server.directory.parent / "dialler", "127.0.0.1", server.port),
            *(server.process.pid, calls, rate, spoken),
        )
        found = figures_of(words, DIALLER_SECONDS)
        found["kib_per_call"] = (server.memory_kib() - before) / calls
        server.stop()
    for name in LATENCIES:
        found[name] = percentiles([time_us / 1e6 for time_us in found[name]])
    return found


def markdown(runs: list[dict[str, Any]]) -> str:
    """The table for people: medians over rounds."""
    rows = [
        (
            "| dialled | server | open | over after, s | CPU per connect, us | its core "
            "| dialler's | to TLS, ms p50 / p99 | to 101 | `open` to `opened`, p50 / p99 / max |"
        ),
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for rate, name in dict.fromkeys((run["rate"], run["server"]) for run in runs):
        own = [run for run in runs if (run["rate"], run["server"]) == (rate, name)]

        def middle(of: str, own: list[dict[str, Any]] = own) -> float:
            return statistics.median(run[of] for run in own)

        def times(of: str, *names: str, own: list[dict[str, Any]] = own) -> str:
            found = (statistics.median(run[of].get(n, float("nan")) for run in own) for n in names)
            return " / ".join(f"{value:.1f}" for value in found)

        lasted = middle("lasted_ns")
        cells = [
            "at once" if not rate else f"{rate:g}/s",
            name,
            f"{middle('opened'):.0f}",
            f"{lasted / 1e9:.2f}",
            f"{middle('server_cpu_ns') / 1e3 / (own[0]['opened'] + own[0]['lost']):.0f}",
            f"{middle('server_cpu_ns') / lasted:.0%}",
            f"{middle('own_cpu_ns') / lasted:.0%}",
            times("secure_us", "p50", "p99"),
            times("connect_us", "p50", "p99"),
            times("opened_us", "p50", "p99", "max"),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> int:
    """Run all storms and print the table; 1 if the gateway did not open all calls."""
    options = read_options()
    where = machine()
    warn_if_busy(where)
    contestants = choose(options)
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="earhook-") as temporary:
        directory = Path(temporary)
        issue(options.key, directory)
        for source in (HERE.parent / "ingest" / "floor.c", HERE / "dialler.c"):
            compile_program(source, directory)
        for number in range(options.rounds):
            for rate in options.rates:
                for name, make in contestants:
                    place = directory / f"{len(runs)}"
                    place.mkdir()
                    found = storm(make(place), options.calls, rate)
                    runs.append({"round": number, "rate": rate, "server": name, **found})
    print(f"{sentence(where)}\n\n{markdown(runs)}")
    if options.output is not None:
        report = {"machine": where, "key": options.key, "calls": options.calls, "storms": runs}
        options.output.write_text(json.dumps(report, indent=1) + "\n")
    return int(any(run["lost"] for run in runs if run["server"] == SignedGateway.name))


def choose(options: argparse.Namespace) -> list[Contestant]:
    """Who gets the storms."""
    contestants = [Contestant(kind.name, kind) for kind in (Floor, SignedGateway)]
    if options.shedding:
        contestants.append(Contestant(SheddingGateway.name, SheddingGateway))
    if options.beside:
        other = partial(SignedGateway, python=options.beside)
        contestants.append(Contestant("earhook, another build", other))
    return contestants


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=1_000)
    parser.add_argument("--rates", nargs="+", type=float, default=[250, 500, 0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--key", choices=("ec", "rsa"), default="ec")
    parser.add_argument("--shedding", action="store_true", help="with default limits, too")
    parser.add_argument("--beside", type=Path, help="an interpreter that has another build, too")
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
