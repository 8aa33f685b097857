"""The results as a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.provenance import ROOT, in_short

PAGE = ROOT / "docs" / "reference" / "signal.md"

HEAD = """\
# How right the analysis is

Made from `bench/results/signal.json` by `just bench-signal`; do not edit. What the facts mean:
[what calls sound like](../concepts/signal.md). All sound is at 8 kHz through G.711 mu-law unless it
says otherwise. Beside it, in the same run, WebRTC's detector of voices (`webrtcvad-wheels`), its
pauses bridged as those of talk spans are.
"""

VOICES = """\
## Voices

F1 per 20 ms, on {seconds} s of prompts read by one woman in English (Debian's
`asterisk-core-sounds-en-wav`), {part:.0%} of it speech, pauses of 0.3 to 2 s. Thresholds were
chosen on every second prompt; these are the others. A detector that always says "speech" has
{always:.3f}.
"""

FALSE_ALARMS = """\
## Taken for speech

The part of sounds without any voice that counts as talk. Music is Debian's
`asterisk-moh-opsound-wav`; the threshold for music was chosen with these five tunes at hand, so
expect less of others.
"""

KEYS = """\
## Keys

{pressed} keys a row, all sixteen in turn, each with phases of its own. ITU-T Q.24 asks for 40 ms,
1.5 %, and a twist of +4 to -8 dB to be taken, and for 23 ms and 3.5 % to be left.
"""

TALK_OFF = """\
In {hours} hours of speech (all prompts at three levels): {dtmf} keys, {tone} tones, {music} music.
"""
TALK_OFF_MACHINE = """\
In {hours} hours of synthetic voices, which have one loudness: {dtmf} keys, {tone} tones, {music}
music.
"""

TONES = """\
## Tones of networks

Bursts in a minute, by whether the right kind was heard.
"""

MUSIC = """\
## Music

Parts of each tune by what they were taken for. Steady music is recognised after four to seven
seconds, and then back to its beginning. A tune whose loudness goes up and down as that of speech
does, like the third, is taken for a voice, as it is by WebRTC's detector.
"""


def written(report: dict[str, Any]) -> str:
    """The whole page."""
    return "\n".join([HEAD, f"Measured: {in_short(report['machine'])}.", "", *sections(report)])


def sections(report: dict[str, Any]) -> Iterator[str]:
    """One a table."""
    part = report["speech_part"]
    yield VOICES.format(seconds=report["speech_seconds"], part=part, always=2 * part / (1 + part))
    yield voices(report["voices"])
    yield FALSE_ALARMS
    names = list(report["false_alarms"][0]["taken_for_speech"])
    rows = [
        [row["name"], *(f"{row['taken_for_speech'][name]:.1%}" for name in names)]
        for row in report["false_alarms"]
    ]
    yield table(["sound", *names], rows)
    yield KEYS.format(pressed=report["keys"][0]["pressed"])
    keys = [[row["name"], str(row["right"]), str(row["wrong"])] for row in report["keys"]]
    yield table(["keys", "heard", "heard that were not pressed"], keys)
    yield TALK_OFF.format(**report["talk_off"])
    yield TALK_OFF_MACHINE.format(**report["talk_off_machine"])
    yield TONES
    tones = [
        [
            row["name"],
            noise(row["snr_db"]),
            *(str(row[key]) for key in ("bursts", "right", "wrong")),
        ]
        for row in report["tones"]
    ]
    yield table(["tone", "noise", "bursts", "right", "wrong"], tones)
    yield MUSIC
    tunes = [
        [
            row["name"],
            str(row["seconds"]),
            f"{row['music']:.0%}",
            f"{row['speech']:.0%}",
            str(row["keys"]),
        ]
        for row in report["tunes"]
    ]
    yield table(["tune", "seconds", "music", "speech", "keys"], tunes)


def voices(rows: list[dict[str, Any]]) -> str:
    """A row a noise, a column a detector."""
    names = list(rows[-1]["f1"])
    cells = [
        [noise(row["snr_db"]), row["noise"], *(f"{row['f1'][name]:.3f}" for name in names)]
        for row in rows
    ]
    clean = rows[0]["f1"]["earhook at 16 kHz"]
    text = table(["speech to noise", "noise", *names], cells)
    return f"{text}\nThe clean row at 16 kHz: {clean:.3f}.\n"


def noise(snr_db: float | None) -> str:
    """How far below the signal it is."""
    return "clean" if snr_db is None else f"{snr_db:.0f} dB"


def table(head: list[str], rows: list[list[str]]) -> str:
    """In Markdown; figures to the right."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
