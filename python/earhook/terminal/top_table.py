"""The table of `earhook top`: whole columns, as many as the terminal has room for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from rich.table import Table
from rich.text import Text

from .attention import reasons_of
from .event_text import ANGRY, SEVERITY_STYLES, SIDES, UNEASY, clean
from .live_list import Level, LiveList, Row, State

__all__ = ["calls_table", "left_out"]

METER_CELLS: Final = 8
QUIETEST_DBFS: Final = -60
ATTENTION_CELLS: Final = 14
"""For nearly all that may be the matter; what is left of the line goes there as well."""
BETWEEN_CELLS: Final = 2
LEAVES_FIRST: Final = (
    ("conversation",), ("key",), ("caller",), ("lag",), ("talk",), ("mood",), ("customer", "agent"),
    ("lost",), ("hits",), ("time",), ("!",),
)  # fmt: skip
"""Columns that go where there is no room, one after the other. *session* and *attention* stay."""


def calls_table(live: LiveList, rows: Sequence[Row], width: int, chosen: str = "") -> Table:
    """A line for each of `rows`, the `chosen` session's marked."""
    columns = _fitting(width)
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim", expand=False)
    for one in columns:
        table.add_column(
            Text(one.name, one.style),
            justify="right" if one.is_right else "left",
            no_wrap=True,
            width=one.cells,
        )
    taken = sum(one.cells + BETWEEN_CELLS for one in columns)
    rest = max(width - taken, 1)
    table.add_column("attention", no_wrap=True, overflow="ellipsis", max_width=rest)
    for row in rows:
        style = "reverse" if row.session == chosen else ""
        cells = [one.cell(live, row) for one in columns]
        table.add_row(*cells, _reasons(row.state or _UNTOLD, rest), style=style)
    return table


def left_out(width: int) -> tuple[str, ...]:
    """The columns that a terminal of this width has no room for, in the order of the table."""
    shown = _fitting(width)
    return tuple(one.name for one in _COLUMNS if one not in shown)


class _Column(NamedTuple):
    name: str
    cells: int
    cell: Callable[[LiveList, Row], Text]
    is_right: bool = False
    style: str = ""


def _fitting(width: int) -> list[_Column]:
    columns = list(_COLUMNS)
    for names in LEAVES_FIRST:
        if sum(one.cells + BETWEEN_CELLS for one in columns) + ATTENTION_CELLS <= width:
            break
        columns = [one for one in columns if one.name not in names]
    return columns


def _attention(_live: LiveList, row: Row) -> Text:
    own = row.state or _UNTOLD
    gravest = reasons_of(own)[0]
    return Text(str(own.attention), gravest.style if gravest.is_grave else "dim")


def _session(_live: LiveList, row: Row) -> Text:
    has_ended = "ended" in (row.state or _UNTOLD).flags
    return Text(clean(row.session, 60)[:8], "dim" if has_ended else "bold")


def _time(live: LiveList, row: Row) -> Text:
    minutes, seconds = divmod(int(live.seconds_of(row)), 60)
    return Text(f"{minutes}:{seconds:02}")


def _meter(level: Level) -> Text:
    if level.rms is None:
        return Text("▁" * METER_CELLS, "dim")
    filled = max(0.0, 1 - level.rms / QUIETEST_DBFS) * METER_CELLS
    cells = "█" * round(filled)
    style = "bold red" if level.clips else "green" if level.speaks else "white"
    return Text.assemble((cells, style), ("▁" * (METER_CELLS - len(cells)), "dim"))


def _shares(_live: LiveList, row: Row) -> Text:
    own = row.state or _UNTOLD
    if own.talk_external is None or own.talk_internal is None:
        return Text("")
    return Text.assemble(
        (f"{own.talk_external:.0%}", SIDES["external"][1]),
        ("/", "dim"),
        (f"{own.talk_internal:.0%}", SIDES["internal"][1]),
    )


def _mood(_live: LiveList, row: Row) -> Text:
    sentiment = (row.state or _UNTOLD).sentiment_external
    if sentiment is None:
        return Text("")
    style = "bold red" if sentiment < ANGRY else "yellow" if sentiment < UNEASY else "green"
    return Text(f"{sentiment:+.2f}", style)


def _hits(_live: LiveList, row: Row) -> Text:
    own = row.state or _UNTOLD
    return Text(str(own.hits) if own.hits else "", SEVERITY_STYLES.get(own.severity, ""))


def _lost(_live: LiveList, row: Row) -> Text:
    return Text(_seconds((row.state or _UNTOLD).lost_milliseconds), "bold red")


def _lag(_live: LiveList, row: Row) -> Text:
    return Text(_seconds((row.state or _UNTOLD).lag_milliseconds), "dim")


def _seconds(milliseconds: int) -> str:
    if milliseconds >= 1_000_000:
        return f"{milliseconds / 1000:.0f} s"
    return f"{milliseconds / 1000:.1f} s" if milliseconds else ""


def _fact(name: str, cells: int) -> Callable[[LiveList, Row], Text]:
    return lambda _live, row: Text(clean(row.facts.get(name) or "", 60)[:cells], "dim")


def _reasons(own: State, cells: int) -> Text:
    """As many as there is room for; what follows the first whole, or not at all."""
    text = Text()
    for reason in reasons_of(own):
        more = ", " if text else ""
        if text and len(text) + len(more) + len(reason.words) > cells:
            break
        text.append(more, "dim")
        text.append(reason.words, reason.style)
    heard = ", listened to" if text else "listened to"
    if "listened" in own.flags and len(text) + len(heard) <= cells:
        text.append(heard, "cyan")
    return text


_UNTOLD: Final = State()
_COLUMNS: Final = (
    _Column("!", 3, _attention, is_right=True),
    _Column("session", 8, _session),
    _Column("time", 6, _time, is_right=True),
    _Column(SIDES["external"][0], 8, lambda _, row: _meter(row.meter.external), False, "cyan"),
    _Column(SIDES["internal"][0], 8, lambda _, row: _meter(row.meter.internal), False, "magenta"),
    _Column("talk", 9, _shares, is_right=True),
    _Column("mood", 5, _mood, is_right=True),
    _Column("hits", 5, _hits, is_right=True),
    _Column("lost", 7, _lost, is_right=True),
    _Column("lag", 7, _lag, is_right=True),
    _Column("caller", 16, _fact("caller", 16)),
    _Column("key", 16, _fact("key", 16)),
    _Column("conversation", 12, _fact("conversation", 8)),
)
