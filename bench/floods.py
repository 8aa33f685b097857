"""Floods against a whole gateway, and what the calls that it carries meanwhile notice of them.

    python -m bench.floods                    all attacks, three rounds
    python -m bench.floods --only probes      one of them

Four processes on loopback: `earhook serve` over TLS, one that plays twenty signed calls in real
time, one subscriber of the PCM stream that checks each of their samples, and the attacker.

Exit code 1 if, in the median of the rounds, an attack moves a p99 of the calls (added latency, or
ping to pong) by 20 ms or more, or leaves the gateway's memory more than 16 MiB above what it was
before, three seconds after its end; or if ever a sample is lost, a call cut or not opened, or the
gateway finds a fault in itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import uvloop

from earhook.testing import CallPlan, CallSetup, PeerManners, Source

from .attacks import Struck, attacks, strike
from .gateway_process import SHARED, GatewayProcess, Place, percentiles
from .proved_calls import Heard, TimedPeer, added_latency, hear
from .provenance import RESULTS, machine, sentence

CALLS: Final = 20
PING_SECONDS: Final = 1.0
CALM_SECONDS: Final = 3.0
REST_SECONDS: Final = 3.0
"""Longer than the gateway keeps ended calls for subscribers that come back."""
SAMPLE_SECONDS: Final = 0.02
CLOSE_SECONDS: Final = 30.0
ATTACK_SECONDS: Final = 60.0
"""No attack lasts longer, whatever happens to it."""
MOVED_MS: Final = 20.0
KEPT_MIB: Final = 16.0
REFERENCE: Final = 0
"""The attack that is none."""
CUTS: Final = {
    "earhook_connections_broken_total": "",
    "earhook_connections_refused_total": "",
    "earhook_authentication_refused_total": "signature ",
    "earhook_calls_closed_total": "call ",
    "earhook_tls_handshake_failures_total": "TLS handshake at ",
}
"""Metrics that count what was cut or refused, and what goes before their label in the table."""


# Those who behave, in processes of their own.


def play(place: Place, sessions: tuple[str, ...], pipe: Connection) -> None:
    """Keep calls up until told to end."""
    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(_play(place, sessions, pipe))


async def _play(place: Place, sessions: tuple[str, ...], pipe: Connection) -> None:
    context = place.client_context()
    peers = []
    for session in sessions:
        call = CallPlan(
            source=Source.random(session),
            setup=CallSetup(session_id=session),
            credential=place.credential,
            manners=PeerManners(ping_seconds=PING_SECONDS),
        )
        peer = await TimedPeer.connect(place.url, call, context)
        peers.append(peer)
        await peer.opened()
        await asyncio.sleep(0.2 / len(sessions))  # their frames are not to leave together
    pipe.send("playing")
    await asyncio.to_thread(pipe.recv)
    for peer in peers:
        peer.close()
    await asyncio.gather(*(peer.finished() for peer in peers))
    pipe.send(
        {
            "completed": sum(peer.record.outcome == "completed" for peer in peers),
            "objections": [text for peer in peers for text in peer.record.objections],
            "samples": sum(peer.record.samples_sent for peer in peers),
            "handed": {peer.setup.session_id: peer.handed for peer in peers},
            "pongs": [pong for peer in peers for pong in peer.pongs],
        }
    )


def listen(place: Place, sessions: tuple[str, ...], pipe: Connection) -> None:
    """Subscribe to all calls, the attacker's too, and check each sample of `sessions`."""
    pipe.send(uvloop.run(hear(place.address, sessions)))


# One round: a gateway, calls, and all attacks one after the other.


NEVER: Final = Struck(0.0, 0.0, 0)


@dataclass
class Struggle:
    """One attack as seen from the gateway: moments on the monotonic clock, and figures."""

    name: str
    calm_from: float
    struck: Struck = NEVER
    rested: float = 0.0
    rss_mib: dict[str, float] = field(default_factory=dict)
    cpu_share: float = 0.0
    cut: dict[str, int] = field(default_factory=dict)


def one_round(numbers: list[int], seconds: float) -> list[dict[str, Any]]:
    """A row for each attack; the last row is the round as a whole."""
    spawn = multiprocessing.get_context("spawn")
    sessions = tuple(str(uuid.uuid4()) for _ in range(CALLS))
    near_player, far_player = spawn.Pipe()
    near_listener, far_listener = spawn.Pipe()
    with (
        tempfile.TemporaryDirectory(prefix="earhook-") as directory,
        GatewayProcess(Path(directory), SHARED) as gateway,
        ProcessPoolExecutor(1, spawn) as attacker,
    ):
        attacker.submit(os.getpid).result()
        given = gateway.place, sessions
        listener = spawn.Process(target=listen, args=(*given, far_listener), daemon=True)
        player = spawn.Process(target=play, args=(*given, far_player), daemon=True)
        listener.start()
        player.start()
        far_listener.close()
        far_player.close()
        answer_of(near_player)
        struggles = [struggle(gateway, attacker, number, seconds) for number in numbers]
        near_player.send("end")
        played, heard = answer_of(near_player), answer_of(near_listener)
        counters = gateway.counters()
    rows = [row_of(each, played, heard) for each in struggles]
    return [*rows, whole_of(gateway, struggles, counters, played, heard)]


