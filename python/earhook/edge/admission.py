"""The answer to "may one more call come in": what both doors get from the control plane."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

__all__ = ["Admission", "Admit"]


class Admission(NamedTuple):
    """Whether there is room for one more call; if not, when to come again, and for our log: why.

    `probe_only`: the connection may enter, but only to be told how we are: a call that it
    opens is ended at once.
    """

    admitted: bool
    retry_after_seconds: int = 10
    probe_only: bool = False
    reason: str = ""


Admit: TypeAlias = Callable[[], Admission]
"""Asked once for each new call that is otherwise in order; reserves nothing."""
