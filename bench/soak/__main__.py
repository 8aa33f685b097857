"""Calls come and go for an hour, or for a night; nothing may be lost, and nothing may grow.

    python -m bench.soak --minutes 70

It starts `earhook serve` (TLS, both doors, recordings, a PCM stream) and two `earhook load` that
hold a steady number of calls: pauses, discarded and late audio, bursts, connections that break
off, probes; every sample is proved at the PCM stream. Beside them come balancers' probes, broken
requests, forged signatures and passing listeners. It ends by itself, or on Ctrl-C with what it
has. Exit code 0: all balanced, all flat. 1: something is wrong. 4: nothing is, but the run was too
short to say that memory, descriptors and threads are flat. See ../README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.gateway_process import GatewayProcess
from bench.provenance import RESULTS, machine, sentence

from .callers import HANG_UP_SECONDS, Callers, Shape, faults, https_words, media_words
from .recordings import Collector
from .verdict import LIMITS, Course, Moment
from .visitors import Visitors
from .watch import Reading, read_tree, total, unbalanced
from .watch import faults as gateway_faults

LOOK_SECONDS: Final = 5.0
FIRST_CALL_SECONDS: Final = 60.0
COLLECT_SECONDS: Final = 10.0
REST_SECONDS: Final = 90.0
"""In which the gateway comes to rest: a call whose sender is gone over HTTPS ends by silence."""
SETTLED_SECONDS: Final = 3.0
OVERTIME_SECONDS: Final = 120.0
FAULTS_KEPT: Final = 50
LONGEST_WARM_UP_SECONDS: Final = 600.0
HTTPS_SHARE: Final = 0.15
HTTPS_PATH: Final = "/stream/v1/audiohook"
CONFIGURATION: Final = """\
[ingest]
host = "127.0.0.1"
port = 0
[[ingest.tokens]]
name = "soak"
token_file = "token"
[limits.connections]
shared_addresses = ["127.0.0.0/8"]
[shedding]
enabled = false
[workers]
count = {workers}
"""
"""No shedding: a run beside other work would be told of the other work."""


@dataclass(slots=True)
class Soak:
    """One run.

    Attributes:
        wrong: What is not as it should be, in words; the first of them.
        wrong_count: How many there were.
    """

    gateway: GatewayProcess
    options: argparse.Namespace
    course: Course
    callers: tuple[Callers, ...]
    visitors: Visitors
    collector: Collector
    wrong: Counter[str] = field(default_factory=Counter)
    interrupted: bool = False
    seconds: float = 0.0
    counters: dict[str, float] = field(default_factory=dict)

    async def run(self) -> None:
        """From the first call to the last."""
        loop = asyncio.get_running_loop()
        main = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupt, main, number)
        self.course.resting.append(await self._settled())
        began = loop.time()
        calling = [asyncio.create_task(own.run()) for own in self.callers]
        beside = [
            asyncio.create_task(work)
            for work in (self._watch(began), self._collect(), self.visitors.come())
        ]
        try:
            # Whoever ends before its time ends it for all: without its calls it is no soak.
            everybody, longest = [*calling, *beside], self.options.minutes * 60 + OVERTIME_SECONDS
            await asyncio.wait(everybody, timeout=longest, return_when=asyncio.FIRST_COMPLETED)
            if loop.time() - began < self.course.end_seconds:
                for own in self.callers:
                    own.hang_up()
            await asyncio.wait(calling, timeout=HANG_UP_SECONDS)
        finally:
            self.seconds = loop.time() - began
            for task in (*calling, *beside):
                task.cancel()
            ended = await asyncio.gather(*calling, *beside, return_exceptions=True)
        for outcome in ended:
            if isinstance(outcome, Exception):
                self._object(f"{type(outcome).__name__}: {outcome}")
        await self._rest()

    def _interrupt(self, main: asyncio.Task[None] | None, number: signal.Signals) -> None:
        if self.interrupted and main is not None:
            main.cancel()
        self.interrupted = True
        words = f"{number.name}: all calls hang up; once more drops them"
        print(words, file=sys.stderr, flush=True)
        for own in self.callers:
            own.hang_up()

    async def _watch(self, began: float) -> None:
        loop = asyncio.get_running_loop()
        said = began
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                moment = await self._look(loop.time() - began)
            except OSError as error:
                self._object(f"the gateway does not tell its figures: {error}")
                if not self.gateway.is_alive:
                    return
                continue
            if not moment.opened and moment.seconds >= FIRST_CALL_SECONDS:
                self._object(f"no call came about in {FIRST_CALL_SECONDS:.0f} s; see the log")
                return
            if loop.time() >= said + self.options.say_every:
                said = loop.time()
                self._say(moment)

    async def _look(self, seconds: float) -> Moment:
        self.counters = await asyncio.to_thread(self.gateway.counters)
        for text in (*unbalanced(self.counters), *gateway_faults(self.counters)):
            self._object(text)
        calls, opened = (
            int(total(self.counters, f"earhook_calls{name}")) for name in ("", "_opened_total")
        )
        moment = Moment(seconds, calls, opened, read_tree(self.gateway.pid))
        self.course.moments.append(moment)
        return moment

    async def _collect(self) -> None:
        while True:
            await asyncio.sleep(COLLECT_SECONDS)
            await asyncio.to_thread(self.collector.collect)

    async def _settled(self) -> Reading:
        """What the gateway holds once all its processes are up."""
        due, since = time.monotonic() + REST_SECONDS, time.monotonic()
        reading = read_tree(self.gateway.pid)
        while since + SETTLED_SECONDS > time.monotonic() < due:
            await asyncio.sleep(0.2)
            before, reading = reading, read_tree(self.gateway.pid)
            if (before.processes, before.descriptors) != (reading.processes, reading.descriptors):
                since = time.monotonic()
        return reading

    async def _rest(self) -> None:
        """Wait until nothing is live, and take stock."""
        due = time.monotonic() + REST_SECONDS
        while self.gateway.is_alive and time.monotonic() < due:
            await asyncio.sleep(1.0)
            self.counters = await asyncio.to_thread(self.gateway.counters)
            held = ("earhook_calls", "earhook_ring_bytes", "earhook_sink_buffered_samples")
            busy = [name for name in (*held, "earhook_connections") if total(self.counters, name)]
            if not busy:
                break
        else:
            self._object(f"not at rest {REST_SECONDS:.0f} s after the last call: {busy}")
        self.course.resting.append(await self._settled())
        await asyncio.to_thread(self.collector.collect)

    def _object(self, text: str) -> None:
        if text in self.wrong or len(self.wrong) < FAULTS_KEPT:
            if text not in self.wrong:
                print(f"WRONG: {text}", file=sys.stderr, flush=True)
            self.wrong[text] += 1

    def _say(self, moment: Moment) -> None:
        own, before = moment.reading, self.course.moments[max(-13, -len(self.course.moments))]
        passed = max(moment.seconds - before.seconds, 1.0)
        share = (own.cpu_seconds - before.reading.cpu_seconds) / passed
        slope = self.course.slope("mib").words("MiB")
        print(
            f"{moment.seconds / 60:6.1f} min  {moment.calls:4} calls  {moment.opened:7,} opened  "
            f"{own.mib:7.1f} MiB  {slope}  {own.descriptors} descriptors  {own.threads} threads  "
            f"{share:.0%} CPU  {sum(self.wrong.values()) or 'nothing'} wrong",
            file=sys.stderr,
            flush=True,
        )

    def conclude(self) -> dict[str, Any]:
        """Judge it, the gateway having ended."""
        for own in self.callers:
            for text in faults(own):
                self._object(f"{own.name}: {text}")
        for text in (*self.collector.faults[:FAULTS_KEPT], *self.course.faults()):
            self._object(text)
        if left := self.collector.left():
            self._object(f"{len(left)} files of recordings left, such as {left[0]}")
        for name, count in self.visitors.surprises.items():
            self._object(f"{count} x {name}")
        for text in self._books():
            self._object(text)
        if self.gateway.exit_code:
            self._object(f"the gateway ended with {self.gateway.exit_code}")
        verdicts = self.course.verdicts()
        undecided = [name for name, own in verdicts.items() if own.word == "undecided"]
        return {
            "verdict": "wrong" if self.wrong else "too short" if undecided else "flat",
            "wrong": dict(self.wrong),
            "undecided": undecided,
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 1),
            "calls_opened": int(total(self.counters, "earhook_calls_opened_total")),
            "probes": int(total(self.counters, "earhook_probes_total")),
            "samples_received": int(total(self.counters, "earhook_samples_received_total")),
            "recordings": self.collector.collected,
            "visits": dict(self.visitors.visits),
            "loads": {own.name: own.result for own in self.callers},
            **self.course.as_json(),
        }

    def _books(self) -> list[str]:
        """What is known from several sides must be the same."""
        opened = int(total(self.counters, "earhook_calls_opened_total"))
        closed = int(total(self.counters, "earhook_calls_closed_total"))
        results = [own.result for own in self.callers if own.result]
        made = sum(own["counts"]["opened"] - own["counts"]["probes"] for own in results)
        proved = sum(own["verified"]["samples"]["right"] for own in results)
        written = int(total(self.counters, "earhook_samples_written_total"))
        pairs = {
            "calls opened, and closed": (opened, closed),
            "calls opened, and recorded": (opened, self.collector.collected),
            "calls opened, and made by the callers": (opened, made),
            "samples written, and recorded": (written, self.collector.samples),
        }
        wrong = [
            f"{words}: {one:,} and {other:,}"
            for words, (one, other) in pairs.items()
            if one != other
        ]
        if proved > self._channel_samples():
            wrong.append(f"{proved:,} samples proved, but only {self._channel_samples():,} written")
        return wrong

    def _channel_samples(self) -> int:
        """At the most: two channels."""
        return 2 * int(total(self.counters, "earhook_samples_written_total"))


def main() -> int:
    """Run, judge, keep."""
    options = read_options()
    where = machine()
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="earhook-soak-")))
        (directory / "token").write_text(secrets.token_urlsafe(24))
        (directory / "token").chmod(0o600)
        more = CONFIGURATION.format(workers=options.workers)
        with GatewayProcess(directory, more) as gateway:
            soak = prepare(gateway, options)
            with contextlib.suppress(asyncio.CancelledError, ProcessLookupError):
                asyncio.run(soak.run())
        report = soak.conclude()
        if soak.wrong and options.log is not None:
            options.log.write_bytes((directory / "gateway.log").read_bytes())
    asked = {name: str(value) for name, value in vars(options).items()}
    report = {"machine": where, "asked": asked} | report
    if options.output is not None:
        options.output.parent.mkdir(exist_ok=True)
        options.output.write_text(json.dumps(report, indent=1) + "\n")
    print_report(report)
    return {"flat": 0, "wrong": 1, "too short": 4}[report["verdict"]]


def prepare(gateway: GatewayProcess, options: argparse.Namespace) -> Soak:
    """Everybody who takes part."""
    place, directory = gateway.place, gateway.directory
    calls = max(round(options.rate * options.hold), 2)
    posted = max(round(calls * HTTPS_SHARE), 1)
    seconds = options.minutes * 60
    shapes = [Shape(own, options.hold, seconds) for own in (calls - posted, posted)]
    https_port = gateway.started["ingest_port"]
    https = f"https://localhost:{https_port}{HTTPS_PATH}"
    return Soak(
        gateway,
        options,
        Course(options.warm_up * 60, seconds - shapes[0].ramp_seconds),
        (
            Callers("WebSocket", media_words(place.url, place.address, directory, shapes[0])),
            Callers("HTTPS", https_words(https, place.address, directory, shapes[1])),
        ),
        Visitors(place, https_port),
        Collector(directory / "recordings"),
    )


def print_report(report: dict[str, Any]) -> None:
    """For people."""
    print(sentence(report["machine"]))
    print(
        f"{report['seconds'] / 60:.1f} min{' (interrupted)' if report['interrupted'] else ''}: "
        f"{report['calls_opened']:,} calls, {report['probes']:,} probes, "
        f"{report['samples_received']:,} samples received, {report['recordings']:,} recordings, "
        + ", ".join(f"{count:,} x {kind}" for kind, count in report["visits"].items())
    )
    for figure in LIMITS:
        own = report["slopes_per_hour"][figure]
        slope = "unknown" if own["per_hour"] is None else f"{own['per_hour']:+} ± {own['margin']}"
        print(f"{figure}: {slope} per hour, limit {own['limit_per_hour']}: {own['word']}")
    for text, count in report["wrong"].items():
        print(f"WRONG ({count} x): {text}")
    print(f"verdict: {report['verdict']}")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=70.0)
    length.add_argument("--hours", type=float, default=None)
    parser.add_argument("--rate", type=float, default=1.7, help="calls that begin in a second")
    parser.add_argument("--hold", type=float, default=30.0, help="their mean length in seconds")
    parser.add_argument("--warm-up", type=float, default=None, help="minutes that do not count")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--say-every", type=float, default=60.0, help="seconds between lines")
    parser.add_argument("--output", type=Path, default=RESULTS / "soak.json")
    parser.add_argument(
        "--log", type=Path, help="keep the gateway's log there if something is wrong"
    )
    options = parser.parse_args()
    if options.hours is not None:
        options.minutes = options.hours * 60
    if options.minutes < 0.5:
        parser.error("half a minute at least")
    if options.warm_up is None:
        options.warm_up = min(options.minutes / 3, LONGEST_WARM_UP_SECONDS / 60)
    return options


if __name__ == "__main__":
    sys.exit(main())
