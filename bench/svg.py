"""Three kinds of pictures as SVG, made by hand: lines, bars, and latency by percentile. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeAlias

__all__ = ["Axis", "bars", "latencies", "lines"]

Points: TypeAlias = Sequence[tuple[float, float]]
Scale: TypeAlias = Callable[[float], float]

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 24, 70, 52
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Told apart by everybody (Okabe and Ito)."""
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#333}.title{font-size:16px;font-weight:600}"
    ".grid{stroke:#ddd}.axis{stroke:#888}.series{fill:none;stroke-width:2.2}"
)
CHARACTER = 7.2
"""Width of one, about."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of a picture.

    Attributes:
        words: What it shows, with the unit.
        ticks: Values, and what is written there.
    """

    words: str
    ticks: Sequence[tuple[float, str]]
    scale: Scale


def lines(title: str, words: tuple[str, str], series: Mapping[str, Points]) -> str:
    """Figures that depend on another one, both axes from 0."""
    every = [point for points in series.values() for point in points]
    across = _linear(words[0], max(x for x, _ in every), LEFT, WIDTH - RIGHT)
    up = _linear(words[1], max(y for _, y in every), HEIGHT - BOTTOM, TOP)
    marks = [
        _dots(points, across.scale, up.scale, COLOURS[place])
        for place, points in enumerate(series.values())
    ]
    return _picture(title, (across, up), [*_curves(series, across, up), *marks], list(series))


def latencies(title: str, series: Mapping[str, Points]) -> str:
    """Milliseconds (logarithmic) by percentile.

    Args:
        title: Above it.
        series: By name, points of a share (0 to below 1) and milliseconds.
    """
    every = [point for points in series.values() for point in points]
    nines = max(_nines(share) for share, _ in every)
    across = Axis(
        "percentile",
        [(n, "0" if not n else f"{100 * (1 - 10**-n):.10g}") for n in range(math.ceil(nines) + 1)],
        _from_to(0.0, nines, LEFT, WIDTH - RIGHT),
    )
    low, high = min(y for _, y in every), max(y for _, y in every)
    up = _logarithmic("ms", low, high, HEIGHT - BOTTOM, TOP)
    placed = {
        name: [(_nines(share), math.log10(y)) for share, y in points]
        for name, points in series.items()
    }
    return _picture(title, (across, up), _curves(placed, across, up), list(series))


def bars(title: str, words: str, groups: Mapping[str, Mapping[str, float]]) -> str:
    """Figures side by side: for each group one bar of each name."""
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    largest = max(value for group in groups.values() for value in group.values())
    up = _linear(words, largest, HEIGHT - BOTTOM, TOP)
    room = (WIDTH - LEFT - RIGHT) / len(groups)
    thick = room * 0.8 / len(names)
    middles = [LEFT + room * (place + 0.5) for place in range(len(groups))]
    across = Axis("", list(zip(middles, groups, strict=True)), _itself)
    drawn = []
    for middle, group in zip(middles, groups.values(), strict=True):
        for place, name in enumerate(names):
            if name not in group:
                continue
            x, y = middle + thick * (place - len(names) / 2), up.scale(group[name])
            height = HEIGHT - BOTTOM - y
            drawn.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{thick * 0.92:.1f}" '
                f'height="{height:.1f}" fill="{COLOURS[place]}">'
                f"<title>{escape(name)}: {group[name]:.1f}</title></rect>"
            )
    return _picture(title, (across, up), drawn, names)


def _itself(value: float) -> float:
    return value


def _nines(share: float) -> float:
    return -math.log10(1 - share)


def _from_to(low: float, high: float, start: float, end: float) -> Scale:
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _linear(words: str, largest: float, start: float, end: float) -> Axis:
    largest = largest or 1.0
    step = 10 ** math.floor(math.log10(largest))
    step = next(own for own in (step / 5, step / 2, step, step * 2) if largest / own <= 7)
    count = math.ceil(largest / step - 1e-9)
    ticks = [(step * place, f"{step * place:,.10g}") for place in range(count + 1)]
    return Axis(words, ticks, _from_to(0.0, step * count, start, end))


def _logarithmic(words: str, low: float, high: float, start: float, end: float) -> Axis:
    """Whole 1, 2, 5 steps around the values. Its scale takes logarithms."""
    steps = [
        mantissa * 10.0**exponent
        for exponent in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for mantissa in (1, 2, 5)
    ]
    first = max((step for step in steps if step <= low), default=steps[0])
    last = min((step for step in steps if step >= high), default=steps[-1])
    ticks = [(math.log10(step), f"{step:,.10g}") for step in steps if first <= step <= last]
    return Axis(words, ticks, _from_to(math.log10(first), math.log10(last), start, end))


def _curves(series: Mapping[str, Points], across: Axis, up: Axis) -> list[str]:
    curves = []
    for place, points in enumerate(series.values()):
        path = " ".join(f"{across.scale(x):.1f},{up.scale(y):.1f}" for x, y in points)
        curves.append(f'<polyline class="series" stroke="{COLOURS[place]}" points="{path}"/>')
    return curves


def _dots(points: Points, across: Scale, up: Scale, colour: str) -> str:
    return "".join(
        f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" fill="{colour}"/>' for x, y in points
    )


def _picture(title: str, axes: tuple[Axis, Axis], drawn: Sequence[str], names: list[str]) -> str:
    across, up = axes
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text class="title" x="{LEFT}" y="26">{escape(title)}</text>',
        *_legend(names),
    ]
    for value, text in up.ticks:
        y = up.scale(value)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    floor = HEIGHT - BOTTOM
    for value, text in across.ticks:
        x = across.scale(value)
        if LEFT - 1 <= x <= WIDTH - RIGHT + 1:
            label = escape(text)
            parts.append(f'<text x="{x:.1f}" y="{floor + 18}" text-anchor="middle">{label}</text>')
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{floor}" y2="{floor}"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">{escape(across.words)}</text>'
    )
    parts.append(
        f'<text transform="translate(18 {(TOP + floor) / 2}) rotate(-90)" '
        f'text-anchor="middle">{escape(up.words)}</text>'
    )
    return "\n".join((*parts, *drawn, "</svg>")) + "\n"


def _legend(names: Sequence[str]) -> list[str]:
    parts, x = [], float(LEFT)
    for place, name in enumerate(names):
        parts.append(f'<rect x="{x:.0f}" y="42" width="12" height="12" fill="{COLOURS[place]}"/>')
        parts.append(f'<text x="{x + 17:.0f}" y="53">{escape(name)}</text>')
        x += 17 + CHARACTER * len(name) + 16
    return parts
