#!/usr/bin/env python3
"""Run the Autobahn test suite against the listener, gate and server that carry calls.

The suite wants Python 2.7 and is installed from PyPI into `.cache/autobahn` on first use. The
lists of expected results are strict both ways: a case that fails and is not listed fails the run,
and so does a listed case that passes.

    tests/autobahn/run.py                 everything: limits of calls, generous limits, TLS
    tests/autobahn/run.py --only calls    one of: calls, generous, tls
"""

# ruff: noqa: T201 - a program for a terminal

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import trustme
import uvloop

from earhook.clock import SystemClock
from earhook.edge.settings import TlsSettings
from earhook.edge.tls import ServerCertificate
from earhook.testing.echo import GENEROUS_LIMITS, echo_server
from earhook.transport.settings import LimitSettings

SUITE = "autobahntestsuite==25.10.1"
CACHE = Path(__file__).parents[2] / ".cache" / "autobahn"
SITE = CACHE / "site"
INSTALL_SECONDS = 300
RUN_SECONDS = 300
BASICS = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")
COMPRESSION = ("12.*", "13.*")

# What the limits of calls refuse on purpose: messages above 64 KiB, more than 64 fragments, more
# than 200 frames a second. 9.1.1 and 9.2.1 are 64 KiB exactly.
BIG = frozenset(
    [f"9.{group}.{case}" for group in (1, 2) for case in range(2, 7)]
    + [f"9.{group}.{case}" for group in (3, 4) for case in range(1, 10)]
    + [f"9.{group}.{case}" for group in (5, 6) for case in range(1, 7)]
    + [f"9.{group}.{case}" for group in (7, 8) for case in range(1, 7)]
)
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}


@dataclass(frozen=True)
class Plan:
    """One run of the suite: what is run against which limits, and what is to fail."""

    name: str
    cases: tuple[str, ...]
    limits: LimitSettings
    tls: bool = False
    expected_failures: frozenset[str] = frozenset()


PLANS = {
    plan.name: plan
    for plan in (
        Plan("calls", (*BASICS, "9.*"), LimitSettings(), expected_failures=BIG),
        Plan("generous", (*BASICS, "9.*", *COMPRESSION), GENEROUS_LIMITS),
        Plan("tls", BASICS, LimitSettings(), tls=True),
    )
}


def find_python2() -> Path | None:
    """A Python 2.7 that runs, or None."""
    candidates = [*sorted((Path.home() / ".pyenv" / "versions").glob("2.7*/bin/python2.7"))]
    candidates += [
        Path(found) for name in ("python2.7", "python2") if (found := shutil.which(name))
    ]
    for candidate in candidates:
        probe = [str(candidate), "-c", "import sys; sys.exit(sys.version_info[:2] != (2, 7))"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def install(python2: Path) -> bool:
    """Install the suite unless it is there. False: it cannot be had (no network)."""
    mark = CACHE / "installed"
    if mark.exists() and mark.read_text() == SUITE:
        return True
    shutil.rmtree(CACHE, ignore_errors=True)
    CACHE.mkdir(parents=True)
    # Without a network this has to fail soon.
    patience = ["--retries=1", "--timeout=10"]
    command = [
        str(python2),
        "-m",
        "pip",
        "install",
        "--quiet",
        *patience,
        f"--target={SITE}",
        SUITE,
    ]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    if done.returncode == 0:
        mark.write_text(SUITE)
    return done.returncode == 0


async def run_plan(plan: Plan, python2: Path) -> tuple[Counter[str], list[str]]:
    """Run a plan: counts by result, and everything that is not as expected, a line each."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        certificate = self_signed(directory) if plan.tls else None
        async with echo_server(limits=plan.limits, certificate=certificate) as server:
            scheme = "wss" if plan.tls else "ws"
            url = f"{scheme}://127.0.0.1:{server.port}/"
            await run_client(python2, directory, url, plan.cases)
            results = json.loads((directory / "reports" / "index.json").read_text())["earhook"]
            faults = server.snapshot().faults
    counts = Counter(f"{case['behavior']}/{case['behaviorClose']}" for case in results.values())
    surprises = judge(results, plan.expected_failures)
    if faults:
        surprises.append(f"the server met {faults} exceptions of its own")
    return counts, surprises


def judge(results: dict[str, dict[str, str]], expected_failures: frozenset[str]) -> list[str]:
    """Compare results with what is expected of them."""
    surprises = []
    for case, result in sorted(results.items()):
        compressed = case.startswith(("12.", "13."))
        # We never agree to compression, so these cases end before they begin.
        good = {"UNIMPLEMENTED"} if compressed else GOOD
        passed = result["behavior"] in good and result["behaviorClose"] in GOOD
        if passed == (case in expected_failures):
            outcome = "passed, but is listed as failing" if passed else "failed"
            surprises.append(f"{case} {outcome}: {result['behavior']}/{result['behaviorClose']}")
    missing = expected_failures - results.keys()
    return surprises + [f"{case} is listed and does not exist" for case in sorted(missing)]


async def run_client(python2: Path, directory: Path, url: str, cases: tuple[str, ...]) -> None:
    """Run the fuzzing client to its end."""
    specification = directory / "specification.json"
    specification.write_text(
        json.dumps(
            {
                "outdir": str(directory / "reports"),
                "servers": [{"agent": "earhook", "url": url}],
                "cases": list(cases),
                "exclude-cases": [],
                "exclude-agent-cases": {},
            }
        )
    )
    program = (
        f"import site; site.addsitedir({str(SITE)!r});"
        "from autobahntestsuite.wstest import run; run()"
    )
    arguments = ["-c", program, "-m", "fuzzingclient", "-s", str(specification)]
    environment = {**os.environ, "PYTHONPATH": str(SITE), "PYTHONWARNINGS": "ignore"}
    with (directory / "output").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            str(python2), *arguments, env=environment, stdout=output, stderr=output, cwd=directory
        )
        try:
            async with asyncio.timeout(RUN_SECONDS):
                code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
    if code != 0:
        raise SystemExit((directory / "output").read_text()[-2000:])


def self_signed(directory: Path) -> ServerCertificate:
    """A certificate of an authority that nobody knows; the suite does not check it."""
    issued = trustme.CA().issue_cert("localhost", "127.0.0.1")
    certificate, private_key = directory / "server.crt", directory / "server.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(private_key)
    settings = TlsSettings(certificate=certificate, private_key=private_key)
    return ServerCertificate(settings, SystemClock())


def main() -> int:
    """Run the plans and say what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=sorted(PLANS))
    chosen = parser.parse_args().only
    python2 = find_python2()
    if python2 is None or not install(python2):
        print("the suite wants Python 2.7 and PyPI; tests/hostile/test_frames.py needs neither")
        return 2
    bad = 0
    for plan in [PLANS[chosen]] if chosen else PLANS.values():
        started = time.monotonic()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            counts, surprises = runner.run(run_plan(plan, python2))
        seconds = time.monotonic() - started
        shown = ", ".join(f"{n} {result}" for result, n in counts.most_common())
        expected = len(plan.expected_failures)
        print(f"{plan.name}: {sum(counts.values())} cases in {seconds:.0f} s: {shown}")
        print(f"  {expected} failures expected, {len(surprises)} surprises")
        for surprise in surprises:
            print(f"  {surprise}")
        bad += len(surprises)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
