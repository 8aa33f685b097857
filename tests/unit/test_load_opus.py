"""Opus of the load generator: its packets, and the proof that what arrived is what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from earhook.errors import ConfigurationError
from earhook.load.lanes import OpusLane
from earhook.load.opus import OpusDecoding, OpusPackets, OpusTrack
from earhook.load.proof import CallProof
from earhook.load.surroundings import First
from earhook.testing.peer_record import Span

PACKET = 160
BLOCK = 5 * PACKET


def heard(track: OpusTrack, samples: int) -> np.ndarray:
    """What a gateway gives of a call that ends after so many samples, by channel."""
    decoding = OpusDecoding(track)
    decoding.end(samples)
    return np.stack([decoding.wanted(channel, 0, samples) for channel in (0, 1)])


def proof_of(track: OpusTrack) -> CallProof:
    decoding = OpusDecoding(track)
    lanes = {channel: OpusLane(decoding, channel) for channel in (0, 1)}
    return CallProof(0, First(0, 0.0, (0, 1)), BLOCK, 1.0, lanes)


def judged(proof: CallProof, pcm: np.ndarray) -> CallProof:
    """Told in blocks that end anywhere, and of the end only after all of them."""
    samples = pcm.shape[1]
    for begin in range(0, samples, 977):
        for channel in (0, 1):
            proof.hear(channel, begin, pcm[channel, begin : begin + 977], 0.1)
    proof.end([Span(0, samples)], broken_off=False)
    return proof


def test_what_the_decoder_makes_of_the_packets_is_right_to_the_last_sample() -> None:
    packets = OpusPackets.speech()
    for seed in ("one", "other"):
        track = packets.track(seed)
        samples = judged(proof_of(track), heard(track, 40 * PACKET)).settle()
        assert samples.sent == samples.right == 2 * 40 * PACKET
        assert samples.is_proved


def test_one_other_sample_is_found_and_so_is_another_call() -> None:
    packets = OpusPackets.speech()
    track = packets.track("one")
    pcm = heard(track, 40 * PACKET).copy()
    pcm[1, 1234] ^= 1
    assert judged(proof_of(track), pcm).settle().wrong == 1
    other = heard(packets.track("other"), 40 * PACKET)
    assert judged(proof_of(track), other).settle().wrong > PACKET


def test_it_goes_on_for_ever() -> None:
    packets = OpusPackets(OpusPackets.speech().framed[:3], 2)
    track = OpusTrack(packets, 2)
    assert track.read(0, 4 * PACKET) == b"".join(packets.framed[at] for at in (2, 0, 1, 2))
    samples = 300 * PACKET
    assert judged(proof_of(track), heard(track, samples)).settle().is_proved


@pytest.mark.parametrize("octets", [b"", b"OggS", b"RIFF" * 20, bytes(100)])
def test_a_file_that_is_none_is_refused(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "a.opus").write_bytes(octets)
    with pytest.raises(ConfigurationError):
        OpusPackets.read(tmp_path / "a.opus")


def test_packets_of_another_length_are_refused(tmp_path: Path) -> None:
    from importlib.resources import files

    whole = (files("earhook.testing") / "speech.opus").read_bytes()
    at = whole.index(b"OggS", whole.index(b"OpusTags"))
    body = at + 27 + whole[at + 26]
    (tmp_path / "a.opus").write_bytes(whole[:body] + b"\x00" + whole[body + 1 :])
    with pytest.raises(ConfigurationError, match="20 ms"):
        OpusPackets.read(tmp_path / "a.opus")
