"""A conversation as a ladder: one line a message, runs of audio folded."""

from __future__ import annotations

from typing import Any, Final

from rich.text import Text

from earhook.terminal.event_text import clean
from earhook.testing.peer_record import Rung
from earhook.testing.peer_setup import MediaChoice

__all__ = ["LadderPrinter", "rung_json"]

_COLOURS: Final = {
    "open": "green",
    "opened": "green",
    "close": "green",
    "closed": "green",
    "pause": "yellow",
    "paused": "yellow",
    "resume": "yellow",
    "resumed": "yellow",
    "discarded": "yellow",
    "error": "bold red",
    "disconnect": "bold red",
    "ping": "dim",
    "pong": "dim",
    "audio": "cyan",
}


class LadderPrinter:
    """Turns rungs into lines. `media` may be set as soon as it is known."""

    def __init__(self) -> None:
        self.media: MediaChoice | None = None

    def heading(self) -> Text:
        """What the columns are."""
        return Text("  seconds        peer   server  seq", style="dim")

    def line(self, rung: Rung) -> Text:
        """One rung."""
        style = _COLOURS.get(rung.type, "")
        sent = rung.sender == "C"
        shaft = "══" if rung.type == "audio" else "──"
        arrow = f"{shaft}▶" if sent else f"◀{shaft}"
        seq = "" if rung.seq is None else str(rung.seq)
        text = Text(f"{rung.seconds:9.3f}  ", style="dim")
        text.append(f"{rung.type if sent else '':>18} ", style)
        text.append(f"{arrow} ", "dim")
        text.append(f"{'' if sent else clean(rung.type, 32):<11}", style)
        text.append(f"{seq:>4}  ", "dim")
        detail = self._audio(rung) if rung.frames else clean(rung.detail)
        text.append(detail, "dim" if rung.frames else "")
        text.rstrip()
        return text

    def _audio(self, rung: Rung) -> str:
        group = 1 if self.media is None else self.media.group_bytes
        seconds = rung.payload_bytes / group / 8000
        frames = f"{rung.frames:,} frame{'s' if rung.frames != 1 else ''}"
        return f"{frames}, {rung.payload_bytes:,} B, {seconds:.1f} s"


def rung_json(rung: Rung) -> dict[str, Any]:
    """One rung as plain values."""
    return {
        "seconds": round(rung.seconds, 6),
        "sender": "peer" if rung.sender == "C" else "server",
        "type": rung.type,
        **({"seq": rung.seq} if rung.seq is not None else {}),
        **({"detail": rung.detail} if rung.detail else {}),
        **({"frames": rung.frames, "bytes": rung.payload_bytes} if rung.frames else {}),
    }
