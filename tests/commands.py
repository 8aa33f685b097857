"""`earhook …` as a process of its own."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from typing import NamedTuple

__all__ = ["Ended", "earhook"]


class Ended(NamedTuple):
    """How it ended, and what it wrote to standard output and standard error."""

    code: int | None
    output: str
    complaint: str


async def earhook(*arguments: str, **environment: str) -> Ended:
    """Run a command to its end, with nothing of our own environment."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "earhook", *arguments,
        env={"PATH": "/usr/bin", "COLUMNS": "160", **environment}, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    output, complaint = await process.communicate()
    return Ended(process.returncode, output.decode(), complaint.decode())
