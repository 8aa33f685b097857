#!/usr/bin/env python3
"""Scan the TLS of both doors with testssl.sh and sslyze, as a stranger would.

testssl.sh is expected on the path (Debian: `apt install testssl.sh`); sslyze is installed from PyPI
into `.cache/scan` on first use. The exit code is 1 if a scanner reports anything of medium severity
or above, or that is not Mozilla's intermediate configuration, and it is not in the lists below.

    tests/scan/run.py                   both doors, both scanners; four minutes
    tests/scan/run.py --only sslyze     one of: sslyze, testssl; sslyze takes two seconds
"""

# ruff: noqa: T201 - a program for a terminal

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import trustme

SSLYZE = "sslyze>=6.3,<7"
CACHE = Path(__file__).parents[2] / ".cache" / "scan"
START_SECONDS = 20.0
SCAN_SECONDS = 600.0
GRAVE = frozenset({"MEDIUM", "HIGH", "CRITICAL"})
CERTIFICATE_DAYS = 90

# Certificates of a test have neither revocation nor a public authority.
ACCEPTED_TESTSSL = {
    "cert_revocation": "certificates of a test cannot be revoked",
    "cert_chain_of_trust": "the authority is the test's own",
}
ACCEPTED_SSLYZE = {
    "certificate_path_validation": "the authority is the test's own",
}
# Python can choose the groups from 3.15 on; before, OpenSSL's own file says which there are.
SOUND_GROUPS = frozenset({"X25519", "X448", "secp256r1", "secp384r1", "secp521r1"})
CONFIGURATION = """\
[media]
host = "127.0.0.1"
port = 0
tls = { certificate = "server.crt", private_key = "server.key" }
[ingest]
host = "127.0.0.1"
port = 0
[limits.connections]
shared_addresses = ["127.0.0.0/8"]
[admin]
port = 0
[[keys]]
api_key = "scanned"
unsigned = true
"""


def main() -> None:
    """Scan, print what was found, and judge it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["sslyze", "testssl"])
    only = parser.parse_args().only
    scanners = {"sslyze": sslyze, "testssl": testssl}
    findings: list[str] = []
    with tempfile.TemporaryDirectory(prefix="earhook-scan-") as name:
        directory = Path(name)
        write_files(directory)
        with gateway(directory) as ports:
            for door, port in ports.items():
                for scanner in [only] if only else scanners:
                    found = scanners[scanner](port, directory)
                    print(f"{door} port, {scanner}: {len(found)} findings", flush=True)
                    findings += [f"{door}, {scanner}: {text}" for text in found]
    if findings:
        sys.exit("\n".join(findings))


def write_files(directory: Path) -> None:
    """A certificate as long as public ones last, and the configuration."""
    authority = trustme.CA()
    now, lifetime = datetime.now(UTC), timedelta(days=CERTIFICATE_DAYS)
    issued = authority.issue_cert("localhost", not_before=now, not_after=now + lifetime)
    authority.cert_pem.write_to_path(str(directory / "ca.crt"))
    issued.cert_chain_pems[0].write_to_path(str(directory / "server.crt"))
    issued.private_key_pem.write_to_path(str(directory / "server.key"))
    (directory / "server.key").chmod(0o600)
    (directory / "earhook.toml").write_text(CONFIGURATION)


@contextmanager
def gateway(directory: Path) -> Iterator[dict[str, int]]:
    """`earhook serve` with both doors; their ports."""
    command = [sys.executable, "-m", "earhook", "serve", "--config", "earhook.toml"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=directory) as process:
        assert process.stderr is not None
        ended = threading.Timer(START_SECONDS, process.kill)
        ended.start()
        started = first_line(process.stderr, b'"gateway.started"')
        ended.cancel()
        # Whoever does not read the lines of a gateway loses them, and nothing else; but a full
        # pipe is not what is scanned here.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        try:
            yield {"media": started["media_port"], "ingest": started["ingest_port"]}
        finally:
            process.terminate()


def first_line(lines: IO[bytes], mark: bytes) -> dict[str, Any]:
    """The first line of a log that holds the mark."""
    seen = b""
    for line in lines:
        if mark in line:
            found: dict[str, Any] = json.loads(line)
            return found
        seen += line
    sys.exit(f"the gateway did not start:\n{seen.decode()}")


def testssl(port: int, directory: Path) -> list[str]:
    """What testssl.sh finds of medium severity and above."""
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if program is None:
        sys.exit("testssl.sh is missing; on Debian: apt install testssl.sh")
    report = directory / f"testssl-{port}.json"
    options = ["--quiet", "--warnings", "off", "--add-ca", str(directory / "ca.crt")]
    scanned = run([program, *options, "--jsonfile", str(report), f"localhost:{port}"])
    rows = json.loads(report.read_text()) if report.exists() else []
    if len(rows) < 100:
        return [f"did not come to its end:\n{scanned.stdout[-2000:]}"]
    return [
        f"{row['severity']} {row['id']}: {row['finding']}"
        for row in rows
        if row["severity"] in GRAVE and row["id"] not in ACCEPTED_TESTSSL
    ]


def sslyze(port: int, directory: Path) -> list[str]:
    """What sslyze misses of Mozilla's intermediate configuration."""
    report = directory / f"sslyze-{port}.json"
    options = ["--mozilla_config", "intermediate", "--json_out", str(report)]
    options += ["--certinfo_ca_file", str(directory / "ca.crt")]
    scanned = run([str(installed_sslyze()), *options, f"localhost:{port}"])
    [result] = json.loads(report.read_text())["server_scan_results"]
    if result["scan_status"] != "COMPLETED":
        return [f"did not come to its end:\n{scanned.stdout[-2000:]}"]
    _, _, verdict = scanned.stdout.partition("COMPLIANCE AGAINST TLS CONFIGURATION")
    rows = [row.strip("* ") for row in verdict.splitlines() if row.strip().startswith("* ")]
    return [
        *(row for row in rows if row.partition(":")[0] not in {*ACCEPTED_SSLYZE, "tls_curves"}),
        *unsound_groups(result["scan_result"]),
    ]


def unsound_groups(result: dict[str, Any]) -> list[str]:
    """Groups for the key exchange that are neither Mozilla's nor as strong."""
    curves = result["elliptic_curves"]["result"]["supported_curves"]
    names = {curve["name"] for curve in curves}
    return [f"group {name}" for name in sorted(names - SOUND_GROUPS)]


def installed_sslyze() -> Path:
    """sslyze in an environment of its own: it pins what it stands on."""
    program = CACHE / "bin" / "sslyze"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", str(CACHE)], check=True)
        subprocess.run([str(CACHE / "bin" / "pip"), "install", "--quiet", SSLYZE], check=True)
    return program


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a scanner; that it finds something is no failure of its own."""
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=SCAN_SECONDS
    )


if __name__ == "__main__":
    main()
