"""When calls and frames of a load are due, and what befalls them: pure, and the same by seed."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.errors import ConfigurationError
from earhook.load.agenda import Agenda
from earhook.load.hold import Hold, seconds_of
from earhook.load.mix import Mix, Script
from earhook.load.shape import Shape

shares = st.floats(0, 1)
mixes = st.builds(
    Mix, pause=shares, discard=shares, burst=shares, late=shares, abrupt=shares, probe=shares
)
holds = st.sampled_from([None, Hold.parse("3s"), Hold.parse("1s-9s"), Hold.parse("exp:4s")])


@given(st.integers(1, 60), st.floats(0, 5), st.floats(1, 30), holds, mixes, st.integers())
def test_calls_are_due_in_order_and_over_in_time(
    calls: int, ramp: float, duration: float, hold: Hold | None, mix: Mix, seed: int
) -> None:
    shape = Shape(
        calls=calls, ramp_seconds=ramp, duration_seconds=duration, hold=hold, mix=mix, seed=seed
    )
    arrivals = list(shape.arrivals())
    assert [arrival.number for arrival in arrivals] == list(range(len(arrivals)))
    assert all(one.due_seconds <= next_.due_seconds for one, next_ in pairwise(arrivals))
    assert arrivals == list(shape.arrivals()), "a seed gives the same calls again"
    assert len(arrivals) >= calls
    for arrival in arrivals:
        assert arrival.due_seconds + arrival.hold_seconds <= shape.end_seconds + 1e-6
        assert held_at(arrivals, arrival.due_seconds) <= calls


def held_at(arrivals: list, seconds: float) -> int:
    return sum(a.due_seconds <= seconds < a.due_seconds + a.hold_seconds - 1e-9 for a in arrivals)


def test_a_steady_rate_asks_nobody_whether_he_is_ready() -> None:
    shape = Shape(rate=50, duration_seconds=4, hold=Hold.parse("exp:90s"))
    arrivals = list(shape.arrivals())
    assert len(arrivals) == 200
    assert [a.due_seconds for a in arrivals[:3]] == pytest.approx([0, 0.02, 0.04])


@given(mixes, st.floats(0.3, 600), st.integers())
def test_what_befalls_a_call_lies_within_it(mix: Mix, hold_seconds: float, seed: int) -> None:
    script = mix.draw(random.Random(seed), hold_seconds)
    assert 0 <= script.late_seconds <= hold_seconds / 4
    end = script.late_seconds
    for moment in script.moments:
        assert end - 1e-6 <= moment.begins < moment.ends <= hold_seconds + 1e-6
        end = moment.ends
    if script.probe:
        assert script == Script(probe=True)


def test_another_mix_leaves_what_it_does_not_name_alone() -> None:
    def abrupt(mix: str) -> list[int]:
        shape = Shape(calls=200, mix=Mix.parse(mix), seed=7)
        return [a.number for a in shape.arrivals() if a.script.abrupt]

    assert abrupt("abrupt=20%") == abrupt("abrupt=0.2, pause=50%,late=100%")
    assert 20 <= len(abrupt("abrupt=20%")) <= 60


@pytest.mark.parametrize("text", ["", "x", "5s-", "9s-1s", "exp:", "-3s", "0s", "1d", "exp:-1s"])
def test_a_length_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        Hold.parse(text)


@pytest.mark.parametrize("text", ["pause", "pause=2", "pause=110%", "sleep=1%", "pause=-1%"])
def test_a_mix_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        Mix.parse(text)


def test_lengths_of_time() -> None:
    assert [seconds_of(text) for text in ("90", "1.5m", "2h", "200ms")] == [90, 90, 7200, 0.2]


@pytest.mark.parametrize(
    "fields", [{}, {"rate": 5.0}, {"calls": 3, "rate": 5.0, "ramp_seconds": 1.0}]
)
def test_a_shape_that_says_nothing_or_too_much_is_refused(fields: dict) -> None:
    with pytest.raises(ConfigurationError):
        Shape(**fields).check()


class Speaker:
    """Notes when its frames were due."""

    def __init__(self) -> None:
        self.dues: list[float] = []

    def send_frame(self, due: float) -> None:
        self.dues.append(due)


@given(st.lists(st.floats(0, 0.7), min_size=1, max_size=8), st.integers(20, 200))
def test_frames_are_never_early_left_out_or_doubled(pauses: list[float], frame: int) -> None:
    """However late the loop gets to it: each turn of the wheel is one frame, at its own due."""
    agenda, speaker, now = Agenda(frame, lambda _late, _frames: None), Speaker(), 0.0
    agenda.run_due(now)
    first = agenda.join(speaker, now)
    for pause in pauses:
        now += pause
        agenda.run_due(now)
        assert not speaker.dues or speaker.dues[-1] <= now
    expected = 0 if now < first - 1e-9 else int((now - first) * 1000 / frame + 1e-6) + 1
    assert abs(len(speaker.dues) - expected) <= (1 if frame else 0)
    for place, due in enumerate(speaker.dues):
        assert due == pytest.approx(first + place * frame / 1000)


def test_what_is_due_learns_its_due_time_not_when_it_was_run() -> None:
    agenda, ran = Agenda(20, lambda _late, _frames: None), []
    agenda.at(0.5, lambda due: ran.append(("second", due)))
    agenda.at(0.25, lambda due: ran.append(("first", due)))
    agenda.run_due(0.2)
    assert not ran
    agenda.run_due(3.0)
    assert ran == [("first", 0.25), ("second", 0.5)]


def test_whoever_leaves_gets_no_more() -> None:
    agenda, one, other = Agenda(20, lambda _late, _frames: None), Speaker(), Speaker()
    agenda.run_due(0.0)
    agenda.join(one, 0.0)
    agenda.join(other, 0.0)
    agenda.run_due(0.03)
    agenda.leave(one)
    agenda.leave(one)
    agenda.run_due(0.1)
    assert len(one.dues) < len(other.dues)