def answer_of(pipe: Connection) -> Any:
    """What the process at the other end has to say; EOFError if it has ended."""
    if not pipe.poll(CLOSE_SECONDS):
        raise TimeoutError("a process does not answer")
    return pipe.recv()


def struggle(
    gateway: GatewayProcess, attacker: ProcessPoolExecutor, number: int, seconds: float
) -> Struggle:
    """Some calm, one attack, and a rest."""
    seen = Struggle(attacks()[number].name, time.monotonic())
    time.sleep(CALM_SECONDS)
    counters, cpu = gateway.counters(), gateway.cpu_seconds()
    before = highest = gateway.rss_mib()
    striking = attacker.submit(strike, number, gateway.place, seconds)
    deadline = time.monotonic() + ATTACK_SECONDS
    while not striking.done() and time.monotonic() < deadline:
        highest = max(highest, gateway.rss_mib())
        time.sleep(SAMPLE_SECONDS)
    seen.struck = striking.result(timeout=0)
    seen.cpu_share = (gateway.cpu_seconds() - cpu) / (seen.struck.ended - seen.struck.began)
    time.sleep(REST_SECONDS)
    seen.rss_mib = {"before": before, "highest": highest, "after": gateway.rss_mib()}
    seen.cut = grown(counters, gateway.counters())
    seen.rested = time.monotonic()
    return seen


def grown(before: dict[str, float], after: dict[str, float]) -> dict[str, int]:
    """What was cut and refused between two readings of the metrics."""
    cut = {}
    for name, value in after.items():
        metric, _, labels = name.partition("{")
        more = int(value - before.get(name, 0))
        if metric in CUTS and more:
            cut[CUTS[metric] + labels.rstrip('}"').rpartition('"')[2]] = more
    return cut


def row_of(seen: Struggle, played: dict[str, Any], heard: Heard) -> dict[str, Any]:
    """What the calls noticed of one attack."""
    latency = list(added_latency(played["handed"], heard))
    calm = seen.calm_from, seen.calm_from + CALM_SECONDS
    attacked = seen.struck.began, seen.struck.ended
    return {
        "attack": seen.name,
        "seconds": round(attacked[1] - attacked[0], 1),
        "connections": seen.struck.connections,
        "latency_calm_ms": percentiles(within(calm, latency)),
        "latency_attacked_ms": percentiles(within(attacked, latency)),
        "pong_calm_ms": percentiles(within(calm, played["pongs"])),
        "pong_attacked_ms": percentiles(within(attacked, played["pongs"])),
        "rss_mib": {name: round(mib, 1) for name, mib in seen.rss_mib.items()},
        "cpu_share": round(seen.cpu_share, 2),
        "cut": seen.cut,
        "samples_lost": int(sum(within((calm[0], seen.rested), heard.faults))),
    }


def within(window: tuple[float, float], moments: Iterable[tuple[float, Any]]) -> list[Any]:
    """Values whose moment lies in a window."""
    begin, end = window
    return [value for at, value in moments if begin <= at <= end]


def whole_of(
    gateway: GatewayProcess,
    struggles: list[Struggle],
    counters: dict[str, float],
    played: dict[str, Any],
    heard: Heard,
) -> dict[str, Any]:
    """What must hold of a round as a whole, and its memory from first to last."""
    closings = gateway.log_lines("call.closed")
    return {
        "calls_completed": played["completed"],
        "objections": played["objections"][:5],
        "samples_sent": 2 * played["samples"],
        "samples_right": heard.right,
        "misplaced_blocks": heard.misplaced,
        "missing": heard.missing,
        "gateway_faults": int(counters["earhook_faults_total"]),
        "calls_unbalanced": sum(not closing["balanced"] for closing in closings),
        "gateway_exit_code": gateway.exit_code,
        "rss_mib": [
            round(struggles[0].rss_mib["before"], 1),
            round(struggles[-1].rss_mib["after"], 1),
        ],
    }


# The judgement.


