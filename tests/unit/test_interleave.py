"""Channels that arrive in pieces of their own are put side by side, whatever the pieces."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from earhook.client import Block, Call, ChannelName, Gap, Interleaver

LENGTH = 60
BOTH: tuple[ChannelName, ...] = ("external", "internal")


def call(channels: tuple[ChannelName, ...] = BOTH) -> Call:
    return Call("s", "c", "o", "x", "k", channels, "PCMU", 8000, None, 0.0, None, {})


def items(of: Call, channel: ChannelName, lengths: list[int], gaps: list[bool]) -> list[Any]:
    """Pieces of one channel up to `LENGTH`; the sample at a position is the position plus one."""
    made: list[Any] = []
    position = 0
    for wished, is_gap in zip([*lengths, LENGTH], [*gaps, *[False] * LENGTH], strict=False):
        length = min(wished, LENGTH - position)
        if length == 0:
            break
        if is_gap:
            made.append(Gap(of, channel, position, length, "overrun"))
        else:
            samples = np.arange(position + 1, position + length + 1, dtype="<i2")
            made.append(Block(of, channel, position, samples))
        position += length
    return made


PIECES = st.tuples(
    st.lists(st.integers(1, 20), min_size=1, max_size=8), st.lists(st.booleans(), max_size=8)
)


@given(PIECES, PIECES, st.randoms(use_true_random=False))
def test_pieces_are_contiguous_and_every_sample_is_in_its_place(
    external: Any, internal: Any, chance: Any
) -> None:
    of = call()
    lanes = {
        "external": items(of, "external", *external),
        "internal": items(of, "internal", *internal),
    }
    has_audio = {name: np.zeros(LENGTH, bool) for name in lanes}
    for name, lane in lanes.items():
        for item in lane:
            if isinstance(item, Block):
                has_audio[name][item.position : item.position + len(item.samples)] = True
    interleaver = Interleaver(of, BOTH)
    pieces = []
    while any(lanes.values()):
        name = chance.choice([name for name, lane in lanes.items() if lane])
        pieces += interleaver.add(lanes[name].pop(0))
    position = 0
    for piece in pieces:
        assert piece.position == position
        span = slice(position, position + piece.samples)
        position += piece.samples
        if piece.frames is None:
            assert piece.reason == "overrun"
            assert not any(has[span].any() for has in has_audio.values())
            continue
        expected = np.arange(span.start + 1, span.stop + 1)
        for column, name in enumerate(BOTH):
            heard = np.where(has_audio[name][span], expected, 0)
            assert np.array_equal(piece.frames[:, column], heard)
    assert position == LENGTH


def test_a_channel_that_is_not_wanted_is_left_out() -> None:
    of = call()
    interleaver = Interleaver(of, ("internal",))
    (external,) = items(of, "external", [LENGTH], [])
    (internal,) = items(of, "internal", [LENGTH], [])
    assert list(interleaver.add(external)) == []
    (piece,) = interleaver.add(internal)
    assert piece.frames is not None
    assert piece.frames.shape == (LENGTH, 1)


def test_a_channel_that_the_call_does_not_have_is_silent() -> None:
    of = call(("internal",))
    (piece,) = Interleaver(of, BOTH).add(items(of, "internal", [LENGTH], [])[0])
    assert piece.frames is not None
    assert not piece.frames[:, 0].any()
    assert piece.frames[:, 1].all()
