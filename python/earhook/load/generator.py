"""One process' share of a load: dials what is due when it is due, and counts."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from earhook.clock import SystemClock

from .addresses import Addresses
from .agenda import Agenda
from .call import LoadCall
from .http_call import HttpCall
from .plan import LoadPlan
from .shape import Arrival
from .surroundings import Caller, Surroundings, Witness
from .tally import Counts, Recent, Tally
from .usage import waited_seconds

__all__ = ["Generator", "Progress"]

LOOK_SECONDS: Final = 1.0
COLLECT_SECONDS: Final = 300.0
"""So often what calls have left behind is collected: it takes a tenth of a second with many."""
PATIENCE_SECONDS: Final = 30.0
"""After the last call was due to hang up, what is left is dropped."""
_CLOCK: Final = SystemClock()


class Progress(NamedTuple):
    """How a generator stands: what has come since the last look, and where it is."""

    counts: Counts
    recent: dict[str, Recent]


class _Moment(NamedTuple):
    """What this process had used at some time."""

    at: float
    cpu_seconds: float
    waited_seconds: float

    @classmethod
    def of(cls, now: float) -> _Moment:
        return cls(now, time.process_time(), waited_seconds())


class Generator:
    """Places the calls of one process.

    Args:
        plan: All of it; this process takes every so-manieth call.
        addresses: Of its server.
        process: Which.
        witness: Is told what was sent; None: nobody checks.
        look: Called once a second, on the loop's thread.
    """

    def __init__(
        self,
        plan: LoadPlan,
        addresses: Addresses,
        process: int = 0,
        witness: Witness | None = None,
        look: Callable[[Progress], None] | None = None,
    ) -> None:
        self.tally = Tally()
        self._plan = plan
        self._look = look
        lateness = self.tally.latencies["lateness"]
        self._agenda = Agenda(plan.frame_milliseconds, lateness.record)
        self._around = Surroundings(
            plan=plan,
            process=process,
            agenda=self._agenda,
            tally=self.tally,
            ssl_context=plan.target.ssl_context(),
            addresses=addresses,
            witness=witness,
            is_over=self._on_over,
        )
        self._arrivals = self._own_arrivals(process)
        self._calls: set[Caller] = set()
        self._dialling: set[asyncio.Task[None]] = set()
        self._all_are_due = False
        self._is_interrupted = False
        self._began = 0.0
        self._collected = 0.0
        self._looked = _Moment(0.0, 0.0, 0.0)
        self._done: asyncio.Future[None] | None = None

    async def run(self, began: float) -> Tally:
        """Place all calls, and return when the last one is over.

        Args:
            began: When the load begins, on the monotonic clock; all processes share it.
        """
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_defect)
        self._done = loop.create_future()
        self._began = self._collected = began
        self._looked = _Moment.of(began)
        self._agenda.at(began + LOOK_SECONDS, self._on_look)
        self._agenda.at(began + self._plan.shape.end_seconds + PATIENCE_SECONDS, self._give_up)
        self._schedule_next()
        # A moment that has not come yet would not be run before its time.
        self._agenda.begin(began)
        cpu_seconds = time.process_time()
        try:
            await self._done
        finally:
            self._agenda.stop()
            for call in tuple(self._calls):
                call.abort()
        self.tally.counts.processor_seconds = time.process_time() - cpu_seconds
        return self.tally

    def hang_up(self) -> None:
        """End all calls now, as their scripts say, and begin no more."""
        self._arrivals = iter(())
        self._all_are_due = True
        now = _CLOCK.monotonic_seconds()
        for call in tuple(self._calls):
            call.hang_up(now)
        self._agenda.at(now + PATIENCE_SECONDS, self._give_up)
        self._end_if_over()

    def interrupt(self) -> None:
        """Hang up; asked again, drop everything."""
        if self._is_interrupted:
            self._give_up(0.0)
        else:
            self._is_interrupted = True
            self.hang_up()

    def _own_arrivals(self, process: int) -> Iterator[Arrival]:
        processes = self._plan.processes
        every = self._plan.shape.arrivals()
        return (arrival for arrival in every if arrival.number % processes == process)

    def _schedule_next(self) -> None:
        arrival = next(self._arrivals, None)
        if arrival is None:
            self._all_are_due = True
            self._end_if_over()
        else:
            begin = partial(self._begin, arrival)
            self._agenda.at(self._began + arrival.due_seconds, begin)

    def _begin(self, arrival: Arrival, due: float) -> None:
        """A call is due."""
        self.tally.counts.due += 1
        self.tally.latencies["lateness"].record(_CLOCK.monotonic_seconds() - due)
        kind = LoadCall if self._plan.carrier == "websocket" else HttpCall
        call: Caller = kind(arrival, due, self._around)
        self._calls.add(call)
        dialling = asyncio.get_running_loop().create_task(call.dial())
        self._dialling.add(dialling)
        dialling.add_done_callback(self._dialling.discard)
        self._agenda.at(due + arrival.hold_seconds, call.hang_up)
        self._schedule_next()

    def _on_over(self, call: Caller) -> None:
        self._calls.discard(call)
        self._end_if_over()

    def _end_if_over(self) -> None:
        done = self._done
        if done is not None and self._all_are_due and not self._calls and not done.done():
            done.set_result(None)

    def _on_defect(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A defect of ours ends the run: half a load would be measured for a whole one."""
        loop.default_exception_handler(context)
        error = context.get("exception")
        if isinstance(error, Exception) and self._done is not None and not self._done.done():
            self._done.set_exception(error)

    def _give_up(self, _due: float) -> None:
        for call in tuple(self._calls):
            call.abort()

    def _on_look(self, due: float) -> None:
        now, before = _CLOCK.monotonic_seconds(), self._looked
        self._looked = own = _Moment.of(now)
        seconds, tally = now - before.at, self.tally
        tally.busiest = max(tally.busiest, (own.cpu_seconds - before.cpu_seconds) / seconds)
        tally.starved = max(tally.starved, (own.waited_seconds - before.waited_seconds) / seconds)
        self._agenda.at(max(due, now - LOOK_SECONDS) + LOOK_SECONDS, self._on_look)
        if now >= self._collected + COLLECT_SECONDS:
            self._collected = now
            gc.collect()
        recent = self.tally.take_recent()
        if self._look is not None:
            self._look(Progress(self.tally.counts, recent))
