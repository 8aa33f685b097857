"""The picture of `earhook top`. Pure: a list and a view in, something for rich out."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from .attention import needs_a_look
from .event_text import clean, event_text, time_text
from .live_list import LiveList, Row, Sort
from .top_table import calls_table, left_out

__all__ = ["KEYS", "View", "picture", "shown_rows", "still_picture"]

HEAD_LINES: Final = 4
PANE_LINES: Final = 12
EVENTS_LEFT_OUT: Final = frozenset({"sentiment", "speech"})
KEYS: Final = (
    ("q", "quit"),
    ("↑↓", "choose"),
    ("enter", "open"),
    ("esc", "close"),
    ("space", "hold"),
    ("atlgsh", "sort"),
)
"""Where there is no room for all, the last ones are left out."""
SORTED_BY: Final = " attention/time/lost/lag/sentiment/hits"


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
        parts.append(calls_table(live, rows, width, view.chosen))
        if unseen := _unseen(view, live, rows, width):
            parts.append(unseen)
    elif not view.trouble:
        parts.append(Text("\n  no calls yet: they show up here as they come in", "dim"))
    if live.session:
        parts.append(_pane(live, width))
    parts.append(_footer(view, width))
    return Group(*parts)


def still_picture(view: View, live: LiveList, width: int, most_rows: int) -> RenderableType:
    """For a pipe or a log: once, without keys."""
    rows = live.sorted_by(view.sort)
    parts: list[RenderableType] = [_heading(view, live, width), _sinks(live)]
    parts.append(calls_table(live, rows[:most_rows], width) if rows else Text("no calls"))
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
        _need_a_look(live),
        (f"  {view.url}", "dim"),
        no_wrap=True,
        overflow="ellipsis",
    )
    if view.is_held:
        text.append("  held", "bold yellow")
    text.append("\n")
    text.append_text(_state_of_gateway(view, live, width))
    return text


def _need_a_look(live: LiveList) -> tuple[str, str]:
    count = sum(1 for row in live.rows.values() if row.state and needs_a_look(row.state))
    return (f", {count:,} need{'s' if count == 1 else ''} a look" if count else "", "bold yellow")


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
    # In the order of the call's time: what was recognised is told later than it was said.
    told.sort(key=lambda event: int(event.get("position") or 0))
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


def _unseen(view: View, live: LiveList, rows: Sequence[Row], width: int) -> Text | None:
    """What there is besides: rows above and below, columns that do not fit."""
    said = []
    below = len(live.rows) - view.first - len(rows)
    if view.first or below > 0:
        said.append(f"{view.first} above, {below} below")
    if columns := left_out(width):
        said.append(f"too narrow for {', '.join(columns)}")
    if not said:
        return None
    return Text(f"  {'; '.join(said)}", "dim", no_wrap=True, overflow="ellipsis")


def _footer(view: View, width: int) -> Text:
    text = Text(f"by {view.sort}", "bold", no_wrap=True, overflow="ellipsis")
    for keys, what in KEYS:
        if len(text) + len(f"  {keys} {what}") > width:
            break
        text.append(f"  {keys}", "bold")
        text.append(f" {what}", "dim")
    else:
        if len(text) + len(SORTED_BY) <= width:
            text.append(SORTED_BY, "dim")
    return text
