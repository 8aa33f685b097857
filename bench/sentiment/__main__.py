"""Sentiment on labelled lines: plain VADER beside VADER with the lexicon.

python -m bench.sentiment [--show development]

The lines were written for this, as recognisers write: no case, no punctuation. The lexicon was made
with `development.tsv` in view; `held-out.tsv` was written and committed before the lexicon, and no
word was added or taken away for what it showed. One person wrote all of it, lines and lexicon: that
it works as well on your calls is not shown by this.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from bench.provenance import RESULTS, machine
from earhook.analytics.sentiment import Lexicon, Sentiment, own_lexicon

HERE = Path(__file__).parent
SETS = ("development", "held-out")
Label: TypeAlias = Literal["negative", "neutral", "positive"]
LABELS: tuple[Label, ...] = ("negative", "neutral", "positive")
LINE = 0.05
"""VADER's own: a compound score beyond it is no longer neutral."""


class Line(NamedTuple):
    label: Label
    who: str
    text: str


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--show", choices=SETS, help="the lines that are judged wrongly")
    options.add_argument("--no-report", action="store_true", help="write no file")
    wanted = options.parse_args()
    scorers = {"plain VADER": Sentiment(Lexicon()), "with the lexicon": Sentiment(own_lexicon())}
    if wanted.show:
        show(read(wanted.show), scorers["with the lexicon"])
        return 0
    report = figures(scorers)
    sys.stdout.write(table(report) + "\n")
    if not wanted.no_report:
        text = json.dumps({"machine": machine(), **report}, indent=2)
        (RESULTS / "sentiment.json").write_text(text + "\n")
    return 0


def figures(scorers: dict[str, Sentiment]) -> dict[str, Any]:
    """Accuracy and F1 of every set with every scorer."""
    return {
        "sets": {
            name: {
                "lines": len(read(name)),
                "scorers": {title: judged(read(name), one) for title, one in scorers.items()},
            }
            for name in SETS
        }
    }


def read(name: str) -> list[Line]:
    with (HERE / f"{name}.tsv").open(newline="", encoding="utf-8") as file:
        return [Line(*row) for row in csv.reader(file, delimiter="\t")]  # type: ignore[arg-type]


def judgement(score: float) -> Label:
    return "negative" if score <= -LINE else "positive" if score >= LINE else "neutral"


def judged(lines: Sequence[Line], sentiment: Sentiment) -> dict[str, Any]:
    """How many lines were told right, by label."""
    begun = time.perf_counter()
    pairs = Counter((line.label, judgement(sentiment.score(line.text))) for line in lines)
    seconds = time.perf_counter() - begun
    scores = {label: f1(pairs, label) for label in LABELS}
    return {
        "accuracy": sum(pairs[label, label] for label in LABELS) / len(lines),
        "f1": scores,
        "macro_f1": sum(scores.values()) / len(scores),
        "negative_as_positive": pairs["negative", "positive"],
        "positive_as_negative": pairs["positive", "negative"],
        "microseconds_per_line": seconds / len(lines) * 1e6,
    }


def f1(pairs: Counter[tuple[Label, Label]], label: Label) -> float:
    right = pairs[label, label]
    said = sum(count for (_, judged_as), count in pairs.items() if judged_as == label)
    are = sum(count for (truth, _), count in pairs.items() if truth == label)
    return 2 * right / (said + are) if said + are else 0.0


def table(report: dict[str, Any]) -> str:
    """As Markdown."""
    rows = [
        "| lines | | right | F1 negative | neutral | positive | complaints taken for praise |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for name, one in report["sets"].items():
        for title, own in one["scorers"].items():
            cells = " | ".join(f"{own['f1'][label]:.2f}" for label in LABELS)
            rows.append(
                f"| {name} ({one['lines']}) | {title} | {own['accuracy']:.0%} | {cells} "
                f"| {own['negative_as_positive']} |"
            )
    return "\n".join(rows)


def show(lines: Sequence[Line], sentiment: Sentiment) -> None:
    """What is judged wrongly, for whoever works on the lexicon."""
    for line in lines:
        score = sentiment.score(line.text)
        if judgement(score) != line.label:
            sys.stdout.write(f"{line.label:9}{score:+.2f}  {line.text}\n")


if __name__ == "__main__":
    sys.exit(main())
