"""Play the long stories against a real `earhook serve` with two workers, and say what came of them.

Ends with 0 if all is well, with 1 if anything happened that must not, with 130 on Ctrl-C (what
has been played by then is told). No process that was started here outlives it. Wants a machine
that does little besides.
"""

# ruff: noqa: T201 - a program for a terminal

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

from bench.provenance import machine, sentence

from . import stories
from .orphans import no_orphans
from .stories import LOG, Result

INTERRUPTED = 130


class Long(NamedTuple):
    """A story at its full length."""

    what: str
    play: Callable[[Path], Coroutine[Any, Any, Result]]


STORIES: dict[str, Long] = {
    "kills": Long(
        "50 workers are killed under connects (2 minutes)",
        lambda directory: stories.kills(directory, count=50, rate=40),
    ),
    "stopped": Long(
        "6 times a worker is stopped and goes on (20 seconds)",
        lambda directory: stories.stopped(directory, times=6),
    ),
    "parent": Long("the parent is killed (15 seconds)", stories.parent_killed),
    "descriptors": Long(
        "workers, then the parent, have no files left (30 seconds)",
        lambda directory: stories.no_descriptors(directory, connects=400),
    ),
    "memory": Long(
        "workers grow beyond their limit and are replaced (2 minutes)",
        lambda directory: stories.recycled(directory, calls=150),
    ),
    "rolled": Long(
        "20 rolling restarts under 200 calls (3 minutes)",
        lambda directory: stories.rolled(directory, times=20, calls=200),
    ),
}


class Played(NamedTuple):
    """A story, and what it came to."""

    name: str
    result: Result
    seconds: float


def main() -> None:
    """Play what was asked for, one after the other."""
    asked = _arguments()
    where = machine()
    print(sentence(where), flush=True)
    # A shell that starts us in the background has it ignored, and so would all that we start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    played: list[Played] = []
    is_interrupted = False
    try:
        for name in asked.only:
            with no_orphans(), tempfile.TemporaryDirectory(prefix="eh-") as directory:
                try:
                    played.append(_play(name, Path(directory)))
                finally:
                    _keep_log(Path(directory), name, asked.logs)
    except KeyboardInterrupt:
        is_interrupted = True
        print(f"{name:12} interrupted", flush=True)
    if asked.json is not None:
        asked.json.write_text(json.dumps(_as_json(where, played), indent=2) + "\n")
    if is_interrupted:
        sys.exit(INTERRUPTED)
    sys.exit(0 if all(not each.result.faults for each in played) else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="faults",
        description=__doc__,
        epilog="stories:\n"
        + "\n".join(f"  {name:12} {each.what}" for name, each in STORIES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        type=_names,
        default=list(STORIES),
        metavar="NAME,…",
        help="these stories, in this order (all of them)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keep the gateways' logs there")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in STORIES]:
        known = ", ".join(STORIES)
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known are {known}")
    return names


def _play(name: str, directory: Path) -> Played:
    """One story to its end; a story that breaks is one that failed."""
    began = time.monotonic()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            result = runner.run(STORIES[name].play(directory))
        except (TimeoutError, ExceptionGroup, AssertionError, OSError) as error:
            result = Result(STORIES[name].what, faults=[f"the story broke off: {error!r}"])
    played = Played(name, result, time.monotonic() - began)
    verdict = "FAILED" if result.faults else "ok"
    print(f"{name:12} {verdict:7} {result.done} ({played.seconds:.0f} s)")
    for figure in result.figures:
        print(f"{'':20} {figure}")
    for fault in result.faults:
        print(f"{'':20} MUST NOT BE: {fault}")
    sys.stdout.flush()
    return played


def _keep_log(directory: Path, name: str, logs: Path | None) -> None:
    if logs is not None and (directory / LOG).exists():
        logs.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(directory / LOG, logs / f"{name}.log")


def _as_json(where: dict[str, Any], played: Sequence[Played]) -> dict[str, Any]:
    return {
        "machine": where,
        "stories": [
            {
                "name": each.name,
                "done": each.result.done,
                "seconds": round(each.seconds, 1),
                "numbers": each.result.numbers,
                "figures": each.result.figures,
                "faults": each.result.faults,
            }
            for each in played
        ],
    }


if __name__ == "__main__":
    main()
