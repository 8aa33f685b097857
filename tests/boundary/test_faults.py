"""A panic in the core costs the call it happened in, as an exception of ours, and nobody else.

The core that is shipped has no way to fail on purpose. So this builds another one, with the
crate's feature `testing`, and runs what must hold in an interpreter that loads it instead.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A directory of its own, so that other builds do not start from nothing after this one.
BUILD = ["build", "--package", "earhook-py", "--features", "testing", "--quiet"]
BUILD += ["--target-dir", "target/testing", "--message-format", "json"]
BUILD_SECONDS = 600


def core_that_can_fail() -> Path:
    """Build the extension with its feature `testing`; the release build is not touched."""
    cargo = shutil.which("cargo")
    if cargo is None or not (ROOT / "Cargo.toml").exists():
        pytest.skip("building the core needs its sources and cargo")
    built = subprocess.run(
        [cargo, *BUILD],
        cwd=ROOT,
        env=os.environ | {"PYO3_BUILD_EXTENSION_MODULE": "1", "PYO3_PYTHON": sys.executable},
        capture_output=True,
        check=False,
        timeout=BUILD_SECONDS,
    )
    assert built.returncode == 0, built.stderr.decode()
    messages = map(json.loads, built.stdout.splitlines())
    artifacts = [it for it in messages if it.get("target", {}).get("name") == "_core"]
    return Path(artifacts[-1]["filenames"][0])


@pytest.mark.timeout(BUILD_SECONDS)
def test_a_panic_ends_its_own_call_or_line_and_is_an_exception_of_ours() -> None:
    scenario = Path(__file__).with_name("fault_scenario.py")
    outcome = subprocess.run(
        [sys.executable, scenario, core_that_can_fail()],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout == "push drain line\n"


def test_the_core_that_is_shipped_cannot_be_made_to_fail() -> None:
    import earhook._core

    assert not [name for name in dir(earhook._core) if "fail" in name]
