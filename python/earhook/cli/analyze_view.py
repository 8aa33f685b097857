"""How `earhook analyze` shows its lines: as they are, or for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO, Final

from rich.console import Console
from rich.text import Text

from earhook.terminal.event_text import clean
from earhook.terminal.json_line import json_line

__all__ = ["JsonView", "TextView", "moment", "result_text"]

NEUTRAL: Final = 0.05
ABOUT_US: Final = frozenset({"ready", "trouble", "ending"})


class JsonView:
    """Every line on standard output; what is about us and not about a call on standard error."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._errors = Console(stderr=True, highlight=False, soft_wrap=True)

    def take(self, line: dict[str, Any]) -> None:
        """Show a line."""
        if line["type"] in ABOUT_US:
            self._errors.print(_about_us(line))
            return
        self._output.write(json_line(line))
        self._output.flush()


class TextView:
    """Final transcripts, feelings and hits on standard output, the rest on standard error."""

    def __init__(self) -> None:
        self._output = Console(highlight=False, soft_wrap=True)
        self._errors = Console(stderr=True, highlight=False, soft_wrap=True)
        self._rates: dict[str, int] = {}

    def take(self, line: dict[str, Any]) -> None:
        """Show a line."""
        kind, session = line["type"], line.get("session", "")
        if kind in ABOUT_US:
            self._errors.print(_about_us(line))
        elif kind == "opened":
            self._rates[session] = line["details"]["rate"]
            self._errors.print(Text(f"opened {session}", style="dim"))
        elif kind == "closed":
            self._rates.pop(session, None)
            details = line["details"]
            lost = details.get("dropped_seconds", 0.0)
            unheard = f", {lost:g} s unheard" if lost else ""
            ended = f"closed {session} {clean(details['reason'])}{unheard}"
            self._errors.print(Text(ended, style="dim"))
        elif (text := self._shown(line)) is not None:
            self._output.print(text)

    def _shown(self, line: dict[str, Any]) -> Text | None:
        kind, details = line["type"], line["details"]
        rate = self._rates.get(line["session"], 8000)
        seconds = moment(kind, line["position"], details) / rate
        head = (f"{line['session'][:8]} {seconds:8.1f} s  ", "dim")
        if kind == "unheard":
            unheard = f"… {(details['end'] - details['start']) / rate:.0f} s not heard …"
            return Text.assemble(head, (_PEOPLE[details["channel"]], "dim"), (unheard, "yellow"))
        if kind == "analysis":
            return _about_engine(details, head)
        return result_text(kind, details, head, evidence_column=30)


def _about_engine(details: Mapping[str, Any], head: tuple[str, str]) -> Text | None:
    engine, state = clean(details["engine"]), details["state"]
    if state == "failed":
        return Text.assemble(head, (f"{engine} failed: {clean(details['why'])}", "red"))
    if state == "behind":
        behind = f"{engine} is {details['behind_seconds']:.1f} s behind the call"
        return Text.assemble(head, (behind, "yellow"))
    return Text.assemble(head, (f"{engine} has caught up", "dim")) if state == "caught_up" else None


def moment(kind: str, position: int, details: Mapping[str, Any]) -> int:
    """Where a result is shown."""
    # Of a hit, when it became known: what was not said in time began long ago.
    return position if kind == "hit" else int(details.get("start", position))


def result_text(
    kind: str, details: Mapping[str, Any], head: tuple[str, str], *, evidence_column: int
) -> Text | None:
    """A result as people read it, `head` in front; None: it is not for people."""
    if kind == "transcript" and details["final"] and details["text"]:
        said = clean(details["text"], _MOST_CHARACTERS)
        return Text.assemble(head, (_PEOPLE[details["channel"]], "bold"), said)
    if kind == "sentiment" and abs(details["score"]) >= NEUTRAL:
        style = "green" if details["score"] > 0 else "red"
        feeling = f"{details['score']:+.2f}, lately {details['rolling']:+.2f}"
        return Text.assemble(head, f"{'':<10}", (feeling, style))
    if kind == "hit":
        style = _STYLES.get(details["severity"], "")
        text = Text.assemble(head, (f"{details['severity']:<10}{clean(details['name'])}", style))
        for one in details["evidence"]:
            text.append(f"\n{'':>{evidence_column}}{clean(one)}", style="dim")
        return text
    return None


def _about_us(line: dict[str, Any]) -> Text:
    if line["type"] == "ready":
        return Text(f"process {line['process']} listens, {line['calls']} calls", style="dim")
    return Text(clean(line["text"]), style="dim" if line["type"] == "ending" else "yellow")


_PEOPLE: Final = {"internal": "agent     ", "external": "customer  "}
_MOST_CHARACTERS: Final = 2000
_STYLES: Final = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
