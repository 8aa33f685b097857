"""Sentiment on labelled lines: plain VADER beside VADER with the lexicon.

python -m bench.sentiment [--show development] [--tweets Tweets.csv]

The lines were written for this, as recognisers write: no case, no punctuation. The lexicon was made
with `development.tsv` in view; `held-out.tsv` was written and committed before the lexicon, and no
word was added or taken away for what it showed. One person wrote all of it, lines and lexicon: that
it works as well on your calls is not shown by this.

So there is a set that nobody here has written or looked at while making the lexicon: 14,640 posts
to airlines, *Twitter US Airline Sentiment* (Crowdflower, 2015; CC BY-NC-SA 4.0, so it is not here:
get `Tweets.csv` yourself). People write there what they would say on the telephone, and much more.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from bench.provenance import RESULTS, machine
from earhook.analytics.sentiment import Lexicon, Sentiment, own_lexicon

HERE = Path(__file__).parent
REPORT = RESULTS / "sentiment.json"
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
    options.add_argument("--tweets", type=Path, metavar="FILE", help="judge this set as well")
    wanted = options.parse_args()
    scorers = {"plain VADER": Sentiment(Lexicon()), "with the lexicon": Sentiment(own_lexicon())}
    if wanted.show:
        show(read(wanted.show), scorers["with the lexicon"])
        return 0
    report = figures(scorers)
    if wanted.tweets is not None:
        report["elsewhere"] = judged_by_all({"posts to airlines": tweets(wanted.tweets)}, scorers)
    elif REPORT.is_file():
        report["elsewhere"] = json.loads(REPORT.read_text()).get("elsewhere", {})
    sys.stdout.write(table(report) + "\n")
    if not wanted.no_report:
        REPORT.write_text(json.dumps({"machine": machine(), **report}, indent=2) + "\n")
    return 0


def figures(scorers: dict[str, Sentiment]) -> dict[str, Any]:
    """Of the sets that lie here."""
    return {"sets": judged_by_all({name: read(name) for name in SETS}, scorers)}


def judged_by_all(
    sets: dict[str, list[Line]], scorers: dict[str, Sentiment]
) -> dict[str, dict[str, Any]]:
    """Accuracy and F1 of every set with every scorer."""
    return {
        name: {
            "lines": len(lines),
            "scorers": {title: judged(lines, one) for title, one in scorers.items()},
        }
        for name, lines in sets.items()
    }


def read(name: str) -> list[Line]:
    with (HERE / f"{name}.tsv").open(newline="", encoding="utf-8") as file:
        return [Line(*row) for row in csv.reader(file, delimiter="\t")]  # type: ignore[arg-type]


def tweets(path: Path) -> list[Line]:
    """The posts without addresses and links, written as recognisers write."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return [
            Line(row["airline_sentiment"], "customer", as_recognised(row["text"]))  # type: ignore[arg-type]
            for row in csv.DictReader(file)
        ]


def as_recognised(text: str) -> str:
    text = re.sub(r"https?://\S+|@\w+", " ", text.replace("&amp;", "and").replace("\u2019", "'"))
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


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
    for name, one in {**report["sets"], **report.get("elsewhere", {})}.items():
        for title, own in one["scorers"].items():
            cells = " | ".join(f"{own['f1'][label]:.2f}" for label in LABELS)
            rows.append(
                f"| {name} ({one['lines']:,}) | {title} | {own['accuracy']:.0%} | {cells} "
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
