"""The calls of a soak: `earhook load`, once at each door, every sample proved at the PCM stream."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

__all__ = ["Callers", "Shape", "faults"]

MEDIA_MIX: Final = "pause=20%,discard=10%,burst=10%,late=20%,abrupt=10%,probe=10%"
HTTPS_MIX: Final = "burst=10%,late=20%,abrupt=10%"
HANG_UP_SECONDS: Final = 60.0


class Shape(NamedTuple):
    """How many calls are held, how long, and how long it goes on in all."""

    calls: int
    hold_seconds: float
    seconds: float

    @property
    def ramp_seconds(self) -> float:
        """In the beginning, and in the end."""
        return min(30.0, self.seconds / 10)

    def words(self) -> list[str]:
        """For the command line."""
        steady = self.seconds - 2 * self.ramp_seconds
        return [
            *("--calls", str(self.calls), "--hold", f"exp:{self.hold_seconds:.3f}s"),
            *("--ramp", f"{self.ramp_seconds:.3f}s", "--duration", f"{steady:.3f}s"),
        ]


class Callers:
    """One `earhook load` in a process of its own. Its result is there when it has ended.

    Args:
        name: What it is called in the report.
        words: Its arguments.
    """

    def __init__(self, name: str, words: list[str]) -> None:
        self.name = name
        self._words = words
        self.result: dict[str, Any] = {}
        self.complaint = ""
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Call until all is over."""
        command = (sys.executable, "-m", "earhook", "load", *self._words)
        self._process = process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            output, said = await process.communicate()
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
        try:
            self.result = json.loads(output)
        except ValueError:
            last = said.decode(errors="replace").strip().splitlines()[-3:]
            self.complaint = f"ended with {process.returncode}: {' '.join(last)}"

    def hang_up(self) -> None:
        """End every call as if its time had come."""
        if self._process is not None and self._process.returncode is None:
            # As Ctrl-C does: it is the generators that hang up, each a process of its own.
            os.killpg(self._process.pid, signal.SIGINT)


def media_words(url: str, address: str, directory: Path, shape: Shape) -> list[str]:
    """Calls over WebSocket, signed."""
    return [
        *(url, *shape.words(), "--mix", MEDIA_MIX, *_common(address, directory)),
        *("--api-key-file", str(directory / "api-key")),
        *("--secret-file", str(directory / "secret")),
    ]


def https_words(url: str, address: str, directory: Path, shape: Shape) -> list[str]:
    """Calls over HTTPS, a block for each frame."""
    return [
        *(url, "--http", *shape.words(), "--mix", HTTPS_MIX, *_common(address, directory)),
        *("--token-file", str(directory / "token"), "--channels", "1"),
    ]


def _common(address: str, directory: Path) -> list[str]:
    # Late is not lost, and this machine may have other work: latency is no matter of a soak.
    return [
        *("--json", "--verify", address, "--late-after", "60s"),
        *("--cafile", str(directory / "ca.crt")),
    ]


def faults(callers: Callers) -> Iterator[str]:
    """What did not go as it should, in words."""
    if not callers.result:
        yield callers.complaint or "told nothing"
        return
    counts, proof = callers.result["counts"], callers.result["verified"]
    if counts["failed"]:
        yield f"{counts['failed']} of {counts['due']} calls failed: {callers.result['failures']}"
    if counts["objections"]:
        yield f"rules broken: {callers.result['objections']}"
    if proof["proved"] != proof["calls"]:
        yield f"{proof['calls'] - proof['proved']} calls not proved: {proof['samples']}"
    if proof["unbalanced"]:
        yield f"{proof['unbalanced']} calls whose totals are told otherwise"
    if proof["trouble"]:
        yield str(proof["trouble"])
    yield from callers.result["generator"]["troubles"]
