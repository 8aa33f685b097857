"""Calls that are proved: `earhook load` beside a story, and what it says in the end."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from earhook.testing.peer_setup import PeerCredential
from integration.workers.crowd import children_of

END_SECONDS = 90.0
WRONG = ("lost", "wrong", "repeated", "reordered")


@dataclass(slots=True)
class Proof:
    """The report of a load, once it has ended; empty before."""

    report: dict[str, Any] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Of calls and frames."""
        counts: dict[str, int] = self.report["counts"]
        return counts

    @property
    def failures(self) -> dict[str, int]:
        """Calls that failed, by kind."""
        failures: dict[str, int] = self.report["failures"]
        return failures

    @property
    def refused(self) -> int:
        """Calls that found nobody, or nobody who let them in."""
        kinds = ("connect: unreachable", "connect: HTTP", "connect: timeout", "disconnect")
        return sum(count for kind, count in self.failures.items() if kind.startswith(kinds))

    @property
    def not_right(self) -> dict[str, int]:
        """Samples that did not come as they were sent; not those of calls that were cut."""
        samples: dict[str, int] = self.report["verified"]["samples"]
        return {name: samples[name] for name in WRONG if samples[name]}

    def __str__(self) -> str:
        counts, verified = self.counts, self.report.get("verified")
        text = f"{counts['due']} calls, {counts['completed']} whole, {counts['failed']} cut"
        if verified is not None:
            samples = verified["samples"]
            text += f"; {samples['right']:,} of {samples['sent']:,} samples right"
            text += f", {samples['cut_off']:,} cut off, {self.not_right or 'none'} not right"
        return text


@asynccontextmanager
async def proving(url: str, credential: PeerCredential, *arguments: str) -> AsyncIterator[Proof]:
    """Load beside the block; at its end all calls hang up, and what they came to is known.

    Args:
        url: Of the gateway.
        credential: Signs.
        arguments: Further ones of `earhook load`.
    """
    command = [sys.executable, "-m", "earhook", "load", url, *arguments, "--json"]
    secret = base64.b64encode(credential.secret or b"").decode()
    environment = {"EARHOOK_API_KEY": credential.api_key, "EARHOOK_SECRET": secret}
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env=os.environ | environment
    )
    proof = Proof()
    try:
        yield proof
        for pid in (*children_of(process.pid), process.pid):
            os.kill(pid, signal.SIGINT)  # as Ctrl-C does
        async with asyncio.timeout(END_SECONDS):
            output, _ = await process.communicate()
        proof.report = orjson.loads(output)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
