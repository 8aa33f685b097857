"""The speech that is shipped, and the staging of `earhook demo`.

`stage.py` starts a gateway and places calls, `hearing.py` is the consumer at the other end,
`board.py` shows both while they run, `verdict.py` compares them sample by sample afterwards.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Final

from earhook.testing.sources import Source
from earhook.testing.wav_source import read_wav

__all__ = ["CARD_NUMBER", "speech"]

CARD_NUMBER: Final = (67_200, 102_400)
"""First and last position of the stretch in which the customer reads out a card number."""


def speech() -> Source:
    """A call of 25.8 s between a customer (channel 0) and an agent (channel 1). See NOTICE."""
    with as_file(files(__package__) / "speech.wav") as path:
        return read_wav(path)