def median_row(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One attack over all rounds: medians, but the sum of lost samples and the worst of memory."""
    first = rows[0]
    merged: dict[str, Any] = {"attack": first["attack"]}
    for name, value in first.items():
        each = [row[name] for row in rows]
        if name == "cut":
            reasons = {reason for cut in each for reason in cut}
            medians = {one: statistics.median(cut.get(one, 0) for cut in each) for one in reasons}
            merged[name] = {one: int(count) for one, count in sorted(medians.items()) if count}
        elif isinstance(value, dict):
            merged[name] = {
                key: round(statistics.median(one[key] for one in each), 2) for key in value
            }
        elif name == "samples_lost":
            merged[name] = sum(each)
        elif name != "attack":
            merged[name] = round(statistics.median(each), 2)
    merged["rss_mib"]["highest"] = max(row["rss_mib"]["highest"] for row in rows)
    merged["moved_ms"] = {
        what: round(merged[f"{what}_attacked_ms"]["p99"] - merged[f"{what}_calm_ms"]["p99"], 2)
        for what in ("latency", "pong")
    }
    merged["kept_mib"] = round(
        statistics.median(row["rss_mib"]["after"] - row["rss_mib"]["before"] for row in rows), 1
    )
    return merged


def judge(rows: list[dict[str, Any]], wholes: list[dict[str, Any]]) -> list[str]:
    """What is not as it should be."""
    wrong = []
    for row in rows:
        name = row["attack"]
        if name != attacks()[REFERENCE].name:
            wrong += [
                f"{name}: p99 of {what} moved by {moved} ms"
                for what, moved in row["moved_ms"].items()
                if moved >= MOVED_MS
            ]
        if row["kept_mib"] > KEPT_MIB:
            wrong.append(f"{name}: {row['kept_mib']} MiB did not come back")
        if row["samples_lost"]:
            wrong.append(f"{name}: {row['samples_lost']} samples lost")
    for number, whole in enumerate(wholes, 1):
        wanted = {
            "calls_completed": CALLS,
            "objections": [],
            "samples_right": whole["samples_sent"],
            "misplaced_blocks": 0,
            "missing": {},
            "gateway_faults": 0,
            "calls_unbalanced": 0,
            "gateway_exit_code": 0,
        }
        wrong += [
            f"round {number}: {name} is {whole[name]}, not {value}"
            for name, value in wanted.items()
            if whole[name] != value
        ]
    return wrong


# The table.


def markdown(rows: list[dict[str, Any]]) -> str:
    """For people."""
    lines = [
        (
            "| attack | connections | latency calm p50 / p99 / max, ms | attacked | "
            "ping to pong calm | attacked | RSS before / highest / after, MiB | CPU | "
            "cut or refused | samples lost |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        rss = row["rss_mib"]
        cells = [
            row["attack"],
            f"{row['connections']:,.0f} in {row['seconds']:.1f} s",
            *(shown(row[f"{what}_ms"]) for what in WINDOWS),
            " / ".join(f"{rss[name]:.0f}" for name in ("before", "highest", "after")),
            f"{row['cpu_share']:.0%}",
            ", ".join(f"{count:,} {reason}" for reason, count in row["cut"].items()) or "nothing",
            str(row["samples_lost"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def shown(figures: dict[str, float]) -> str:
    """Three of them."""
    return " / ".join(f"{figures[name]:.1f}" for name in ("p50", "p99", "max"))


WINDOWS: Final = ("latency_calm", "latency_attacked", "pong_calm", "pong_attacked")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, help="of each attack; 5 without --quick")
    parser.add_argument("--rounds", type=int, help="of which medians are taken; 3 without --quick")
    parser.add_argument("--quick", action="store_true", help="one round of short attacks")
    parser.add_argument("--only", default="", help="attacks whose name holds this")
    parser.add_argument("--output", type=Path, default=RESULTS / "floods.json")
    options = parser.parse_args()
    options.seconds = options.seconds or (2.0 if options.quick else 5.0)
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.numbers = [number for number, each in enumerate(attacks()) if options.only in each.name]
    if not options.numbers:
        parser.error(f"there is no attack like {options.only!r}")
    return options


def main() -> int:
    """Run, print the table, judge it."""
    options, where, rounds = read_options(), machine(), []
    each_seconds = CALM_SECONDS + options.seconds + REST_SECONDS
    minutes = options.rounds * (len(options.numbers) * each_seconds + 10) / 60
    print(f"about {minutes:.1f} minutes", file=sys.stderr, flush=True)
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        rounds.append(one_round(options.numbers, options.seconds))
    wholes = [each[-1] for each in rounds]
    rows = [
        median_row(list(of_one)) for of_one in zip(*(each[:-1] for each in rounds), strict=True)
    ]
    wrong = judge(rows, wholes)
    print(f"{sentence(where)}\n\n{markdown(rows)}")
    memory = ", ".join("{} → {}".format(*whole["rss_mib"]) for whole in wholes)
    print(f"\nRSS of each round, first to last, in MiB: {memory}\n")
    if options.output:
        report = {"machine": where, "attacks": rows, "rounds": rounds, "wrong": wrong}
        options.output.parent.mkdir(exist_ok=True)
        options.output.write_text(json.dumps(report, indent=1) + "\n")
    print("\n".join(wrong) if wrong else "nothing was lost, and nobody had to wait")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
