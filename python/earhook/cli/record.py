"""`earhook record`: what recordings hold, and putting right what a crash left behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod
    from rich.table import Table

    from earhook.sinks.recording.inspect import RecordingReport
    from earhook.sinks.recording.repair import RepairReport

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Look at recordings and repair them."
)

SOMETHING_LEFT: Final = 1
NAME_WIDTH: Final = 14
UNKNOWN: Final = "–"  # noqa: RUF001 - what stands for nothing in a table
PIPED_COLUMNS: Final = 160
"""Wide enough that no row of a table is folded for a program that reads it."""

PathsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE|DIRECTORY…",
        help="WAV files or sidecars (each means its whole call), or directories with all below.",
        show_default=False,
    ),
]


@app.command()
def inspect(
    paths: PathsArgument,
    measure: Annotated[
        bool | None,
        typer.Option(
            "--measure/--no-measure",
            help="Read all audio to measure levels. Left out: only if no directory is named.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per line and recording.")
    ] = False,
) -> None:
    """Show what recordings hold: facts, length, gaps, levels, books, and whether they are right.

    Ends with 1 if a recording is unfinished, wrong or unreadable, or contradicts its sidecar.
    """
    from earhook.sinks.recording.inspect import inspect as inspect_recordings

    wants_levels = not any(path.is_dir() for path in paths) if measure is None else measure
    reports = []
    for report in inspect_recordings(paths, measure=wants_levels):
        reports.append(report)
        if as_json:
            _print_json(report.as_json())
    if not as_json:
        _show_recordings(reports)
    if any(report.needs_attention for report in reports):
        raise typer.Exit(SOMETHING_LEFT)


@app.command()
def repair(
    paths: PathsArgument,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Change nothing; say what would be done.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per line and file.")
    ] = False,
) -> None:
    """Make recordings that a crash cut off whole again; what is being written is left alone.

    Headers get their true lengths, unfinished files their final names, sidecars their end. Doing
    it again changes nothing. Ends with 1 if a file could not be repaired, or, with --dry-run, if
    there is something to repair.
    """
    from earhook.sinks.recording.repair import RepairOutcome
    from earhook.sinks.recording.repair import repair as repair_recordings

    left = {RepairOutcome.FAILED, RepairOutcome.REPAIRABLE}
    outcomes: Counter[str] = Counter()
    for report in repair_recordings(paths, dry_run=dry_run):
        outcomes[report.outcome] += 1
        if as_json:
            _print_json(report.as_json())
        elif report.outcome is not RepairOutcome.RIGHT:
            _show_repair(report)
    if not as_json:
        counted = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        typer.echo(counted or "no recordings found")
    if left & outcomes.keys():
        raise typer.Exit(SOMETHING_LEFT)


def _print_json(fields: dict[str, Any]) -> None:
    import orjson

    typer.echo(orjson.dumps(fields).decode())


def _show_repair(report: RepairReport) -> None:
    said = [f"{report.outcome:<10} {_clean(report.path)}"]
    if report.renamed_to:
        said.append(f"-> {_clean(report.renamed_to)}")
    if report.seconds is not None:
        said.append(f"{report.seconds:.3f} s")
    if report.cut_bytes:
        said.append(f"{report.cut_bytes} bytes of a torn sample cut off")
    if report.detail:
        said.append(f"({_clean(report.detail)})")
    typer.echo("  ".join(said))


def _show_recordings(reports: list[RecordingReport]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPED_COLUMNS
    if not reports:
        console.print("no recordings found")
    elif len(reports) == 1:
        _show_details(console, reports[0])
    else:
        console.print(_overview(reports))
    for report in reports if len(reports) > 1 else []:
        for problem in report.problems:
            console.print(f"{_clean(report.stem)}: {_clean(problem)}", style="red", markup=False)


def _overview(reports: list[RecordingReport]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("recording", "state", "length", "gaps", "lost", "peak dB"):
        justify: JustifyMethod = "right" if heading == "length" else "left"
        # On a narrow terminal the name folds, which cuts nothing off; the rest stays readable.
        folds = heading == "recording"
        table.add_column(heading, justify=justify, no_wrap=not folds, overflow="fold")
    for report in reports:
        cells = (
            report.stem,
            report.state,
            _length(report.seconds),
            _spans(report, "gaps"),
            _spans(report, "lost"),
            _peaks(report),
        )
        table.add_row(*(Text(_clean(cell)) for cell in cells), style=_style(report))
    return table


def _show_details(console: Console, report: RecordingReport) -> None:
    from rich.text import Text

    call = report.sidecar.get("call")
    rows: list[tuple[str, object]] = [
        ("recording", report.directory / report.stem),
        ("state", report.state),
        *_facts(call if isinstance(call, dict) else {}),
        ("ended", report.sidecar.get("reason", "")),
        ("audio", _audio(report)),
        ("length", f"{_length(report.seconds)} ({report.seconds:.3f} s)"),
    ]
    for file in report.files:
        samples = f"{file.samples} samples, {file.file_bytes} bytes"
        said = " ".join(filter(None, (file.state, file.detail)))
        rows.append(("file", f"{file.file}: {said}, {samples}"))
    rows += [("gap", _span(span, report.rate)) for span in _entries(report, "gaps")]
    rows += [("lost", _span(span, report.rate)) for span in _entries(report, "lost")]
    rows += [("peak", _levels(report, "peak")), ("rms", _levels(report, "rms"))]
    rows += [("signal", _signal(report)), ("books", _books(report))]
    rows += [("problem", problem) for problem in report.problems]
    for name, value in rows:
        if value not in ("", None):
            line = Text.assemble((f"{_clean(name):<{NAME_WIDTH}}", "bold"), _clean(value))
            # Not wrapped by us: paths and numbers can be copied whole.
            console.print(line, soft_wrap=True)


def _facts(call: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """The sidecar's facts of the call, as people read them."""
    for name, value in call.items():
        if name == "opened" and isinstance(value, int | float) and 0 <= value < 1 << 32:
            yield name, datetime.fromtimestamp(value, UTC).isoformat(" ", "milliseconds")
        elif isinstance(value, list):
            yield name, ", ".join(str(item) for item in value)
        else:
            yield name, value


