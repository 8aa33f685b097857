"""Two commits of the gateway side by side: the same work, in turns, on the same machine.

    python -m bench.compare HEAD~3 HEAD
    python -m bench.compare HEAD .             what is built in this environment, uncommitted too

Each commit is checked out and built in a place of its own (`target/bench-compare`, kept for the
next time; two to four minutes each the first time), with the same interpreter and the same
dependencies as here. Then both get every load in turn, in the order A B B A, with the programs of
this tree as generator and subscriber. What counts is the ratio of neighbours: what else happens
on the machine hits both. It has an interval that holds the true one with 95 % confidence.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from .ingest.figures import microseconds_per_frame
from .ingest.measure import (
    Contestant,
    Load,
    Row,
    Schedule,
    estimate_seconds,
    measure_one,
    prepare,
    say,
)
from .ingest.servers import Gateway
from .provenance import RESULTS, ROOT, machine, sentence, warn_if_busy
from .soak.flatness import student

HERE = "."
BUILDS = ROOT / "target" / "bench-compare"
LOADS = (Load(1_000, 5, 3_200), Load(4_000, 5, 3_200), Load(1_000, 50, 320))
QUICK_LOADS = LOADS[:1]
CONFIDENCE = 0.95
FIGURES = ("us_per_frame", "us_to_open", "kib_per_call")


class Build(NamedTuple):
    """One side.

    Attributes:
        commit: In full, or `.`.
    """

    word: str
    commit: str
    python: Path


def build(word: str) -> Build:
    """Check a commit out and install it, unless that was done before."""
    if word == HERE:
        return Build(word, HERE, Path(sys.executable))
    commit = _git("rev-parse", "--verify", f"{word}^{{commit}}")
    place = BUILDS / commit[:12]
    python = place / ".venv" / "bin" / "python"
    done = place / "done"
    if not done.exists():
        print(f"building {word} ({commit[:12]})", file=sys.stderr, flush=True)
        tree = place / "tree"
        if not tree.exists():
            tree.parent.mkdir(parents=True, exist_ok=True)
            _run("git", "clone", "--quiet", "--shared", "--no-checkout", ROOT, tree)
        _run("git", "-C", tree, "checkout", "--quiet", "--detach", commit)
        _run(sys.executable, "-m", "venv", place / ".venv")
        frozen = place / "constraints.txt"
        frozen.write_text(_said(sys.executable, "-m", "pip", "freeze", "--exclude-editable"))
        # One target for all: what two commits share is compiled once.
        where = {"CARGO_TARGET_DIR": str(BUILDS / "cargo")}
        _run(python, "-m", "pip", "install", "-q", "--constraint", frozen, tree, more=where)
        done.touch()
    return Build(word, commit, python)


def compare(
    sides: Sequence[Build], loads: Sequence[Load], schedule: Schedule
) -> list[dict[str, Any]]:
    """All runs, in the order A B B A."""
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="earhook-bench-") as name:
        directory = Path(name)
        prepare(directory)
        for round_number in range(schedule.rounds):
            for load in loads:
                turns = sides if round_number % 2 == 0 else tuple(reversed(sides))
                for side in turns:
                    place = directory / str(len(runs))
                    place.mkdir()
                    run = measure_one(Gateway(place, python=side.python), load, schedule)
                    letter = "AB"[sides.index(side)]
                    runs.append({"round": round_number, "server": letter, **load._asdict(), **run})
                    say(runs[-1])
    return runs


class Ratio(NamedTuple):
    """B divided by A.

    Attributes:
        low: With `high`, the interval; not a number of less than two rounds.
    """

    middle: float
    low: float
    high: float

    @property
    def words(self) -> str:
        """For a table."""
        if math.isnan(self.low):
            return f"{self.middle:.3f}"
        return f"{self.middle:.3f} ({self.low:.3f} to {self.high:.3f})"


def ratio(pairs: Sequence[tuple[float, float]]) -> Ratio:
    """Of neighbours: the geometric mean, and Student's interval of its logarithm."""
    logs = [math.log(b / a) for a, b in pairs]
    mean, count = statistics.fmean(logs), len(logs)
    if count < 2:
        return Ratio(math.exp(mean), math.nan, math.nan)
    margin = student((1 + CONFIDENCE) / 2, count - 1) * statistics.stdev(logs) / math.sqrt(count)
    return Ratio(*(math.exp(mean + sign * margin) for sign in (0, -1, 1)))


