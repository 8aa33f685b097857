"""Utterances: where they are cut, and that no chunking matters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earhook.analytics.endpointing import Begun, Cut, Endpointer, Speech, UtteranceSettings

RATE = 8000
FRAME = 160
LOUD = 5000


def line(*spans: tuple[str, float]) -> np.ndarray[Any, Any]:
    """Talk and silence of so many seconds; both over the noise of a line."""
    random = np.random.default_rng(7)
    parts = [
        random.normal(0, LOUD if what == "talk" else 20, round(seconds * RATE))
        for what, seconds in spans
    ]
    return np.concatenate(parts).clip(-32768, 32767).astype(np.int16)


def cut(
    samples: np.ndarray[Any, Any], chunks: list[int], **wishes: Any
) -> list[tuple[int, int, bytes]]:
    """Start, end and audio of every utterance."""
    endpointer = Endpointer(RATE, settings=UtteranceSettings(**wishes))
    found: list[tuple[int, int, bytes]] = []
    start, audio, position = 0, b"", 0

    def take(piece: Begun | Speech | Cut) -> None:
        nonlocal start, audio
        if isinstance(piece, Begun):
            start, audio = piece.position, b""
        elif isinstance(piece, Speech):
            audio += piece.samples.tobytes()
        else:
            found.append((start, piece.position, audio))

    while position < len(samples):
        size = chunks[len(found) % len(chunks)] if chunks else len(samples)
        piece = samples[position : position + size]
        for one in endpointer.push(piece, position):
            take(one)
        position += len(piece)
    for one in endpointer.end():
        take(one)
    return found


def test_each_stretch_of_talk_is_one_utterance() -> None:
    samples = line(("silence", 1), ("talk", 1.5), ("silence", 1), ("talk", 0.8), ("silence", 1))
    first, second = cut(samples, [])
    assert first[0] == pytest.approx(0.66 * RATE, abs=0.05 * RATE)
    assert first[1] == pytest.approx(2.5 * RATE, abs=0.03 * RATE)
    assert second[1] == pytest.approx(4.3 * RATE, abs=0.03 * RATE)
    assert first[0] < first[1] < second[0]


def test_a_breath_does_not_end_an_utterance() -> None:
    samples = line(("silence", 1), ("talk", 1), ("silence", 0.4), ("talk", 1), ("silence", 1))
    assert len(cut(samples, [])) == 1


def test_a_click_is_no_utterance() -> None:
    assert not cut(line(("silence", 1), ("talk", 0.04), ("silence", 1)), [])


def test_talk_without_end_is_cut() -> None:
    utterances = cut(line(("silence", 1), ("talk", 10)), [], longest_seconds=3.0)
    assert len(utterances) == 4
    assert all(len(audio) <= 2 * 3.0 * RATE for _, _, audio in utterances)


def test_the_audio_of_an_utterance_is_what_was_said_from_its_start_on() -> None:
    samples = line(("silence", 1), ("talk", 1.5), ("silence", 1))
    ((start, _, audio),) = cut(samples, [])
    assert audio == samples[start : start + len(audio) // 2].tobytes()


@settings(max_examples=30)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=5))
def test_any_chunking_gives_the_same_utterances(chunks: list[int]) -> None:
    samples = line(("silence", 0.5), ("talk", 0.6), ("silence", 0.9), ("talk", 0.5))
    assert cut(samples, chunks) == cut(samples, [])


def test_a_jump_ends_an_utterance_and_begins_anew() -> None:
    endpointer, talk = Endpointer(RATE), line(("talk", 1))
    pieces = [*endpointer.push(talk, 0), *endpointer.push(talk, 100 * RATE), *endpointer.end()]
    starts = [piece.position for piece in pieces if isinstance(piece, Begun)]
    ends = [piece.position for piece in pieces if isinstance(piece, Cut)]
    assert len(starts) == len(ends) == 2
    assert ends[0] <= RATE
    assert starts[1] >= 100 * RATE


def test_no_utterance_begins_before_what_is_settled() -> None:
    endpointer, samples = Endpointer(RATE), line(("silence", 2), ("talk", 1))
    settled = 0
    for position in range(0, len(samples), FRAME):
        for piece in endpointer.push(samples[position : position + FRAME], position):
            if isinstance(piece, Begun):
                assert piece.position >= settled
        settled = max(settled, endpointer.settled)
    assert settled > 1.5 * RATE
