"""The PCM stream in any pieces, and streams that break a rule."""

from __future__ import annotations

import struct
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.errors import StreamError
from earhook.media.stream import (
    ALL_CHANNELS,
    CONNECTION,
    MAX_CONSUMER_FRAME_BYTES,
    Frame,
    FrameDecoder,
    FrameKind,
    encode_ack,
    encode_frame,
)

HELLO = encode_frame(FrameKind.HELLO, CONNECTION, b'{"version":1}')
ACK = encode_ack(3, ALL_CHANNELS, 2**40)
BROKEN = struct.pack("<I", 7)


def test_frames_come_out_as_they_went_in() -> None:
    decoded = [Frame._make(frame) for frame in FrameDecoder().feed(HELLO + ACK)]
    assert decoded == [
        Frame(FrameKind.HELLO, 0, 0, 0, 0, 0, b'{"version":1}'),
        Frame(FrameKind.ACK, 3, ALL_CHANNELS, 2**40, 0, 0, b""),
    ]


@given(cuts=st.lists(st.integers(0, len(HELLO + ACK + BROKEN)), max_size=8))
def test_any_cutting_gives_the_same_frames_and_the_same_error(cuts: list[int]) -> None:
    stream = HELLO + ACK + BROKEN
    decoder, kinds = FrameDecoder(), list[int]()
    edges = [0, *sorted(cuts), len(stream)]
    for start, end in pairwise(edges):
        with suppress(StreamError):
            kinds += [frame[0] for frame in decoder.feed(stream[start:end])]
    assert kinds == [FrameKind.HELLO, FrameKind.ACK]
    with pytest.raises(StreamError) as again:
        decoder.feed(b"")
    assert decoder.broken == str(again.value)


def test_a_broken_rule_is_known_at_once_and_raised_ever_after() -> None:
    decoder = FrameDecoder()
    assert decoder.broken is None
    assert len(decoder.feed(HELLO + BROKEN)) == 1, "what came before the fault is given first"
    assert decoder.broken is not None
    for _ in range(2):
        with pytest.raises(StreamError, match="length 7 is less"):
            decoder.feed(HELLO)


def test_a_frame_over_the_limit_is_refused_by_its_header() -> None:
    decoder = FrameDecoder(max_frame_bytes=MAX_CONSUMER_FRAME_BYTES)
    header = struct.pack("<I", MAX_CONSUMER_FRAME_BYTES - 3)
    with pytest.raises(StreamError, match="exceeds the limit"):
        decoder.feed(header)
    assert decoder.buffered_bytes == 0


def test_a_stream_that_was_cut_can_be_told() -> None:
    decoder = FrameDecoder()
    decoder.feed(HELLO[:-1])
    assert decoder.buffered_bytes == len(HELLO) - 1
    decoder.feed(HELLO[-1:])
    assert decoder.buffered_bytes == 0


@given(chunks=st.lists(st.binary(max_size=64), max_size=20))
def test_any_bytes_give_frames_or_an_error_of_ours(chunks: list[bytes]) -> None:
    decoder = FrameDecoder()
    for chunk in chunks:
        try:
            kinds = [frame[0] for frame in decoder.feed(chunk)]
        except StreamError:
            assert decoder.broken
        else:
            assert set(kinds) <= set(FrameKind)


@pytest.mark.parametrize("kind", [0, FrameKind.AUDIO, FrameKind.GAP, FrameKind.ACK, 10])
def test_only_json_kinds_are_encoded(kind: int) -> None:
    with pytest.raises(ValueError, match=r"kind|JSON"):
        encode_frame(kind, 0, b"{}")


def test_a_frame_too_long_for_the_stream_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="exceeds the limit"):
        encode_frame(FrameKind.EVENT, 1, bytes(1 << 20))
