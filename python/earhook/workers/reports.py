"""What the parent says of its workers: lines, and figures of its own."""

from __future__ import annotations

import signal
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from earhook.ops.logging import get_logger

from .crew import Action, Crew, Do, Reason, Standing

if TYPE_CHECKING:
    from earhook.ops.readings import Readings

    from .link import WorkerLink

__all__ = ["Reports"]

_LOG: Final = get_logger(__name__)


class Reports:
    """One line for each thing that happened, and a count of it.

    Attributes:
        restarts: Workers that were replaced, by reason.
        lost_calls: Calls that were live in workers that died.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self.restarts: Counter[str] = Counter(dict.fromkeys(Reason, 0))
        self.lost_calls = 0

    def say(self, action: Action, link: WorkerLink | None) -> None:
        """A line about what the crew has to say, but for the lost."""
        member = self._crew.member(action.generation)
        line = _LOG.bind(**_who(link))
        match action.do:
            case Do.SAY_SILENT:
                self.restarts[Reason.SILENT] += 1
                line.error("worker.silent", remedy=_STUCK)
            case Do.SAY_HEARD:
                line.warning("worker.heard_again")
            case Do.SAY_REPLACED:
                reason = Reason.LOST if member is None or member.reason is None else member.reason
                self.restarts[reason] += 1
                line.info("worker.replaced", reason=str(reason))
            case Do.SAY_PAUSE:
                line.error("worker.dying_young", remedy="the lines of the workers say why they end")
            case Do.SAY_RENEWED:
                line.info("rolling.done")
            case Do.SAY_NOT_RENEWED:
                remedy = "those that serve go on; see the lines of the new one, then try again"
                line.error("rolling.failed", remedy=remedy)

    def say_lost(self, link: WorkerLink, code: int, calls: int) -> None:
        """A line about a process that has ended unasked, or otherwise than it was asked to."""
        how: dict[str, Any] = {"exit_code": code} if code >= 0 else {"signal": _name_of(-code)}
        line = _LOG.bind(**_who(link), **how)
        remedy = _REMEDIES.get(code, _REMEDY)
        if link.slot is None:
            line.warning("worker.spare_lost", remedy=remedy)
            return
        self.restarts[Reason.LOST] += 1
        self.lost_calls += calls
        line.error("worker.lost", calls_lost=calls, remedy=remedy)

    def say_not_started(self, error: OSError) -> None:
        """A line about a process that could not be had."""
        remedy = "give this user more processes, memory or open files"
        _LOG.error("worker.not_started", error=error.strerror, remedy=remedy)

    def read(self, readings: Readings) -> None:
        """Write down what is counted here."""
        standings = Counter(str(member.standing) for member in self._crew.members)
        for standing in Standing:
            readings.put("earhook_workers", standings[standing], state=str(standing))
        readings.put_each("earhook_worker_restarts_total", self.restarts, label="reason")
        readings.put("earhook_worker_lost_calls_total", self.lost_calls)


def _who(link: WorkerLink | None) -> dict[str, Any]:
    if link is None:
        return {}
    return {"slot": link.slot, "pid": link.process.pid, "generation": link.generation}


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


_STUCK: Final = "it is stopped or stuck, another one has its ports: py-spy dump says where"
_REMEDY: Final = "its last lines say why; what was recorded of its calls is on disk"
_REMEDIES: Final = {
    -signal.SIGKILL: "out of memory? dmesg says so; what was recorded of its calls is on disk",
    -signal.SIGSEGV: "a defect: report it",
    -signal.SIGABRT: "a defect: report it",
}
