"""Whether one more call may come in. Pure: what it decides by is handed in."""

from __future__ import annotations

from collections import Counter

from earhook.transport.upgrade import Admission

from .lifecycle import Stage

__all__ = ["Admissions"]

FULL_RETRY_SECONDS = 10
ELSEWHERE_RETRY_SECONDS = 1
"""A gateway that starts or drains has a neighbour or a successor that can be asked at once."""


class Admissions:
    """Decides, and counts what was refused.

    Args:
        max_calls: Connections at most that were not refused. Probes and closing connections
            count, so that live calls never exceed the number, however many requests come at once.
    """

    def __init__(self, max_calls: int) -> None:
        self.max_calls = max_calls
        self.refused: Counter[str] = Counter()

    def judge(self, stage: Stage, connections: int) -> Admission:
        """Decide about one upgrade request that is otherwise in order."""
        if stage is not Stage.SERVING:
            self.refused[str(stage)] += 1
            return Admission(admitted=False, retry_after_seconds=ELSEWHERE_RETRY_SECONDS)
        if connections >= self.max_calls:
            self.refused["max-calls"] += 1
            return Admission(admitted=False, retry_after_seconds=FULL_RETRY_SECONDS)
        return Admission(admitted=True)
