"""What a check says."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from earhook.errors import ConfigurationError

__all__ = ["Finding", "Level", "doubtful", "faults_from", "fine", "wrong"]


class Level(StrEnum):
    """How bad it is."""

    FINE = "ok"
    DOUBTFUL = "warning"
    """It runs, and will probably hurt."""
    WRONG = "fault"
    """It does not run, or not as configured."""


class Finding(NamedTuple):
    """One finding: where, what, what to do."""

    level: Level
    where: str
    what: str
    remedy: str = ""


def fine(where: str, what: str) -> Finding:
    """Something is as it should be."""
    return Finding(Level.FINE, where, what)


def doubtful(where: str, what: str, remedy: str) -> Finding:
    """Something runs, and will probably hurt."""
    return Finding(Level.DOUBTFUL, where, what, remedy)


def wrong(where: str, what: str, remedy: str) -> Finding:
    """Something does not run."""
    return Finding(Level.WRONG, where, what, remedy)


def faults_from(error: ConfigurationError) -> list[Finding]:
    """The faults of an error as findings."""
    return [wrong(*fault) for fault in error.faults]
