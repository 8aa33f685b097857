"""An engine's clock and the call's positions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earhook.analytics.timeline import Timeline

RATE = 8000
STEPS = st.lists(st.tuples(st.booleans(), st.integers(1, 5 * RATE)), min_size=1, max_size=30)


def told(steps: list[tuple[bool, int]]) -> tuple[Timeline, list[int]]:
    """A timeline that was given the audio of these steps, and the position of every second of it.

    A step is audio or a gap.
    """
    timeline, position, positions = Timeline(RATE), 0, []
    for is_audio, samples in steps:
        if is_audio:
            timeline.give(position, samples)
            positions += range(position, position + samples)
        position += samples
    return timeline, positions


@given(STEPS, st.data())
def test_every_sample_that_was_given_lies_where_it_was(
    steps: list[tuple[bool, int]], data: st.DataObject
) -> None:
    timeline, positions = told(steps)
    if not positions:
        assert timeline.end == 0
        return
    given_sample = data.draw(st.integers(0, len(positions) - 1))
    assert timeline.at(given_sample / RATE) == positions[given_sample]
    assert timeline.end_at((given_sample + 1) / RATE) == positions[given_sample] + 1
    assert timeline.end == positions[-1] + 1


@given(STEPS, st.floats(-10, 1000))
def test_no_moment_lies_outside_of_what_was_given(
    steps: list[tuple[bool, int]], seconds: float
) -> None:
    timeline, positions = told(steps)
    first, last = (positions[0], positions[-1] + 1) if positions else (0, 0)
    assert first <= timeline.at(seconds) <= last
    assert first <= timeline.end_at(seconds) <= last


@given(STEPS, st.data())
def test_what_is_forgotten_changes_nothing_behind_it(
    steps: list[tuple[bool, int]], data: st.DataObject
) -> None:
    timeline, positions = told(steps)
    if not positions:
        return
    kept = data.draw(st.integers(0, len(positions) - 1))
    timeline.forget_before(positions[kept])
    assert [timeline.at(one / RATE) for one in range(kept, len(positions), 997)] == positions[
        kept::997
    ]
