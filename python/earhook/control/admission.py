"""Whether one more call may come in. Pure: what it decides by is handed in.

A door asks for every call that is otherwise in order. The order of the answers: the gateway is
not serving; something is short; as many calls are live as may be.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from earhook.edge.admission import Admission

from .lifecycle import Stage
from .together import Elsewhere

if TYPE_CHECKING:
    from .pressure import Pressure
    from .settings import SheddingSettings

__all__ = ["FULL", "Admissions"]

FULL: Final = "max-calls"
"""The reason that the number of calls is; the others are stages and strains."""
ELSEWHERE_RETRY_SECONDS: Final = 1
"""A gateway that starts or drains has a neighbour or a successor that can be asked at once."""


class Admissions:
    """Decides for one door, and counts what was refused.

    Args:
        max_calls: Connections at most that were not refused. Probes and closing connections
            count, so that live calls never exceed the number, however many requests come at once.
        settings: When calls are welcome again, and when a refused one may come again.
        pressure: What else can be short; one for all doors.
        elsewhere: What other processes have at this door: the number holds for the sum.

    Attributes:
        refused: Calls refused so far, by reason.
    """

    def __init__(
        self,
        max_calls: int,
        settings: SheddingSettings,
        pressure: Pressure,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.max_calls = max_calls
        self.refused: Counter[str] = Counter()
        self._settings = settings
        self._pressure = pressure
        self._elsewhere = elsewhere or Elsewhere()
        self._is_full = False

    def replace(self, max_calls: int, settings: SheddingSettings) -> None:
        """Other limits: they hold from the next call on. Live calls above the number go on."""
        self.max_calls = max_calls
        self._settings = settings

    def judge(self, stage: Stage, connections: int, probing: int | None = None) -> Admission:
        """Decide about one new call that is otherwise in order.

        Args:
            stage: Where the gateway is in its life.
            connections: Those of this door that count as calls now.
            probing: Those that were let in as `probe_only`; None: this door can tell a probe
                from a call, and answers probes by itself.
        """
        if stage is not Stage.SERVING:
            self.refused[str(stage)] += 1
            return Admission(
                admitted=False, retry_after_seconds=ELSEWHERE_RETRY_SECONDS, reason=str(stage)
            )
        with self._elsewhere.held():
            # First take, then look: where the lock could not be had, two may refuse each other,
            # but never let in one too many.
            self._elsewhere.take(connections + 1)
            reason = self.reason(connections)
            if reason is None:
                self._is_full = False
                return Admission(admitted=True)
            self._elsewhere.take(connections)
            self._is_full = self._is_full or reason == FULL
            if self._has_lane(probing):
                return Admission(admitted=True, probe_only=True)
        self.refused[reason] += 1
        retry_seconds = self._settings.retry_after_seconds
        return Admission(admitted=False, retry_after_seconds=retry_seconds, reason=reason)

    def reason(self, connections: int) -> str | None:
        """Why a call would be refused now; None where it would be let in. Changes nothing.

        Args:
            connections: As for `judge`.
        """
        strains = self._pressure.strains
        if strains:
            return str(strains[0])
        limit = float(self.max_calls)
        if self._is_full:
            # Full until that many have ended, or every one that ends would let a single call in.
            below = max(self.max_calls * self._settings.release_calls_percent / 100, 1.0)
            limit = min(limit, below)
        return FULL if self.counted(connections) >= limit else None

    def counted(self, connections: int) -> int:
        """What is held against the number where this process has so many: that of all."""
        return connections + self._elsewhere.calls

    def _has_lane(self, probing: int | None) -> bool:
        if probing is None or self._settings.probes != "answer":
            return False
        self._elsewhere.take_probe(probing + 1)
        if probing + self._elsewhere.probes < self._settings.probe_sessions:
            return True
        self._elsewhere.take_probe(probing)
        return False
