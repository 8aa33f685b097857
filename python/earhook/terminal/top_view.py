"""The picture of `earhook top`. Pure: a list and a view in, something for rich out."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .event_text import ANGRY, SEVERITY_STYLES, SIDES, UNEASY, clean, event_text, time_text
from .live_list import Level, LiveList, Row, Sort, State

__all__ = ["KEYS", "View", "picture", "shown_rows", "still_picture"]

METER_CELLS: Final = 8
QUIETEST_DBFS: Final = -60
HEAD_LINES: Final = 4
PANE_LINES: Final = 12
WIDE_COLUMNS: Final = 150
MIDDLE_COLUMNS: Final = 110
EVENTS_LEFT_OUT: Final = frozenset({"sentiment", "speech"})
KEYS: Final = (
    ("q", "quit"),
    ("a t l g s h", "sort by attention, time, lost, lag, sentiment, hits"),
    ("↑ ↓", "choose"),
    ("enter", "what happens in a call"),
    ("space", "hold the picture"),
)
FLAG_STYLES: Final = {
    "dropping": "bold white on red",
    "one_way": "bold red",
    "pause_left": "bold red",
    "dead_air": "yellow",
    "paused": "yellow",
    "talk_over": "yellow",
    "clipping": "yellow",
    "suspect": "bold red",
    "listened": "cyan",
}
_SILENT: Final = Level()
_UNTOLD: Final = State()


@dataclass(slots=True)
class View:
    """What the person at the keyboard wants to see.

    Attributes:
        chosen: Session of the row that is marked.
        first: The uppermost row that is shown.
        trouble: Why the picture stands still; empty: it does not.
    """

    url: str
    sort: Sort = "attention"
    chosen: str = ""
    first: int = 0
    is_held: bool = False
    trouble: str = ""

    def move(self, rows: Sequence[Row], step: int) -> None:
        """Mark another row; it is kept inside the list."""
        sessions = [row.session for row in rows]
        if not sessions:
            return
        here = sessions.index(self.chosen) + step if self.chosen in sessions else 0
        self.chosen = sessions[max(0, min(here, len(sessions) - 1))]

    def scroll(self, rows: Sequence[Row], room: int) -> None:
        """Keep the marked row in sight."""
        sessions = [row.session for row in rows]
        if self.chosen in sessions:
            here = sessions.index(self.chosen)
            self.first = min(max(self.first, here - room + 1), here)
        self.first = max(0, min(self.first, len(rows) - room))


def shown_rows(view: View, live: LiveList, height: int) -> list[Row]:
    """The rows that fit into a terminal of so many lines."""
    room = height - HEAD_LINES - 3 - (PANE_LINES if live.session else 0)
    rows = live.sorted_by(view.sort)
    view.scroll(rows, max(room, 1))
    return rows[view.first : view.first + max(room, 1)]


def picture(view: View, live: LiveList, width: int, height: int) -> RenderableType:
    """All of it."""
    rows = shown_rows(view, live, height)
    parts: list[RenderableType] = [_heading(view, live, width), _sinks(live)]
    if live.rows:
        parts.append(_table(view, live, rows, width))
        below = len(live.rows) - view.first - len(rows)
        if view.first or below > 0:
            parts.append(Text(f"  {view.first} above, {below} below", "dim"))
    elif not view.trouble:
        parts.append(Text("\n  no calls yet: they show up here as they come in", "dim"))
    if live.session:
        parts.append(_pane(live, width))
    parts.append(_footer(view))
    return Group(*parts)


def still_picture(view: View, live: LiveList, width: int, most_rows: int) -> RenderableType:
    """For a pipe or a log: once, without keys."""
    rows = live.sorted_by(view.sort)
    parts: list[RenderableType] = [_heading(view, live, width), _sinks(live)]
    parts.append(_table(view, live, rows[:most_rows], width) if rows else Text("no calls"))
    if len(rows) > most_rows:
        parts.append(Text(f"and {len(rows) - most_rows:,} more (all of them: --json)"))
    return Group(*parts)


def _heading(view: View, live: LiveList, width: int) -> Text:
    totals = live.totals
    clock = "--:--:--"
    if "time" in totals:
        clock = f"{datetime.datetime.fromtimestamp(totals['time']):%H:%M:%S}"  # noqa: DTZ006 - the user's own time
    count = totals.get("live", 0)
    text = Text.assemble(
        ("earhook top", "bold"),
        f"  {clock}  ",
        (f"{count:,} live call{'' if count == 1 else 's'}", "bold"),
        (f"  {view.url}", "dim"),
        no_wrap=True,
        overflow="ellipsis",
    )
    if view.is_held:
        text.append("  held", "bold yellow")
    text.append("\n")
    text.append_text(_state_of_gateway(view, live, width))
    return text


def _state_of_gateway(view: View, live: LiveList, width: int) -> Text:
    totals = live.totals
    if view.trouble:
        return Text(clean(view.trouble, max(width - 1, 20)), "bold red")
    if totals.get("dropping"):
        names = ", ".join(clean(name, 40) for name in totals["dropping"])
        return Text(f" DROPPING AUDIO: {names} ".ljust(width), "bold white on red")
    faults = [clean(name, 60) for name in totals.get("failing", ())]
    faults += [f"worker {slot} does not answer" for slot in totals.get("unheard_workers", ())]
    if faults:
        return Text(f"not ready: {', '.join(faults)}", "bold yellow")
    if not totals:
        return Text("asking …", "dim")
    return Text("ready, nothing is being dropped", "green")


def _sinks(live: LiveList) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    for sink in live.totals.get("sinks", ()):
        mark, style = ("●", "green") if sink.get("healthy") else ("●", "bold red")
        if sink.get("dropping"):
            style = "bold red"
        text.append(f"{mark} ", style)
        text.append(clean(sink.get("name", "?"), 40))
        if sink.get("kind") == "pcm-stream":
            text.append(f" {sink.get('subscribers', 0)} connected", "dim")
        if sink.get("buffered"):
            text.append(f" {sink['buffered'] / 8000:.1f} s waiting", "dim")
        if sink.get("dropped"):
            text.append(f" {sink['dropped'] / 8000:,.1f} s dropped so far", "red")
        if not sink.get("healthy") and sink.get("detail"):
            text.append(f" {clean(sink['detail'], 120)}", "red")
        text.append("   ")
    return text


def _table(view: View, live: LiveList, rows: Sequence[Row], width: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim", expand=False)
    table.add_column("!", justify="right")
    table.add_column("session", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    for name, style in SIDES.values():
        table.add_column(Text(name, style), no_wrap=True)
    table.add_column("talk", justify="right", no_wrap=True)
    table.add_column("mood", justify="right", no_wrap=True)
    table.add_column("hits", justify="right", no_wrap=True)
    if width >= MIDDLE_COLUMNS:
        table.add_column("lost", justify="right", no_wrap=True)
        table.add_column("lag", justify="right", no_wrap=True)
    if width >= WIDE_COLUMNS:
        table.add_column("caller", no_wrap=True)
        table.add_column("key", no_wrap=True, max_width=16)
        table.add_column("conversation", no_wrap=True)
    table.add_column("", no_wrap=True, overflow="ellipsis")
    for row in rows:
        style = "reverse" if row.session == view.chosen else ""
        table.add_row(*_cells(row, live.seconds_of(row), width), style=style)
    return table


def _cells(row: Row, seconds: float, width: int) -> list[str | Text]:
    own = row.state or _UNTOLD
    cells: list[str | Text] = [
        Text(str(own.attention), _attention_style(own.attention)),
        Text(clean(row.session, 60)[:8], "dim" if "ended" in own.flags else "bold"),
        _duration(seconds),
        _meter(row.meter.external),
        _meter(row.meter.internal),
        _shares(own),
        _mood(own.sentiment_external),
        Text(str(own.hits) if own.hits else "", SEVERITY_STYLES.get(own.severity, "")),
    ]
    if width >= MIDDLE_COLUMNS:
        cells += [
            Text(_seconds(own.lost_milliseconds), "bold red"),
            Text(_seconds(own.lag_milliseconds), "dim"),
        ]
    if width >= WIDE_COLUMNS:
        facts = row.facts
        cells += [
            Text(clean(facts.get("caller") or "", 16)),
            Text(clean(facts.get("key") or "", 16)),
            Text(clean(facts.get("conversation") or "", 40)[:8], "dim"),
        ]
    cells.append(_flags(own))
    return cells


def _attention_style(attention: int) -> str:
    return "bold red" if attention >= 80 else "yellow" if attention >= 30 else "dim"


def _duration(passed_seconds: float) -> str:
    minutes, seconds = divmod(int(passed_seconds), 60)
    return f"{minutes}:{seconds:02}"


def _meter(level: Level) -> Text:
    if level.rms is None:
        return Text("▁" * METER_CELLS, "dim")
    filled = max(0.0, 1 - level.rms / QUIETEST_DBFS) * METER_CELLS
    cells = "█" * round(filled)
    style = "bold red" if level.clips else "green" if level.speaks else "white"
    return Text.assemble((cells, style), ("▁" * (METER_CELLS - len(cells)), "dim"))


def _shares(own: State) -> Text:
    if own.talk_external is None or own.talk_internal is None:
        return Text("")
    return Text.assemble(
        (f"{own.talk_external:.0%}", SIDES["external"][1]),
        ("/", "dim"),
        (f"{own.talk_internal:.0%}", SIDES["internal"][1]),
    )


def _mood(sentiment: float | None) -> Text:
    if sentiment is None:
        return Text("")
    style = "bold red" if sentiment < ANGRY else "yellow" if sentiment < UNEASY else "green"
    return Text(f"{sentiment:+.2f}", style)


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.1f} s" if milliseconds else ""


def _flags(own: State) -> Text:
    words = [flag for flag in FLAG_STYLES if flag in own.flags]
    if "ended" in own.flags:
        words.insert(0, "ended")
    text = Text()
    for word in words:
        text.append(word.replace("_", "-"), FLAG_STYLES.get(word, "dim"))
        text.append(" ")
    return text


def _pane(live: LiveList, width: int) -> RenderableType:
    """What happened last in the open call."""
    row = next((row for row in live.rows.values() if row.session == live.session), None)
    rate = int(row.facts.get("rate", 8000)) if row is not None else 8000
    told = [
        event
        for event in live.events
        if event.get("type") not in EVENTS_LEFT_OUT
        and (event.get("details") or {}).get("final", True)
    ]
    lines: list[RenderableType] = [Text(f"─ {live.session} ".ljust(width, "─"), "dim")]
    for event in told[-(PANE_LINES - 2) :]:
        when = time_text(int(event.get("position") or 0), rate)
        line = Text.assemble((f"{when:>8}  ", "dim"))
        line.append_text(event_text(str(event.get("type")), event.get("details") or {}, rate))
        line.no_wrap, line.overflow = True, "ellipsis"
        lines.append(line)
    if not told:
        lines.append(Text("  nothing has happened yet", "dim"))
    return Group(*lines)


def _footer(view: View) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"by {view.sort}   ", "bold")
    for keys, what in KEYS:
        text.append(keys, "bold")
        text.append(f" {what}   ", "dim")
    return text