def _audio(report: RecordingReport) -> str:
    for file in report.files:
        if file.header is not None:
            audio = file.header.format
            channels = {1: "mono", 2: "stereo"}.get(audio.channels, f"{audio.channels} channels")
            return f"{audio.codec} {channels}, {audio.rate} Hz"
    return ""


def _levels(report: RecordingReport, key: str) -> str:
    from earhook.sinks.recording.levels import decibels

    levels = {name: level for name, level in report.levels.items() if isinstance(level, dict)}
    return ", ".join(f"{name} {decibels(level, key)}" for name, level in levels.items())


def _peaks(report: RecordingReport) -> str:
    """The sides' peaks in the order of the file, without words, for the table."""
    from earhook.sinks.recording.levels import decibels

    levels = [level for level in report.levels.values() if isinstance(level, dict)]
    if not levels:
        return UNKNOWN
    return " / ".join(decibels(level, "peak").removesuffix(" dB") for level in levels)


def _signal(report: RecordingReport) -> str:
    """What the call sounded like, as its sidecar says."""
    heard = report.sidecar.get("signal")
    figures = heard.get("figures") if isinstance(heard, dict) else None
    if not isinstance(figures, dict):
        return ""
    channels = figures.get("channels")
    lanes = channels.items() if isinstance(channels, dict) else ()
    said = [
        f"{name} talks {ratio:.0%}"
        for name, lane in lanes
        if isinstance(lane, dict) and isinstance(ratio := lane.get("talk_ratio"), int | float)
    ]
    for word in ("talk_over", "dead_air", "longest_dead_air"):
        seconds = figures.get(f"{word}_seconds")
        if isinstance(seconds, int | float):
            said.append(f"{word.replace('_', ' ')} {seconds:.1f} s")
    if isinstance(silent := figures.get("one_way"), str):
        said.append(f"one-way: {silent} silent")
    return ", ".join(said)


def _books(report: RecordingReport) -> str:
    books = report.sidecar.get("books")
    if not isinstance(books, dict):
        return "unknown: the recording was not closed" if report.sidecar else ""
    return ", ".join(f"{name} {value}" for name, value in books.items())


def _entries(report: RecordingReport, key: str) -> list[dict[str, Any]]:
    spans = report.sidecar.get(key)
    return [span for span in spans if isinstance(span, dict)] if isinstance(spans, list) else []


def _spans(report: RecordingReport, key: str) -> str:
    """Number and length of a recording's gaps or losses."""
    lengths = [span.get("samples") for span in _entries(report, key)]
    samples = sum(length for length in lengths if isinstance(length, int))
    return f"{len(lengths)} ({samples / report.rate:.1f} s)" if lengths else ""


def _span(span: dict[str, Any], rate: int) -> str:
    position, samples = span.get("position"), span.get("samples")
    if not (isinstance(position, int) and isinstance(samples, int)):
        return str(span)
    return f"at {position / rate:.3f} s for {samples / rate:.3f} s: {span.get('reason')}"


def _length(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _style(report: RecordingReport) -> str:
    return "red" if report.needs_attention else ""


def _clean(value: object) -> str:
    """Text for a terminal: files may have been tampered with."""
    from earhook.ops.redaction import printable

    return printable(str(value), 1024)
