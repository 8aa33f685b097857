"""`earhook analyze` beside the demo: a process of its own, as it is in earnest."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import shlex
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import orjson

from earhook.errors import OperatorError

from .complaint import COMPLAINT_KEY
from .program import short
from .story import Story

__all__ = ["Analysis", "analysing", "require_recogniser"]

READY_SECONDS: Final = 60.0
"""A slow machine loads the model for a while."""
STOP_SECONDS: Final = 8.0
ALONE_SECONDS: Final = 3.0
"""The gateway is in this process: where it has gone we were killed, and nobody reads any more."""
LINE_BYTES: Final = 1 << 20
NEEDED: Final = ("pocketsphinx", "vaderSentiment")


def require_recogniser() -> None:
    """See that what the demo needs is installed.

    Raises:
        OperatorError: It is not; the text says what to do.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if not missing:
        return
    python = shlex.quote(short(Path(sys.executable)))
    raise OperatorError(
        f"the demo's recogniser is not installed ({' and '.join(missing)} missing): "
        f"{python} -m pip install {' '.join(missing)} (where there is no wheel of pocketsphinx "
        "for this Python, that wants a C compiler and a minute)"
    )


class Analysis:
    """The process, and what it says."""

    def __init__(self, process: Process, story: Story, log: Path) -> None:
        self._process = process
        self._story = story
        self._log = log
        self._reading = asyncio.create_task(self._read())

    @property
    def has_ended(self) -> bool:
        """Whether it is gone, wanted or not."""
        return self._reading.done()

    def last_words(self) -> str:
        """What it wrote last about itself."""
        with contextlib.suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
            told = [line.strip() for line in lines if line.strip()]
            return told[-1] if told else ""
        return ""

    async def stop(self) -> None:
        """Let it hear out what it has; then it has to go."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):  # a line without an end
            while line := await self._process.stdout.readline():
                with contextlib.suppress(orjson.JSONDecodeError):
                    self._story.take_line(orjson.loads(line))
        code = await self._process.wait()
        if code not in {0, 130}:
            self._story.failure = self.last_words() or f"earhook analyze ended with {code}"


@asynccontextmanager
async def analysing(
    address: str, rules: Sequence[Path], story: Story, log: Path
) -> AsyncIterator[Analysis]:
    """The analysis, for as long as the block runs. It may take a moment until it listens.

    Args:
        address: Of the PCM stream.
        rules: Files of rules.
        story: Told what is found.
        log: What the process says about itself.
    """
    arguments = [word for path in rules for word in ("--rules", str(path))]
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "earhook", "analyze", "--from", address,
            "--key", COMPLAINT_KEY, "--json", "--patience", str(ALONE_SECONDS), *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=errors, limit=LINE_BYTES,
            start_new_session=True,  # Ctrl-C is ours; it is told what to do
        )  # fmt: skip
    analysis = Analysis(process, story, log)
    try:
        yield analysis
    finally:
        await analysis.stop()
