"""The proof at the far end: every way in which audio can be spoilt is seen, and called by name."""

from __future__ import annotations

import numpy as np
import pytest

from earhook.load.lanes import SourceLane
from earhook.load.proof import CallProof, Samples
from earhook.load.surroundings import First
from earhook.testing.peer_record import Span
from earhook.testing.sources import Source

FRAME = 160
FRAMES = 50
SENT = [Span(0, FRAME * FRAMES)]


@pytest.fixture
def source() -> Source:
    return Source.random("a call")


def proof_of(source: Source, channels: tuple[int, ...] = (0,)) -> CallProof:
    lanes = {channel: SourceLane(source, channel, searchable=True) for channel in channels}
    return CallProof(0, First(0, 100.0, channels), FRAME, 0.5, lanes)


def pcm(source: Source, position: int, samples: int = FRAME, channel: int = 0) -> np.ndarray:
    return np.frombuffer(source.pcm(channel, position, samples), "<i2")


def hear(proof: CallProof, source: Source, frames: list[int], channel: int = 0) -> None:
    """Let the frames of these numbers arrive one after the other, in the places of the stream."""
    for place, frame in enumerate(frames):
        position = place * FRAME
        now = proof.due_of(position) + 0.01
        proof.hear(channel, position, pcm(source, frame * FRAME, channel=channel), now)


def settled(proof: CallProof, *, broken_off: bool = False) -> Samples:
    proof.end(SENT, broken_off=broken_off)
    proof.closed = True
    assert proof.is_complete
    return proof.settle()


def test_all_of_it_in_order_is_proved(source: Source) -> None:
    proof = proof_of(source, (0, 1))
    for channel in (0, 1):
        hear(proof, source, list(range(FRAMES)), channel)
    samples = settled(proof)
    assert samples.is_proved
    assert samples.right == samples.sent == 2 * FRAME * FRAMES


def test_a_lost_end_is_lost(source: Source) -> None:
    proof = proof_of(source)
    hear(proof, source, list(range(FRAMES - 3)))
    assert settled(proof).lost == 3 * FRAME


def test_what_was_under_way_when_a_call_broke_off_is_not_lost(source: Source) -> None:
    proof = proof_of(source)
    hear(proof, source, list(range(FRAMES - 3)))
    samples = settled(proof, broken_off=True)
    assert (samples.lost, samples.cut_off, samples.is_proved) == (0, 3 * FRAME, True)


def test_a_hole_is_lost_also_if_the_call_broke_off(source: Source) -> None:
    proof = proof_of(source)
    for frame in (0, 1, 4, 5):
        now = proof.due_of(frame * FRAME)
        proof.hear(0, frame * FRAME, pcm(source, frame * FRAME), now)
    samples = settled(proof, broken_off=True)
    assert (samples.lost, samples.cut_off) == (2 * FRAME, (FRAMES - 6) * FRAME)


def test_a_repeated_frame(source: Source) -> None:
    proof = proof_of(source)
    hear(proof, source, [0, 1, 1, *range(3, FRAMES)])
    samples = settled(proof)
    assert (samples.repeated, samples.reordered, samples.wrong, samples.lost) == (FRAME, 0, 0, 0)


def test_swapped_frames(source: Source) -> None:
    proof = proof_of(source)
    hear(proof, source, [0, 2, 1, *range(3, FRAMES)])
    samples = settled(proof)
    assert samples.reordered == 2 * FRAME
    assert not samples.is_proved


def test_a_frame_left_out_without_a_gap_puts_all_others_out_of_place(source: Source) -> None:
    proof = proof_of(source)
    hear(proof, source, [*range(10), *range(11, FRAMES)])
    samples = settled(proof)
    assert (samples.right, samples.lost) == (10 * FRAME, FRAME)
    assert samples.reordered == (FRAMES - 11) * FRAME


def test_swapped_channels_and_other_calls_are_wrong(source: Source) -> None:
    proof = proof_of(source)
    now = proof.due_of(0)
    proof.hear(0, 0, pcm(source, 0, channel=1), now)
    proof.hear(0, FRAME, pcm(Source.random("another call"), 0), now)
    assert proof.samples.wrong + proof.samples.reordered > FRAME
    assert proof.samples.right < FRAME


def test_a_single_bit_is_one_wrong_sample(source: Source) -> None:
    proof = proof_of(source)
    spoilt = pcm(source, 0).copy()
    spoilt[77] ^= 4
    proof.hear(0, 0, spoilt, proof.due_of(0))
    assert (proof.samples.wrong, proof.samples.right) == (1, FRAME - 1)


def test_late_is_counted_from_when_a_frame_was_due(source: Source) -> None:
    proof = proof_of(source)
    assert proof.hear(0, 0, pcm(source, 0), 100.6) == pytest.approx(0.6)
    assert proof.hear(0, FRAME, pcm(source, FRAME), 100.5) == pytest.approx(0.48)
    assert proof.samples.late == FRAME
    proof.shift(Span(2 * FRAME, 3 * FRAME), 101.0)
    assert proof.hear(0, 4 * FRAME, pcm(source, 4 * FRAME), 101.25) == pytest.approx(0.25)
    assert proof.hear(0, 5 * FRAME, pcm(source, 5 * FRAME), 101.25) == pytest.approx(1.15)


def test_a_source_that_repeats_itself_is_compared_but_not_searched() -> None:
    tone = Source.tone()
    lane = SourceLane(tone, 1, searchable=False)
    assert np.array_equal(lane.wanted(7_990, 300), pcm(tone, 7_990, 300, channel=1))
    assert lane.find(lane.wanted(0, 300)) is None


def test_the_pattern_is_found_where_it_lies(source: Source) -> None:
    lane = SourceLane(source, 0, searchable=True)
    for position in (0, 1, 12_345, 1_048_500):
        assert lane.find(lane.wanted(position, FRAME)) == position
