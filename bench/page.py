"""Writes docs/reference/figures.md and its pictures from what benches have left in `results`.

python -m bench.page [--check]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from hdrh.histogram import HdrHistogram

from . import calls, floods, ingest_http
from .ingest import figures
from .latency import figures as latency
from .provenance import RESULTS, ROOT, in_short
from .svg import bars, latencies, lines

PAGE = ROOT / "docs" / "reference" / "figures.md"
PICTURES = ROOT / "docs" / "reference" / "figures"
BAR_GROUPS = 4
Pictures: TypeAlias = dict[str, str]
Report: TypeAlias = Mapping[str, Any]

HEAD = """\
# Figures

Made from `bench/results` by `python -m bench.page`; do not edit. Each table is one command; how to
read it, and what it does not say, is in [How to read the figures](../concepts/figures.md).
"""


def servers(report: Report, pictures: Pictures, _results: Path) -> Iterator[str]:
    """The gateway beside others."""
    groups = {
        _short(load): {name: own["us_per_frame"] for name, own in load["servers"].items()}
        for load in report["loads"][:BAR_GROUPS]
    }
    title = "CPU time per received frame, microseconds"
    pictures["servers"] = bars(title, "µs per frame", groups)
    yield _picture("servers", title)
    yield figures.markdown(report["loads"])


def scale(report: Report, pictures: Pictures, _results: Path) -> Iterator[str]:
    """As calls grow."""
    names = list(report["loads"][0]["servers"])

    def curves(
        figure: Callable[[Mapping[str, Any]], float],
    ) -> dict[str, list[tuple[float, float]]]:
        return {
            name: [
                (0.0, 0.0),
                *((load["calls"], figure(load["servers"][name])) for load in report["loads"]),
            ]
            for name in names
        }

    pictures["scale-cpu"] = lines(
        "CPU of a core, as calls grow (200 ms stereo frames, TLS)",
        ("calls", "% of a core"),
        curves(lambda own: own["server_share"] * 100),
    )
    pictures["scale-memory"] = lines(
        "Memory above that of an idle server, as calls grow",
        ("calls", "MiB"),
        curves(lambda own: (own["memory_kib"] - own["memory_before_kib"]) / 1024),
    )
    yield _picture("scale-cpu", "CPU as calls grow")
    yield _picture("scale-memory", "memory as calls grow")
    yield figures.markdown(report["loads"])


def subscribers(report: Report, _pictures: Pictures, _results: Path) -> Iterator[str]:
    """Each takes everything."""
    yield figures.markdown(report["loads"])


def proved_calls(report: Report, pictures: Pictures, results: Path) -> Iterator[str]:
    """Every sample, and latencies."""
    found = {
        stage["stage"]: _histograms(calls.log_path(stage["stage"], results))
        for stage in report["stages"]
    }
    titles = {
        "end_to_end": "From when a frame is due until a subscriber's program holds it",
        "opened": "From open to opened",
        "connect": "From when a call is due until its upgrade is answered",
    }
    for name, title in titles.items():
        series = {stage: _points(own[name]) for stage, own in found.items() if name in own}
        if series:
            pictures[f"latency-{name.replace('_', '-')}"] = latencies(title, series)
            yield _picture(f"latency-{name.replace('_', '-')}", title)
    yield calls.markdown(report["stages"])


def heard(report: Report, pictures: Pictures, results: Path) -> Iterator[str]:
    """How old a frame is at a subscriber."""
    found = _histograms(results / "latency.hlog")
    title = "From when a frame is sent until a local subscriber has its PCM"
    pictures["latency-added"] = latencies(title, {n: _points(own) for n, own in found.items()})
    yield _picture("latency-added", title)
    yield latency.markdown(report["runs"], report["latencies"])


def posted(report: Report, _pictures: Pictures, _results: Path) -> Iterator[str]:
    """Over HTTPS."""
    yield ingest_http.markdown(report["runs"])


def attacked(report: Report, _pictures: Pictures, _results: Path) -> Iterator[str]:
    """Floods."""
    yield floods.markdown(report["attacks"])


def soaked(report: Report, pictures: Pictures, _results: Path) -> Iterator[str]:
    """An hour and more."""
    series = report["series"]
    title = f"Memory in a soak of {report['seconds'] / 60:.0f} minutes"
    pictures["soak"] = lines(
        title,
        ("minutes", "MiB"),
        {"resident": [(own["seconds"] / 60, own["mib"]) for own in series]},
    )
    yield _picture("soak", title)
    yield (
        f"{report['calls_opened']:,} calls and {report['probes']:,} probes; "
        f"{report['samples_received']:,} samples received; {report['recordings']:,} recordings; "
        f"{sum(report['visits'].values()):,} visits of others. Verdict: **{report['verdict']}**."
    )
    rows = ["| at rest | before | after | slope per hour | limit |", "|---|---:|---:|---|---:|"]
    before, after = report["at_rest"][0], report["at_rest"][-1]
    for name, own in report["slopes_per_hour"].items():
        slope = "unknown" if own["per_hour"] is None else f"{own['per_hour']:+} ± {own['margin']}"
        cells = (name, f"{before[name]:.4g}", f"{after[name]:.4g}", slope, own["limit_per_hour"])
        rows.append(f"| {' | '.join(map(str, cells))} |")
    yield "\n".join(rows)


SECTIONS: dict[str, tuple[str, str, Callable[[Report, Pictures, Path], Iterator[str]]]] = {
    "servers": ("Beside other servers", "just bench-ingest", servers),
    "scale": ("As calls grow", "just bench-scale", scale),
    "subscribers": ("Several subscribers", "just bench-subscribers", subscribers),
    "calls": ("Calls, sample by sample", "just bench-calls", proved_calls),
    "latency": ("From a frame to a local subscriber", "just bench-latency", heard),
    "ingest_http": ("Over HTTPS POST", "just bench-ingest-http", posted),
    "floods": ("Floods", "just bench-floods", attacked),
    "soak": ("A soak", "just soak", soaked),
}


def written(results: Path) -> tuple[str, Pictures]:
    """The page, and its pictures by name."""
    parts, pictures = [HEAD], Pictures()
    for name, (title, command, section) in SECTIONS.items():
        path = results / f"{name}.json"
        if not path.exists():
            continue
        report = json.loads(path.read_text())
        parts.append(f"## {title}\n\n`{command}`; {in_short(report['machine'])}.\n")
        parts += [f"{text}\n" for text in section(report, pictures, results)]
    return "\n".join(parts), pictures


def _picture(name: str, words: str) -> str:
    return f"![{words}](figures/{name}.svg)"


def _short(load: Mapping[str, Any]) -> str:
    milliseconds = 1000 // load["frames_per_second"]
    plain = "" if load["transport"] == "tls" else ", plain"
    return f"{load['calls']:,} x {milliseconds} ms{plain}"


def _histograms(path: Path) -> dict[str, HdrHistogram]:
    """Of an interval log, by tag."""
    found = {}
    for line in path.read_text().splitlines():
        if line.startswith("Tag="):
            tag, *_, encoded = line.split(",")
            found[tag.removeprefix("Tag=")] = HdrHistogram.decode(encoded)
    return found


def _points(histogram: HdrHistogram) -> list[tuple[float, float]]:
    """From the median's side to the last value that there is."""
    shares = [1 - 10 ** (-step / 20) for step in range(200)]
    most = 1 - 1 / max(histogram.get_total_count(), 2)
    kept = [share for share in shares if share < most] + [most]
    return [(own, histogram.get_value_at_percentile(100 * own) / 1000) for own in kept]


def main() -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if it would differ")
    options = parser.parse_args()
    page, pictures = written(RESULTS)
    wanted = {PAGE: page} | {PICTURES / f"{name}.svg": text for name, text in pictures.items()}
    there = set(PICTURES.glob("*.svg"))
    if options.check:
        stale = [
            path for path, text in wanted.items() if not path.exists() or path.read_text() != text
        ]
        stale += sorted(there - set(wanted))
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what `python -m bench.page` writes")
        return 1 if stale else 0
    PICTURES.mkdir(parents=True, exist_ok=True)
    for path in there - set(wanted):
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
