"""One admin port for all workers: it asks every one of them, and answers for the sum.

Who does not answer within a second is left out and named, and what it counted before stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from earhook.control.admin import CallList, Check, SinkList
from earhook.errors import ChannelError
from earhook.ops.logging import PEER_LINES, lost_lines
from earhook.ops.readings import Readings, metrics_registry

from .sinks_together import add_relayed, sinks_together
from .totals import Figures, Totals

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from .channel import Channel, Message
    from .link import WorkerLink

__all__ = ["Sum"]

ANSWER_SECONDS: Final = 1.0
CHECK_SECONDS: Final = 0.5
"""Whoever asks for readiness often waits for a second only: one silent worker must not cost it."""
REFRESH_SECONDS: Final = 2.0
"""What a worker counted that is killed is known up to so long before, if nobody scrapes."""


class _Heard(NamedTuple):
    """What came back from one question to all of them: answers, and slots that gave none."""

    answers: list[tuple[WorkerLink, Any]]
    unheard: list[int]


class Sum:
    """An `AdminView` of all workers. On the loop's thread only.

    Args:
        workers: Everybody whose process runs, the oldest first.
        slots: How many of them are meant to serve.
        own: Writes down what the parent itself counts.
        own_checks: What the parent knows of readiness: in place of the workers' checks of the
            same names.
        relay: The channel to the process that consumers are connected to; None: there is none.
    """

    def __init__(
        self,
        workers: Callable[[], Sequence[WorkerLink]],
        *,
        slots: int,
        own: Callable[[Readings], None] = lambda _readings: None,
        own_checks: Callable[[], Sequence[Check]] = tuple,
        relay: Callable[[], Channel | None] = lambda: None,
    ) -> None:
        self._workers = workers
        self._slots = slots
        self._own = own
        self._own_checks = own_checks
        self._relay = relay
        self._relays: dict[Channel, str] = {}
        self._relay_numbers = itertools.count(1)
        self._totals = Totals()
        self._heard: list[str] = []
        self._unheard = 0
        self._asked_at = float("-inf")
        self._now = asyncio.get_running_loop().time
        self._asking: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._registry = metrics_registry(self._read)

    def start(self) -> None:
        """Ask from time to time, even if nobody scrapes."""
        self._refreshing = asyncio.create_task(self._refresh_for_ever())

    def stop(self) -> None:
        """Cease to."""
        if self._refreshing is not None:
            self._refreshing.cancel()

    def joined(self, worker: WorkerLink) -> None:
        """A process was started: hear what it has counted when it ends."""
        worker.channel.on("last_figures", lambda message: self._take_last(worker, message))

    def as_json(self) -> dict[str, Any]:
        """What is to survive this process, for `restore`."""
        self._take_own()
        return self._totals.as_json()

    def restore(self, values: dict[str, Any]) -> None:
        """Go on where another process has stopped."""
        self._totals.restore(values)
        # What it counted itself: we count from 0.
        self._totals.let_go(_OWN)

    async def checks(self) -> list[Check]:
        """Ready while at least one worker is; every other check passes if it does in one."""
        heard, relayed = await asyncio.gather(
            self._ask("checks", seconds=CHECK_SECONDS),
            self._ask_relay("sinks", CHECK_SECONDS),
        )
        of_slot: dict[int, list[Check]] = {}
        for worker, rows in heard.answers:
            # The newest of a slot is last: it has its sockets.
            assert worker.slot is not None
            of_slot[worker.slot] = [Check(*row) for row in rows]
        own = {check.name: check for check in self._own_checks()}
        together = _checks_together(of_slot)
        # Where a sink is well, a worker's detail is only where the relay finds it.
        details = {f"sink:{sink['name']}": sink["detail"] for sink in relayed or ()}
        together = [
            replace(check, detail=details[check.name])
            if check.passes and check.name in details
            else check
            for check in together
        ]
        checks = [_workers_check(of_slot, set(heard.unheard), self._slots)]
        checks += [own.pop(check.name, check) for check in together]
        return [*checks, *own.values()]

    async def calls(self, offset: int, limit: int) -> CallList:
        """Live calls of all of them, the oldest first, each with the slot of its `worker`."""
        heard = await self._ask("calls", {"most": offset + limit})
        calls = [
            {**call, "worker": worker.slot}
            for worker, found in heard.answers
            for call in found["calls"]
        ]
        calls.sort(key=lambda call: call["opened"])
        total = sum(found["total"] for _, found in heard.answers)
        return CallList(total, calls[offset : offset + limit], heard.unheard)

    async def sinks(self) -> SinkList:
        """Each way out once, with the books of all workers."""
        asked = asyncio.gather(self._ask("sinks"), self._ask_relay("sinks"))
        heard, relayed = await asked
        sinks = sinks_together(
            (worker.slot or 0, sink) for worker, found in heard.answers for sink in found
        )
        add_relayed(sinks, relayed or [])
        return SinkList(list(sinks.values()), heard.unheard)

    async def registry(self) -> CollectorRegistry:
        """Figures of this moment, to be encoded at once."""
        await self.refresh()
        return self._registry

    async def refresh(self) -> None:
        """Ask everybody for their figures; who asks meanwhile gets the same answer."""
        if self._asking is None or self._asking.done():
            self._asked_at = self._now()
            self._asking = asyncio.create_task(self._ask_figures())
        await asyncio.shield(self._asking)

    async def _refresh_for_ever(self) -> None:
        while True:
            if self._now() - self._asked_at >= REFRESH_SECONDS:
                await self.refresh()
            await asyncio.sleep(max(0.0, self._asked_at + REFRESH_SECONDS - self._now()))

    async def _ask_figures(self) -> None:
        heard, relayed = await asyncio.gather(self._ask("figures"), self._ask_relay("figures"))
        # Who has gone meanwhile has said its last, and is counted with the gone.
        living = {str(worker.generation) for worker in self._workers()}
        for worker, figures in heard.answers:
            if str(worker.generation) in living:
                self._totals.take(str(worker.generation), Figures.of(figures))
        relay = self._relay_key()
        if relay is not None and relayed is not None:
            self._totals.take(relay, Figures.of(relayed))
        self._heard = [str(worker.generation) for worker, _ in heard.answers]
        self._heard += [] if relay is None or relayed is None else [relay]
        self._unheard = len(heard.unheard)
        self._totals.keep_only(living | ({relay} if relay is not None else set()) | {_OWN})

    async def _ask(self, kind: str, body: object = None, seconds: float | None = None) -> _Heard:
        """Ask every worker that serves, all at once."""
        serving = [worker for worker in self._workers() if worker.serves]
        answers = await asyncio.gather(
            *(self._ask_one(worker.channel, kind, body, seconds) for worker in serving)
        )
        heard = _Heard([], [])
        for worker, answer in zip(serving, answers, strict=True):
            if answer is not None:
                heard.answers.append((worker, answer))
            elif worker.channel.is_open and worker.slot is not None:
                heard.unheard.append(worker.slot)
        return heard

    async def _ask_relay(self, kind: str, seconds: float | None = None) -> Any:  # noqa: ANN401
        relay = self._relay()
        return None if relay is None else await self._ask_one(relay, kind, None, seconds)

    async def _ask_one(
        self, channel: Channel, kind: str, body: object, seconds: float | None
    ) -> Any:  # noqa: ANN401 - whatever JSON says
        with contextlib.suppress(ChannelError):
            return (await channel.ask(kind, body, seconds=seconds or ANSWER_SECONDS)).body
        return None

    def _take_last(self, worker: WorkerLink, message: Message) -> None:
        if any(each is worker for each in self._workers()):
            self._totals.take(str(worker.generation), Figures.of(message.body))

    def _relay_key(self) -> str | None:
        relay = self._relay()
        if relay is None:
            return None
        if relay not in self._relays:
            self._relays = {relay: f"relay-{next(self._relay_numbers)}"}
        return self._relays[relay]

    def _read(self, readings: Readings) -> None:
        """Write down what was heard last; for the registry."""
        self._take_own()
        relay = self._relay_key()
        above = [relay] if relay in self._heard and relay is not None else []
        self._totals.put(readings, [*self._heard, _OWN], above)

    def _take_own(self) -> None:
        own = Readings()
        # None of them heard: nobody is ready, and that has to be said.
        own.put("earhook_ready", 0.0)
        own.put("earhook_workers_unheard", self._unheard)
        own.put("earhook_log_lines_suppressed_total", PEER_LINES.suppressed_total)
        own.put("earhook_log_lines_lost_total", lost_lines())
        self._own(own)
        self._totals.take(_OWN, Figures.of(own.as_json()))


def _workers_check(of_slot: dict[int, list[Check]], unheard: set[int], slots: int) -> Check:
    """How many serve, and which do not and why."""
    troubles = {}
    for slot in sorted({*range(slots), *of_slot}):
        failing = [check.name for check in of_slot.get(slot, ()) if not check.passes]
        if slot not in of_slot:
            troubles[slot] = "no answer" if slot in unheard else "no process serves yet"
        elif failing:
            troubles[slot] = ", ".join(failing)
    ready = len({*range(slots), *of_slot}) - len(troubles)
    detail = "".join(f"; worker {slot}: {trouble}" for slot, trouble in troubles.items())
    return Check("workers", ready > 0, f"{ready} of {slots} ready{detail}")


def _checks_together(of_slot: dict[int, list[Check]]) -> list[Check]:
    """Every check once. Where the workers do not say the same, each is quoted."""
    by_name: dict[str, dict[int, Check]] = {}
    for slot, checks in sorted(of_slot.items()):
        for check in checks:
            by_name.setdefault(check.name, {})[slot] = check
    together = []
    for name, found in by_name.items():
        details = {check.detail for check in found.values()}
        detail = details.pop()
        if details:
            detail = "; ".join(
                f"worker {slot}: {check.detail or 'no trouble'}" for slot, check in found.items()
            )
        together.append(Check(name, any(check.passes for check in found.values()), detail))
    return together


_OWN: Final = "parent"
