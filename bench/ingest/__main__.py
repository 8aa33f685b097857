"""CPU and memory per call of the gateway, beside servers that do less, in the same run.

    python -m bench.ingest servers        the gateway, listening to calls and not, a C receiver, and
                                          five WebSocket libraries
    python -m bench.ingest scale          as calls grow from 200 to 8,000
    python -m bench.ingest subscribers    with 1, 2 and 4 subscribers of the PCM stream

Every load is given to every server in turn, and the turns are repeated, so that whatever else
happens on the machine hits all of them. See ../README.md for what it needs and how to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.provenance import RESULTS, machine, sentence, warn_if_busy
from earhook.control.process import raise_open_files

from .figures import markdown, summarise
from .measure import Contestant, Load, Row, Schedule, estimate_seconds, measure, prepare
from .servers import REFERENCES, DeafGateway, Floor, Gateway

MONITOR, SHORT = (5, 3_200), (50, 320)
"""Frames a second and bytes each: 200 ms and 20 ms of stereo mu-law in real time."""
FLOOR, GATEWAY = Contestant(Floor.name, Floor), Contestant(Gateway.name, Gateway)
DEAF = Contestant(DeafGateway.name, DeafGateway)
CALLS = (200, 500, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 8_000)
QUICK_CALLS = (200, 1_000, 2_000, 4_000, 5_000, 8_000)


def servers(options: argparse.Namespace) -> list[Row]:
    """Everybody on the same work."""
    loads = [Load(calls, *MONITOR) for calls in (1_000, 4_000)]
    loads += [Load(1_000, *SHORT), Load(4_000, *MONITOR, "plain")]
    if not options.quick:
        loads += [Load(200, *MONITOR), Load(4_000, *SHORT), Load(1_000, *SHORT, "plain")]
    if options.smoke:
        loads = [Load(50, *MONITOR), Load(50, *SHORT, "plain")]
    if options.calls:
        loads = [Load(calls, *MONITOR) for calls in options.calls]
    there = []
    for kind in REFERENCES:
        if trouble := kind.is_here():
            print(f"left out: {kind.name}: {trouble}", file=sys.stderr)
        else:
            there.append(Contestant(kind.name, kind))
    everybody = (*there, DEAF, GATEWAY)
    chosen = [own for own in everybody if not options.only or own.name in options.only]
    return [Row(load, chosen) for load in loads]


def scale(options: argparse.Namespace) -> list[Row]:
    """It must stay linear."""
    numbers = (50, 100) if options.smoke else QUICK_CALLS if options.quick else CALLS
    return [Row(Load(calls, *MONITOR), (FLOOR, GATEWAY)) for calls in options.calls or numbers]


def subscribers(options: argparse.Namespace) -> list[Row]:
    """Each takes everything."""
    contestants = [
        Contestant(
            f"{count} subscriber{'s' if count > 1 else ''}", partial(Gateway, subscribers=count)
        )
        for count in (1, 2, 4)
    ]
    numbers = (50,) if options.smoke else (1_000,) if options.quick else (200, 1_000, 2_000)
    loads = [Load(calls, *MONITOR) for calls in options.calls or numbers]
    return [Row(load, (FLOOR, *contestants)) for load in loads]


TABLES: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "servers": servers,
    "scale": scale,
    "subscribers": subscribers,
}


def main() -> None:
    """Run all rounds, print the tables and keep the figures."""
    options = read_options()
    raise_open_files()
    rows = TABLES[options.table](options)
    schedule = Schedule(
        options.rounds, options.warm, options.window, leave=options.table == "scale"
    )
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("two cores are needed: one for the server, one for the load")
    where = machine()
    warn_if_busy(where)
    print(f"about {estimate_seconds(rows, schedule) / 60:.1f} minutes", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="earhook-bench-") as name:
        prepare(Path(name))
        runs = measure(rows, schedule, Path(name))
    loads = summarise(runs)
    report = {"machine": where, "schedule": schedule._asdict(), "loads": loads, "runs": runs}
    print(f"{sentence(where)}\n\n{markdown(loads)}")
    if options.output is not None:
        options.output.parent.mkdir(exist_ok=True)
        options.output.write_text(json.dumps(report, indent=1) + "\n")
    if not all(run["complete"] for run in runs):
        sys.exit("in some runs not all that was sent arrived: their figures mean nothing")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--quick", action="store_true", help="one short round, fewer loads")
    parser.add_argument("--smoke", action="store_true", help="does it work? figures not kept")
    parser.add_argument("--calls", nargs="*", type=int, help="other numbers of calls, over TLS")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--warm", type=float, help="seconds before the window")
    parser.add_argument("--window", type=float, help="seconds that are measured")
    parser.add_argument("--only", nargs="*", default=[], help="servers, by name")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    usual = (1, 0.5, 1.5) if options.smoke else (1, 2.0, 5.0) if options.quick else (3, 3.0, 10.0)
    for name, value in zip(("rounds", "warm", "window"), usual, strict=True):
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.output is None and not options.smoke:
        options.output = RESULTS / f"{options.table}.json"
    return options


if __name__ == "__main__":
    main()
