"""Levels of whole buffers, against wide arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.errors import MalformedFrame
from earhook.media.g711 import decode_g711
from earhook.media.levels import measure_levels

SAMPLES = st.lists(st.integers(-32_768, 32_767), max_size=400)


def expected(lane: np.ndarray) -> tuple[int, int]:
    wide = lane.astype(np.int64)
    return int(np.abs(wide).max(initial=0)), int((wide * wide).sum())


@given(SAMPLES, st.sampled_from([1, 2]), st.sampled_from(["L16", "L16BE"]))
def test_peak_and_energy_of_each_channel(samples: list[int], channels: int, codec: str) -> None:
    groups = np.array(samples[: len(samples) // channels * channels]).reshape(-1, channels)
    order = "<i2" if codec == "L16" else ">i2"
    measured = measure_levels(groups.astype(order).tobytes(), codec, channels)
    assert measured == [expected(groups[:, lane]) for lane in range(channels)]


@given(st.binary(max_size=400), st.sampled_from(["PCMU", "PCMA"]))
def test_codes_are_as_loud_as_what_they_decode_to(codes: bytes, law: str) -> None:
    assert measure_levels(codes, law, 1) == measure_levels(decode_g711(codes, law), "L16", 1)


def test_what_is_not_whole_groups_of_a_known_codec_is_refused() -> None:
    with pytest.raises(MalformedFrame):
        measure_levels(bytes(3), "L16", 1)
    with pytest.raises(ValueError, match="OPUS"):
        measure_levels(b"", "OPUS", 1)
    with pytest.raises(ValueError):  # noqa: PT011 - the words are the core's
        measure_levels(b"", "PCMU", 3)
