"""Where something was measured, when, of which commit, and with what versions of what."""

from __future__ import annotations

import os
import platform
import shutil
import ssl
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["RESULTS", "ROOT", "in_short", "machine", "sentence", "warn_if_busy"]

IDLE_LOAD = 0.3
PACKAGES = ("earhook", "picows", "uvloop", "orjson", "websockets", "aiohttp")
ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"


def machine() -> dict[str, Any]:
    """All of it, and how busy the machine was in the minute before."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    model = (line.split(":", 1)[1].strip() for line in cpus if line.startswith("model name"))
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "cpu": f"{os.cpu_count()} x {next(model, platform.machine())}",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        **{
            name: words
            for name, command in {"compiler": "cc", "node": "node"}.items()
            if (words := _first_line(command))
        },
        **{name: words for name in PACKAGES if (words := _version(name))},
        "load before": round(os.getloadavg()[0], 2),
    }


def sentence(where: dict[str, Any]) -> str:
    """In front of a table."""
    return "; ".join(f"{name} {value}" for name, value in where.items())


def in_short(where: dict[str, Any]) -> str:
    """Above a table on a page; the results hold the rest."""
    names = ("date", "commit", "cpu", "kernel", "python", "openssl", "load before")
    return ", ".join(f"{name} {where[name]}" for name in names if name in where)


def commit() -> str:
    """Of the tree that this file lies in; with a word if files differ from it."""
    said = _said("git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--dirty= changed")
    return said or "unknown"


def _first_line(command: str) -> str:
    return (_said(command, "--version").splitlines() or [""])[0] if shutil.which(command) else ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _said(*command: str) -> str:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    return finished.stdout.strip() if finished.returncode == 0 else ""


def warn_if_busy(where: dict[str, Any]) -> None:
    """Say so where others were at work on the machine."""
    if where["load before"] > IDLE_LOAD:
        busy = f"the machine is busy (load {where['load before']}): do not keep figures"
        print(busy, file=sys.stderr)
