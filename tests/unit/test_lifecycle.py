"""The lifecycle: every pair of stage and input, deadlines, and what is done on the way."""

from __future__ import annotations

import itertools

import pytest

from earhook.control.lifecycle import (
    CLOSE_SECONDS,
    END_SECONDS,
    TERMINAL_GRACE_SECONDS,
    TRANSITIONS,
    Action,
    Input,
    Lifecycle,
    Stage,
)
from earhook.control.settings import DrainSettings

SETTINGS = DrainSettings(grace_seconds=900, disconnect_seconds=30, flush_seconds=10)
ORDER = list(Stage)

WAYS: dict[Stage, tuple[Input, ...]] = {
    Stage.STARTING: (),
    Stage.SERVING: (Input.STARTED,),
    Stage.DRAINING: (Input.STARTED, Input.STOP),
    Stage.DISCONNECTING: (Input.STARTED, Input.STOP, Input.TIME_OVER),
    Stage.STOPPING: (Input.STARTED, Input.STOP, Input.CALLS_GONE),
    Stage.ENDING: (Input.STARTED, Input.STOP, Input.STOP),
    Stage.STOPPED: (Input.STARTED, Input.STOP, Input.CALLS_GONE, Input.FLUSHED),
}


def brought_to(stage: Stage) -> Lifecycle:
    lifecycle = Lifecycle(SETTINGS)
    for happened in WAYS[stage]:
        lifecycle.receive(happened, 0.0)
        lifecycle.take_actions()
    assert lifecycle.stage is stage
    return lifecycle


@pytest.mark.parametrize(("stage", "happened"), list(itertools.product(Stage, Input)))
def test_every_pair_goes_where_the_table_says_and_never_back(stage: Stage, happened: Input) -> None:
    lifecycle = brought_to(stage)
    lifecycle.receive(happened, 1.0)
    assert lifecycle.stage is TRANSITIONS.get((stage, happened), stage)
    assert ORDER.index(lifecycle.stage) >= ORDER.index(stage)


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.STOPPED])
def test_whatever_happens_three_requests_to_stop_and_time_end_it(stage: Stage) -> None:
    lifecycle = brought_to(stage)
    for now in (1.0, 2.0, 3.0):
        lifecycle.receive(Input.STOP, now)
    while lifecycle.deadline is not None:
        lifecycle.handle_timeout(lifecycle.deadline)
    assert lifecycle.stage is Stage.STOPPED


def test_calls_are_admitted_only_while_serving() -> None:
    assert [stage for stage in Stage if brought_to(stage).accepting] == [Stage.SERVING]


def test_a_drain_waits_for_calls_then_disconnects_then_cuts() -> None:
    lifecycle = brought_to(Stage.SERVING)
    lifecycle.receive(Input.STOP, 100.0)
    assert lifecycle.take_actions() == [Action.REFUSE_CALLS]
    assert lifecycle.deadline == 1000.0
    lifecycle.handle_timeout(999.9)
    assert lifecycle.stage is Stage.DRAINING
    lifecycle.handle_timeout(1000.0)
    assert lifecycle.take_actions() == [Action.DISCONNECT_CALLS]
    assert lifecycle.deadline == 1000.0 + 30.0 + CLOSE_SECONDS
    lifecycle.handle_timeout(lifecycle.deadline)
    assert lifecycle.take_actions() == [Action.REFUSE_CALLS, Action.CUT_CALLS, Action.STOP_SINKS]


def test_calls_that_end_by_themselves_are_followed_by_an_orderly_stop() -> None:
    lifecycle = brought_to(Stage.DRAINING)
    lifecycle.receive(Input.CALLS_GONE, 50.0)
    assert lifecycle.take_actions() == [Action.REFUSE_CALLS, Action.STOP_SINKS]
    assert lifecycle.deadline == 60.0
    lifecycle.receive(Input.FLUSHED, 51.0)
    assert (lifecycle.stage, lifecycle.deadline) == (Stage.STOPPED, None)


def test_a_second_request_ends_within_two_seconds() -> None:
    lifecycle = brought_to(Stage.DRAINING)
    lifecycle.receive(Input.STOP, 10.0)
    assert lifecycle.deadline == 10.0 + END_SECONDS < 12.0
    lifecycle.receive(Input.STOP, 11.0)  # a third changes nothing
    assert lifecycle.deadline == 10.0 + END_SECONDS
    lifecycle.handle_timeout(10.0 + END_SECONDS)
    assert lifecycle.stage is Stage.STOPPED


def test_at_a_terminal_the_grace_is_short() -> None:
    lifecycle = brought_to(Stage.SERVING)
    lifecycle.receive(Input.INTERRUPT, 0.0)
    assert lifecycle.deadline == TERMINAL_GRACE_SECONDS


def test_actions_are_handed_out_once() -> None:
    lifecycle = brought_to(Stage.SERVING)
    lifecycle.receive(Input.STOP, 0.0)
    assert lifecycle.take_actions()
    assert lifecycle.take_actions() == []
