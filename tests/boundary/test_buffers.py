"""The one way in: which buffers are taken, and that none is kept."""

from __future__ import annotations

import array
import ctypes
import mmap
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.errors import MalformedFrame
from earhook.media.feed import Feed
from earhook.media.g711 import decode_g711, encode_g711
from earhook.media.pipeline import Budget, Pipeline
from earhook.media.stream import FrameDecoder, FrameKind, encode_frame

OpensCalls = Callable[..., Pipeline]


FRAME = bytes(range(1, 9))


def memory_map() -> mmap.mmap:
    lent = mmap.mmap(-1, len(FRAME))
    lent.write(FRAME)
    return lent


PLAIN_BYTES = {
    "bytes": FRAME,
    "bytearray": bytearray(FRAME),
    "memoryview": memoryview(FRAME),
    "slice of a memoryview": memoryview(b"head" + FRAME + b"tail")[4:-4],
    "view of a bytearray": memoryview(bytearray(FRAME)),
    "cast of a view": memoryview(array.array("h", [513, 1027, 1541, 2055])).cast("B"),
    "array of bytes": array.array("B", FRAME),
    "two dimensions": memoryview(FRAME).cast("B", (2, 4)),
    "numpy uint8": np.frombuffer(FRAME, np.uint8),
    "view of ctypes": memoryview((ctypes.c_ubyte * 8).from_buffer_copy(FRAME)).cast("B"),
    "memory map": memory_map(),
}
NOT_PLAIN_BYTES = {
    "every other byte": memoryview(FRAME)[::2],
    "backwards": memoryview(FRAME)[::-1],
    "numpy column": np.zeros((4, 4), np.uint8)[:, 1],
    "16-bit array": array.array("h", [1, 2]),
    "signed bytes": memoryview(FRAME).cast("b"),
    "numpy int16": np.zeros(4, np.int16),
    "bare ctypes": (ctypes.c_ubyte * 8).from_buffer_copy(FRAME),
    "numpy float": np.zeros(4, np.float32),
}


def named(buffers: Mapping[str, object]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("buffer", buffers.values(), ids=buffers.keys())


@named(PLAIN_BYTES)
def test_plain_bytes_are_taken_however_they_are_lent(open_call: OpensCalls, buffer: bytes) -> None:
    pipeline, feed = open_call(), Feed()
    feed.attach(1, pipeline)
    assert pipeline.push(buffer) == 4
    assert feed.drain_blocks(1 << 20)[0][4][0::4] == FRAME[0::2]


@named(NOT_PLAIN_BYTES)
def test_other_buffers_are_refused_with_a_reason(open_call: OpensCalls, buffer: bytes) -> None:
    pipeline = open_call()
    with pytest.raises(BufferError, match=r"contiguous|format 'B'|memoryview"):
        pipeline.push(buffer)
    for door in (
        FrameDecoder().feed,
        lambda view: decode_g711(view, "PCMU"),
        lambda view: encode_g711(view, "PCMU"),
        lambda view: encode_frame(FrameKind.HELLO, 0, view),
    ):
        with pytest.raises(BufferError):
            door(buffer)
    assert (pipeline.frames, pipeline.position, pipeline.ended) == (0, 0, False)


@pytest.mark.parametrize("thing", [None, 7, "text", [1, 2], object()])
def test_what_lends_no_buffer_is_a_type_error(open_call: OpensCalls, thing: bytes) -> None:
    with pytest.raises(TypeError):
        open_call().push(thing)


def test_a_view_is_not_kept_and_its_memory_may_be_reused_at_once(
    open_call: OpensCalls, pcm: Callable[..., bytes]
) -> None:
    pipeline, feed = open_call(), Feed()
    feed.attach(1, pipeline, channels=(0,))
    memory = bytearray(pcm(1, 2))
    pipeline.push(memoryview(memory))
    memory[:] = pcm(9, 9)
    pipeline.push(memoryview(memory))
    memory.clear()  # A BufferError here would mean that somebody still holds the view.
    assert feed.drain_blocks(1 << 20) == [(1, 0, 0, 0, pcm(1, 2, 9, 9))]


def test_what_is_drained_is_a_copy_of_its_own(
    open_call: OpensCalls, pcm: Callable[..., bytes]
) -> None:
    pipeline, feed = open_call(capacity=2), Feed()
    feed.attach(1, pipeline)
    pipeline.push(pcm(1, 2))
    first = feed.drain(1 << 20)
    kept = bytes(bytearray(first))
    pipeline.push(pcm(3, 4))
    feed.drain(1 << 20)
    assert first == kept


@pytest.mark.parametrize(
    ("codec", "channels", "group"),
    [("PCMU", (0,), 1), ("PCMA", (1, 0), 2), ("L16", (0,), 2), ("L16BE", (0, 1), 4)],
)
@given(payload_bytes=st.integers(0, 40))
def test_a_frame_is_whole_sample_groups_or_nothing(
    codec: str, channels: tuple[int, ...], group: int, payload_bytes: int
) -> None:
    pipeline = Pipeline(Budget(1 << 20), codec=codec, channels=channels, capacity_samples=100)
    pipeline.push(bytes(group))
    if payload_bytes % group:
        with pytest.raises(MalformedFrame, match=f"{payload_bytes} bytes .* {group}-byte"):
            pipeline.push(bytes(payload_bytes))
        assert (pipeline.frames, pipeline.position, pipeline.ended) == (1, 1, False)
    else:
        assert pipeline.push(bytes(payload_bytes)) == payload_bytes // group
        assert (pipeline.frames, pipeline.position) == (2, 1 + payload_bytes // group)
