"""What analytics tells: one shape for JSON lines, for the gateway and for whoever tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, get_args

__all__ = ["RESULT_KINDS", "Result", "ResultKind"]

ResultKind: TypeAlias = Literal["transcript", "sentiment", "hit", "analysis"]
RESULT_KINDS: Final = frozenset(get_args(ResultKind))


@dataclass(frozen=True, slots=True)
class Result:
    """A fact about a call, found by listening. Personal.

    Attributes:
        kind: Which fact; the members of `details` are those of the event with that name in the
            PCM stream.
        position: Where in the call it became known, in samples of the call's rate.
        details: As it goes out. Card numbers and the like are out of it already.
        pause_seconds: Of a hit that pauses the call: for how long; None: nobody said.
    """

    kind: ResultKind
    position: int
    details: Mapping[str, Any] = field(repr=False)
    pause_seconds: float | None = None

    def as_entry(self) -> dict[str, Any]:
        """The form that the command `results` of the PCM stream takes."""
        return {"type": self.kind, "position": self.position, "details": dict(self.details)}
