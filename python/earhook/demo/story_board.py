"""The live picture of the demo that is analysed: one call, read along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from earhook.terminal.event_text import ANGRY, SIDES, UNEASY, clean, event_text, time_text
from earhook.testing.peer_session import PeerState

from .board import call_row
from .configuration import USUAL_ADMIN_PORT
from .program import program
from .stage import Stage
from .story import Happening

__all__ = ["happening_text", "happening_texts", "story_board"]

CURVE: Final = "▁▂▃▄▅▆▇█"
CURVE_CELLS: Final = 40
LABEL_CELLS: Final = 21
LINES_AROUND: Final = 14
"""What the picture has besides its heading and what happened, and what stands above it."""
FEWEST_LINES: Final = 6


def story_board(stage: Stage, seconds: float, width: int, height: int) -> RenderableType:
    """The whole picture, `seconds` after the beginning."""
    heading = _heading(stage, seconds, width)
    room = max(FEWEST_LINES, height - LINES_AROUND - len(heading))
    return Group(
        *heading,
        Text(),
        _call(stage, width),
        Text(),
        *_mood(stage),
        Text(),
        *_happenings(stage.story.latest(room), room),
        *_hearing(stage),
        Text(),
        _footer(stage),
    )


def happening_text(happening: Happening) -> Text:
    """When, and what."""
    return Text.assemble(*happening_texts(happening))


def happening_texts(happening: Happening) -> tuple[Text, Text]:
    """The same in two parts."""
    when = Text(f"{time_text(happening.position):>7}  ", "dim")
    return when, event_text(happening.kind, happening.details)


def _heading(stage: Stage, seconds: float, width: int) -> list[Text]:
    others = sum(
        peer.session.state is PeerState.OPEN
        for session, peer in stage.peers.items()
        if session.lower() != stage.story.session
    )
    lines = [
        Text.assemble(("Earhook", "bold"), f"  {seconds:.0f} s  {others} other calls are live"),
        _entry("see it in a browser", Text(stage.console, "bold underline")),
    ]
    if stage.scene.seconds is None:  # there is time to take it
        lines.append(_entry("take the PCM at", Text(stage.stream)))
    port = stage.gateway.admin_port
    option = "" if port == USUAL_ADMIN_PORT else f" --admin 127.0.0.1:{port}"
    commands = [f"{program()} {name}{option}" for name in ("top", "tail --text")]
    together = "   ".join(commands)
    words = "or in a terminal"
    if LABEL_CELLS + len(together) <= width:
        lines.append(_entry(words, Text(together)))
    else:
        lines += [_entry(word, Text(one)) for word, one in zip((words, ""), commands, strict=True)]
    return lines


def _entry(label: str, text: Text) -> Text:
    line = Text.assemble((label.ljust(LABEL_CELLS), "dim"), text)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _call(stage: Stage, width: int) -> RenderableType:
    """One line: how it stands, who is speaking, who has spoken when."""
    session = stage.story.session
    peer = next((peer for key, peer in stage.peers.items() if key.lower() == session), None)
    if peer is None:
        return Text("the call is being placed …", "dim")
    hearing = stage.audience.hearings.get(peer.setup.session_id)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("call", "state", "time"):
        table.add_column(heading)
    for name, style in SIDES.values():
        table.add_column(Text(name, style))
    table.add_column("who spoke when", no_wrap=True)
    table.add_row(*call_row(stage.story.calls, peer, hearing, width)[:6])
    return table


def _mood(stage: Stage) -> list[Text]:
    """A curve per speaker: every segment a cell, the height how it sounds."""
    lines = []
    for channel, (name, style) in SIDES.items():
        curve = stage.story.mood.get(channel, ())[-CURVE_CELLS:]
        line = Text.assemble((f"{name + ' sounds':<17}", style))
        for score in curve:
            line.append(_cell(score), _style(score))
        if curve:
            line.append(f"  {curve[-1]:+.2f}", _style(curve[-1]))
        else:
            line.append("nothing understood yet", "dim")
        lines.append(line)
    return lines


def _cell(score: float) -> str:
    return CURVE[round((max(-1.0, min(1.0, score)) + 1) / 2 * (len(CURVE) - 1))]


def _style(score: float) -> str:
    return "red" if score < ANGRY else "yellow" if score < UNEASY else "green"


def _happenings(happenings: Sequence[Happening], room: int) -> list[Text]:
    lines = [happening_text(happening) for happening in happenings]
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return lines + [Text()] * (room - len(lines))


def _hearing(stage: Stage) -> list[Text]:
    """What is being said just now, as far as it is understood."""
    lines = []
    for channel, (name, style) in SIDES.items():
        text = stage.story.hearing.get(channel)
        line = Text("", no_wrap=True, overflow="ellipsis")
        if text:
            line.append(f"{'…':>7}  {name:<9}", style)
            line.append(clean(text), "dim italic")
        lines.append(line)
    return lines


def _footer(stage: Stage) -> Text:
    if stage.story.failure:
        return Text(f"the analysis failed: {clean(stage.story.failure)}", "bold red")
    if stage.trouble:
        return Text(clean(stage.trouble), "bold yellow")
    if stage.story.unheard_seconds:
        text = "this machine is slow or busy: the recogniser had no time for "
        return Text(f"{text}{stage.story.unheard_seconds:.0f} s of the call", "yellow")
    if stage.scene.seconds is None:
        return Text("Ctrl-C hangs up and shows the books", "bold")
    return Text("a recogniser of 30 MB is at work: it mishears; see docs/howto/analyze.md", "dim")