def figures_of(run: dict[str, Any]) -> dict[str, float]:
    """What is compared."""
    grown = run["server_memory_kib"] - run["memory_before_kib"]
    return {
        "us_per_frame": microseconds_per_frame(run),
        "us_to_open": run["opening_cpu_ns"] / run["calls"] / 1000,
        "kib_per_call": grown / run["calls"],
    }


def summarise(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry for each load."""
    entries = []
    for load in dict.fromkeys(Load(*(run[name] for name in Load._fields)) for run in runs):
        mine = [run for run in runs if Load(*(run[name] for name in Load._fields)) == load]
        sides = [
            [figures_of(run) for run in sorted(mine, key=_round) if run["server"] == letter]
            for letter in "AB"
        ]
        entry: dict[str, Any] = {**load._asdict(), "words": load.words}
        for name in FIGURES:
            a, b = ([figures[name] for figures in side] for side in sides)
            found = ratio(list(zip(a, b, strict=True)))
            middles = [round(statistics.median(side), 2) for side in (a, b)]
            entry[name] = {"a": middles[0], "b": middles[1], "ratio": found.words}
        entries.append(entry)
    return entries


def _round(run: dict[str, Any]) -> int:
    return int(run["round"])


def markdown(entries: Sequence[dict[str, Any]]) -> str:
    """The table for people."""
    rows = ["| load | figure | A | B | B : A |", "|---|---|---:|---:|---|"]
    for entry in entries:
        for name in FIGURES:
            own = entry[name]
            rows.append(f"| {entry['words']} | {name} | {own['a']} | {own['b']} | {own['ratio']} |")
    return "\n".join(rows)


def main() -> None:
    """Build, run, print."""
    options = read_options()
    sides = [build(word) for word in options.commits]
    loads = [Load(calls, 5, 3_200) for calls in options.calls or ()]
    loads = loads or list(QUICK_LOADS if options.quick else LOADS)
    rounds = options.rounds or (2 if options.quick else 5)
    schedule = Schedule(rounds, *((1.5, 4.0) if options.quick else (3.0, 8.0)))
    where = machine()
    warn_if_busy(where)
    both = [Contestant(side.word, partial(Gateway, python=side.python)) for side in sides]
    minutes = estimate_seconds([Row(load, both) for load in loads], schedule) / 60
    print(f"about {minutes:.1f} minutes", file=sys.stderr, flush=True)
    runs = compare(sides, loads, schedule)
    entries = summarise(runs)
    names = "; ".join(f"{'AB'[n]} is {own.word} ({own.commit})" for n, own in enumerate(sides))
    print(f"{sentence(where)}\n{names}\n\n{markdown(entries)}")
    if options.output is not None:
        commits = [own.commit for own in sides]
        report = {"machine": where, "commits": commits, "loads": entries, "runs": runs}
        options.output.write_text(json.dumps(report, indent=1) + "\n")
    if not all(run["complete"] for run in runs):
        sys.exit("in some runs not all that was sent arrived: their figures mean nothing")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("commits", nargs=2, metavar="COMMIT")
    parser.add_argument("--calls", nargs="*", type=int, help="numbers of calls")
    parser.add_argument("--rounds", type=int, help="5; with --quick 2")
    parser.add_argument("--quick", action="store_true", help="one load, short windows")
    parser.add_argument("--output", type=Path, default=RESULTS / "compare.json")
    return parser.parse_args()


def _git(*words: str) -> str:
    return _said("git", "-C", str(ROOT), *words).strip()


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def _run(*command: object, more: dict[str, str] | None = None) -> None:
    words = [str(word) for word in command]
    subprocess.run(words, check=True, env={**os.environ, **(more or {})})


if __name__ == "__main__":
    main()
