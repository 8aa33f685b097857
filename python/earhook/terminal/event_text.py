"""One event of a call as one line for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from rich.text import Text

__all__ = ["SIDES", "clean", "event_text", "sentiment_text", "time_text"]

SIDES: Final = {"external": ("customer", "cyan"), "internal": ("agent", "magenta")}
SEVERITY_STYLES: Final = {"info": "blue", "warning": "yellow", "critical": "bold red"}
SENTIMENT_CELLS: Final = 5
UNEASY, ANGRY = -0.05, -0.35
"""Below these a sentiment is shown in yellow, in red."""
SIDE_COLUMNS: Final = 9
Details = Mapping[str, Any]


def event_text(kind: str, details: Details, rate: int = 8000) -> Text:
    """What happened, without when and in which call.

    Args:
        kind: The type of the event.
        details: Its details. Texts in them are of strangers and made harmless here.
        rate: Samples a second, for spans.
    """
    write = _WRITERS.get(kind)
    if write is not None:
        try:
            return write(details, rate)
        except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError):
            pass  # a later gateway tells it otherwise: show what there is
    return Text.assemble(_clean_kind(kind), ("  ", ""), (_pairs(details), "dim"))


def time_text(position: int, rate: int = 8000) -> str:
    """A position as time in the call: `1:07.3`."""
    minutes, seconds = divmod(position / rate, 60)
    return f"{int(minutes)}:{seconds:04.1f}"


def clean(text: object, most: int = 400) -> str:
    """Text of strangers without what steers a terminal, and no longer than `most`."""
    shown = "".join(
        character if character.isprintable() else " " for character in str(text)[: most + 1]
    )
    return shown if len(shown) <= most else f"{shown[:most]}…"


def sentiment_text(score: float) -> Text:
    """A score of -1 to 1 as a bar around its middle, and as a number."""
    filled = min(SENTIMENT_CELLS, round(abs(score) * SENTIMENT_CELLS))
    style = "red" if score < ANGRY else "yellow" if score < UNEASY else "green"
    left = "█" * filled if score < 0 else ""
    right = "█" * filled if score > 0 else ""
    return Text.assemble(
        (left.rjust(SENTIMENT_CELLS, "·"), style if left else "dim"),
        ("│", "dim"),
        (right.ljust(SENTIMENT_CELLS, "·"), style if right else "dim"),
        (f" {score:+.2f}", style),
    )


def _clean_kind(kind: str) -> str:
    return clean(kind.replace("_", " "), 40)


def _pairs(details: Details) -> str:
    return clean("  ".join(f"{key}={value}" for key, value in details.items()))


def _side(word: object) -> Text:
    name, style = SIDES.get(str(word), (clean(word, 12), ""))
    return Text(name.ljust(SIDE_COLUMNS), style)


def _seconds(details: Details, rate: int) -> str:
    return f"{(details['end'] - details['start']) / rate:.1f} s"


def _transcript(details: Details, _rate: int) -> Text:
    name, style = SIDES.get(str(details["channel"]), ("?", ""))
    if details.get("final", True) and not details["text"]:
        return Text.assemble((name.ljust(SIDE_COLUMNS), style), ("no words after all", "dim"))
    if details.get("final", True):
        said = (clean(details["text"], 2000), style)
        return Text.assemble((name.ljust(SIDE_COLUMNS), f"bold {style}"), said)
    return Text.assemble((name.ljust(SIDE_COLUMNS), style), (f"{clean(details['text'])} …", "dim"))


def _sentiment(details: Details, _rate: int) -> Text:
    rolling = details.get("rolling")
    text = Text.assemble(_side(details["channel"]), sentiment_text(float(details["score"])))
    if rolling is not None:
        text.append(f"  lately {float(rolling):+.2f}", "dim")
    return text


def _hit(details: Details, _rate: int) -> Text:
    severity = str(details["severity"])
    style = SEVERITY_STYLES.get(severity, "")
    text = Text.assemble((f"▲ {clean(severity, 12)}", style), "  ", (clean(details["name"]), style))
    evidence = details.get("evidence")
    if isinstance(evidence, list | tuple) and evidence:
        quoted = "; ".join(clean(_evidence(piece), 120) for piece in evidence[:3])
        text.append(f"  ({quoted})", "dim")
    if details.get("action") == "pause":
        text.append("  → recording paused", "bold yellow")
    return text


def _evidence(piece: object) -> str:
    if isinstance(piece, float):
        return f"{piece:.2f}"
    if isinstance(piece, Mapping):
        return str(piece.get("text", "")) or _pairs(piece)
    return str(piece)


def _analysis(details: Details, _rate: int) -> Text:
    state = clean(details["state"].replace("_", " "), 20)
    behind = details.get("behind_seconds")
    if behind:
        state = f"is {float(behind):.1f} s behind"
    text = Text(
        f"recognition by {clean(details['engine'], 40)} {state}", "yellow" if behind else ""
    )
    dropped = float(details.get("dropped_seconds") or 0.0)
    if dropped:
        text.append(f"; {dropped:.1f} s of audio were not heard", "yellow")
    return text


def _opened(details: Details, _rate: int) -> Text:
    channels = "+".join(str(channel) for channel in details["channels"])
    sound = f"{details['codec']} {details['rate']} Hz, {channels}"
    return Text.assemble(
        ("call opened", "bold green"),
        clean(f"  {sound}"),
        (clean(f"  conversation {details['conversation']}"), "dim"),
    )


def _closed(details: Details, _rate: int) -> Text:
    text = Text.assemble(("call closed", "bold"), f"  {clean(details['reason'])}")
    if "duration_seconds" in details:
        text.append(f" after {details['duration_seconds']:.1f} s", "dim")
    dropped = details.get("dropped")
    lost = sum(dropped.values()) if isinstance(dropped, Mapping) else dropped
    if lost:
        text.append(f"  {lost:,} samples were dropped", "bold red")
    return text


def _speech(details: Details, rate: int) -> Text:
    return Text.assemble(_side(details["channel"]), (f"spoke {_seconds(details, rate)}", "dim"))


def _talk_over(details: Details, rate: int) -> Text:
    return Text.assemble(
        _side(details["by"]), ("talked over the other", "yellow"), f" {_seconds(details, rate)}"
    )


def _interruption(details: Details, _rate: int) -> Text:
    return Text.assemble(_side(details["by"]), ("interrupted, and got the floor", "bold yellow"))


def _dead_air(details: Details, rate: int) -> Text:
    since = time_text(details["start"], rate)
    return Text.assemble(("dead air", "yellow"), f"  nobody has spoken since {since}")


def _dead_air_ended(details: Details, rate: int) -> Text:
    return Text.assemble(("dead air ended", "yellow"), f"  after {_seconds(details, rate)}")


def _one_way(details: Details, _rate: int) -> Text:
    name = SIDES.get(str(details["silent"]), ("?", ""))[0]
    return Text(f"one-way audio: nothing comes from the {name}", "bold red")


def _one_way_ended(details: Details, rate: int) -> Text:
    name = SIDES.get(str(details["silent"]), ("?", ""))[0]
    return Text.assemble(("one-way audio ended", "green"), f"  the {name} is heard again")


def _dtmf(details: Details, _rate: int) -> Text:
    heard = "heard in the audio" if details.get("source") == "audio" else "told by the peer"
    digit = clean(details["digit"], 4)
    side = details.get("channel")
    own = _side(side) if side else Text("")
    return Text.assemble(own, "pressed ", (digit, "bold"), (f"  {heard}", "dim"))


def _tone(details: Details, rate: int) -> Text:
    what = f"{clean(details['kind'], 20)} tone {_seconds(details, rate)}"
    return Text.assemble(_side(details["channel"]), (what, "dim"))


def _music(details: Details, rate: int) -> Text:
    return Text.assemble(_side(details["channel"]), (f"music {_seconds(details, rate)}", "dim"))


def _clipping(details: Details, _rate: int) -> Text:
    what = f"too loud: {details['samples']:,} samples clipped"
    return Text.assemble(_side(details["channel"]), (what, "yellow"))


def _paused(details: Details, _rate: int) -> Text:
    return Text(f"paused by the {clean(details.get('by', 'peer'), 20)}", "bold yellow")


def _pause_left(_details: Details, _rate: int) -> Text:
    return Text("still paused, and the consumer that paused it is gone", "bold red")


def _resumed(details: Details, rate: int) -> Text:
    text = Text("resumed", "bold green")
    if details.get("samples"):
        text.append(f"  {details['samples'] / rate:.1f} s were not heard", "dim")
    return text


def _signal(details: Details, rate: int) -> Text:
    summary = details.get("summary", details)
    parts = []
    for word, (name, _) in SIDES.items():
        own = summary.get("channels", summary).get(word)
        if isinstance(own, Mapping) and own.get("talk_ratio") is not None:
            parts.append(f"{name} talks {own['talk_ratio']:.0%}")
    if "longest_dead_air_seconds" in summary:
        parts.append(f"longest dead air {summary['longest_dead_air_seconds']:.1f} s")
    if "talk_over_seconds" in summary:
        parts.append(f"talk-over {summary['talk_over_seconds']:.1f} s")
    if not parts:
        raise ValueError("a summary that we do not know")
    del rate
    return Text.assemble("in figures  ", (", ".join(parts), "dim"))


def _missed(details: Details, _rate: int) -> Text:
    return Text(f"{details['count']:,} events were missed here", "bold red")


_WRITERS: Final[dict[str, Callable[[Details, int], Text]]] = {
    "transcript": _transcript,
    "sentiment": _sentiment,
    "hit": _hit,
    "analysis": _analysis,
    "opened": _opened,
    "closed": _closed,
    "speech": _speech,
    "talk_over": _talk_over,
    "interruption": _interruption,
    "dead_air": _dead_air,
    "dead_air_ended": _dead_air_ended,
    "one_way": _one_way,
    "one_way_ended": _one_way_ended,
    "dtmf": _dtmf,
    "tone": _tone,
    "music": _music,
    "clipping": _clipping,
    "paused": _paused,
    "resumed": _resumed,
    "pause_left": _pause_left,
    "signal": _signal,
    "missed": _missed,
}
