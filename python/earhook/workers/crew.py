"""Who serves, who waits, who is replaced and who is given up: the crew of workers.

Pure: time is an argument, and nothing here touches a process. The law of the doors: after every
call that changes the crew, take its actions and its deadline before the next call.

    starting ──warm──> spare ──assigned──> entering ──serves──> serving ──replaced──> draining
                                                                 │   ^                   ^
                                                      no sign of life └─heard, if alone─┐ │ heard
                                                                 └──────> silent ───────┴─┘

A slot is a place among the workers: its listening sockets are there for ever, and at most one
worker at a time is meant to accept from them. A generation is a worker, and is never used again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from earhook.control.settings import WorkersSettings

__all__ = ["Action", "Crew", "Do", "Member", "Reason", "Standing"]

START_SECONDS: Final = 60.0
"""From its start until a worker waits for a slot; and again from there until it serves."""
YOUNG_SECONDS: Final = 0.5
"""Who dies earlier than that counts towards the pause before the next start."""
FREE_YOUNG_DEATHS: Final = 5
PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 10.0
CALM_SECONDS: Final = 30.0
"""So long without a young death, and they are forgotten."""
LEAST_AGE_SECONDS: Final = 60.0
"""Nobody is replaced for its memory before: a limit that is too low must not become a storm."""
END_SECONDS: Final = 1.8
"""What everybody gets to end in, once told to; then they are killed."""
CLOSE_SECONDS: Final = 20.0
"""What a stop may take beyond the times that every worker keeps by itself."""


class Standing(StrEnum):
    """Where a worker is in its life."""

    STARTING = "starting"
    """Its process has been started."""
    SPARE = "spare"
    """It waits for a slot."""
    ENTERING = "entering"
    """It has been given a slot and does not serve yet."""
    SERVING = "serving"
    SILENT = "silent"
    """It had a slot and gives no sign of life. Another one takes its place."""
    DRAINING = "draining"
    """It takes no new calls; those that it has go on to their end."""


class Reason(StrEnum):
    """Why a worker came to an end or was replaced; a label of a metric."""

    LOST = "lost"
    """Its process ended unasked."""
    SILENT = "silent"
    MEMORY = "memory"
    AGE = "age"
    ROLLING = "rolling"
    """A rolling restart."""
    RELOAD = "reload"
    """It did not answer to a new configuration."""


class Do(StrEnum):
    """What the owner does."""

    SPAWN = "spawn"
    """Start a process."""
    ASSIGN = "assign"
    """Give it its slot and everything that belongs to it, and tell when it serves."""
    STEP_ASIDE = "step-aside"
    """Another one has its slot: it accepts no more and drains."""
    STOP = "stop"
    """The gateway stops: it refuses new calls and drains."""
    END = "end"
    """It ends at once: calls are cut, sinks are flushed."""
    KILL = "kill"
    SAY_LOST = "say-lost"
    SAY_SILENT = "say-silent"
    SAY_HEARD = "say-heard"
    SAY_REPLACED = "say-replaced"
    SAY_PAUSE = "say-pause"
    """Too many die young: the next start waits."""
    SAY_RENEWED = "say-renewed"
    SAY_NOT_RENEWED = "say-not-renewed"
    GIVE_UP = "give-up"
    """The very first start has failed."""


class Action(NamedTuple):
    """Something to do, with whom. 0 where it is about nobody."""

    do: Do
    generation: int = 0


@dataclass(slots=True)
class Member:
    """One worker.

    Attributes:
        generation: Its number.
        standing: Where it is in its life.
        slot: Its place; None until it gets one.
        since: When it came to its standing.
        heard_at: Its last sign of life.
        reason: Why it is being replaced, or has been; None: it is not.
        told: Whether it has been told to take no more calls.
    """

    generation: int
    standing: Standing
    slot: int | None
    since: float
    heard_at: float
    reason: Reason | None = None
    told: bool = False
    due_at: float = field(default=float("inf"))


class Crew:
    """The machine.

    Args:
        settings: How many, and when one is replaced.
        count: How many slots: `settings.count`, with `auto` resolved.
        drain_seconds: What every worker takes at most to drain by itself.
        first_generation: The number of the first worker that will be started.
        chance: A number from 0 to 1, for the age at which a worker is due.
    """

    def __init__(
        self,
        settings: WorkersSettings,
        count: int,
        drain_seconds: float,
        first_generation: int = 1,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._count = count
        self._drain_seconds = drain_seconds
        self._chance = chance
        self._next_generation = first_generation
        self._members: dict[int, Member] = {}
        self._actions: list[Action] = []
        self._has_served = False
        self._is_renewing = False
        self._stops_by: float | None = None
        self._is_ending = False
        self._young_deaths = 0
        self._young_at = float("-inf")
        self._spawn_at = float("-inf")
        self._looked_at: float | None = None

    # What is seen of it.

    @property
    def members(self) -> list[Member]:
        """Everybody whose process runs, the oldest first."""
        return list(self._members.values())

    @property
    def next_generation(self) -> int:
        """The number that the next worker will have."""
        return self._next_generation

    @property
    def is_stopping(self) -> bool:
        """Whether nobody is started any more."""
        return self._stops_by is not None

    @property
    def is_renewing(self) -> bool:
        """Whether some of those who serve are still to be replaced by a rolling restart."""
        return self._is_renewing

    @property
    def is_complete(self) -> bool:
        """Whether somebody serves at every slot."""
        return len({one.slot for one in self._in(Standing.SERVING)}) == self._count

    def member(self, generation: int) -> Member | None:
        """One worker; None: there is no such process, or no more."""
        return self._members.get(generation)

    @property
    def deadline(self) -> float | None:
        """When `handle_timeout` is due; None for never."""
        moments = [self._deadline_of(member) for member in self._members.values()]
        if self._stops_by is not None:
            moments.append(self._stops_by if self._members else float("inf"))
        elif self._missing() > 0:
            moments.append(self._spawn_at)
        soonest = min(moments, default=float("inf"))
        return None if soonest == float("inf") else soonest

    def take_actions(self) -> list[Action]:
        """What is to be done now, in order; each action is handed out once."""
        actions, self._actions = self._actions, []
        return actions

    # What happens to it.

    def start(self, now: float) -> None:
        """Begin."""
        self._arrange(now)

    def adopt(self, generation: int, slot: int | None, standing: Standing, now: float) -> None:
        """Take over a worker that a process before this one has started, before `start`.

        Those that serve are to be replaced, those that wait for a slot are of no use.
        """
        self._has_served = True
        member = Member(generation, standing, slot, now, now)
        self._members[generation] = member
        if standing in (Standing.SERVING, Standing.SILENT):
            member.reason = Reason.ROLLING
            self._is_renewing = True
        elif standing is Standing.DRAINING:
            member.told = True
        else:
            self._dismiss(member, now)

    def warm(self, generation: int, now: float) -> None:
        """It has started and waits for a slot."""
        member = self._members.get(generation)
        if member is not None and member.standing is Standing.STARTING:
            member.heard_at = now
            self._stand(member, Standing.SPARE, now)
            self._arrange(now)

    def serving(self, generation: int, now: float) -> None:
        """It serves at its slot. Whoever did before takes no more calls."""
        member = self._members.get(generation)
        if member is None or member.standing is not Standing.ENTERING:
            return
        for other in self._at(member.slot):
            if other.standing in (Standing.SERVING, Standing.SILENT):
                self._say_replaced(other)
                self._set_aside(other, now)
        member.heard_at = now
        self._stand(member, Standing.SERVING, now)
        self._has_served = True
        hours = self._settings.recycle_hours
        if hours is not None:
            member.due_at = now + hours * 3600 * (1 - _JITTER * self._chance())
        self._look_if_renewed()
        self._arrange(now)

    def failed(self, generation: int, now: float) -> None:
        """It cannot serve: what it was given is refused."""
        member = self._members.get(generation)
        if member is None or self.is_stopping:
            return
        self._give_up_first_start(now)
        self._stop_renewing()
        self._count_young_death(now)
        self._do(Do.END, generation)
        member.told = True
        member.slot = None
        self._stand(member, Standing.DRAINING, now)
        self._arrange(now)

    def spawn_failed(self, generation: int, now: float) -> None:
        """There is no process of that number: it could not be started."""
        if self._members.pop(generation, None) is None:
            return
        self._give_up_first_start(now)
        self._stop_renewing()
        self._count_young_death(now)
        self._arrange(now)

    def gone(self, generation: int, now: float, *, orderly: bool) -> None:
        """Its process has ended; `orderly`: by itself, as it should."""
        member = self._members.pop(generation, None)
        if member is None:
            return
        was_told = member.told or self.is_stopping
        if not (was_told and orderly):
            self._do(Do.SAY_LOST, generation)
        if not was_told:
            was_starting = member.standing in (Standing.STARTING, Standing.ENTERING)
            if was_starting:
                self._give_up_first_start(now)
                self._stop_renewing()
            if was_starting or now - member.since < YOUNG_SECONDS:
                self._count_young_death(now)
        self._look_if_renewed()
        self._arrange(now)

    def heard(self, generation: int, now: float) -> None:
        """It gave a sign of life."""
        member = self._members.get(generation)
        if member is None:
            return
        member.heard_at = now
        if member.standing is Standing.SILENT:
            others = [other for other in self._at(member.slot) if other is not member]
            is_alone = not any(other.standing in _AT_WORK for other in others)
            self._do(Do.SAY_HEARD, generation)
            if is_alone and not self.is_stopping:
                member.reason = None
                self._stand(member, Standing.SERVING, now)
            else:
                self._set_aside(member, now)
            self._arrange(now)

    def measured(self, generation: int, memory_bytes: int, now: float) -> None:
        """How much memory it has."""
        member, most_mib = self._members.get(generation), self._settings.recycle_memory_mib
        if member is None or most_mib is None or member.standing is not Standing.SERVING:
            return
        is_old_enough = now - member.since >= LEAST_AGE_SECONDS
        if is_old_enough and memory_bytes > most_mib << 20 and member.reason is None:
            member.reason = Reason.MEMORY
            self._arrange(now)

    def replace(self, generation: int, now: float) -> None:
        """Have one replaced that does not know what is in service."""
        member = self._members.get(generation)
        if member is not None and member.standing is Standing.SERVING and member.reason is None:
            member.reason = Reason.RELOAD
            self._arrange(now)

    def renew(self, now: float) -> None:
        """Replace everybody, slot by slot."""
        if self.is_stopping:
            return
        self._is_renewing = True
        for member in self.members:
            if member.standing in (Standing.STARTING, Standing.SPARE):
                self._dismiss(member, now)
            elif member.standing in _AT_WORK:
                member.reason = member.reason or Reason.ROLLING
        self._arrange(now)

    def stop(self, now: float) -> None:
        """Let everybody drain."""
        if self.is_stopping:
            return
        self._stops_by = now + self._drain_seconds + CLOSE_SECONDS
        for member in self.members:
            if member.standing in (Standing.STARTING, Standing.SPARE):
                self._dismiss(member, now)
            else:
                self._do(Do.STOP, member.generation)
                member.told = True
                if member.standing is not Standing.SILENT:
                    self._stand(member, Standing.DRAINING, now)

    def end(self, now: float) -> None:
        """Let everybody end at once; who is left after two seconds is killed."""
        self._is_ending = True
        self._stops_by = now + END_SECONDS
        for member in self.members:
            member.told = True
            self._do(Do.END, member.generation)

    def handle_timeout(self, now: float) -> None:
        """To be called at `deadline`; earlier calls change nothing."""
        self._forgive_own_absence(now)
        for member in self.members:
            if now >= self._deadline_of(member):
                self._time_over(member, now)
        if self._stops_by is not None and now >= self._stops_by:
            if self._is_ending:
                self._stops_by = float("inf")
                self._do_all(Do.KILL, self._members)
            else:
                self.end(now)
        self._arrange(now)

    # How it decides.

    def _arrange(self, now: float) -> None:
        """Fill every slot that needs somebody, and see to it that there are enough to do so."""
        if self.is_stopping:
            return
        if now - self._young_at >= CALM_SECONDS:
            self._young_deaths = 0
        spares = self._in(Standing.SPARE)
        for slot, spare in zip(self._needy_slots(now), spares, strict=False):
            spare.slot = slot
            self._stand(spare, Standing.ENTERING, now)
            self._do(Do.ASSIGN, spare.generation)
        while self._missing() > 0 and now >= self._spawn_at:
            generation = self._next_generation
            self._next_generation += 1
            self._members[generation] = Member(generation, Standing.STARTING, None, now, now)
            self._do(Do.SPAWN, generation)

    def _needy_slots(self, now: float) -> list[int]:
        """Slots where nobody serves or is about to, then one where somebody is to be replaced."""
        needy, to_replace = [], []
        for slot in range(self._count):
            at_work = [one for one in self._at(slot) if one.standing in _AT_WORK]
            if not at_work:
                needy.append(slot)
                continue
            member = at_work[0]
            is_settled = len(at_work) == 1 and member.standing is Standing.SERVING
            if is_settled and (member.reason is not None or now >= member.due_at):
                member.reason = member.reason or Reason.AGE
                to_replace.append(member)
        if not self._is_replacing():
            rolling = [one for one in to_replace if one.reason is Reason.ROLLING]
            if rolling or not self._is_recycled_draining():
                needy += [one.slot for one in (rolling or to_replace)[:1] if one.slot is not None]
        return needy

    def _is_replacing(self) -> bool:
        """Whether somebody is about to take the place of one that serves."""
        return any(
            other.standing is Standing.SERVING
            for one in self._in(Standing.ENTERING)
            for other in self._at(one.slot)
        )

    def _is_recycled_draining(self) -> bool:
        reasons = (Reason.MEMORY, Reason.AGE)
        return any(one.reason in reasons for one in self._in(Standing.DRAINING))

    def _missing(self) -> int:
        """How many have to be started: for slots, and one to wait."""
        on_the_way = len(self._in(Standing.STARTING)) + len(self._in(Standing.SPARE))
        wanted = len(self._needy_slots(float("-inf")))
        # The one that waits must not hold up the first start, nor a restart: cores are needed.
        entering = self._in(Standing.ENTERING)
        if self._has_served and not wanted and not entering:
            wanted = 1
        return wanted - on_the_way

    def _time_over(self, member: Member, now: float) -> None:
        match member.standing:
            case Standing.SERVING if now >= member.heard_at + self._settings.silent_seconds:
                member.reason = Reason.SILENT
                self._do(Do.SAY_SILENT, member.generation)
                self._stand(member, Standing.SILENT, now)
            case Standing.SERVING:
                pass  # due by its age: `_arrange` sees it
            case _:
                self._do(Do.KILL, member.generation)
                member.since = member.heard_at = now  # and again, should it still be there then

    def _deadline_of(self, member: Member) -> float:
        silent_seconds, kill_seconds = self._settings.silent_seconds, self._settings.kill_seconds
        match member.standing:
            case Standing.STARTING:
                return member.since + START_SECONDS
            case Standing.ENTERING:
                heard_at = max(member.since, member.heard_at)
                return min(member.since + START_SECONDS, heard_at + 2 * silent_seconds)
            case Standing.SPARE:
                return member.heard_at + silent_seconds + kill_seconds
            case Standing.SERVING:
                is_due = member.due_at if self._may_recycle(member) else float("inf")
                return min(member.heard_at + silent_seconds, is_due)
            case Standing.SILENT:
                return member.since + kill_seconds
            case Standing.DRAINING:
                return member.heard_at + silent_seconds + kill_seconds

    def _may_recycle(self, member: Member) -> bool:
        is_first = member.reason is None and not self.is_stopping
        return is_first and not self._is_replacing() and not self._is_recycled_draining()

    def _forgive_own_absence(self, now: float) -> None:
        """Where this process itself was stopped, nobody else is silent, and nobody is late."""
        looked_at, self._looked_at = self._looked_at, now
        absent_seconds = 0.0 if looked_at is None else now - looked_at
        if absent_seconds > _LOOK_SECONDS:
            for member in self._members.values():
                member.heard_at = max(member.heard_at, now - _LOOK_SECONDS)
                if member.standing in _WAITED_FOR:
                    member.since += absent_seconds - _LOOK_SECONDS

    def _set_aside(self, member: Member, now: float) -> None:
        if not member.told:
            member.told = True
            self._do(Do.STEP_ASIDE, member.generation)
        is_silent = now - member.heard_at >= self._settings.silent_seconds
        if not (member.standing is Standing.SILENT and is_silent):
            self._stand(member, Standing.DRAINING, now)

    def _dismiss(self, member: Member, now: float) -> None:
        """Somebody without a slot goes."""
        member.told = True
        self._do(Do.END, member.generation)
        self._stand(member, Standing.DRAINING, now)

    def _say_replaced(self, member: Member) -> None:
        if member.reason is not None and member.reason is not Reason.SILENT:
            self._do(Do.SAY_REPLACED, member.generation)

    def _look_if_renewed(self) -> None:
        if self._is_renewing and not any(
            one.reason is Reason.ROLLING and one.standing in (*_AT_WORK, Standing.SILENT)
            for one in self._members.values()
        ):
            self._is_renewing = False
            self._do(Do.SAY_RENEWED)

    def _stop_renewing(self) -> None:
        """Those who serve go on to do so."""
        if not self._is_renewing:
            return
        self._is_renewing = False
        for member in self._members.values():
            if member.reason is Reason.ROLLING and member.standing is Standing.SERVING:
                member.reason = None
        self._do(Do.SAY_NOT_RENEWED)

    def _give_up_first_start(self, now: float) -> None:
        if not self._has_served and not self.is_stopping:
            self._do(Do.GIVE_UP)
            self.end(now)

    def _count_young_death(self, now: float) -> None:
        self._young_deaths += 1
        self._young_at = now
        beyond = self._young_deaths - FREE_YOUNG_DEATHS
        if beyond > 0:
            doubled = PAUSE_SECONDS * 2.0 ** min(beyond - 1, 16)
            self._spawn_at = now + min(doubled, LONGEST_PAUSE_SECONDS)
            self._do(Do.SAY_PAUSE)

    def _stand(self, member: Member, standing: Standing, now: float) -> None:
        member.standing = standing
        member.since = now

    def _in(self, standing: Standing) -> list[Member]:
        return [one for one in self._members.values() if one.standing is standing]

    def _at(self, slot: int | None) -> list[Member]:
        return [one for one in self._members.values() if slot is not None and one.slot == slot]

    def _do(self, do: Do, generation: int = 0) -> None:
        self._actions.append(Action(do, generation))

    def _do_all(self, do: Do, generations: Iterable[int]) -> None:
        for generation in tuple(generations):
            self._do(do, generation)


_AT_WORK: Final = (Standing.SERVING, Standing.ENTERING)
_WAITED_FOR: Final = (Standing.STARTING, Standing.ENTERING, Standing.SILENT)
"""Whoever does not leave it in time is killed."""
_JITTER: Final = 0.1
_LOOK_SECONDS: Final = 1.5
"""The owner looks at least once a second; if it has not, it was stopped itself."""
