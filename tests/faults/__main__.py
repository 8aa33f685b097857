"""Play the long stories and print what they came to.

    PYTHONPATH=tests python -m faults [--only kills,rolled]

Ends with 1 if anything happened that must not. Wants a machine that does little besides: eight
minutes on two cores.
"""

# ruff: noqa: T201 - a program for a terminal

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

from . import stories
from .stories import Result

Story = Callable[[Path], Coroutine[Any, Any, Result]]
STORIES: dict[str, Story] = {
    "kills": lambda directory: stories.kills(directory, count=50, rate=40),
    "stopped": lambda directory: stories.stopped(directory, times=6),
    "parent": stories.parent_killed,
    "descriptors": lambda directory: stories.no_descriptors(directory, connects=400),
    "memory": lambda directory: stories.recycled(directory, calls=150),
    "rolled": lambda directory: stories.rolled(directory, times=20, calls=200),
}


def main() -> None:
    """Play them one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(STORIES))
    names = parser.parse_args().only
    if unknown := [name for name in names if name not in STORIES]:
        sys.exit(f"unknown: {', '.join(unknown)}; known are {', '.join(STORIES)}")
    ended_well = [play(name, STORIES[name]) for name in names]
    sys.exit(0 if all(ended_well) else 1)


def play(name: str, story: Story) -> bool:
    """One story; whether it ended well."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="eh-") as directory:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            result = runner.run(story(Path(directory)))
    verdict = "FAILED" if result.faults else "ok"
    print(f"{name:12} {verdict:7} {result.done} ({time.monotonic() - began:.0f} s)")
    for figure in result.figures:
        print(f"{'':20} {figure}")
    for fault in result.faults:
        print(f"{'':20} MUST NOT BE: {fault}", flush=True)
    return not result.faults


if __name__ == "__main__":
    main()
