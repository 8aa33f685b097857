"""The call that is analysed: what it sounds like, and what is really said in it."""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final, NamedTuple

from earhook.testing.sources import Source
from earhook.testing.wav_source import read_wav

__all__ = ["COMPLAINT_KEY", "Turn", "complaint", "complaint_turns", "demo_rules"]

COMPLAINT_KEY: Final = "contact-centre"
"""Name of the API key of the calls that are analysed."""


class Turn(NamedTuple):
    """Somebody speaks, or presses keys. `start` and `end` are positions at 8 kHz."""

    speaker: str
    start: int
    end: int
    text: str = ""
    keys: str = ""


def complaint() -> Source:
    """A customer (channel 0) who has called before, and an agent (1) who forgets what agents say.

    See NOTICE.
    """
    with as_file(files(__package__) / "complaint.wav") as path:
        return read_wav(path)


def complaint_turns() -> list[Turn]:
    """Its turns, in the order in which they begin."""
    script = json.loads((files(__package__) / "complaint.json").read_text(encoding="utf-8"))
    return [Turn(**turn) for turn in script["turns"]]


def demo_rules() -> Path:
    """The rule of the demo's own: a pause before a card number."""
    return Path(str(files(__package__) / "rules.toml"))
