"""The live picture of the demo: a line a call, who speaks when, what has arrived."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from earhook.testing.peer_session import PeerState

from .hearing import CELL_SAMPLES, Hearing
from .posted import PlacedCall, PostedCall
from .program import program
from .stage import Stage

__all__ = ["board", "call_row", "progress_line"]

CUSTOMER: Final = "cyan"
AGENT: Final = "magenta"
METER_CELLS: Final = 10
MIN_TIMELINE_CELLS: Final = 10
MAX_TIMELINE_CELLS: Final = 40
OTHER_COLUMNS: Final = 74
"""What the table takes beside the timeline."""
SHOWN_CALLS: Final = 12
QUIET_DECIBELS: Final = -48.0
SPEAKING_SAMPLE: Final = 400
"""Louder than this is speech in the picture (about -38 dB below full scale)."""


def board(stage: Stage, seconds: float, width: int) -> RenderableType:
    """The whole picture, `seconds` after the beginning, for a terminal of so many columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("call")
    table.add_column("state")
    table.add_column("time", justify="right")
    table.add_column(Text("customer", CUSTOMER))
    table.add_column(Text("agent", AGENT))
    table.add_column("who spoke when", no_wrap=True)
    table.add_column("forwarded", justify="right")
    table.add_column("lag", justify="right")
    peers = list(stage.peers.values())
    for number, peer in enumerate(peers[:SHOWN_CALLS], start=1):
        hearing = stage.audience.hearings.get(peer.setup.session_id)
        table.add_row(*call_row(number, peer, hearing, width))
    return Group(_heading(stage, seconds), Text(), table, *_below(stage, peers))


def progress_line(stage: Stage, seconds: float) -> str:
    """The picture in one plain line, for logs and pipes."""
    hearings = stage.audience.hearings.values()
    peers = stage.peers.values()
    live = sum(peer.session.state is PeerState.OPEN for peer in peers)
    paused = sum(peer.session.client_paused for peer in peers)
    arrived = sum(max(hearing.arrived) for hearing in hearings)
    sent = sum(peer.record.samples_sent for peer in peers)
    return (
        f"{seconds:5.1f} s  {live} live, {len(peers) - live} ended, {paused} paused; "
        f"{sent:,} samples sent, {arrived:,} arrived"
    )


def _heading(stage: Stage, seconds: float) -> Text:
    length = "" if stage.scene.seconds is None else f" of {stage.scene.seconds:.0f}"
    return Text.assemble(
        ("Earhook", "bold"),
        f"  {seconds:.0f}{length} s\n",
        ("calls come in at  ", "dim"),
        stage.url,
        ("\nand by POST at    ", "dim"),
        stage.post_url,
        ("\nPCM goes out at   ", "dim"),
        stage.stream,
    )


def _below(stage: Stage, peers: Sequence[PlacedCall]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    if len(peers) > SHOWN_CALLS:
        lines.append(Text(f"and {len(peers) - SHOWN_CALLS} more", "dim"))
    legend = Text.assemble(
        "\n",
        ("━", CUSTOMER),
        " customer  ",
        ("━", AGENT),
        " agent  ",
        ("━", "white"),
        " both  ",
        ("─", "dim"),
        " nobody  ",
        ("░", "yellow"),
        " secure pause: not even the gateway hears it",
        style="dim",
    )
    lines.append(legend)
    if stage.trouble:
        lines.append(Text(f"\n{stage.trouble}", "bold yellow"))
    if stage.scene.seconds is None:
        lines.append(Text(f"\nin another terminal: {program()} listen {stage.stream}"))
        lines.append(Text("Ctrl-C hangs up and shows the books", "bold"))
    return lines


def call_row(
    number: int, peer: PlacedCall, hearing: Hearing | None, width: int
) -> list[RenderableType]:
    """One call: number, state, time, two meters, who spoke when, forwarded, lag."""
    cells = max(MIN_TIMELINE_CELLS, min(MAX_TIMELINE_CELLS, width - OTHER_COLUMNS))
    state, name = _state(peer), f"{number} POST" if isinstance(peer, PostedCall) else str(number)
    time = f"{peer.position / 8000:.1f} s"
    if hearing is None:
        return [name, state, time, "", "", "", "", ""]
    flows = peer.session.state is PeerState.OPEN and peer.session.flowing
    customer, agent = hearing.peaks if flows else (0, 0)
    return [
        name,
        state,
        time,
        _meter(customer),
        _meter(agent),
        _timeline(peer, hearing, cells),
        f"{max(hearing.arrived):,}",
        f"{hearing.lags[-1] * 1000:.1f} ms" if flows and hearing.lags else "",
    ]


def _state(peer: PlacedCall) -> Text:
    state = peer.session.state
    if state is PeerState.OPEN and not peer.session.flowing:
        return Text("paused", "bold yellow")
    if state is PeerState.OPEN:
        return Text("live", "bold green")
    return Text("ended" if peer.session.finished else state.value, "dim")


def _meter(peak: int) -> Text:
    """Peak level on a scale of decibels."""
    decibels = 20 * math.log10(peak / 32768) if peak else QUIET_DECIBELS
    filled = max(0.0, 1 - decibels / QUIET_DECIBELS) * METER_CELLS
    text = Text()
    for cell in range(METER_CELLS):
        style = "red" if cell >= METER_CELLS - 1 else "yellow" if cell >= 7 else "green"
        text.append("▮" if cell < round(filled) else "▯", style if cell < round(filled) else "dim")
    return text


def _timeline(peer: PlacedCall, hearing: Hearing, cells: int) -> Text:
    """Half a second a cell; the last ones, where there are more than fit."""
    length = peer.source.length_samples
    # A gap is told when it ends; until then the peer knows best.
    is_paused = peer.session.state is PeerState.OPEN and not peer.session.flowing
    now = peer.position if is_paused else hearing.position
    past = -(-now // CELL_SAMPLES)
    total = past if length is None else -(-length // CELL_SAMPLES)
    first = max(0, min(past, total) - cells)
    text = Text()
    for cell in range(first, min(first + cells, max(total, past))):
        text.append(*_cell(cell, hearing, past))
    return text


def _cell(cell: int, hearing: Hearing, past: int) -> tuple[str, str]:
    if cell >= past:
        return "·", "dim"
    customer, agent = hearing.loudness.get(cell, (0, 0))
    if customer <= SPEAKING_SAMPLE and agent <= SPEAKING_SAMPLE:
        withheld = cell in hearing.silences or cell * CELL_SAMPLES >= hearing.position
        return ("░", "yellow") if withheld else ("─", "dim")
    if min(customer, agent) > SPEAKING_SAMPLE:
        return "━", "white"
    return "━", CUSTOMER if customer > agent else AGENT
