"""How fast audio may be decoded: what a ring must never have to hold."""

from __future__ import annotations

from itertools import repeat

import pytest

from earhook.ingest.tempo import TIMES_REAL_TIME, TIMES_UNDER_STRAIN, Tempo

RATE = 8_000
RING_SECONDS = 2.0
READ_SECONDS = 0.08
"""How often sinks read, and so for how long a ring has to hold everything that is decoded."""


def decode_file(piece_samples: int, pieces: int) -> list[tuple[float, int]]:
    """When each piece of a file is decoded that is there as a whole."""
    tempo, now, decoded = Tempo(RATE, RING_SECONDS), 100.0, []
    for samples in repeat(piece_samples, pieces):
        now += tempo.wait_seconds(now)
        decoded.append((now, samples))
        tempo.spend(samples, now)
    return decoded


@pytest.mark.parametrize("piece_seconds", [0.02, 0.5, 0.98, 1.0, 1.014, 1.2])
def test_no_ring_overruns_between_two_reads(piece_seconds: float) -> None:
    decoded = decode_file(round(piece_seconds * RATE), 400)
    for begins, _ in decoded:
        unread = sum(samples for at, samples in decoded if begins <= at < begins + READ_SECONDS)
        assert unread <= RING_SECONDS * RATE


@pytest.mark.parametrize("piece_seconds", [0.02, 0.5, 1.014])
def test_a_file_goes_at_eight_times_real_time(piece_seconds: float) -> None:
    decoded = decode_file(round(piece_seconds * RATE), 100)
    took = decoded[-1][0] - decoded[0][0]
    spoken = sum(samples for _, samples in decoded) / RATE
    assert took == pytest.approx(spoken / TIMES_REAL_TIME, abs=RING_SECONDS / TIMES_REAL_TIME)


@pytest.mark.parametrize("piece_seconds", [0.02, 0.2, 0.5, 1.0])
def test_the_pace_of_speech_is_never_waited_for(piece_seconds: float) -> None:
    tempo = Tempo(RATE, RING_SECONDS)
    for number in range(100):
        now = 100.0 + number * piece_seconds
        assert tempo.wait_seconds(now) == 0
        tempo.spend(round(piece_seconds * RATE), now)


def test_strain_slows_a_file_from_that_moment_on_and_not_what_was_before() -> None:
    tempo = Tempo(RATE, RING_SECONDS)
    assert tempo.wait_seconds(100.0) == 0
    tempo.spend(RATE, 100.0)
    # An eighth of a second has brought a second back before there was strain.
    assert tempo.wait_seconds(100.125, is_strained=True) == 0
    tempo.spend(RATE, 100.125)
    assert tempo.wait_seconds(100.125, is_strained=True) == pytest.approx(1 / TIMES_UNDER_STRAIN)
    assert tempo.wait_seconds(100.125) == pytest.approx(1 / TIMES_REAL_TIME)
