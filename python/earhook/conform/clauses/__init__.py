"""The clauses, a file for each part of the protocol; together in `ALL`, in reading order."""

from __future__ import annotations

from typing import Final

from earhook.conform.verdicts import Clause

from . import (
    closing,
    conversation,
    envelope,
    frames,
    malformed,
    media,
    opening,
    sessions,
    signature,
    upgrade,
)

__all__ = ["ALL"]

ALL: Final[tuple[Clause, ...]] = (
    *upgrade.CLAUSES,
    *signature.CLAUSES,
    *opening.CLAUSES,
    *envelope.CLAUSES,
    *conversation.CLAUSES,
    *media.CLAUSES,
    *closing.CLAUSES,
    *malformed.CLAUSES,
    *frames.CLAUSES,
    *sessions.CLAUSES,
)
