"""Blocks in any order, repeated and lost: each is taken at most once, and the books balance."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from earhook.ingest.blocks import BlockOrder, Place, Standing

RATE = 8000
HOUR = 3600.0


@dataclass
class Stream:
    """Takes blocks as a call does, and keeps what it has."""

    order: BlockOrder = field(default_factory=lambda: BlockOrder(RATE, HOUR))
    taken: list[tuple[int, int]] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    position: int = 0

    def offer(
        self, samples: int, sequence: int | None = None, position: int | None = None
    ) -> Place:
        place = self.order.find(sequence, position)
        if place.standing is not Standing.NEXT:
            return place
        if place.gap_samples:
            self.gaps.append((self.position, place.gap_samples))
        self.order.skip(sequence, place)
        self.position += place.gap_samples
        self.taken.append((self.position, samples))
        self.order.take(sequence, samples)
        self.position += samples
        assert self.order.next_position == self.position
        return place


blocks = st.lists(st.integers(20, 400), min_size=1, max_size=12)


@given(blocks, st.data())
def test_numbered_blocks_in_any_order_are_taken_once(
    lengths: list[int], data: st.DataObject
) -> None:
    numbers = st.integers(0, len(lengths) - 1)
    order = data.draw(st.lists(numbers, min_size=1, max_size=40))
    stream, taken = Stream(), []
    for number in order:
        place = stream.offer(lengths[number], sequence=number)
        if place.standing is Standing.NEXT:
            taken.append(number)
        elif place.standing is Standing.DUPLICATE:
            assert number in taken or number < taken[0]
        else:
            assert place.standing is Standing.LATE
            assert number not in taken
    assert taken == sorted(set(taken))
    assert stream.position == sum(n for _, n in stream.taken) + sum(n for _, n in stream.gaps)


@given(blocks, st.data())
def test_positions_put_every_block_where_it_belongs(
    lengths: list[int], data: st.DataObject
) -> None:
    starts = [sum(lengths[:number]) for number in range(len(lengths))]
    order = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=40))
    numbered = data.draw(st.booleans())
    stream = Stream()
    for number in order:
        stream.offer(lengths[number], number if numbered else None, starts[number])
    for position, samples in stream.taken:
        assert (position, samples) in list(zip(starts, lengths, strict=True))
    assert len(set(stream.taken)) == len(stream.taken)
    assert stream.position == sum(n for _, n in stream.taken) + sum(n for _, n in stream.gaps)


def test_a_missing_block_is_as_long_as_the_one_before_it() -> None:
    stream = Stream()
    stream.offer(160, sequence=0)
    assert stream.offer(160, sequence=3) == (Standing.NEXT, 2, 320)
    assert stream.offer(160, sequence=1).standing is Standing.LATE
    assert stream.offer(160, sequence=3).standing is Standing.DUPLICATE
    assert stream.offer(160, sequence=4) == (Standing.NEXT, 0, 0)


def test_a_position_says_how_much_is_missing() -> None:
    stream = Stream()
    stream.offer(160, sequence=0, position=0)
    assert stream.offer(160, sequence=2, position=1000) == (Standing.NEXT, 1, 840)
    # The sender skipped silence: nothing is missing of its blocks, but of its time.
    assert stream.offer(160, sequence=3, position=2000) == (Standing.NEXT, 0, 840)


def test_a_call_may_begin_with_any_number() -> None:
    stream = Stream()
    assert stream.offer(160, sequence=500) == (Standing.NEXT, 500, 0)
    assert stream.offer(160, sequence=501) == (Standing.NEXT, 0, 0)
    other = Stream()
    assert other.offer(160, sequence=500, position=80_000) == (Standing.NEXT, 500, 80_000)


def test_a_rounded_position_is_no_gap_and_no_repetition() -> None:
    stream = Stream()
    stream.offer(160, position=0)
    assert stream.offer(160, position=152) == (Standing.NEXT, 0, 0)
    assert stream.offer(160, position=328) == (Standing.NEXT, 0, 0)
    assert stream.offer(160, position=300).standing is Standing.DUPLICATE
    assert stream.offer(160, position=489) == (Standing.NEXT, 0, 9)


def test_blocks_without_number_and_position_follow_each_other() -> None:
    stream = Stream()
    for _ in range(3):
        assert stream.offer(160) == (Standing.NEXT, 0, 0)
    assert stream.position == 480


def test_what_is_further_ahead_than_a_call_can_be_changes_nothing() -> None:
    stream = Stream()
    stream.offer(160, sequence=0)
    for sequence, position in [(1, 10**15), (None, 10**15), (10**14, None), (1, 28_800_001)]:
        assert stream.offer(160, sequence, position).standing is Standing.BEYOND
    assert stream.offer(160, sequence=1) == (Standing.NEXT, 0, 0)


def test_memory_of_missing_blocks_is_bounded() -> None:
    stream = Stream(BlockOrder(RATE, 1e9))
    for number in range(0, 6000, 2):
        stream.offer(1, sequence=number)
    assert stream.offer(1, sequence=5997).standing is Standing.LATE
    assert stream.offer(1, sequence=5998).standing is Standing.DUPLICATE
    assert stream.offer(1, sequence=1).standing is Standing.DUPLICATE
