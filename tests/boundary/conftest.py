"""Pipelines and feeds small enough to see every sample."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import pytest

from earhook.media.feed import Books, Feed, in_balance
from earhook.media.pipeline import Budget, Pipeline


@pytest.fixture
def budget() -> Budget:
    return Budget(1 << 20)


@pytest.fixture
def open_call(budget: Budget) -> Callable[..., Pipeline]:
    """Make a pipeline; mono L16 unless asked otherwise, so that samples are what was pushed."""

    def build(
        *, codec: str = "L16", channels: Sequence[int] = (0,), capacity: int = 1000
    ) -> Pipeline:
        return Pipeline(budget, codec=codec, channels=channels, capacity_samples=capacity)

    return build


@pytest.fixture
def balanced() -> Callable[[Feed, int], Books]:
    """The books of a call, after a look that they balance."""

    def look(feed: Feed, call: int) -> Books:
        books = feed.books(call)
        assert in_balance(books), books
        return books

    return look


@pytest.fixture
def pcm() -> Callable[..., bytes]:
    """Samples as L16 bytes."""
    return lambda *samples: struct.pack(f"<{len(samples)}h", *samples)
