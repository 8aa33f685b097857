"""The crew of workers: time is moved by hand, and processes are a table."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from earhook.control.settings import WorkersSettings
from earhook.workers.crew import (
    END_SECONDS,
    FREE_YOUNG_DEATHS,
    LEAST_AGE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    START_SECONDS,
    Crew,
    Do,
    Reason,
    Standing,
)

DRAIN_SECONDS = 50.0
MIB = 1 << 20


class World:
    """A crew, a clock, and processes that do what they are told, unless the test says otherwise."""

    def __init__(self, count: int = 2, **settings: float) -> None:
        self.now = 1000.0
        self.crew = Crew(
            WorkersSettings(count=count, **settings), count, DRAIN_SECONDS, chance=lambda: 0.0
        )
        self.living: set[int] = set()
        self.told: list[tuple[Do, int]] = []
        self.mute: set[int] = set()
        self.starts_late = False
        self.crew.start(self.now)
        self.act()

    def act(self) -> list[Do]:
        """Carry out what the crew says; processes are quick."""
        done = []
        while actions := self.crew.take_actions():
            for do, generation in actions:
                done.append(do)
                self.told.append((do, generation))
                self._carry_out(do, generation)
        return done

    def _carry_out(self, do: Do, generation: int) -> None:
        crew, now = self.crew, self.now
        if do is Do.SPAWN:
            assert generation not in {each for _, each in self.told[:-1]}, "used before"
            self.living.add(generation)
            if not self.starts_late:
                crew.warm(generation, now)
        elif do is Do.ASSIGN and generation not in self.mute:
            crew.serving(generation, now)
        elif do is Do.KILL or (do is Do.END and generation not in self.mute):
            self.dies(generation, orderly=do is Do.END)

    def dies(self, generation: int, *, orderly: bool = False) -> None:
        if generation in self.living:
            self.living.discard(generation)
            self.crew.gone(generation, self.now, orderly=orderly)

    def kills(self, generation: int) -> list[Do]:
        self.dies(generation)
        return self.act()

    def drains(self, generation: int) -> list[Do]:
        """Its last call has ended."""
        self.dies(generation, orderly=True)
        return self.act()

    def passes(self, seconds: float) -> list[Do]:
        """Time goes by; everybody who is not mute gives signs of life."""
        done = []
        end = self.now + seconds
        while self.now < end:
            deadline = self.crew.deadline
            step = min(end, self.now + 1.0, end if deadline is None else max(deadline, self.now))
            self.now = max(step, self.now + 1e-6)
            for generation in self.living - self.mute:
                self.crew.heard(generation, self.now)
            self.crew.handle_timeout(self.now)
            done += self.act()
        return done

    def is_stopped_for(self, seconds: float) -> None:
        """The owner of the crew is, and finds nothing to do afterwards."""
        self.now += seconds
        self.crew.handle_timeout(self.now)
        assert self.act() == []

    def of(self, standing: Standing) -> list[int]:
        return [one.generation for one in self.crew.members if one.standing is standing]

    def serving_at(self, slot: int) -> int:
        (found,) = [
            one.generation
            for one in self.crew.members
            if one.slot == slot and one.standing is Standing.SERVING
        ]
        return found


def test_at_first_all_slots_are_filled_and_only_then_one_waits() -> None:
    world = World(3)
    first = [do for do, _ in world.told[:3]]
    assert first == [Do.SPAWN] * 3
    assert world.crew.is_complete
    assert len(world.of(Standing.SERVING)) == 3
    assert len(world.of(Standing.SPARE)) == 1


def test_who_waits_takes_the_place_of_the_dead_at_once_and_another_one_waits() -> None:
    world = World(2)
    dead, (spare,) = world.serving_at(1), world.of(Standing.SPARE)
    done = world.kills(dead)
    assert done[:2] == [Do.SAY_LOST, Do.ASSIGN]
    assert done.count(Do.SAY_LOST) == 1
    assert world.serving_at(1) == spare
    assert len(world.of(Standing.SPARE)) == 1


def test_all_may_die_at_once() -> None:
    world = World(4)
    world.passes(10.0)
    for generation in list(world.living):
        world.dies(generation)
    world.act()
    assert world.crew.is_complete


def test_who_dies_young_again_and_again_is_started_more_and_more_seldom() -> None:
    world = World(1)
    pauses = []
    for _ in range(FREE_YOUNG_DEATHS + 9):
        for generation in list(world.living):
            world.dies(generation)
        began = world.now
        while not world.crew.is_complete or not world.of(Standing.SPARE):
            world.act()
            if world.crew.is_complete and world.of(Standing.SPARE):
                break
            assert world.crew.deadline is not None
            world.now = max(world.now, world.crew.deadline)
            world.crew.handle_timeout(world.now)
        pauses.append(world.now - began)
    assert pauses[0] == 0.0
    assert pauses == sorted(pauses)
    assert pauses[-1] == pytest.approx(LONGEST_PAUSE_SECONDS)
    world.passes(60.0)
    for _ in range(FREE_YOUNG_DEATHS):
        world.kills(world.serving_at(0))
        assert world.crew.is_complete, "that was long ago"


def test_a_silent_one_is_replaced_once_and_killed_later() -> None:
    world = World(2, silent_seconds=5, kill_seconds=30)
    world.passes(100.0)
    stuck = world.serving_at(0)
    world.mute.add(stuck)
    assert world.passes(4.9) == []
    done = world.passes(1.2)
    assert done.count(Do.SAY_SILENT) == 1
    assert done.count(Do.STEP_ASIDE) == 1
    assert world.serving_at(0) != stuck
    assert Do.KILL not in world.passes(28.0)
    done = world.passes(3.0)
    assert done.count(Do.KILL) == 1
    assert done.count(Do.SAY_LOST) == 1
    assert stuck not in world.living


def test_a_silent_one_that_speaks_again_drains() -> None:
    world = World(2)
    stuck = world.serving_at(0)
    world.mute.add(stuck)
    world.passes(7.0)
    world.mute.clear()
    assert Do.SAY_HEARD in world.passes(1.0)
    assert world.of(Standing.DRAINING) == [stuck]
    assert world.passes(100.0) == [], "it is not killed for what is long past"
    assert world.drains(stuck) == []


def test_a_silent_one_that_nobody_has_replaced_goes_on() -> None:
    world = World(1)
    world.starts_late = True
    world.kills(world.of(Standing.SPARE)[0])
    stuck = world.serving_at(0)
    world.mute.add(stuck)
    world.passes(7.0)
    assert world.of(Standing.SILENT) == [stuck]
    world.mute.clear()
    world.passes(1.0)
    assert world.serving_at(0) == stuck


def test_nobody_is_silent_because_we_were_stopped_ourselves() -> None:
    world = World(2)
    world.passes(3.0)
    world.is_stopped_for(1000.0)
    assert world.passes(10.0) == []


def test_nobody_is_late_because_we_were_stopped_ourselves() -> None:
    world = World(2)
    world.starts_late = True
    world.kills(world.of(Standing.SPARE)[0])
    (starting,) = world.of(Standing.STARTING)
    world.passes(3.0)
    world.is_stopped_for(1000.0)
    assert world.of(Standing.STARTING) == [starting]
    world.crew.warm(starting, world.now)
    assert world.act() == []

    world = World(2)
    world.passes(100.0)
    stuck, entering = world.serving_at(0), world.of(Standing.SPARE)[0]
    world.mute |= {stuck, entering}
    world.passes(6.0)
    assert world.of(Standing.SILENT) == [stuck]
    world.is_stopped_for(1000.0)
    assert world.of(Standing.ENTERING) == [entering]
    world.mute.clear()
    world.crew.serving(entering, world.now)
    world.passes(1.0)
    assert world.of(Standing.DRAINING) == [stuck]
    assert Do.KILL not in {do for do, _ in world.told}


def test_who_does_not_come_to_wait_or_to_serve_is_killed() -> None:
    world = World(1)
    world.starts_late = True
    world.kills(world.of(Standing.SPARE)[0])
    (late,) = world.of(Standing.STARTING)
    done = world.passes(START_SECONDS + 1)
    assert (Do.KILL, late) in world.told
    assert Do.SPAWN in done
    world.starts_late = False
    world = World(1)
    world.passes(100.0)
    (spare,) = world.of(Standing.SPARE)
    world.mute.add(spare)
    world.kills(world.serving_at(0))
    assert world.of(Standing.ENTERING) == [spare]
    world.passes(20.0)
    assert (Do.KILL, spare) in world.told
    assert world.crew.is_complete


def test_what_the_first_ones_cannot_do_ends_it_all() -> None:
    world = World(2)
    world = World.__new__(World)
    world.now, world.living, world.told, world.mute = 0.0, set(), [], set()
    world.starts_late = True
    world.crew = Crew(WorkersSettings(count=2), 2, DRAIN_SECONDS)
    world.crew.start(world.now)
    world.act()
    one, other = sorted(world.living)
    world.crew.warm(one, world.now)
    world.mute.add(one)
    world.act()
    world.crew.failed(one, world.now)
    assert Do.GIVE_UP in world.act()
    world.mute.clear()
    world.passes(END_SECONDS + 1)
    assert not world.living
    assert not any(do is Do.SPAWN for do, each in world.told if each > other)


def test_too_large_is_replaced_one_at_a_time_and_not_at_once() -> None:
    world = World(2, recycle_memory_mib=256)
    large = {world.serving_at(0), world.serving_at(1)}

    def measure() -> None:
        for generation in large & world.living:
            world.crew.measured(generation, 300 * MIB, world.now)

    measure()
    assert world.act() == [], f"not before {LEAST_AGE_SECONDS} s"
    world.passes(LEAST_AGE_SECONDS)
    measure()
    done = world.act()
    assert done.count(Do.STEP_ASIDE) == 1
    assert done.index(Do.ASSIGN) < done.index(Do.STEP_ASIDE), "its ports are never left alone"
    (first,) = world.of(Standing.DRAINING)
    world.passes(30.0)
    measure()
    assert world.act() == [], "the other one waits until it has drained"
    world.drains(first)
    (second,) = world.of(Standing.DRAINING)
    assert {first, second} == large
    assert Counter(do for do, _ in world.told)[Do.SAY_LOST] == 0


def test_too_old_is_replaced() -> None:
    world = World(1, recycle_hours=1)
    first = world.serving_at(0)
    world.passes(3590)
    assert world.serving_at(0) == first
    done = world.passes(20)
    assert [do for do in done if do is Do.SAY_REPLACED] == [Do.SAY_REPLACED]
    member = world.crew.member(first)
    assert member is not None
    assert member.reason is Reason.AGE


def test_a_rolling_restart_replaces_everybody_slot_by_slot() -> None:
    world = World(3)
    before = set(world.living)
    world.crew.renew(world.now)
    assert world.crew.is_renewing
    done = world.act()
    assert done.count(Do.STEP_ASIDE) == 3
    assert done.count(Do.SAY_RENEWED) == 1
    assert not before & set(world.of(Standing.SERVING))
    for generation in world.of(Standing.DRAINING):
        world.drains(generation)
    assert not before & world.living
    assert (Do.SAY_LOST, 1) not in world.told


def test_nobody_is_replaced_while_somebody_else_is() -> None:
    world = World(3)
    world.passes(100.0)
    (spare,) = world.of(Standing.SPARE)
    world.mute.add(spare)
    world.crew.replace(world.serving_at(0), world.now)
    world.crew.replace(world.serving_at(1), world.now)
    world.act()
    assert world.of(Standing.ENTERING) == [spare]
    world.passes(3.0)
    assert world.of(Standing.ENTERING) == [spare]
    world.mute.clear()
    world.crew.serving(spare, world.now)
    world.act()
    assert len(world.of(Standing.DRAINING)) == 2


def test_a_rolling_restart_whose_new_ones_fail_leaves_the_old_ones_in_service() -> None:
    world = World(2)
    before = world.of(Standing.SERVING)
    world.starts_late = True
    world.crew.renew(world.now)
    world.act()
    (new,) = world.of(Standing.STARTING)
    world.mute.add(new)
    world.crew.warm(new, world.now)
    world.act()
    world.crew.failed(new, world.now)
    assert Do.SAY_NOT_RENEWED in world.act()
    assert world.of(Standing.SERVING) == before
    world.starts_late = False
    world.mute.clear()
    world.passes(200.0)
    assert world.of(Standing.SERVING) == before


def test_those_of_another_program_are_adopted_and_replaced() -> None:
    crew = Crew(WorkersSettings(count=2), 2, DRAIN_SECONDS, first_generation=50)
    world = World.__new__(World)
    world.now, world.told, world.mute, world.starts_late = 0.0, [], set(), False
    world.crew, world.living = crew, {41, 42, 43, 44}
    crew.adopt(41, 0, Standing.SERVING, world.now)
    crew.adopt(42, 1, Standing.SERVING, world.now)
    crew.adopt(43, None, Standing.SPARE, world.now)
    crew.adopt(44, 0, Standing.DRAINING, world.now)
    crew.start(world.now)
    done = world.act()
    assert world.of(Standing.DRAINING) == [41, 42, 44]
    assert min(world.of(Standing.SERVING)) == 50
    assert Do.SAY_RENEWED in done
    assert Do.SAY_LOST not in done
    assert world.drains(44) == []


def test_one_that_does_not_know_what_is_in_service_is_replaced() -> None:
    world = World(2)
    first = world.serving_at(0)
    world.crew.replace(first, world.now)
    world.act()
    assert world.serving_at(0) != first
    assert world.of(Standing.DRAINING) == [first]


def test_a_stop_starts_nobody_and_ends_whoever_waits() -> None:
    world = World(2)
    (spare,) = world.of(Standing.SPARE)
    serving = set(world.of(Standing.SERVING))
    world.crew.stop(world.now)
    assert {each for do, each in world.told if do is Do.STOP} == set()
    world.act()
    assert {each for do, each in world.told if do is Do.STOP} == serving
    assert spare not in world.living
    one, other = serving
    assert Do.SPAWN not in world.kills(one)
    assert world.drains(other) == []
    assert not world.crew.members


def test_a_second_stop_kills_whoever_is_left_after_two_seconds() -> None:
    world = World(2)
    world.crew.stop(world.now)
    world.act()
    world.mute |= world.living
    world.crew.end(world.now)
    assert world.act() == [Do.END, Do.END]
    world.passes(END_SECONDS + 0.1)
    assert not world.living


def test_a_stop_has_an_end_even_if_nobody_comes_to_his() -> None:
    world = World(2)
    world.crew.stop(world.now)
    world.passes(DRAIN_SECONDS + 30.0)
    assert not world.living


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens, in whatever order: these laws hold."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(3, recycle_hours=0.05, recycle_memory_mib=256)
        self.stops = False

    @rule(pick=st.integers(0, 9))
    def somebody_dies(self, pick: int) -> None:
        living = sorted(self.world.living)
        if living:
            self.world.kills(living[pick % len(living)])

    @rule(pick=st.integers(0, 9))
    def somebody_falls_silent(self, pick: int) -> None:
        living = sorted(self.world.living)
        if living:
            self.world.mute.add(living[pick % len(living)])

    @rule()
    def all_speak_again(self) -> None:
        self.world.mute.clear()

    @rule(seconds=st.floats(0.01, 100.0))
    def time_passes(self, seconds: float) -> None:
        self.world.passes(seconds)

    @rule(pick=st.integers(0, 9))
    def somebody_grows(self, pick: int) -> None:
        living = sorted(self.world.living)
        if living:
            self.world.crew.measured(living[pick % len(living)], 400 * MIB, self.world.now)
            self.world.act()

    @rule(pick=st.integers(0, 9))
    def somebody_has_drained(self, pick: int) -> None:
        draining = self.world.of(Standing.DRAINING)
        if draining:
            self.world.drains(draining[pick % len(draining)])

    @rule()
    def a_rolling_restart(self) -> None:
        self.world.crew.renew(self.world.now)
        self.world.act()

    @rule(late=st.booleans())
    def starting_takes_long(self, late: bool) -> None:
        self.world.starts_late = late
        if not late:
            for generation in self.world.of(Standing.STARTING):
                self.world.crew.warm(generation, self.world.now)
            self.world.act()

    @precondition(lambda self: not self.stops)
    @rule()
    def a_stop(self) -> None:
        self.stops = True
        self.world.crew.stop(self.world.now)
        self.world.act()

    @invariant()
    def at_most_one_serves_at_a_slot(self) -> None:
        found = Counter(
            one.slot for one in self.world.crew.members if one.standing is Standing.SERVING
        )
        assert all(count == 1 for count in found.values()), found

    @invariant()
    def who_is_there_is_who_lives(self) -> None:
        assert {one.generation for one in self.world.crew.members} == self.world.living

    @invariant()
    def nobody_is_set_aside_before_somebody_else_serves(self) -> None:
        served: dict[int, int] = {}
        for place, (do, generation) in enumerate(self.world.told):
            if do is Do.STEP_ASIDE:
                before = self.world.told[:place]
                assert any(each > generation for do, each in before if do is Do.ASSIGN), served

    @invariant()
    def there_are_not_more_than_needed(self) -> None:
        waiting = len(self.world.of(Standing.STARTING)) + len(self.world.of(Standing.SPARE))
        assert waiting <= 3 + 1

    @invariant()
    def something_is_always_due(self) -> None:
        crew = self.world.crew
        assert crew.deadline is not None or not crew.members

    def teardown(self) -> None:
        """Left in peace, it comes to rest: everybody serves, or everybody has gone."""
        world = self.world
        world.starts_late = False
        world.mute.clear()
        for generation in world.of(Standing.STARTING):
            world.crew.warm(generation, world.now)
        world.act()
        world.passes(120.0)
        if self.stops:
            assert not world.living
        else:
            assert world.crew.is_complete
            assert len(world.of(Standing.SPARE)) <= 1
            assert not world.of(Standing.SILENT)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = hypothesis_settings(max_examples=50, stateful_step_count=30, deadline=None)
