"""Does a figure grow? Its slope with a confidence interval. Pure: numbers in, verdicts out.

Memory that is read every few seconds is no set of independent values: what is high now is high in
a moment. So readings are first gathered into batches of a minute or more, and the means of these
are what a line is fitted to, by least squares. Live calls are fitted too: memory that is there
because more calls are there is no growth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np

__all__ = ["Point", "Slope", "Verdict", "fit"]

BATCHES: Final = 24
SHORTEST_BATCH_SECONDS: Final = 60.0
FEWEST_BATCHES: Final = 6
CONFIDENCE: Final = 0.95
HOUR_SECONDS: Final = 3600.0


class Point(NamedTuple):
    """One reading.

    Attributes:
        seconds: When.
        calls: Live then.
        value: What was read.
    """

    seconds: float
    calls: float
    value: float


class Verdict(NamedTuple):
    """Whether a figure is flat.

    Attributes:
        word: `flat`: the whole interval is below the limit; `grows`: all of it is above;
            `undecided`: it holds the limit, or there was too little to fit a line to.
    """

    word: str
    limit_per_hour: float


@dataclass(frozen=True, slots=True)
class Slope:
    """How fast a figure grows.

    Attributes:
        per_hour: Best guess; None where there are too few batches.
        margin: The true one is within so much of it, with 95 % confidence.
        per_call: What a live call adds; None where calls were always the same number.
    """

    per_hour: float | None
    margin: float
    per_call: float | None
    batches: int

    def judge(self, limit_per_hour: float) -> Verdict:
        """Compare with a limit."""
        word = "undecided"
        if self.per_hour is not None and self.per_hour + self.margin <= limit_per_hour:
            word = "flat"
        elif self.per_hour is not None and self.per_hour - self.margin > limit_per_hour:
            word = "grows"
        return Verdict(word, limit_per_hour)

    def words(self, unit: str) -> str:
        """For a line of progress."""
        if self.per_hour is None:
            return "slope not known yet"
        return f"{self.per_hour:+.2f} ± {self.margin:.2f} {unit}/h"

    def as_json(self) -> dict[str, Any]:
        """All of it, rounded; what is not known is None."""
        return {
            name: (round(value, 4) if math.isfinite(value) else None)
            if isinstance(value, float)
            else value
            for name, value in asdict(self).items()
        }


def fit(points: Sequence[Point]) -> Slope:
    """The slope of readings in order of time, with its interval."""
    means = _batch_means(points)
    count = len(means)
    if count < FEWEST_BATCHES:
        return Slope(None, math.inf, None, count)
    hours, calls, values = (means - means.mean(axis=0)).T
    hours = hours / HOUR_SECONDS
    varies = float(np.std(calls)) > 0.5
    columns = np.stack([np.ones(count), hours, *([calls] if varies else [])], axis=1)
    found, *_ = np.linalg.lstsq(columns, values, rcond=None)
    freedom = count - columns.shape[1]
    spread = float(np.sum((values - columns @ found) ** 2)) / freedom
    error = math.sqrt(spread * float(np.linalg.pinv(columns.T @ columns)[1, 1]))
    margin = error * student((1 + CONFIDENCE) / 2, freedom)
    return Slope(float(found[1]), margin, float(found[2]) if varies else None, count)


def _batch_means(points: Sequence[Point]) -> np.ndarray[Any, np.dtype[np.float64]]:
    every = np.asarray(points, dtype=np.float64).reshape(-1, 3)
    if not len(every):
        return every
    began = every[0, 0]
    length = every[-1, 0] - began
    batches = min(BATCHES, int(length / SHORTEST_BATCH_SECONDS))
    if batches < 1:
        return every[:0]
    places = np.minimum(((every[:, 0] - began) / length * batches).astype(int), batches - 1)
    held = [every[places == place] for place in range(batches)]
    return np.array([own.mean(axis=0) for own in held if len(own)])


def student(probability: float, freedom: int) -> float:
    """A quantile of Student's t distribution, from that of the normal one (Cornish and Fisher).

    Right to 1 % from three degrees of freedom on.
    """
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(z + sum(term / freedom**power for power, term in enumerate(terms, 1)))
