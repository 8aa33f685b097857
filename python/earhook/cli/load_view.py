"""What `earhook load` shows: a line while it runs, tables at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from earhook.load.generator import Progress
from earhook.load.histograms import PERCENTILES, Latency
from earhook.load.outcome import Outcome
from earhook.load.plan import LoadPlan
from earhook.load.tally import Recent

__all__ = ["LoadView"]

PLAIN_EVERY_SECONDS: Final = 10.0
"""Where no terminal is, the line is said so rarely that a log can hold it."""
FAULTY_SHOWN: Final = 10


class LoadView:
    """Shows one load. The line goes to standard error, results to standard output.

    Args:
        quiet: Show no line.
    """

    def __init__(self, plan: LoadPlan, *, quiet: bool) -> None:
        self._plan = plan
        self._quiet = quiet
        self._frames = 0
        self._looked = 0.0
        self._said = 0.0
        self._terminal = sys.stderr.isatty()
        self._console = Console(highlight=False, soft_wrap=True)

    def look(self, progress: Progress, seconds: float) -> None:
        """A second has passed."""
        if self._quiet:
            return
        counts = progress.counts
        fps = (counts.frames - self._frames) / max(seconds - self._looked, 0.001)
        self._frames, self._looked = counts.frames, seconds
        line = (
            f"{seconds:6.0f} s  {counts.live:,} calls  {counts.opened:,} opened  "
            f"{counts.failed:,} failed  {fps:,.0f} frames/s"
            + _recent("rtt", progress.recent.get("pong"))
            + _recent("opened in", progress.recent.get("opened"))
            + _recent("answered in", progress.recent.get("block"))
        )
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
        elif seconds - self._said >= PLAIN_EVERY_SECONDS or not self._said:
            self._said = seconds
            typer.echo(line, err=True)

    def print_json(self, outcome: Outcome, crossed: list[str]) -> None:
        """One object."""
        report = outcome.as_json() | {"ok": not crossed, "crossed": crossed}
        typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2))

    def print_summary(self, outcome: Outcome, crossed: list[str]) -> None:
        """Tables and the verdict."""
        if self._terminal and not self._quiet:
            sys.stderr.write("\r\x1b[K")
        self._console.print(_heading(outcome))
        self._console.print(_latencies(outcome), soft_wrap=False)
        for name, rows in _lists(outcome):
            self._console.print()
            self._console.print(_rows(name, rows), soft_wrap=False)
        self._console.print()
        if outcome.bottleneck:
            self._console.print(Text(outcome.bottleneck, "bold yellow"))
        for condition in crossed:
            self._console.print(Text(f"failed: {condition}", "bold red"))
        if not crossed and not outcome.bottleneck:
            self._console.print(Text("the load was carried", "bold green"))


def _recent(name: str, recent: Recent | None) -> str:
    if recent is None or not recent.count:
        return ""
    mean = recent.total_seconds / recent.count * 1000
    return f"  {name} {mean:.1f} ms (to {recent.worst_seconds * 1000:.0f})"


def _heading(outcome: Outcome) -> Text:
    counts, plan = outcome.tally.counts, outcome.plan
    per_frame = outcome.microseconds_per_frame
    text = Text.assemble((plan.target.url, "bold"), f"  seed {plan.shape.seed}\n")
    text.append(
        f"{counts.due:,} calls in {outcome.seconds:.1f} s: {counts.opened:,} opened, "
        f"{counts.completed:,} went as they should, {counts.failed:,} failed"
    )
    if counts.probes or counts.broken_off:
        text.append(f"; {counts.probes:,} probes, {counts.broken_off:,} broken off on purpose")
    text.append(f"\n{counts.frames:,} frames of {plan.frame_milliseconds} ms")
    text.append(f", {counts.octets / 1e6:,.1f} MB")
    if counts.held_frames:
        text.append(f"; {counts.held_frames:,} found a server that read too slowly")
    if per_frame is not None:
        text.append(
            f"\ngenerator: {per_frame:.1f} µs CPU a frame, all included; "
            f"{outcome.tally.busiest:.0%} of a core in its busiest second"
        )
    if outcome.server is not None:
        own = outcome.server.as_json(outcome.seconds, counts.frames)
        text.append(
            f"\nserver: {own['cores']} cores, {own['cpu_us_per_frame']} µs CPU a frame, "
            f"{own['peak_mib']} MiB at most"
        )
    text.append("\n")
    return text


def _latencies(outcome: Outcome) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("ms")
    for name in (*PERCENTILES, "max", "count"):
        table.add_column(name, justify="right")
    for name, latency in outcome.latencies.items():
        table.add_row(name.replace("_", " "), *_cells(latency))
    return table


def _cells(latency: Latency) -> Iterable[str]:
    for statistic in (*PERCENTILES, "max"):
        value = latency.milliseconds(statistic)
        yield "" if value is None else f"{value:,.2f}"
    yield f"{latency.count:,}"


def _lists(outcome: Outcome) -> Iterable[tuple[str, list[tuple[str, str]]]]:
    tally = outcome.tally
    if tally.failures:
        yield "failed", [(f"{count:,}", kind) for kind, count in tally.failures.most_common()]
    if tally.objections:
        rows = [(f"{count:,}", rule) for rule, count in tally.objections.most_common()]
        yield "rules broken", rows
    findings = outcome.findings
    if findings is None:
        return
    own = findings.samples
    yield (
        "proved",
        [
            (f"{findings.proved:,}", f"of {findings.calls:,} calls, sample for sample"),
            (f"{own.right:,}", f"of {own.sent:,} samples right at their place"),
            (f"{own.lost:,}", "lost"),
            (f"{own.repeated:,}", "repeated"),
            (f"{own.reordered:,}", "reordered"),
            (f"{own.wrong:,}", "wrong"),
            (f"{own.late:,}", f"later than {outcome.plan.late_seconds:g} s"),
            (f"{own.cut_off:,}", "under way when a connection broke off"),
            (f"{findings.unbalanced:,}", "calls whose totals the server tells otherwise"),
        ],
    )
    if findings.faulty:
        yield (
            "faulty calls",
            [
                (call.session, ", ".join(_faults(call.samples)))
                for call in findings.faulty[:FAULTY_SHOWN]
            ],
        )


def _faults(samples: object) -> Iterable[str]:
    for name in ("lost", "repeated", "reordered", "wrong"):
        if count := getattr(samples, name):
            yield f"{count:,} {name}"


def _rows(name: str, rows: list[tuple[str, str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", title_justify="left")
    table.add_column(name, justify="right")
    table.add_column("")
    for count, text in rows:
        table.add_row(count, Text(text))
    return table
