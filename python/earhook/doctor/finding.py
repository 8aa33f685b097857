"""What the doctor says of one step: verdict, evidence, cure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

__all__ = ["Finding", "Step", "Verdict", "doubtful", "fine", "shown", "skipped", "wrong"]

SHOWN_CHARACTERS: Final = 160


class Step(StrEnum):
    """What is looked at, in this order."""

    NAME = "name"
    TCP = "tcp"
    TLS = "tls"
    CHAIN = "chain"
    NAMES = "certificate names"
    EXPIRY = "expiry"
    CLIENT_CERTIFICATE = "client certificate"
    HTTP = "http"
    UPGRADE = "upgrade"
    SIGNATURE = "credentials"
    WRONG_SECRET = "wrong secret"  # noqa: S105 - a step, not a secret
    UNSIGNED = "unsigned"
    CLOCK = "clock"
    PROBE = "probe"
    HOST = "host"
    CALL = "test call"
    AUDIO = "audio"


class Verdict(StrEnum):
    """How it is."""

    FINE = "ok"
    DOUBTFUL = "warning"
    """It works from here, and will probably hurt."""
    WRONG = "fault"
    SKIPPED = "skipped"
    """Not judged; the evidence says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One step.

    Attributes:
        evidence: What was seen, or why nothing was looked at.
        cure: What to do about it; empty where nothing is wrong.
        figures: What was measured, for programs: names carry their units.
    """

    step: Step
    verdict: Verdict
    evidence: str
    cure: str = ""
    figures: Mapping[str, object] = field(default_factory=dict)


def fine(step: Step, evidence: str, **figures: object) -> Finding:
    """It is as it should be."""
    return Finding(step, Verdict.FINE, evidence, figures=figures)


def doubtful(step: Step, evidence: str, cure: str, **figures: object) -> Finding:
    """It works from here, and will probably hurt."""
    return Finding(step, Verdict.DOUBTFUL, evidence, cure, figures)


def wrong(step: Step, evidence: str, cure: str, **figures: object) -> Finding:
    """It does not work, or lets in whom it should not."""
    return Finding(step, Verdict.WRONG, evidence, cure, figures)


def skipped(step: Step, reason: str, cure: str = "") -> Finding:
    """It was not judged."""
    return Finding(step, Verdict.SKIPPED, reason, cure)


def shown(text: str) -> str:
    """What another side wrote, fit for a terminal: printable, and not long."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean if len(clean) <= SHOWN_CHARACTERS else f"{clean[:SHOWN_CHARACTERS]}…"
