"""What `earhook call` shows: the conversation as it goes, its figures, the verdict."""

from __future__ import annotations

import asyncio
from typing import Final

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from earhook.terminal.event_text import clean
from earhook.terminal.json_line import json_line
from earhook.testing.peer import CallPeer
from earhook.testing.peer_record import PeerRecord

from .ladder import LadderPrinter, rung_json

__all__ = ["CallView", "print_json", "print_summary", "went_well"]

REFRESH_SECONDS: Final = 0.1


class CallView:
    """Shows one call on a console; `follow` may be called again after it was cancelled."""

    def __init__(self, peer: CallPeer, console: Console) -> None:
        self._peer = peer
        self._console = console
        self._printer = LadderPrinter()
        self._printed = 0

    def print_heading(self, url: str) -> None:
        """Which server, which session, what the columns are."""
        connected = (self._peer.record.connect_seconds or 0.0) * 1000
        self._console.print(Text.assemble((url, "bold"), f"  answered in {connected:.1f} ms"))
        self._console.print(Text(f"session {self._peer.setup.session_id}\n", style="dim"))
        self._console.print(self._printer.heading())

    async def follow(self) -> None:
        """Print rungs as they come; a run of audio when it is complete, and live on a terminal."""
        finished = asyncio.ensure_future(self._peer.finished())
        try:
            with Live(console=self._console, transient=True, auto_refresh=False) as live:
                while not finished.done():
                    await asyncio.wait({finished}, timeout=REFRESH_SECONDS)
                    self._print_rungs(last=finished.done())
                    if self._console.is_terminal and not finished.done():
                        live.update(_progress(self._peer, self._printer), refresh=True)
        finally:
            finished.cancel()

    def _print_rungs(self, *, last: bool) -> None:
        self._printer.media = self._peer.session.media or self._printer.media
        ladder = self._peer.ladder
        rungs = ladder.rungs
        for number, rung in enumerate(rungs, start=ladder.added - len(rungs)):
            growing = rung.frames and number + 1 == ladder.added
            if number >= self._printed and (last or not growing):
                self._console.print(self._printer.line(rung))
                self._printed = number + 1


def _progress(peer: CallPeer, printer: LadderPrinter) -> Group:
    rungs = peer.ladder.rungs
    length = peer.source.length_samples
    end = "" if length is None else f" of {length / 8000:.1f} s"
    paused = peer.session.media is not None and not peer.session.flowing
    state = "paused" if paused else peer.session.state.value
    status = Text(f"\n  {peer.position / 8000:6.1f} s{end}  {state}", style="bold")
    growing = [printer.line(rungs[-1])] if rungs and rungs[-1].frames else []
    return Group(*growing, status)


def went_well(record: PeerRecord) -> bool:
    """Whether the call ended as calls should, and the server kept every rule."""
    ended = record.outcome == "completed" or record.disconnect_reason == "completed"
    return ended and not record.objections


def print_summary(peer: CallPeer, console: Console) -> None:
    """The figures of the call and the verdict."""
    record = peer.record
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    for name, value in _figures(peer):
        table.add_row(name, value)
    for objection in record.objections:
        table.add_row("rule broken", Text(clean(objection), "red"))
    console.print()
    console.print(table, soft_wrap=False)
    style = "bold green" if went_well(record) else "bold red"
    console.print(Text.assemble("\n", (clean(_verdict(record)), style)))


def _figures(peer: CallPeer) -> list[tuple[str, str]]:
    record = peer.record
    sent = record.samples_sent
    figures = [
        ("conversation", peer.setup.conversation_id),
        ("stream time", f"{peer.position / 8000:.3f} s"),
        ("audio sent", f"{sent:,} samples a channel, {record.frames_sent:,} frames"),
    ]
    if record.samples_withheld:
        figures.append(("not sent", f"{record.samples_withheld:,} samples: paused or discarded"))
    if record.opened_seconds is not None:
        figures.append(("opened after", f"{record.opened_seconds * 1000:.2f} ms"))
    if record.round_trips:
        trips = [seconds * 1000 for seconds in record.round_trips]
        figures.append(
            ("round trip", f"{min(trips):.2f} to {max(trips):.2f} ms, {len(trips)} pings")
        )
    if record.playback_bytes:
        figures.append(("played", f"{record.playback_bytes / 8000:.1f} s from the server"))
    if record.output_variables:
        figures.append(("variables", clean(", ".join(sorted(record.output_variables)))))
    return figures


def _verdict(record: PeerRecord) -> str:
    if went_well(record):
        return "the call went as it should"
    if record.disconnect_reason:
        text = f": {record.disconnect_text}" if record.disconnect_text else ""
        return f"the server ended the call, reason {record.disconnect_reason}{text}"
    if record.outcome == "lost":
        code = "" if record.close_code is None else f" with close code {record.close_code}"
        return f"the connection was lost{code} before the call was closed"
    return "the server broke a rule" if record.objections else f"the call ended: {record.outcome}"


def print_json(peer: CallPeer, url: str) -> None:
    """Everything of the call as one JSON object on one line."""
    record = peer.record
    report = {
        "url": url,
        "ok": went_well(record),
        "outcome": record.outcome,
        "session": peer.setup.session_id,
        "conversation": peer.setup.conversation_id,
        "organization": peer.setup.organization_id,
        "connect_seconds": record.connect_seconds,
        "opened_seconds": record.opened_seconds,
        "closed_seconds": record.closed_seconds,
        "round_trip_seconds": list(record.round_trips),
        "position": peer.position,
        "samples_sent": record.samples_sent,
        "samples_withheld": record.samples_withheld,
        "frames_sent": record.frames_sent,
        "bytes_sent": record.bytes_sent,
        "close_code": record.close_code,
        "disconnect_reason": record.disconnect_reason or None,
        "disconnect_info": record.disconnect_text or None,
        "output_variables": record.output_variables,
        "objections": record.objections,
        "ladder": [rung_json(rung) for rung in peer.ladder.rungs],
    }
    typer.echo(json_line(report), nl=False)
